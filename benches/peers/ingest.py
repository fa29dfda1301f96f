"""Ingest of peers: 512 floats a row, 1,000 rows a batch. Prints rows/s and MB/s of vectors.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install milvus-lite pymilvus numpy
    /tmp/peers/bin/python benches/peers/ingest.py FOLDER

SQLite commits each batch with `synchronous=FULL`, as safe as Elanus's default. Milvus Lite has no such promise to ask for:
its figure is what its client sees.
"""

import pathlib
import sqlite3
import sys
import tempfile
import time

import numpy

DIM, BATCH, ROWS = 512, 1000, 100_000


def batches():
    pool = numpy.random.default_rng(1).random((BATCH * 4, DIM), dtype=numpy.float32) * 2 - 1
    for first in range(0, ROWS, BATCH):
        start = first % len(pool)
        yield range(first, first + BATCH), pool[start : start + BATCH]


def sqlite(folder):
    db = sqlite3.connect(folder / "peer.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, vector BLOB)")

    def insert(ids, vectors):
        db.execute("BEGIN")
        db.executemany("INSERT INTO rows VALUES (?, ?)", zip(ids, (v.tobytes() for v in vectors)))
        db.execute("COMMIT")

    return insert


def milvus_lite(folder):
    from pymilvus import MilvusClient

    client = MilvusClient(str(folder / "peer.db"))
    client.create_collection("rows", dimension=DIM, metric_type="L2")

    def insert(ids, vectors):
        client.insert("rows", [{"id": i, "vector": v} for i, v in zip(ids, vectors)])

    return insert


def main():
    for peer in (sqlite, milvus_lite):
        with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
            try:
                insert = peer(pathlib.Path(folder))
            except Exception as error:  # a peer that is not installed, or does not start
                print(f"{peer.__name__}: not measured: {error!r}")
                continue
            started = time.perf_counter()
            for ids, vectors in batches():
                insert(ids, vectors)
            seconds = time.perf_counter() - started
            print(f"{peer.__name__}: {ROWS / seconds:.0f} rows/s, {ROWS * DIM * 4 / 1e6 / seconds:.0f} MB/s of vectors")


main()
