"""Wrong calls: the code and words of Milvus, at once. A client tries again for minutes what it takes for a failure of
the network, so one call on the wire is counted where it matters."""

import pymilvus
import pytest
from place import VERSION, flow
from pymilvus import DataType, MilvusClient, MilvusException

from .places import simple


def refused(call, code, *words):
    with pytest.raises(MilvusException) as caught:
        call()
    assert code is None or caught.value.code == code, caught.value
    for word in words:
        assert word.lower() in caught.value.message.lower(), caught.value


@flow(lite="has codes of its own")
def wrong_names(place):
    client = place.client
    for call in (
        lambda: client.describe_collection("nowhere"),
        lambda: client.insert("nowhere", [{"id": 1, "vector": [1.0]}]),
        lambda: client.search("nowhere", data=[[1.0, 2, 3, 4]], limit=1),
        lambda: client.query("nowhere", filter="id > 0"),
        lambda: client.delete("nowhere", ids=[1]),
        lambda: client.load_collection("nowhere"),
        lambda: client.get_collection_stats("nowhere"),
        lambda: client.create_partition("nowhere", "p"),
        lambda: client.create_alias("nowhere", "alias_of_nothing"),
    ):
        refused(call, 100, "nowhere")
    assert not client.has_collection("nowhere")
    assert client.get_load_state("nowhere")["state"].name == "NotExist"
    client.drop_collection("nowhere")  # As in Milvus, this is no error.
    for name in ("1st", "with space", "dash-ed", "x" * 256):
        refused(lambda name=name: client.create_collection(name, dimension=4), 1100, "invalid collection name")
    refused(lambda: client.describe_alias("no_alias"), 1600, "no_alias")
    name = simple(place, 3)
    refused(lambda: client.query(name, filter="id > 0", partition_names=["none"]), None, "none")
    refused(lambda: client.insert(name, [{"id": 1, "vector": [1.0] * 4}], partition_name="none"), 200, "none")
    refused(lambda: client.search(name, data=[[1.0] * 4], anns_field="none", limit=1), None, "none")


@flow(lite="has codes of its own")
def wrong_searches(place):
    client = place.client
    name = simple(place, 3)
    refused(lambda: client.search(name, data=[[1.0, 2]], limit=1), None, "dim")
    for expression in ("id >", "id === 3", "id = 3", "n like 5", "id in 3", "(id > 1", "'a' < 3"):
        refused(lambda e=expression: client.query(name, filter=e, limit=1), 1100, "cannot parse expression")
        refused(lambda e=expression: client.search(name, data=[[1.0] * 4], filter=e, limit=1), 1100, "failed to create query plan")
    refused(lambda: client.search(name, data=[[1.0] * 4], limit=20_000), None, "16384")
    refused(lambda: client.query(name, filter="id > 0", limit=20_000), None, "16384")
    refused(lambda: client.query(name, filter=""), 1100, "empty expression should be used with limit")
    refused(lambda: client.search(name, data=[[1.0] * 4], limit=1, search_params={"metric_type": "IP"}), 1100, "metric type not match")
    refused(lambda: client.delete(name, filter="id >"), 1100)
    refused(lambda: client.search(name, data=[[1.0] * 4], limit=2, group_by_field="vector"), None)
    # Nothing of this has hurt the connection.
    assert client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"] == 3


@flow(lite="has codes of its own")
def wrong_rows(place):
    client, name = place.client, place.name("strict")
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("word", DataType.VARCHAR, max_length=5)
    schema.add_field("list", DataType.ARRAY, element_type=DataType.INT64, max_capacity=2)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    row = {"id": 1, "vector": [1.0] * 4, "word": "ok", "list": [1]}
    wrong = [
        {**row, "vector": [1.0] * 5},
        {**row, "vector": [1.0, 2, 3, float("nan")]},
        {**row, "word": "longer than five"},
        {**row, "list": [1, 2, 3]},
        {**row, "undeclared": 1},
        {key: value for key, value in row.items() if key != "word"},
        {**row, "id": "text"},
    ]
    for each in wrong:
        with pytest.raises((MilvusException, TypeError, ValueError)):
            client.insert(name, [each])
        with pytest.raises((MilvusException, TypeError, ValueError)):
            client.upsert(name, [row, each])
    refused(lambda: client.insert(name, [{**row, "word": "longer than five"}]), 1100, "exceeds max length")
    refused(lambda: client.upsert(name, [row, row]), 1100, "duplicate primary keys")
    assert client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"] == 0, "a refused batch left rows"


@flow(lite="has codes of its own")
def wrong_schemas(place):
    client = place.client

    def create(*fields, **options):
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        for args, more in fields:
            schema.add_field(*args, **more)
        client.create_collection(place.name("wrong"), schema=schema, **options)

    key = (("id", DataType.INT64), {"is_primary": True})
    refused(lambda: create(key, (("v", DataType.FLOAT_VECTOR), {"dim": 1})), None, "dim")
    refused(lambda: create(key, (("v", DataType.FLOAT_VECTOR), {"dim": 40_000})), None, "dim")
    refused(lambda: create(key, (("v", DataType.BINARY_VECTOR), {"dim": 12})), None, "dim")
    refused(lambda: create(key, (("n", DataType.INT64), {})), None, "vector")
    refused(lambda: create(key, (("v", DataType.FLOAT_VECTOR), {"dim": 4}), (("v", DataType.INT64), {})), None, "v")
    refused(lambda: create(key, (("v", DataType.FLOAT_VECTOR), {"dim": 4}), (("s", DataType.VARCHAR), {"max_length": 70_000})), None)
    name = simple(place, 1)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_name="other", index_type="NO_SUCH_INDEX", metric_type="L2")
    refused(lambda: client.create_index(name, index), None)
    index = MilvusClient.prepare_index_params()
    index.add_index("nothing", index_type="FLAT", metric_type="L2")
    refused(lambda: client.create_index(name, index), None, "nothing")
    # The same collection again is no error, another one under its name is.
    client.create_collection(name, dimension=4, metric_type="L2")
    refused(lambda: client.create_collection(name, dimension=5, metric_type="L2"), None, "duplicate collection")


@flow(lite="has codes of its own")
def an_error_of_the_caller_is_not_tried_again(place):
    """Retries would be many calls: the handler's stub counts those that leave."""
    client = place.client
    name = simple(place, 1)
    handler = client._get_connection() if hasattr(client, "_get_connection") else client._handler
    stub = handler._stub
    calls = []

    class Counting:
        def __getattr__(self, method):
            real = getattr(stub, method)

            def call(*args, **kwargs):
                calls.append(method)
                return real(*args, **kwargs)

            call.future = lambda *args, **kwargs: (calls.append(method), real.future(*args, **kwargs))[1]
            return call

    handler._stub = Counting()
    try:
        refused(lambda: client.query(name, filter="id >", limit=1), 1100)
        assert calls.count("Query") == 1, calls
        refused(lambda: client.search(name, data=[[1.0]], limit=1), None)
        assert calls.count("Search") == 1, calls
        calls.clear()
        refused(lambda: client.load_collection("nowhere"), 100)
        assert calls.count("LoadCollection") <= 1 and len(calls) <= 2, calls
    finally:
        handler._stub = stub


@flow(lite="has codes of its own")
def calls_that_are_not_here_say_so(place):
    """Resource groups belong to a cluster; an answer of the server, not of the network, and no retries."""
    with pytest.raises(Exception) as caught:
        place.client.create_resource_group("group")
    assert isinstance(caught.value, MilvusException) or "UNIMPLEMENTED" in str(caught.value)
    assert pymilvus.__version__ and VERSION >= (2, 4)
