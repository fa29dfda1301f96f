"""Inserts rows of float vectors through pymilvus in large batches, checks them, and tells how fast that was.

    python bulk.py --uri http://127.0.0.1:19530 [--rows 1000000] [--dim 128] [--batch 10000]

A local file as the URI measures milvus-lite instead."""

import argparse
import time

import numpy as np
from pymilvus import DataType, MilvusClient


def load(client, name, rows, dim, batch):
    """Seconds that went into inserts alone, and into a search of 100 queries by brute force of the server's own choice."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    spent, probe = 0.0, {}
    for start in range(0, rows, batch):
        base = np.random.default_rng(start).random((batch, dim), np.float32)
        probe[start] = base[batch // 2]
        data = [{"id": start + i, "vector": row} for i, row in enumerate(base)]
        began = time.perf_counter()
        done = client.insert(name, data)
        spent += time.perf_counter() - began
        assert done["insert_count"] == batch
    count = client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"]
    assert count == rows, count
    queries = list(probe.items())[:100]
    began = time.perf_counter()
    found = client.search(name, data=[vector for _, vector in queries], limit=1)
    searched = time.perf_counter() - began
    assert [hits[0]["id"] for hits in found] == [start + batch // 2 for start, _ in queries]
    assert all(hits[0]["distance"] < 1e-3 for hits in found)
    return spent, searched / len(queries)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--token", default="")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch", type=int, default=10_000)
    options = parser.parse_args()
    client = MilvusClient(uri=options.uri, token=options.token)
    name = "bulk_of_pymilvus"
    if client.has_collection(name):
        client.drop_collection(name)
    spent, search = load(client, name, options.rows, options.dim, options.batch)
    size = options.rows * options.dim * 4 / 1e6
    print(f"{options.rows} x {options.dim}: inserts {spent:.1f} s, {options.rows / spent:.0f} rows/s, {size / spent:.0f} MB/s of vectors")
    print(f"exact search: {search * 1e3:.2f} ms a query in a batch")
    client.drop_collection(name)


if __name__ == "__main__":
    main()
