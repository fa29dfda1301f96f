"""The client for asyncio."""

import asyncio

from data import assert_exact, vectors
from place import flow
from pymilvus import AnnSearchRequest, DataType, MilvusClient, RRFRanker


def run(place, body):
    async def main():
        from pymilvus import AsyncMilvusClient

        client = AsyncMilvusClient(uri=place.uri)
        try:
            await body(client)
        finally:
            await client.close()

    asyncio.run(main())


@flow(lite="lacks a call that this client makes")
def asynchronous(place):
    name = place.name("async")
    base = vectors(1000, 16, seed=2)

    async def body(client):
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=16)
        index = MilvusClient.prepare_index_params()
        index.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 16, "efConstruction": 100})
        await client.create_collection(name, schema=schema, index_params=index)
        batches = [[{"id": i, "vector": base[i].tolist(), "n": i % 7} for i in range(at, at + 100)] for at in range(0, 1000, 100)]
        done = await asyncio.gather(*(client.insert(name, batch) for batch in batches))
        assert [d["insert_count"] for d in done] == [100] * 10
        params = {"params": {"ef": 400}}
        found = await asyncio.gather(*(client.search(name, data=[base[i]], limit=5, search_params=params) for i in range(20)))
        for i, hits in enumerate(found):
            assert_exact(hits[0], "L2", base, base[i], 5)
        place.note_hits("near", [hits[0] for hits in found])
        rows = await client.query(name, filter="n == 3 and id < 30", output_fields=["n"])
        assert sorted(row["id"] for row in rows) == [3, 10, 17, 24]
        assert [row["id"] for row in await client.get(name, ids=[4, 5], output_fields=["n"])] == [4, 5]
        await client.upsert(name, [{"id": 4, "vector": [9.0] * 16, "n": 100}])
        assert (await client.get(name, ids=[4], output_fields=["n"]))[0]["n"] == 100
        await client.delete(name, ids=[5])
        assert not await client.get(name, ids=[5])
        requests = [AnnSearchRequest([base[9].tolist()], "vector", {"metric_type": "L2"}, 10) for _ in range(2)]
        hits = (await client.hybrid_search(name, requests, RRFRanker(), limit=3))[0]
        assert hits[0]["id"] == 9
        await client.drop_collection(name)

    run(place, body)
    assert not place.client.has_collection(name)


@flow(since=(2, 6), lite="lacks a call that this client makes")
def asynchronous_upkeep(place):
    name, other = place.name("async"), place.name("async")

    async def body(client):
        await client.create_collection(name, dimension=4, metric_type="L2")
        assert await client.has_collection(name) and name in await client.list_collections()
        await client.insert(name, [{"id": i, "vector": [float(i)] * 4} for i in range(10)])
        await client.flush(name)
        assert int((await client.get_collection_stats(name))["row_count"]) == 10
        assert (await client.describe_index(name, "vector"))["metric_type"] == "L2"
        await client.create_partition(name, "p")
        assert sorted(await client.list_partitions(name)) == ["_default", "p"]
        await client.create_alias(name, other)
        assert (await client.describe_alias(other))["collection_name"] == name
        await client.drop_alias(other)
        assert (await client.describe_collection(name))["collection_name"] == name

    run(place, body)
