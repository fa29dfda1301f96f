"""Several clients change and use the same few collections at once, at random: every answer is one that Milvus would give,
the log stays clean, and a `kill -9` afterwards changes nothing."""

import random
import threading
import time

import requests
from conftest import PATIENCE

SECONDS, CLIENTS = 6, 6
NAMES, ALIASES, PARTITIONS = ["a", "b", "c"], ["x", "y"], ["_default", "p", "q"]
# Success, not found, conflicts, bad requests; no internal errors, no timeouts.
FINE = {0, 100, 101, 109, 200, 700, 1100, 1600, 1601, 1602, 1804}
CLOSING = "the engine is closing"


def change(draw):
    """A call that changes what there is."""
    name, some, partition, alias = draw.choice(NAMES + ALIASES), draw.choice(NAMES), draw.choice(PARTITIONS), draw.choice(ALIASES)
    here = {"collectionName": name}
    return draw.choice(
        [
            ("collections/create", {"collectionName": some, "dimension": 4}),
            ("collections/create", {"collectionName": some, "dimension": 4, "metricType": "L2"}),
            ("collections/drop", here),
            ("collections/truncate", here),
            ("collections/rename", {**here, "newCollectionName": draw.choice(NAMES + ALIASES)}),
            ("collections/load", here),
            ("collections/release", here),
            ("collections/flush", here),
            ("collections/compact", here),
            (
                "collections/fields/add",
                {**here, "schema": {"fieldName": draw.choice("fgh"), "dataType": "Int64", "nullable": True, "defaultValue": 3}},
            ),
            ("collections/fields/drop", {**here, "fieldName": draw.choice("fgh")}),
            ("collections/alter_properties", {**here, "properties": {"mmap.enabled": True}}),
            ("partitions/create", {**here, "partitionName": partition}),
            ("partitions/release", {**here, "partitionNames": [partition]}),
            ("partitions/drop", {**here, "partitionName": partition}),
            ("aliases/create", {**here, "aliasName": alias}),
            ("aliases/alter", {**here, "aliasName": alias}),
            ("aliases/drop", {"aliasName": alias}),
            ("indexes/drop", {**here, "indexName": "vector"}),
            (
                "indexes/create",
                {
                    **here,
                    "indexParams": [
                        {
                            "fieldName": "vector",
                            "metricType": draw.choice(["L2", "COSINE"]),
                            "indexType": draw.choice(["HNSW", "IVF_FLAT", "FLAT"]),
                        }
                    ],
                },
            ),
        ]
    )


def use(draw):
    """A call that reads or writes rows."""
    here = {"collectionName": draw.choice(NAMES + ALIASES)}
    vector = lambda: [draw.random() for _ in range(4)]
    rows = [{"id": draw.randrange(500), "vector": vector(), "t": draw.randrange(5)} for _ in range(draw.randrange(1, 30))]
    return draw.choice(
        [
            ("entities/insert", {**here, "data": rows}),
            ("entities/insert", {**here, "partitionName": draw.choice(PARTITIONS), "data": rows}),
            ("entities/upsert", {**here, "data": rows[:1]}),
            ("entities/upsert", {**here, "partialUpdate": True, "data": [{"id": draw.randrange(500), "t": 7}]}),
            ("entities/delete", {**here, "filter": f"id in [{draw.randrange(500)}]"}),
            ("entities/delete", {**here, "filter": f"t == {draw.randrange(5)}"}),
            (
                "entities/search",
                {**here, "data": [vector()], "limit": 10, "filter": draw.choice(["", "t == 1", "f == 3"]), "outputFields": ["*"]},
            ),
            ("entities/query", {**here, "filter": "", "limit": 1000, "outputFields": ["*"]}),
            ("entities/query", {**here, "filter": "", "outputFields": ["count(*)"]}),
            ("entities/get", {**here, "id": [draw.randrange(500)]}),
            ("collections/describe", here),
            ("collections/get_stats", here),
            ("collections/list", {}),
        ]
    )


def everything(server):
    """All that can be read, by collection."""
    found = {}
    for name in server.ok("collections/list", {}):
        here = {"collectionName": name}
        # What was released is not read; to be loaded it needs its index.
        server.v2("indexes/create", {**here, "indexParams": [{"fieldName": "vector", "metricType": "L2"}]})
        server.ok("collections/load", here)
        partitions = server.ok("partitions/list", here)
        found[name] = {
            "description": server.ok("collections/describe", here),
            "rows": {
                p: server.ok(
                    "entities/query", {**here, "partitionNames": [p], "filter": "", "limit": 1000, "outputFields": ["*"]}
                )
                for p in partitions
            },
            "counts": {p: server.ok("partitions/get_stats", {**here, "partitionName": p})["rowCount"] for p in partitions},
            "indexes": server.ok("indexes/list", here),
        }
    return found


def test_random_calls_at_once(start):
    server = start()
    until, odd = time.monotonic() + SECONDS, []

    def work(seed):
        draw, session = random.Random(seed), requests.Session()
        while time.monotonic() < until:
            path, body = change(draw) if draw.random() < 0.3 else use(draw)
            answer = session.post(f"{server.url}/v2/vectordb/{path}", json=body, timeout=PATIENCE)
            envelope = answer.json()
            # A write that meets the renaming of its collection may be tried again.
            if envelope["code"] == 2 and envelope["message"] == CLOSING:
                continue
            if answer.status_code != 200 or envelope["code"] not in FINE:
                odd.append((path, body, answer.status_code, answer.text[:500]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not odd, odd[:5]
    assert not [line for line in server.lines if "panic" in line or (" ERROR " in line and CLOSING not in line)]
    before = everything(server)
    for name, there in before.items():
        assert {p: len(rows) for p, rows in there["rows"].items()} == there["counts"], name
    server.kill()
    assert everything(start()) == before
