"""Image collections as tutorials make them: vectors of a network, a label, a path."""

import numpy as np
from data import LABELS, assert_exact, recall, vectors
from place import flow
from pymilvus import Collection, CollectionSchema, DataType, FieldSchema, MilvusClient


def _by_label(place, dim, nlist, nprobes, rows, batch):
    """Int64 keys, IVF_FLAT, L2: the older interface writes, both search."""
    base = vectors(rows, dim, seed=dim)
    labels = [LABELS[i % len(LABELS)] for i in range(rows)]
    name = place.name("images")
    with place.orm():
        fields = [
            FieldSchema("id", DataType.INT64, is_primary=True, auto_id=False),
            FieldSchema("label", DataType.VARCHAR, max_length=64),
            FieldSchema("embedding", DataType.FLOAT_VECTOR, dim=dim),
        ]
        collection = Collection(name, CollectionSchema(fields, description="images by label"))
        for start in range(0, rows, batch):
            stop = min(start + batch, rows)
            done = collection.insert([list(range(start, stop)), labels[start:stop], base[start:stop]])
            assert done.insert_count == stop - start and list(done.primary_keys) == list(range(start, stop))
        collection.flush()
        assert collection.num_entities == rows
        collection.create_index("embedding", {"index_type": "IVF_FLAT", "metric_type": "L2", "params": {"nlist": nlist}})
        index = collection.index()
        assert index.params["index_type"] == "IVF_FLAT" and index.params["metric_type"] == "L2"
        assert int(index.params["params"]["nlist"]) == nlist
        collection.load()
        queries = base[:3] + 0.01
        cats = [label == "cat" for label in labels]
        for nprobe in nprobes:
            param = {"metric_type": "L2", "params": {"nprobe": nprobe}}
            found = collection.search(queries, "embedding", param, limit=10, expr="label == 'cat'", output_fields=["label"])
            assert len(found) == 3
            for query, hits in zip(queries, found):
                assert {hit.entity.get("label") for hit in hits} == {"cat"}
                distances = [hit.distance for hit in hits]
                assert distances == sorted(distances)
                true = ((base[[hit.id for hit in hits]].astype(np.float64) - query) ** 2).sum(1)
                assert np.allclose(distances, true, rtol=1e-3, atol=1e-3)
                # Few lists are looked into: most of what is near lies there, not all.
                assert recall([{"id": hit.id} for hit in hits], "L2", base, query, 10, cats) >= 0.5, nprobe
        # A flat search through a filter that leaves few rows is exact whatever the index.
        hits = collection.search(
            queries[:1], "embedding", {"metric_type": "L2", "params": {"nprobe": nlist}}, 5, expr="label == 'cat' and id < 50"
        )[0]
        few = [cat and i < 50 for i, cat in enumerate(cats)]
        assert_exact([{"id": h.id, "distance": h.distance} for h in hits], "L2", base, queries[0], 5, few, tolerance=1e-3)
        place.note(f"flat {dim}", [[(h.id, h.distance) for h in hits]])
        collection.release()


@flow(lite="builds IVF for half a minute")
def labels_of_512(place):
    _by_label(place, 512, 128, [10, 16, 32], rows=6000, batch=5000)


@flow(lite="builds IVF for half a minute")
def labels_of_2048(place):
    _by_label(place, 2048, 128, [16], rows=3000, batch=1500)


@flow(lite="builds IVF for half a minute")
def labels_of_4096_with_1024_lists(place):
    _by_label(place, 4096, 1024, [10, 32], rows=3000, batch=1000)


def _by_path(place, metric, dim=256, rows=5000):
    """Keys that the server gives, a path, HNSW: the newer interface."""
    client, name = place.client, place.name("paths")
    base = vectors(rows, dim, seed=3)
    schema = MilvusClient.create_schema(auto_id=True, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("path", DataType.VARCHAR, max_length=500)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type=metric, params={"M": 16, "efConstruction": 100})
    client.create_collection(name, schema=schema, index_params=index)
    keys = []
    for start in range(0, rows, 1000):
        batch = [{"path": f"photos/{i}.jpg", "vector": base[i].tolist()} for i in range(start, start + 1000)]
        done = client.insert(name, batch)
        assert done["insert_count"] == 1000
        keys += list(done["ids"])
    assert len(set(keys)) == rows and keys == sorted(keys)
    queries = vectors(5, dim, seed=3) + 0.05
    found = client.search(
        name, queries.tolist(), limit=10, output_fields=["path"], search_params={"metric_type": metric, "params": {"ef": 200}}
    )
    assert len(found) == 5
    shares = []
    for query, hits in zip(queries, found):
        scores = [hit["distance"] for hit in hits]
        assert scores == sorted(scores, reverse=True) and len(hits) == 10
        for hit in hits:
            i = keys.index(hit["id"])
            assert hit["entity"]["path"] == f"photos/{i}.jpg"
            true = float(base[i].astype(np.float64) @ query)
            if metric == "COSINE":
                true /= float(np.linalg.norm(base[i]) * np.linalg.norm(query))
            assert abs(true - hit["distance"]) <= 1e-3 * max(1, abs(true))
        shares.append(recall(hits, metric, base, query, 10, key=lambda i: keys[i]))
    assert np.mean(shares) >= 0.9, shares
    row = client.get(name, [keys[7]], output_fields=["path"])[0]
    assert row["path"] == "photos/7.jpg"


@flow()
def paths_by_inner_product(place):
    _by_path(place, "IP")


@flow()
def paths_by_cosine(place):
    _by_path(place, "COSINE")


@flow()
def the_quick_start(place):
    """The first page of Milvus's documentation."""
    client, name = place.client, place.name("demo")
    if client.has_collection(collection_name=name):
        client.drop_collection(collection_name=name)
    client.create_collection(collection_name=name, dimension=768)
    assert client.has_collection(name)
    base = np.random.default_rng(1).uniform(-1, 1, (30, 768)).astype(np.float32)
    data = [
        {"id": i, "vector": base[i].tolist(), "text": f"text {i}", "subject": "history" if i % 3 else "biology"} for i in range(30)
    ]
    assert client.insert(collection_name=name, data=data)["insert_count"] == 30
    found = client.search(collection_name=name, data=[base[4].tolist()], limit=2, output_fields=["text", "subject"])
    assert found[0][0]["entity"] == {"text": "text 4", "subject": "history"}
    assert_exact(found[0], "COSINE", base, base[4], 2)
    place.note_hits("first", found, ["text", "subject"])
    found = client.search(name, data=[base[4].tolist()], filter="subject == 'biology'", limit=20, output_fields=["subject"])
    assert_exact(found[0], "COSINE", base, base[4], 20, [i % 3 == 0 for i in range(30)])
    place.note_hits("biology", found, ["subject"])
    rows = client.query(name, filter="subject == 'history'", output_fields=["text", "subject"])
    assert sorted(row["id"] for row in rows) == [i for i in range(30) if i % 3]
    rows = client.query(name, ids=[0, 2], output_fields=["vector", "text", "subject"])
    assert [row["id"] for row in rows] == [0, 2]
    assert np.allclose(rows[1]["vector"], base[2])
    client.delete(name, ids=[0, 2])
    client.delete(name, filter="subject == 'biology'")
    left = client.query(name, filter="id >= 0", output_fields=["id"])
    assert sorted(row["id"] for row in left) == [i for i in range(30) if i % 3 and i != 2]
    client.drop_collection(name)
    assert not client.has_collection(name)
