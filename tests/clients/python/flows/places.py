"""Where rows live: partitions, partition keys, aliases, databases."""

import pymilvus
import pytest
from data import vectors
from place import flow
from pymilvus import DataType, MilvusClient

from .rows import plain


def simple(place, count=0, prefix="c", **more):
    client, name = place.client, place.name(prefix)
    client.create_collection(name, dimension=4, metric_type="L2", **more)
    if count:
        client.insert(name, [{"id": i, "vector": [float(i), 0, 0, 0], "n": i} for i in range(count)])
    return name


@flow()
def partitions(place):
    client = place.client
    name = simple(place)
    for part in ("p1", "p2"):
        client.create_partition(name, part)
    assert sorted(client.list_partitions(name)) == ["_default", "p1", "p2"]
    assert client.has_partition(name, "p1") and not client.has_partition(name, "p9")
    for offset, part in enumerate(("_default", "p1", "p2")):
        rows = [{"id": offset * 100 + i, "vector": [float(i), 0, 0, 0], "n": i} for i in range(50)]
        assert client.insert(name, rows, partition_name=part)["insert_count"] == 50
    client.flush(name)
    assert int(client.get_partition_stats(name, "p1")["row_count"]) == 50
    ids = lambda **more: sorted(r["id"] for r in client.query(name, filter="n < 3", output_fields=["id"], **more))  # noqa: E731
    assert ids() == [0, 1, 2, 100, 101, 102, 200, 201, 202]
    assert ids(partition_names=["p2"]) == [200, 201, 202]
    assert ids(partition_names=["p1", "_default"]) == [0, 1, 2, 100, 101, 102]
    found = client.search(name, data=[[1.2, 0, 0, 0]], limit=2, partition_names=["p1"])
    assert [hit["id"] for hit in found[0]] == [101, 102]
    found = client.search(name, data=[[1.2, 0, 0, 0]], limit=3)
    assert [hit["id"] for hit in found[0]] == [1, 101, 201]
    assert plain(client.get(name, ids=[101, 1], output_fields=["n"], partition_names=["p1"])) == [{"id": 101, "n": 1}]
    if place.is_lite:  # It would delete in all partitions.
        client.delete(name, ids=[100])
    else:
        client.delete(name, filter="n == 0", partition_name="p1")
    assert ids() == [0, 1, 2, 101, 102, 200, 201, 202]
    place.is_lite or client.release_partitions(name, ["p1"])  # It has none of that.
    client.drop_partition(name, "p1")
    assert not client.has_partition(name, "p1")
    assert ids() == [0, 1, 2, 200, 201, 202]
    place.is_lite or client.load_partitions(name, ["p2"])
    place.note("left", ids(partition_names=["p2"]))


@flow()
def partition_keys(place):
    client, name = place.client, place.name("tenants")
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("tenant", DataType.VARCHAR, max_length=30, is_partition_key=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 8, "efConstruction": 64})
    client.create_collection(name, schema=schema, index_params=index, num_partitions=8)
    base = vectors(400, 4)
    client.insert(name, [{"id": i, "tenant": f"t{i % 20}", "vector": base[i].tolist(), "n": i} for i in range(400)])
    fields = {f["name"]: f for f in client.describe_collection(name)["fields"]}
    assert fields["tenant"].get("is_partition_key") is True
    if not place.is_lite:
        assert len(client.list_partitions(name)) == 8
    got = client.query(name, filter="tenant == 't7'", output_fields=["tenant"], limit=100)
    assert sorted(r["id"] for r in got) == list(range(7, 400, 20))
    found = client.search(name, data=[base[0].tolist()], limit=50, filter="tenant in ['t1', 't2']", output_fields=["tenant"])[0]
    assert len(found) == 40 and {hit["entity"]["tenant"] for hit in found} == {"t1", "t2"}
    client.delete(name, filter="tenant == 't1'")
    assert not client.query(name, filter="tenant == 't1'", output_fields=["id"])
    place.note("count", plain(client.query(name, filter="", output_fields=["count(*)"])))


@flow(lite="lets an alias be made twice")
def aliases_switched_while_rows_come(place):
    """The way to replace a collection under its readers."""
    client = place.client
    old, new = simple(place, 10, "old"), simple(place, 0, "new")
    alias = place.name("live")
    client.create_alias(old, alias)
    assert client.describe_alias(alias)["collection_name"] == old
    assert client.list_aliases(old)["aliases"] == [alias]
    assert client.has_collection(alias) and client.describe_collection(alias)["collection_name"] == old
    for start in range(0, 1000, 100):
        client.insert(new, [{"id": i, "vector": [float(i), 1, 0, 0], "n": -i} for i in range(start, start + 100)])
        assert client.query(alias, filter="", output_fields=["count(*)"])[0]["count(*)"] == 10
    client.alter_alias(new, alias)
    assert client.describe_alias(alias)["collection_name"] == new
    assert client.query(alias, filter="", output_fields=["count(*)"])[0]["count(*)"] == 1000
    assert client.search(alias, data=[[5.0, 1, 0, 0]], limit=1, output_fields=["n"])[0][0]["entity"]["n"] == -5
    client.insert(alias, [{"id": 5000, "vector": [0, 0, 0, 1], "n": 1}])
    assert client.get(new, ids=[5000], output_fields=["n"])[0]["n"] == 1
    with pytest.raises(pymilvus.MilvusException):
        client.create_alias(old, alias)
    with pytest.raises(pymilvus.MilvusException):
        client.drop_collection(new)
    client.drop_alias(alias)
    with pytest.raises(pymilvus.MilvusException):
        client.describe_alias(alias)
    client.drop_collection(new)
    assert not client.has_collection(new)


@flow(lite="has one database")
def several_databases(place):
    client = place.client
    first, second = place.name("db"), place.name("db")
    for database in (first, second):
        client.create_database(database)
    assert {"default", first, second} <= set(client.list_databases())
    assert client.describe_database(first)["name"] == first
    a, b = MilvusClient(uri=place.uri, db_name=first), MilvusClient(uri=place.uri, db_name=second)
    name = place.name("same")
    for i, each in enumerate((a, b)):
        each.create_collection(name, dimension=4, metric_type="L2")
        each.insert(name, [{"id": i, "vector": [1.0, 2, 3, 4], "where": i}])
    assert plain(a.query(name, filter="id >= 0", output_fields=["where"])) == [{"id": 0, "where": 0}]
    assert plain(b.query(name, filter="id >= 0", output_fields=["where"])) == [{"id": 1, "where": 1}]
    assert name in a.list_collections() and name not in client.list_collections()
    third = MilvusClient(uri=place.uri)
    third.using_database(second)
    assert third.list_collections() == [name] and third.search(name, data=[[1, 2, 3, 4.0]], limit=1)[0][0]["id"] == 1
    third.use_database("default")
    assert not third.has_collection(name)
    client.alter_database_properties(first, {"database.max.collections": 10})
    assert client.describe_database(first)["database.max.collections"] == "10"
    client.drop_database_properties(first, ["database.max.collections"])
    assert "database.max.collections" not in client.describe_database(first)
    with pytest.raises(pymilvus.MilvusException):
        client.drop_database(first)
    with pytest.raises(pymilvus.MilvusException) as caught:
        MilvusClient(uri=place.uri, db_name="db_that_is_not").list_collections()
    assert caught.value.code == 800
    for each, database in ((a, first), (b, second)):
        each.drop_collection(name)
        client.drop_database(database)
        each.close()
    third.close()
    assert not {first, second} & set(client.list_databases())
