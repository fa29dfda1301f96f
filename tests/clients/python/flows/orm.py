"""The older interface, as programs of years ago use it: connections, utility, Collection."""

import numpy as np
import pytest
from data import assert_exact, vectors
from elanus_program import wait_until
from place import flow
from pymilvus import (
    AnnSearchRequest,
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    MilvusException,
    Partition,
    RRFRanker,
    connections,
    db,
    utility,
)


def hits_of(found):
    return [[{"id": hit.id, "distance": hit.distance} for hit in hits] for hits in found]


@flow()
def hello_milvus(place):
    """The oldest example of Milvus, nearly word by word."""
    name = place.name("hello_milvus")
    count, dim = 3000, 8
    random = np.random.default_rng(19530)
    with place.orm():
        assert not utility.has_collection(name)
        fields = [
            FieldSchema(name="pk", dtype=DataType.VARCHAR, is_primary=True, auto_id=False, max_length=100),
            FieldSchema(name="random", dtype=DataType.DOUBLE),
            FieldSchema(name="embeddings", dtype=DataType.FLOAT_VECTOR, dim=dim),
        ]
        hello = Collection(name, CollectionSchema(fields, "the simplest demo"), consistency_level="Strong")
        assert utility.has_collection(name) and name in utility.list_collections()
        base = random.random((count, dim)).astype(np.float32)
        numbers = random.random(count).tolist()
        done = hello.insert([[str(i) for i in range(count)], numbers, base])
        assert done.insert_count == count and done.succ_count == count and done.primary_keys[3] == "3"
        hello.flush()
        assert hello.num_entities == count and not hello.is_empty
        hello.create_index("embeddings", {"index_type": "IVF_FLAT", "metric_type": "L2", "params": {"nlist": 128}})
        assert hello.has_index() and [index.field_name for index in hello.indexes] == ["embeddings"]
        progress = utility.index_building_progress(name)
        assert progress["total_rows"] == count and progress["indexed_rows"] == count
        utility.wait_for_index_building_complete(name)
        hello.load()
        assert utility.loading_progress(name)["loading_progress"] == "100%"
        assert utility.load_state(name).name == "Loaded"
        param = {"metric_type": "L2", "params": {"nprobe": 128}}
        found = hello.search(base[-2:], "embeddings", param, limit=3, output_fields=["random"])
        for query, hits in zip(base[-2:], found):
            assert_exact(hits_of([hits])[0], "L2", base, query, 3, key=str)
            assert hits[0].entity.get("random") == numbers[int(hits[0].id)]
        place.note("near", [[(hit.id, hit.distance) for hit in hits] for hits in found])
        assert found[0].ids[0] == str(count - 2) and found[0].distances[0] == 0
        rows = hello.query(expr="random > 0.5", output_fields=["random", "embeddings"])
        assert len(rows) == sum(n > 0.5 for n in numbers)
        assert place.is_lite or hello.query(expr="pk == '5'") == [{"pk": "5"}]  # Its answer has all fields.
        assert len(hello.query(expr="random > 0.5", limit=4, offset=2, output_fields=["random"])) == 4
        found = hello.search(base[-2:], "embeddings", param, limit=3, expr="random > 0.5")
        for query, hits in zip(base[-2:], found):
            assert_exact(hits_of([hits])[0], "L2", base, query, 3, [n > 0.5 for n in numbers], key=str)
        expr = 'pk in ["0" , "1"]'
        assert hello.delete(expr).delete_count == 2
        assert hello.query(expr=expr, output_fields=["random"]) == []
        hello.upsert([["2"], [0.125], base[:1]])
        assert hello.query(expr="pk == '2'", output_fields=["random"]) == [{"random": 0.125, "pk": "2"}]
        future = hello.search(base[:1], "embeddings", param, limit=3, _async=True)
        assert len(future.result()[0]) == 3
        hello.release()
        hello.drop_index()
        utility.drop_collection(name)
        assert not utility.has_collection(name)


@flow(lite="answers in parts")
def parts_of_the_older_interface(place):
    name = place.name("older")
    with place.orm():
        fields = [
            FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True),
            FieldSchema("kind", DataType.VARCHAR, max_length=20),
            FieldSchema("a", DataType.FLOAT_VECTOR, dim=4),
            FieldSchema("b", DataType.FLOAT_VECTOR, dim=6),
        ]
        schema = CollectionSchema(fields, "parts", enable_dynamic_field=True)
        collection = Collection(name, schema)
        assert collection.schema.auto_id and collection.description == "parts" and collection.primary_field.name == "id"
        again = Collection(name)
        assert [f.name for f in again.schema.fields] == ["id", "kind", "a", "b"] and again.schema.enable_dynamic_field
        a, b = vectors(100, 4, seed=1), vectors(100, 6, seed=2)
        done = collection.insert([{"kind": f"k{i % 3}", "a": a[i].tolist(), "b": b[i].tolist(), "extra": i} for i in range(100)])
        keys = list(done.primary_keys)
        assert len(set(keys)) == 100
        for field, metric in (("a", "L2"), ("b", "IP")):
            index = {"index_type": "HNSW", "metric_type": metric, "params": {"M": 8, "efConstruction": 64}}
            collection.create_index(field, index, index_name=f"on_{field}")
        assert {index.index_name for index in collection.indexes} == {"on_a", "on_b"}
        other = Collection(place.name("automatic"), schema)
        other.create_index("a", {"index_type": "AUTOINDEX", "metric_type": "L2", "params": {}})
        assert other.index().params["index_type"] == "AUTOINDEX"
        assert collection.index(index_name="on_b").params["metric_type"] == "IP"
        collection.load()
        requests = [
            AnnSearchRequest([a[5].tolist()], "a", {"metric_type": "L2", "params": {"ef": 64}}, 10, expr="extra < 50"),
            AnnSearchRequest([b[5].tolist()], "b", {"metric_type": "IP", "params": {"ef": 64}}, 10),
        ]
        hits = collection.hybrid_search(requests, RRFRanker(), limit=4, output_fields=["kind", "extra"])[0]
        assert len(hits) == 4 and keys[5] in hits.ids
        rows = collection.query(expr=f"id in {keys[:2]}", output_fields=["*"])
        assert [row["extra"] for row in rows] == [0, 1] and "a" in rows[0]
        part = collection.create_partition("p", description="of it")
        assert collection.has_partition("p") and [p.name for p in collection.partitions] == ["_default", "p"]
        part.insert([{"kind": "p", "a": a[0].tolist(), "b": b[0].tolist(), "extra": 1000}])
        part.flush()
        assert part.num_entities == 1 and Partition(collection, "p").num_entities == 1
        part.load()
        rows = collection.query(expr="extra >= 0", partition_names=["p"], output_fields=["extra"])
        assert [row["extra"] for row in rows] == [1000]
        part.release()
        collection.drop_partition("p")
        collection.load()
        pages, iterator = [], collection.query_iterator(batch_size=30, expr="kind == 'k1'", output_fields=["extra"])
        while page := iterator.next():
            pages += page
        assert [row["extra"] for row in pages] == list(range(1, 100, 3))
        iterator.close()
        found, iterator = [], collection.search_iterator([a[7].tolist()], "a", {"metric_type": "L2"}, batch_size=25, limit=60)
        while page := iterator.next():
            found += page.ids()
        assert len(found) == len(set(found)) == 60 and found[0] == keys[7]
        iterator.close()
        alias = place.name("alias")
        collection.alias = utility.create_alias(name, alias)
        assert utility.list_aliases(name) == [alias] and Collection(alias).num_entities >= 100
        utility.alter_alias(name, alias)
        utility.drop_alias(alias)
        collection.set_properties({"collection.ttl.seconds": 1800})
        collection.compact()
        collection.wait_for_compaction_completed()
        assert collection.get_compaction_plans() is not None
        assert utility.get_server_version()
        assert sum(s.num_rows for s in utility.get_query_segment_info(name)) >= 100
        assert collection.get_replicas() is not None
        new = place.name("newer")
        utility.rename_collection(name, new)
        assert utility.has_collection(new) and not utility.has_collection(name)
        wait_until(lambda: Collection(new).num_entities == 100, "100 rows")
        with pytest.raises(MilvusException):
            Collection(new).search([[1.0]], "a", {"metric_type": "L2"}, limit=1)


@flow(lite="has one database")
def databases_of_the_older_interface(place):
    database = place.name("db")
    with place.orm():
        db.create_database(database)
        assert database in db.list_database()
        db.using_database(database)
        name = place.name("inside")
        Collection(name, CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]))
        assert utility.list_collections() == [name]
        db.using_database("default")
        assert name not in utility.list_collections()
        db.using_database(database)
        utility.drop_collection(name)
        db.using_database("default")
        db.drop_database(database)
        host, port = place.uri.removeprefix("http://").split(":")
        connections.connect(alias="second", host=host, port=port)
        assert utility.list_collections(using="second") is not None
        assert connections.has_connection("second")
        connections.disconnect("second")
