"""What came with Milvus 3.0: rows in an order, sums over groups, searches by stored rows, vectors that may be missing."""

import numpy as np
import pytest
from place import flow
from pymilvus import DataType, MilvusClient, MilvusException

from .rows import people, plain


@flow(since=(3, 0), lite="has none")
def rows_in_an_order(place):
    client = place.client
    name, rows = people(place)
    got = client.query(name, filter="age > 80", output_fields=["age", "score"], order_by=["age:desc", "score:asc"], limit=20)
    wanted = sorted((r for r in rows if r["age"] > 80), key=lambda r: (-r["age"], r["score"]))[:20]
    assert [row["id"] for row in got] == [r["id"] for r in wanted]


@flow(since=(3, 0), lite="has none")
def sums_over_groups(place):
    client = place.client
    name, rows = people(place)
    got = client.query(name, filter="age < 5", output_fields=["age", "count(*)", "sum(score)", "max(id)"], group_by_fields=["age"], limit=10)
    got = {row["age"]: (row["count(*)"], row["sum(score)"], row["max(id)"]) for row in got}
    for age in range(5):
        group = [r for r in rows if r["age"] == age]
        assert got[age] == (len(group), sum(r["score"] for r in group), max(r["id"] for r in group))
    assert len(got) == 5


@flow(since=(3, 0), lite="has none")
def searches_by_stored_rows(place):
    client = place.client
    name, rows = people(place)
    by_vector = client.search(name, data=[rows[7]["vector"], rows[9]["vector"]], limit=5, output_fields=["name"])
    by_key = client.search(name, ids=[7, 9], limit=5, output_fields=["name"])
    assert [[hit["id"] for hit in hits] for hits in by_key] == [[hit["id"] for hit in hits] for hits in by_vector]


@flow(since=(3, 0), lite="has none")
def vectors_that_are_missing(place):
    client, name = place.client, place.name("maybe")
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2, nullable=True)
    index = MilvusClient.prepare_index_params()
    index.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    client.insert(name, [{"id": i, "v": None if i % 3 == 0 else [float(i), 0.0]} for i in range(10)])
    hits = client.search(name, data=[[0.0, 0.0]], limit=10, output_fields=["v"])[0]
    assert [hit["id"] for hit in hits] == [1, 2, 4, 5, 7, 8]
    got = plain(client.query(name, filter="id < 5", output_fields=["v"]))
    assert [None if row["v"] is None else np.float32(row["v"]).tolist() for row in got] == [None, [1, 0], [2, 0], None, [4, 0]]


@flow(since=(3, 0), lite="has none")
def optimized(place):
    client = place.client
    name, _ = people(place)
    done = client.optimize(name)
    assert done is not None
    assert client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"] == 300


@flow(since=(3, 0), lite="has none")
def moments_in_a_zone(place):
    client, name = place.client, place.name("moments")
    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("at", DataType.TIMESTAMPTZ)
    index = MilvusClient.prepare_index_params()
    index.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    client.insert(name, [{"id": 1, "v": [0.0, 1.0], "at": "2025-01-01T00:00:00Z"}])
    in_zone = {"timezone": "Asia/Shanghai"}
    for row in (
        client.query(name, filter="id == 1", output_fields=["at"], **in_zone)[0],
        client.query(name, filter="at == ISO '2025-01-01T08:00:00'", output_fields=["at"], **in_zone)[0],
        client.search(name, data=[[0.0, 1.0]], limit=1, output_fields=["at"], **in_zone)[0][0]["entity"],
    ):
        assert row["at"].startswith("2025-01-01T08:00:00") and row["at"].endswith("+08:00")
    assert client.query(name, filter="id == 1", output_fields=["at"])[0]["at"].startswith("2025-01-01T00:00:00")
    with pytest.raises(MilvusException):
        client.query(name, filter="id == 1", output_fields=["at"], timezone="Mars/Olympus")
