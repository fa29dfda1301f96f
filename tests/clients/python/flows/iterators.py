"""Iterators over many rows: of queries in the order of keys, of searches outwards from a vector."""

import numpy as np
from data import exact, vectors
from place import flow
from pymilvus import DataType, MilvusClient

DIM = 8


def many(place, count, metric="L2"):
    client, name = place.client, place.name("many")
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("group", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type=metric)
    client.create_collection(name, schema=schema, index_params=index)
    base = vectors(count, DIM, seed=11)
    for start in range(0, count, 10_000):
        stop = min(start + 10_000, count)
        client.insert(name, [{"id": i, "group": i % 10, "vector": base[i]} for i in range(start, stop)])
    return name, base


def drain(iterator):
    rows = []
    while True:
        page = iterator.next()
        if not page:
            iterator.close()
            return rows
        # The hits of older clients are objects.
        rows += [row.to_dict() if hasattr(row, "to_dict") else row for row in (page[i] for i in range(len(page)))]


def _queries(place, count):
    client = place.client
    name, base = many(place, count)
    iterator = client.query_iterator(name, batch_size=5000, filter="", output_fields=["group"])
    assert [(row["id"], row["group"]) for row in drain(iterator)] == [(i, i % 10) for i in range(count)]
    iterator = client.query_iterator(name, batch_size=700, filter="group == 3", output_fields=["id", "vector"], limit=2000)
    rows = drain(iterator)
    assert [row["id"] for row in rows] == list(range(3, count, 10))[:2000]
    assert np.array_equal(np.float32(rows[9]["vector"]), base[93])


@flow(lite="takes 20 s")
def query_iterator_over_50000_rows(place):
    _queries(place, 50_000)


def _searches(place, count, wanted, metric="L2"):
    client = place.client
    name, base = many(place, count, metric)
    query = base[17] + 0.01
    order, scores = exact(metric, base, query, wanted)
    iterator = client.search_iterator(
        name, data=[query.tolist()], batch_size=300, limit=wanted, search_params={"metric_type": metric}, output_fields=["group"]
    )
    hits = drain(iterator)
    assert len(hits) == wanted and len({hit["id"] for hit in hits}) == wanted
    assert np.allclose([hit["distance"] for hit in hits], scores, rtol=1e-3, atol=1e-3)
    assert all(hit["entity"]["group"] == hit["id"] % 10 for hit in hits)
    assert len(set(order) & {hit["id"] for hit in hits}) >= wanted - 2
    # Through a filter, until there is no more.
    iterator = client.search_iterator(
        name, data=[query.tolist()], batch_size=400, filter="group == 3 and id < 9000", search_params={"metric_type": metric}
    )
    hits = drain(iterator)
    assert sorted(hit["id"] for hit in hits) == list(range(3, min(count, 9000), 10))
    distances = [hit["distance"] for hit in hits]
    assert distances == sorted(distances, reverse=metric != "L2")
    place.note("distances", distances)


@flow(lite="takes 15 s")
def search_iterator_outwards(place):
    _searches(place, 10_000, 2500)


@flow(lite="takes 11 s")
def search_iterator_by_cosine(place):
    _searches(place, 10_000, 1000, "COSINE")
