"""Searches beyond the plain one: several vectors, rankers, ranges, groups, pages."""

import numpy as np
from data import assert_exact, exact, vectors
from place import VERSION, flow
from pymilvus import AnnSearchRequest, DataType, MilvusClient, RRFRanker, WeightedRanker

COUNT = 400


def pictures(place, metrics=("COSINE", "L2")):
    """Two vectors for each row, and two keys of different coarseness."""
    client, name = place.client, place.name("pictures")
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("film", DataType.INT64)
    schema.add_field("label", DataType.VARCHAR, max_length=20)
    schema.add_field("image", DataType.FLOAT_VECTOR, dim=12)
    schema.add_field("words", DataType.FLOAT_VECTOR, dim=6)
    index = MilvusClient.prepare_index_params()
    index.add_index("image", index_name="by_image", index_type="FLAT", metric_type=metrics[0])
    index.add_index("words", index_name="by_words", index_type="FLAT", metric_type=metrics[1])
    client.create_collection(name, schema=schema, index_params=index)
    images, words = vectors(COUNT, 12, seed=21), vectors(COUNT, 6, seed=22)
    rows = [
        {"pk": i, "film": i // 10, "label": f"l{i % 4}", "image": images[i].tolist(), "words": words[i].tolist()} for i in range(COUNT)
    ]
    assert client.insert(name, rows)["insert_count"] == COUNT
    return name, images, words


def keyed(hits):
    """The key of a hit under one name, whatever the client's version calls it."""
    return [{"id": hit["pk"] if "pk" in hit else hit["id"], "distance": hit["distance"], "entity": hit["entity"]} for hit in hits]


@flow()
def pages_of_a_search(place):
    client = place.client
    name, images, _ = pictures(place)
    query = images[3] + 0.02
    whole = keyed(client.search(name, data=[query.tolist()], anns_field="image", limit=60)[0])
    assert_exact(whole, "COSINE", images, query, 60)
    pages = [client.search(name, data=[query.tolist()], anns_field="image", limit=20, search_params={"offset": at})[0] for at in (0, 20, 40)]
    assert [hit["id"] for page in pages for hit in keyed(page)] == [hit["id"] for hit in whole]
    rounded = client.search(name, data=[query.tolist()], anns_field="image", limit=5, round_decimal=2)[0]
    assert all(abs(hit["distance"] - round(hit["distance"], 2)) < 1e-6 for hit in rounded)
    # Several queries, each with its own answer; numpy arrays as queries.
    found = client.search(name, data=[images[5], images[6]], anns_field="image", limit=4, output_fields=["label"])
    for query, hits in zip(images[5:7], found):
        assert_exact(keyed(hits), "COSINE", images, query, 4)
    place.note_hits("two", [keyed(hits) for hits in found], ["label"])


@flow()
def ranges(place):
    client = place.client
    name, images, words = pictures(place)
    query = words[8] + 0.02
    order, scores = exact("L2", words, query, COUNT)
    for radius, inner in [(4.0, 1.0), (9.0, 0.0), (30.0, 12.0)]:
        params = {"metric_type": "L2", "params": {"radius": radius, "range_filter": inner}}
        hits = keyed(client.search(name, data=[query.tolist()], anns_field="words", limit=COUNT, search_params=params)[0])
        assert [hit["id"] for hit in hits] == [i for i, s in zip(order, scores) if inner <= s < radius]
        place.note_hits(f"L2 {radius}", [hits])
    query = images[8] + 0.02
    order, scores = exact("COSINE", images, query, COUNT)
    params = {"metric_type": "COSINE", "params": {"radius": 0.2, "range_filter": 0.9}}
    hits = keyed(client.search(name, data=[query.tolist()], anns_field="image", limit=COUNT, search_params=params)[0])
    assert [hit["id"] for hit in hits] == [i for i, s in zip(order, scores) if 0.2 < s <= 0.9]
    params = {"params": {"radius": 0.5}}
    hits = keyed(client.search(name, data=[query.tolist()], anns_field="image", limit=COUNT, search_params=params)[0])
    assert [hit["id"] for hit in hits] == [i for i, s in zip(order, scores) if s > 0.5]


@flow()
def grouping(place):
    client = place.client
    name, images, _ = pictures(place)
    query = images[33] + 0.02
    hits = client.search(name, data=[query.tolist()], anns_field="image", limit=12, group_by_field="film", output_fields=["film"])[0]
    films = [hit["entity"]["film"] for hit in hits]
    assert len(hits) == 12 and len(set(films)) == 12
    order, scores = exact("COSINE", images, query, COUNT)
    best = {}
    for i, score in zip(order, scores):
        best.setdefault(i // 10, (i, score))
    wanted = list(best.values())[:12]
    assert [hit["id"] for hit in keyed(hits)] == [i for i, _ in wanted]
    assert np.allclose([hit["distance"] for hit in hits], [score for _, score in wanted], atol=1e-4)
    place.note_hits("films", [keyed(hits)], ["film"])
    if VERSION < (2, 5):  # Its client sends no sizes of groups.
        return
    hits = client.search(
        name, data=[query.tolist()], anns_field="image", limit=3, group_by_field="label", group_size=2, strict_group_size=True,
        output_fields=["label"],
    )[0]  # fmt: skip
    labels = [hit["entity"]["label"] for hit in hits]
    assert len(hits) == 6 and all(labels.count(label) == 2 for label in labels)


def requests_for(images, words, i, limit=30):
    return [
        AnnSearchRequest(data=[(images[i] + 0.02).tolist()], anns_field="image", param={"metric_type": "COSINE", "params": {}}, limit=limit),
        AnnSearchRequest(
            data=[(words[i] + 0.02).tolist()], anns_field="words", param={"metric_type": "L2", "params": {}}, limit=limit, expr="film < 35"
        ),
    ]


@flow()
def hybrid_by_reciprocal_ranks(place):
    client = place.client
    name, images, words = pictures(place)
    first, _ = exact("COSINE", images, images[40] + 0.02, 30)
    second, _ = exact("L2", words, words[40] + 0.02, 30, [i // 10 < 35 for i in range(COUNT)])
    for k in (60, 10):
        scores = {}
        for ranking in (first, second):
            for rank, i in enumerate(ranking, 1):
                scores[i] = scores.get(i, 0) + 1 / (k + rank)
        wanted = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:10]
        hits = client.hybrid_search(name, requests_for(images, words, 40), RRFRanker(k), limit=10, output_fields=["label"])[0]
        assert np.allclose([hit["distance"] for hit in hits], [score for _, score in wanted], atol=1e-6)
        assert [hit["id"] for hit in keyed(hits)] == [i for i, _ in wanted]
        assert all(hit["entity"]["label"] == f"l{hit['id'] % 4}" for hit in keyed(hits))
        place.note_hits(f"rrf {k}", [keyed(hits)], ["label"])
        if VERSION >= (2, 5) and not place.is_lite:
            # The client sends the offset with each search as well.
            page = client.hybrid_search(name, requests_for(images, words, 40), RRFRanker(k), limit=5, offset=3)[0]
            assert [hit["id"] for hit in keyed(page)] == [hit["id"] for hit in keyed(hits)[3:8]]


@flow()
def hybrid_by_weights(place):
    client = place.client
    name, images, words = pictures(place)
    first = dict(zip(*exact("COSINE", images, images[41] + 0.02, 30)))
    second = dict(zip(*exact("L2", words, words[41] + 0.02, 30, [i // 10 < 35 for i in range(COUNT)])))
    hits = client.hybrid_search(name, requests_for(images, words, 41), WeightedRanker(0.7, 0.3), limit=8)[0]
    # Distances are turned by their arc tangent; cosines only where the ranker asks for normalised scores, as newer clients' do.
    scores = {i: 0.7 * (s if VERSION < (2, 5) else (1 + s) / 2) for i, s in first.items()}
    for i, s in second.items():
        scores[i] = scores.get(i, 0) + 0.3 * (1 - 2 * np.arctan(s) / np.pi)
    wanted = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:8]
    place.note_hits("weighted", [keyed(hits)])
    assert [hit["id"] for hit in keyed(hits)] == [i for i, _ in wanted]
    assert np.allclose([hit["distance"] for hit in hits], [score for _, score in wanted], atol=1e-4)
