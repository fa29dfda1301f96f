"""The main scenarios of Milvus's own REST suite (tests/restful_client_v2), as far as they are known here: random rows of
the same shapes, the same calls, the same assertions. Expected rows are computed in Python beside the server."""

import base64
import concurrent.futures
import itertools
import json
import random
import string
import time

import numpy as np
import pytest
from conftest import wait_until

numbers = itertools.count()
NB = 3000
WORDS = ["apple", "banana", "cherry", "date", "elder", "fig", "grape"]


def gen_unique_str(prefix="test"):
    return f"{prefix}_{next(numbers)}_" + "".join(random.choice(string.ascii_letters + string.digits) for _ in range(8))


@pytest.fixture
def name():
    return gen_unique_str("test_collection")


@pytest.fixture
def api(shared_server):
    return shared_server


def gen_vector(kind, dim, rng):
    """A random vector of a type, as the suite encodes it in a request."""
    if kind == "FloatVector":
        return [float(np.float32(x)) for x in rng.random(dim)]
    if kind == "BinaryVector":
        return base64.b64encode(rng.integers(0, 256, dim // 8, dtype=np.uint8).tobytes()).decode()
    if kind == "Float16Vector":
        return base64.b64encode(rng.random(dim).astype(np.float16).tobytes()).decode()
    if kind == "BFloat16Vector":
        return base64.b64encode((rng.random(dim).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()).decode()
    if kind == "SparseFloatVector":
        return {str(int(i)): float(np.float32(rng.random() + 0.01)) for i in rng.choice(1000, 20, replace=False)}
    assert kind == "Int8Vector"
    return [int(x) for x in rng.integers(-128, 128, dim)]


def field(name, kind, **more):
    params = {key: more.pop(key) for key in ("dim", "max_length", "max_capacity") if key in more}
    return {
        "fieldName": name,
        "dataType": kind,
        **({"elementTypeParams": {k: str(v) for k, v in params.items()}} if params else {}),
        **more,
    }


def book_fields(dim, auto_id=False, pk="Int64"):
    return {
        "autoId": auto_id,
        "enableDynamicField": True,
        "fields": [
            field("book_id", pk, isPrimary=True, **({"max_length": 256} if pk == "VarChar" else {})),
            field("user_id", "Int64", isPartitionKey=True),
            field("word_count", "Int64"),
            field("book_describe", "VarChar", max_length=256),
            field("bool", "Bool"),
            field("json", "JSON"),
            field("int_array", "Array", elementDataType="Int64", max_capacity=1024),
            field("varchar_array", "Array", elementDataType="VarChar", max_capacity=1024, max_length=256),
            field("text_emb", "FloatVector", dim=dim),
        ],
    }


def books(nb, dim, rng, auto_id=False, pk="Int64", start=0):
    rows = []
    for i in range(start, start + nb):
        vector = rng.random(dim)
        row = {
            "book_id": i if pk == "Int64" else f"book_{i:06}",
            "user_id": i % 100,
            "word_count": i,
            "book_describe": f"book_{i}",
            "bool": i % 2 == 0,
            "json": {"key": i, "nested": {"word": WORDS[i % 7]}},
            "int_array": [i, i + 1, i + 2],
            "varchar_array": [f"varchar_{i}", WORDS[i % 7]],
            "text_emb": [float(np.float32(x)) for x in vector / np.linalg.norm(vector)],
            "dynamic_key": i * 2,
        }
        if auto_id:
            del row["book_id"]
        rows.append(row)
    return rows


def array(value):
    """An array of an answer, in the native form or that of 3.0.0."""
    return next(iter(value["Data"].values())).get("data", []) if isinstance(value, dict) else value


def create_books(api, name, dim=32, metric="COSINE", **options):
    schema = book_fields(dim, **options)
    api.ok(
        "collections/create",
        {
            "collectionName": name,
            "schema": schema,
            "indexParams": [{"fieldName": "text_emb", "indexName": "text_emb", "metricType": metric}],
        },
    )


def insert(api, name, rows, path="entities/insert", **more):
    """In batches, as the suite's `init_collection` does."""
    ids = []
    for part in range(0, len(rows), 1000):
        batch = rows[part : part + 1000]
        data = api.ok(path, {"collectionName": name, "data": batch, **more})
        verb = path.split("/")[1]
        assert data[f"{verb}Count"] == len(batch)
        ids += data[f"{verb}Ids"]
    return ids


def wait_load(api, name):
    wait_until(lambda: api.ok("collections/describe", {"collectionName": name})["load"] == "LoadStateLoaded", "loaded")


@pytest.fixture(scope="module")
def library(shared_server):
    """A collection of 3,000 books that tests only read."""
    rng = np.random.default_rng(11)
    name = gen_unique_str("library")
    create_books(shared_server, name)
    rows = books(NB, 32, rng)
    insert(shared_server, name, rows)
    wait_load(shared_server, name)
    return name, rows


class TestCreateCollection:
    @pytest.mark.parametrize("dim", [2, 128, 768, 32768])
    def test_create_collections_with_default(self, api, name, dim):
        assert api.v2("collections/create", {"collectionName": name, "dimension": dim})["code"] == 0
        assert name in api.ok("collections/list", {})
        data = api.ok("collections/describe", {"collectionName": name})
        assert data["collectionName"] == name and data["autoId"] is False and data["enableDynamicField"] is True
        assert data["load"] == "LoadStateLoaded" and data["shardsNum"] == 1
        assert {"key": "dim", "value": str(dim)} in data["fields"][1]["params"]

    @pytest.mark.parametrize("level", ["Strong", "Session", "Bounded", "Eventually"])
    @pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
    @pytest.mark.parametrize("id_type", ["Int64", "VarChar"])
    def test_create_collections_fast_with_custom_params(self, api, name, level, metric, id_type):
        params = {
            "max_length": "256",
            "enableDynamicField": "false",
            "shardsNum": "1",
            "consistencyLevel": level,
            "ttlSeconds": 360,
        }
        body = {
            "collectionName": name,
            "dimension": 8,
            "metricType": metric,
            "idType": id_type,
            "autoID": True,
            "primaryFieldName": "pk",
            "vectorFieldName": "emb",
            "params": {**params, "enableDynamicField": False, "shardsNum": 1},
        }
        assert api.v2("collections/create", body)["code"] == 0
        data = api.ok("collections/describe", {"collectionName": name})
        assert data["consistencyLevel"] == level and data["autoId"] is True
        assert [f["name"] for f in data["fields"]] == ["pk", "emb"] and data["fields"][0]["type"] == id_type
        assert data["indexes"][0]["metricType"] == metric
        assert {"key": "collection.ttl.seconds", "value": "360"} in data["properties"]

    def test_create_collections_concurrent_with_same_param(self, api, name):
        body = {"collectionName": name, "dimension": 16}
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: api.post("/v2/vectordb/collections/create", json=body).json(), range(10)))
        assert [a["code"] for a in answers] == [0] * 10
        assert api.ok("collections/describe", {"collectionName": name})["collectionName"] == name

    def test_create_collections_concurrent_with_different_param(self, api, name):
        call = lambda dim: api.post("/v2/vectordb/collections/create", json={"collectionName": name, "dimension": dim}).json()
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(call, range(8, 88, 8)))
        assert [a["code"] for a in answers].count(0) == 1
        wrong = [a["message"] for a in answers if a["code"]]
        assert len(wrong) == 9 and all("create duplicate collection with different parameters" in m for m in wrong)

    @pytest.mark.parametrize("auto_id", [True, False])
    @pytest.mark.parametrize("dynamic", [True, False])
    @pytest.mark.parametrize("partition_key", [True, False])
    def test_create_collection_custom_without_index(self, api, name, auto_id, dynamic, partition_key):
        schema = {
            "autoId": auto_id,
            "enableDynamicField": dynamic,
            "fields": [
                field("user_id", "Int64", isPrimary=True),
                field("word_count", "Int64", isPartitionKey=partition_key),
                field("book_describe", "VarChar", max_length=256),
                field("book_intro", "FloatVector", dim=128),
            ],
        }
        assert api.v2("collections/create", {"collectionName": name, "schema": schema})["code"] == 0
        data = api.ok("collections/describe", {"collectionName": name})
        assert data["autoId"] is auto_id and data["enableDynamicField"] is dynamic and data["load"] == "LoadStateNotLoad"
        assert data["indexes"] == [] and data["partitionsNum"] == (16 if partition_key else 1)
        assert [f["partitionKey"] for f in data["fields"]] == [False, partition_key, False, False]

    def test_create_collection_with_all_index_of_two_vectors(self, api, name):
        schema = {
            "fields": [
                field("user_id", "Int64", isPrimary=True),
                field("book_intro", "FloatVector", dim=64),
                field("image_intro", "FloatVector", dim=64),
            ]
        }
        indexes = [
            {"fieldName": "book_intro", "indexName": "book_intro_vector", "metricType": "L2"},
            {"fieldName": "image_intro", "indexName": "image_intro_vector", "metricType": "IP"},
        ]
        assert api.v2("collections/create", {"collectionName": name, "schema": schema, "indexParams": indexes})["code"] == 0
        wait_load(api, name)
        found = api.ok("collections/describe", {"collectionName": name})["indexes"]
        assert sorted((i["fieldName"], i["indexName"], i["metricType"]) for i in found) == [
            ("book_intro", "book_intro_vector", "L2"),
            ("image_intro", "image_intro_vector", "IP"),
        ]

    @pytest.mark.parametrize("bad", ["", " ", "1a", "a b", "a-b", "a" * 300, "集合", "a$b", "(mn)", "中文", "%$#", "/a"])
    def test_create_collections_with_invalid_name(self, api, bad):
        answer = api.v2("collections/create", {"collectionName": bad, "dimension": 8})
        assert answer["code"] in (1100, 1802) and answer["message"]

    @pytest.mark.parametrize(
        "body",
        [
            {"dimension": 0},
            {"dimension": 1},
            {"dimension": 32769},
            {"dimension": -1},
            {"dimension": "8"},
            {"dimension": 8.5},
            {"dimension": 8, "metricType": "x"},
            {"dimension": 8, "idType": "Float"},
            {"dimension": 8, "consistencyLevel": "x"},
            {},
        ],
    )
    def test_create_collections_with_invalid_params(self, api, name, body):
        assert api.v2("collections/create", {"collectionName": name, **body})["code"] in (1100, 1801)
        assert api.ok("collections/has", {"collectionName": name}) == {"has": False}


class TestCollectionLifecycle:
    def test_load_release_state(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 8})
        assert api.ok("collections/get_load_state", {"collectionName": name})["loadState"] == "LoadStateLoaded"
        assert api.v2("collections/release", {"collectionName": name})["code"] == 0
        wait_until(lambda: api.ok("collections/describe", {"collectionName": name})["load"] == "LoadStateNotLoad", "released")
        assert api.v2("collections/load", {"collectionName": name})["code"] == 0
        wait_load(api, name)

    def test_get_stats_after_flush(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 8, "metricType": "L2"})
        rng = np.random.default_rng(1)
        insert(api, name, [{"id": i, "vector": gen_vector("FloatVector", 8, rng)} for i in range(NB)])
        api.ok("collections/flush", {"collectionName": name})
        assert api.ok("collections/get_stats", {"collectionName": name})["rowCount"] == NB
        job = api.ok("collections/compact", {"collectionName": name})["compactionID"]
        wait_until(lambda: api.ok("collections/get_compaction_state", {"jobID": job})["state"] == "Completed", "compacted")

    def test_rename_keeps_rows(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 8})
        rng = np.random.default_rng(2)
        insert(api, name, [{"id": i, "vector": gen_vector("FloatVector", 8, rng)} for i in range(100)])
        new = gen_unique_str("renamed")
        assert api.v2("collections/rename", {"collectionName": name, "newCollectionName": new})["code"] == 0
        listed = api.ok("collections/list", {})
        assert new in listed and name not in listed
        assert len(api.ok("entities/query", {"collectionName": new, "filter": "id >= 0", "outputFields": ["id"]})) == 100

    def test_add_field_then_use_it(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 8})
        rng = np.random.default_rng(3)
        insert(api, name, [{"id": i, "vector": gen_vector("FloatVector", 8, rng)} for i in range(20)])
        for kind, default in [("Int64", 5), ("VarChar", "v"), ("Bool", True), ("Double", 0.5), ("JSON", None)]:
            new = {
                "fieldName": f"new_{kind}",
                "dataType": kind,
                "nullable": True,
                **({"defaultValue": default} if default is not None else {}),
                **({"elementTypeParams": {"max_length": 20}} if kind == "VarChar" else {}),
            }
            assert api.v2("collections/fields/add", {"collectionName": name, "schema": new})["code"] == 0
        rows = api.ok(
            "entities/query",
            {
                "collectionName": name,
                "filter": "id < 3",
                "outputFields": ["new_Int64", "new_VarChar", "new_Bool", "new_Double", "new_JSON"],
            },
        )
        assert [(r["new_Int64"], r["new_VarChar"], r["new_Bool"], r["new_Double"], r["new_JSON"]) for r in rows] == [
            (5, "v", True, 0.5, None)
        ] * 3
        wrong = api.v2(
            "collections/fields/add",
            {"collectionName": name, "schema": {"fieldName": "x", "dataType": "Int64", "nullable": False}},
        )
        assert wrong["code"] == 1100 and "added field must be nullable" in wrong["message"]


class TestInsert:
    @pytest.mark.parametrize("count", [1, 10, 1000])
    @pytest.mark.parametrize("dim", [2, 128])
    @pytest.mark.parametrize("id_type", ["Int64", "VarChar"])
    @pytest.mark.parametrize("auto_id", [True, False])
    def test_insert_entities_with_simple_payload(self, api, name, count, dim, id_type, auto_id):
        api.ok(
            "collections/create",
            {
                "collectionName": name,
                "dimension": dim,
                "idType": id_type,
                "autoID": auto_id,
                "params": {"max_length": 100},
                "metricType": "L2",
            },
        )
        rng = np.random.default_rng(count)
        rows = [
            {
                **({} if auto_id else {"id": i if id_type == "Int64" else str(i)}),
                "vector": gen_vector("FloatVector", dim, rng),
                "n": i,
            }
            for i in range(count)
        ]
        ids = insert(api, name, rows)
        assert len(set(ids)) == count and all(isinstance(i, int if id_type == "Int64" else str) for i in ids)
        [hit] = api.ok(
            "entities/search", {"collectionName": name, "data": [rows[-1]["vector"]], "limit": 1, "outputFields": ["n"]}
        )
        assert hit["n"] == count - 1 and hit["id"] == ids[-1] and hit["distance"] == pytest.approx(0, abs=1e-5)

    @pytest.mark.parametrize("auto_id,pk", [(True, "Int64"), (False, "Int64"), (False, "VarChar")])
    def test_insert_entities_with_all_scalar_datatype(self, api, name, auto_id, pk):
        create_books(api, name, dim=16, auto_id=auto_id, pk=pk)
        rows = books(500, 16, np.random.default_rng(4), auto_id=auto_id, pk=pk)
        ids = insert(api, name, rows)
        got = api.ok("entities/query", {"collectionName": name, "filter": "word_count >= 0", "limit": 500, "outputFields": ["*"]})
        by_count = {row["word_count"]: row for row in got}
        assert len(by_count) == 500
        for row, key in zip(rows, ids):
            found = by_count[row["word_count"]]
            assert found["book_id"] == key and found["json"] == row["json"] and found["dynamic_key"] == row["dynamic_key"]
            assert array(found["int_array"]) == row["int_array"] and array(found["varchar_array"]) == row["varchar_array"]
            assert found["bool"] is row["bool"] and found["book_describe"] == row["book_describe"]
            assert np.allclose(found["text_emb"], row["text_emb"])

    def test_insert_entities_with_all_vector_datatype(self, api, name):
        kinds = {
            "FloatVector": "COSINE",
            "Float16Vector": "L2",
            "BFloat16Vector": "L2",
            "BinaryVector": "HAMMING",
            "SparseFloatVector": "IP",
            "Int8Vector": "L2",
        }
        dims = {kind: {} if kind == "SparseFloatVector" else {"dim": 64} for kind in kinds}
        schema = {"fields": [field("id", "Int64", isPrimary=True), *(field(kind.lower(), kind, **dims[kind]) for kind in kinds)]}
        special = {"SparseFloatVector": "SPARSE_INVERTED_INDEX", "BinaryVector": "BIN_FLAT", "Int8Vector": "HNSW"}
        indexes = [
            {
                "fieldName": kind.lower(),
                "metricType": metric,
                "indexType": special.get(kind, "AUTOINDEX"),
                "params": {"M": "8", "efConstruction": "64"} if kind == "Int8Vector" else {},
            }
            for kind, metric in kinds.items()
        ]
        api.ok("collections/create", {"collectionName": name, "schema": schema, "indexParams": indexes})
        wait_load(api, name)
        rng = np.random.default_rng(5)
        rows = [{"id": i, **{kind.lower(): gen_vector(kind, 64, rng) for kind in kinds}} for i in range(500)]
        insert(api, name, rows)
        for kind, metric in kinds.items():
            hits = api.ok(
                "entities/search",
                {
                    "collectionName": name,
                    "annsField": kind.lower(),
                    "data": [rows[77][kind.lower()]],
                    "limit": 10,
                    "outputFields": ["*"],
                },
            )
            scores = [hit["distance"] for hit in hits]
            assert len(hits) == 10 and scores == sorted(scores, reverse=metric in ("IP", "COSINE")), kind
            if kind != "SparseFloatVector":
                assert hits[0]["id"] == 77, kind
            for key in ("float16vector", "bfloat16vector", "binaryvector"):
                assert hits[0][key] == rows[hits[0]["id"]][key], "base64 comes back as it was sent"
            assert np.allclose(
                list(hits[0]["sparsefloatvector"].values()),
                [rows[hits[0]["id"]]["sparsefloatvector"][k] for k in hits[0]["sparsefloatvector"]],
            )

    @pytest.mark.parametrize("nullable", [True, False])
    @pytest.mark.parametrize("default", [True, False])
    def test_insert_with_nullable_and_default(self, api, name, nullable, default):
        extra = lambda value: {**({"nullable": True} if nullable else {}), **({"defaultValue": value} if default else {})}
        schema = {
            "fields": [
                field("id", "Int64", isPrimary=True),
                field("n", "Int64", **extra(100)),
                field("s", "VarChar", max_length=20, **extra("none")),
                field("v", "FloatVector", dim=4),
            ]
        }
        api.ok(
            "collections/create",
            {"collectionName": name, "schema": schema, "indexParams": [{"fieldName": "v", "metricType": "L2"}]},
        )
        rows = [{"id": i, "v": [i, 0, 0, 0], **({"n": i, "s": str(i)} if i % 2 else {})} for i in range(10)]
        answer = api.v2("entities/insert", {"collectionName": name, "data": rows})
        if not nullable and not default:
            assert answer["code"] == 1804
            return
        assert answer["code"] == 0
        absent = (100, "none") if default else (None, None)
        got = api.ok("entities/query", {"collectionName": name, "filter": "id >= 0", "outputFields": ["n", "s"]})
        assert [(r["n"], r["s"]) for r in got] == [(i, str(i)) if i % 2 else absent for i in range(10)]
        nulls = api.ok("entities/query", {"collectionName": name, "filter": "n is null", "outputFields": ["id"]})
        assert len(nulls) == (0 if default else 5)

    WRONG = [
        ([{"id": 1, "vector": [0.1] * 7}], 1804),
        ([{"id": 1, "vector": [0.1] * 9}], 1804),
        ([{"id": 1}], 1804),
        ([{"vector": [0.1] * 8}], 1804),
        ([{"id": "abc", "vector": [0.1] * 8}], 1804),
        ([{"id": 1.5, "vector": [0.1] * 8}], 1804),
        ([{"id": 1, "vector": "abc"}], 1804),
        ([{"id": 1, "vector": [[0.1] * 8]}], 1804),
        ([{"id": 1, "vector": ["a"] * 8}], 1804),
        ([{"id": 1, "vector": None}], 1804),
        ([], 1804),
        ({"id": 1, "vector": [0.1] * 8}, 1801),
        ("abc", 1801),
        (None, 1802),
    ]

    @pytest.mark.parametrize("data,code", WRONG)
    def test_insert_entities_with_wrong_rows(self, api, name, data, code):
        api.ok("collections/create", {"collectionName": name, "dimension": 8})
        answer = api.v2("entities/insert", {"collectionName": name, "data": data})
        assert answer["code"] == code and answer["message"]
        assert api.count(name) == 0

    def test_insert_into_unknown_collection_and_database(self, api, name):
        assert api.v2("entities/insert", {"collectionName": name, "data": [{"id": 1, "vector": [1]}]})["code"] == 100
        assert (
            api.v2("entities/insert", {"dbName": "nowhere", "collectionName": name, "data": [{"id": 1, "vector": [1]}]})["code"]
            == 800
        )

    def test_insert_after_delete(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 8, "metricType": "L2"})
        rng = np.random.default_rng(6)
        rows = [{"id": i, "vector": gen_vector("FloatVector", 8, rng), "turn": 1} for i in range(300)]
        insert(api, name, rows)
        for turn in (2, 3):
            keys = list(range(100, 200))
            assert api.ok("entities/delete", {"collectionName": name, "filter": f"id in {keys}"})["deleteCount"] == 100
            assert api.ok("entities/query", {"collectionName": name, "filter": f"id in {keys}"}) == []
            insert(api, name, [{**rows[i], "turn": turn} for i in keys])
            got = api.ok(
                "entities/query", {"collectionName": name, "filter": f"turn == {turn}", "limit": 1000, "outputFields": ["id"]}
            )
            assert [r["id"] for r in got] == keys
            assert api.ok("entities/query", {"collectionName": name, "filter": "", "outputFields": ["count(*)"]}) == [
                {"count(*)": 300}
            ]


class TestUpsert:
    @pytest.mark.parametrize("pk", ["Int64", "VarChar"])
    def test_upsert_then_query(self, api, name, pk):
        create_books(api, name, dim=8, pk=pk)
        rng = np.random.default_rng(7)
        rows = books(1000, 8, rng, pk=pk)
        insert(api, name, rows)
        changed = [{**row, "book_describe": "changed", "dynamic_key": -1} for row in rows[:500]] + books(
            200, 8, rng, pk=pk, start=1000
        )
        ids = insert(api, name, changed, path="entities/upsert")
        assert ids == [row["book_id"] for row in changed]
        assert api.ok("entities/query", {"collectionName": name, "filter": "", "outputFields": ["count(*)"]}) == [
            {"count(*)": 1200}
        ]
        got = api.ok(
            "entities/query",
            {
                "collectionName": name,
                "filter": "book_describe == 'changed'",
                "limit": 1000,
                "outputFields": ["dynamic_key", "word_count"],
            },
        )
        assert [r["word_count"] for r in got] == list(range(500)) and {r["dynamic_key"] for r in got} == {-1}

    def test_upsert_moves_a_vector(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 4, "metricType": "L2"})
        insert(api, name, [{"id": i, "vector": [i, 0, 0, 0]} for i in range(100)])
        api.ok("entities/upsert", {"collectionName": name, "data": [{"id": 5, "vector": [500, 0, 0, 0]}]})
        assert api.ok("entities/search", {"collectionName": name, "data": [[500, 0, 0, 0]], "limit": 1})[0]["id"] == 5
        assert [h["id"] for h in api.ok("entities/search", {"collectionName": name, "data": [[5, 0, 0, 0]], "limit": 2})] == [
            4,
            6,
        ]


FILTERS = [
    ("word_count > 2000", lambda r: r["word_count"] > 2000),
    ("word_count >= 100 and word_count < 200", lambda r: 100 <= r["word_count"] < 200),
    ("100 <= word_count < 200", lambda r: 100 <= r["word_count"] < 200),
    ("user_id in [1, 2, 3]", lambda r: r["user_id"] in (1, 2, 3)),
    ("user_id not in [1, 2, 3] and word_count < 50", lambda r: r["user_id"] not in (1, 2, 3) and r["word_count"] < 50),
    ("book_describe like 'book_1%'", lambda r: len(r["book_describe"]) > 5 and r["book_describe"][5] == "1"),
    ("book_describe like '%99'", lambda r: r["book_describe"].endswith("99")),
    ("book_describe like '%00%'", lambda r: "00" in r["book_describe"]),
    ("bool == true and word_count % 7 == 3", lambda r: r["bool"] and r["word_count"] % 7 == 3),
    ("not (word_count > 10)", lambda r: r["word_count"] <= 10),
    ("json['key'] < 20", lambda r: r["json"]["key"] < 20),
    (
        "json['nested']['word'] == 'fig' and word_count < 100",
        lambda r: r["json"]["nested"]["word"] == "fig" and r["word_count"] < 100,
    ),
    ("json['nested']['word'] in ['fig', 'date']", lambda r: r["json"]["nested"]["word"] in ("fig", "date")),
    ("dynamic_key == 50 or dynamic_key > 5990", lambda r: r["dynamic_key"] == 50 or r["dynamic_key"] > 5990),
    ("exists json['key'] and word_count < 5", lambda r: r["word_count"] < 5),
    ("word_count + 10 > 3000", lambda r: r["word_count"] + 10 > 3000),
    ("book_id in [1, 5, 9] or book_describe == 'book_77'", lambda r: r["book_id"] in (1, 5, 9, 77)),
    ("array_contains(int_array, 100)", lambda r: 100 in r["int_array"]),
    ("array_contains_any(varchar_array, ['fig', 'varchar_1'])", lambda r: {"fig", "varchar_1"} & set(r["varchar_array"])),
    ("array_contains_all(int_array, [100, 101, 102])", lambda r: {100, 101, 102} <= set(r["int_array"])),
    ("array_length(int_array) == 3 and word_count < 10", lambda r: r["word_count"] < 10),
    ("int_array[0] < 10", lambda r: r["int_array"][0] < 10),
    ("varchar_array[1] == 'grape' and word_count < 100", lambda r: r["varchar_array"][1] == "grape" and r["word_count"] < 100),
    ("json_contains(json['nope'], 1)", lambda r: False),
]


class TestQuery:
    @pytest.mark.parametrize("expression,keep", FILTERS, ids=[f[0] for f in FILTERS])
    def test_query_entities_with_conditions(self, api, library, expression, keep):
        name, rows = library
        answer = api.v2(
            "entities/query",
            {"collectionName": name, "filter": expression, "limit": NB, "outputFields": ["book_id", "word_count"]},
        )
        assert answer["code"] == 0, answer
        assert [r["book_id"] for r in answer["data"]] == [r["book_id"] for r in rows if keep(r)]
        count = api.ok("entities/query", {"collectionName": name, "filter": expression, "outputFields": ["count(*)"]})
        assert count == [{"count(*)": sum(bool(keep(r)) for r in rows)}]

    @pytest.mark.parametrize(
        "fields",
        [
            None,
            ["*"],
            ["book_id"],
            ["user_id", "book_describe"],
            ["text_emb"],
            ["json", "int_array"],
            ["dynamic_key"],
            ["*", "dynamic_key"],
        ],
        ids=str,
    )
    def test_query_with_output_fields(self, api, library, fields):
        name, rows = library
        body = {"collectionName": name, "filter": "book_id == 42", **({"outputFields": fields} if fields else {})}
        [row] = api.ok("entities/query", body)
        expected = set(rows[42]) if fields is None or "*" in fields else {"book_id", *fields}
        assert set(row) == expected
        for key in expected - {"text_emb", "int_array", "varchar_array"}:
            assert row[key] == rows[42][key]

    @pytest.mark.parametrize("limit,offset", [(1, 0), (10, 0), (100, 50), (100, 2950), (10, 5000)])
    def test_query_with_limit_and_offset(self, api, library, limit, offset):
        name, rows = library
        got = api.ok(
            "entities/query",
            {"collectionName": name, "filter": "word_count >= 0", "limit": limit, "offset": offset, "outputFields": ["book_id"]},
        )
        assert [r["book_id"] for r in got] == [r["book_id"] for r in rows][offset : offset + limit]

    def test_default_limit_is_100(self, api, library):
        assert len(api.ok("entities/query", {"collectionName": library[0], "filter": "word_count >= 0"})) == 100

    @pytest.mark.parametrize("limit,offset", [(16385, 0), (16384, 1), (-1, 0), (1, -1)])
    def test_query_with_wrong_windows(self, api, library, limit, offset):
        answer = api.v2(
            "entities/query", {"collectionName": library[0], "filter": "word_count >= 0", "limit": limit, "offset": offset}
        )
        assert answer["code"] == 1100 and answer["message"]

    @pytest.mark.parametrize(
        "expression", ["word_count >", "nowhere(1)", "word_count == 'x'", "word_count ~ 1", "(word_count > 1", "json >", "bool"]
    )
    def test_query_with_wrong_filters(self, api, library, expression):
        answer = api.v2("entities/query", {"collectionName": library[0], "filter": expression})
        assert (
            answer["code"] == 1100
            and "failed to create query plan" in answer["message"]
            and "cannot parse expression" in answer["message"]
        )

    def test_count_with_partition(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 4})
        for partition in ("p1", "p2"):
            api.ok("partitions/create", {"collectionName": name, "partitionName": partition})
            insert(
                api,
                name,
                [{"id": int(partition[1]) * 1000 + i, "vector": [1, 2, 3, i]} for i in range(30)],
                partitionName=partition,
            )
        for partitions, count in ((["p1"], 30), (["p1", "p2"], 60), (["_default"], 0)):
            assert api.ok(
                "entities/query",
                {"collectionName": name, "filter": " ", "partitionNames": partitions, "outputFields": ["count(*)"]},
            ) == [{"count(*)": count}]

    def test_get_by_keys(self, api, library):
        name, rows = library
        assert [
            r["word_count"]
            for r in api.ok("entities/get", {"collectionName": name, "id": [3, 1, 2], "outputFields": ["word_count"]})
        ] == [1, 2, 3]
        [row] = api.ok("entities/get", {"collectionName": name, "id": 7})
        assert set(row) == set(rows[7])
        assert api.ok("entities/get", {"collectionName": name, "id": [10**9]}) == []


class TestAggregatesAndOrder:
    """Groups, aggregates and orders of random rows with nulls, against Python."""

    @pytest.fixture(scope="class")
    def numbers_of(self, shared_server):
        draw = random.Random(90)
        name = gen_unique_str("numbers")
        null = {"nullable": True}
        fields = [
            field("id", "Int64", isPrimary=True),
            field("g", "VarChar", max_length=8, **null),
            field("h", "Int8"),
            field("b", "Bool", **null),
            field("n", "Int64", **null),
            field("x", "Double", **null),
            field("v", "FloatVector", dim=2),
        ]
        create = {"collectionName": name, "schema": {"fields": fields}}
        shared_server.ok("collections/create", {**create, "indexParams": [{"fieldName": "v", "metricType": "L2"}]})
        maybe = lambda value: None if draw.random() < 0.2 else value
        rows = [
            {
                "id": i,
                "g": maybe(draw.choice(WORDS)),
                "h": draw.randrange(-3, 3),
                "b": maybe(draw.random() < 0.5),
                "n": maybe(draw.randrange(-50, 50)),
                "x": maybe(draw.randrange(-100, 100) / 8),
                "v": [i, 0],
            }
            for i in range(700)
        ]
        insert(shared_server, name, rows)
        return name, rows

    @pytest.mark.parametrize("by", [[], ["g"], ["h"], ["b"], ["g", "h"], ["b", "g", "h"]], ids=str)
    @pytest.mark.parametrize("expression", ["", "n > 0", "x < 0 or h == 1"])
    def test_groups(self, api, numbers_of, by, expression):
        name, rows = numbers_of
        keep = {
            "": lambda r: True,
            "n > 0": lambda r: r["n"] is not None and r["n"] > 0,
            "x < 0 or h == 1": lambda r: (r["x"] is not None and r["x"] < 0) or r["h"] == 1,
        }[expression]
        groups = {}
        for row in filter(keep, rows):
            groups.setdefault(tuple(row[f] for f in by), []).append(row)
        expected = {}
        for key, members in groups.items():
            n, x = ([m[f] for m in members if m[f] is not None] for f in ("n", "x"))
            mean = sum(n) / len(n) if n else None
            expected[key] = (len(members), len(n), sum(n) if n else None, mean, min(x, default=None), max(x, default=None))
        asked = ["count(*)", "count(n)", "sum(n)", "avg(n)", "min(x)", "max(x)"]
        body = {"collectionName": name, "filter": expression, "outputFields": [*by, *asked], "limit": 1000}
        if by:
            body["groupByFields"] = by
        got = {tuple(r[f] for f in by): tuple(r[a] for a in asked) for r in api.ok("entities/query", body)}
        assert set(got) == set(expected)
        for key, values in expected.items():
            assert got[key] == pytest.approx(values), key

    @pytest.mark.parametrize("seed", range(12))
    def test_orders(self, api, numbers_of, seed):
        name, rows = numbers_of
        draw = random.Random(seed)
        order = [(f, draw.random() < 0.5, draw.random() < 0.5) for f in draw.sample(["g", "h", "n", "x"], draw.randrange(1, 4))]
        limit, offset = draw.choice([(1000, 0), (10, 0), (50, 100), (7, 690)])
        expected = list(rows)
        for f, falling, nulls_first in reversed(order):
            there = sorted((r for r in expected if r[f] is not None), key=lambda r: r[f], reverse=falling)
            nulls = [r for r in expected if r[f] is None]
            expected = nulls + there if nulls_first else there + nulls
        words = [f"{f}:{'desc' if falling else 'asc'}:nulls_{'first' if first else 'last'}" for f, falling, first in order]
        body = {"collectionName": name, "filter": "", "orderByFields": words, "limit": limit, "offset": offset}
        got = api.ok("entities/query", {**body, "outputFields": [f for f, *_ in order]})
        assert [r["id"] for r in got] == [r["id"] for r in expected][offset : offset + limit], words


class TestSearch:
    @staticmethod
    def nearest(rows, query, metric, keep, k):
        base = np.array([r["text_emb"] for r in rows], dtype=np.float64)
        query = np.asarray(query, dtype=np.float64)
        scores = ((base - query) ** 2).sum(1) if metric == "L2" else base @ query
        if metric == "COSINE":
            scores = scores / np.linalg.norm(base, axis=1) / np.linalg.norm(query)
        order = np.lexsort((np.arange(len(rows)), scores if metric == "L2" else -scores))
        return [(rows[i]["book_id"], scores[i]) for i in order if keep(rows[i])][:k]

    @pytest.mark.parametrize(
        "expression,keep",
        FILTERS[:1] + FILTERS[3:4] + FILTERS[5:8] + FILTERS[10:11] + FILTERS[17:19],
        ids=lambda f: f if isinstance(f, str) else "",
    )
    def test_search_with_filter_is_exact(self, api, library, expression, keep):
        name, rows = library
        query = gen_vector("FloatVector", 32, np.random.default_rng(20))
        answer = api.v2(
            "entities/search",
            {"collectionName": name, "data": [query], "filter": expression, "limit": 20, "outputFields": ["book_id"]},
        )
        expected = self.nearest(rows, query, "COSINE", keep, 20)
        assert [h["book_id"] for h in answer["data"]] == [i for i, _ in expected]
        assert np.allclose([h["distance"] for h in answer["data"]], [s for _, s in expected], atol=1e-4)
        assert answer["topks"] == [len(expected)]

    FIELD_SETS = [
        [],
        ["book_id"],
        ["user_id", "word_count"],
        ["json"],
        ["int_array", "varchar_array"],
        ["bool", "book_describe"],
        ["text_emb"],
        ["dynamic_key"],
        ["*"],
        ["*", "dynamic_key"],
        ["json", "dynamic_key", "text_emb"],
    ]

    @pytest.mark.parametrize("fields", FIELD_SETS, ids=str)
    def test_search_with_output_fields(self, api, library, fields):
        name, rows = library
        hits = api.ok(
            "entities/search", {"collectionName": name, "data": [rows[5]["text_emb"]], "limit": 5, "outputFields": fields}
        )
        expected = {"book_id", "distance", *(set(rows[0]) if "*" in fields else fields)}
        for hit in hits:
            assert set(hit) == expected
            row = rows[hit["book_id"]]
            for key in expected - {"distance", "text_emb", "int_array", "varchar_array"}:
                assert hit[key] == row[key]
            if "int_array" in hit:
                assert array(hit["int_array"]) == row["int_array"]
            if "text_emb" in hit:
                assert np.allclose(hit["text_emb"], row["text_emb"])
        assert hits[0]["book_id"] == 5 and hits[0]["distance"] == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
    def test_search_with_range(self, api, name, metric):
        create_books(api, name, dim=16, metric=metric)
        rows = books(1000, 16, np.random.default_rng(21))
        insert(api, name, rows)
        query = gen_vector("FloatVector", 16, np.random.default_rng(22))
        everything = self.nearest(rows, query, metric, lambda _: True, 1000)
        inner, outer = everything[100][1], everything[300][1]
        hits = api.ok(
            "entities/search",
            {
                "collectionName": name,
                "data": [query],
                "limit": 1000,
                "searchParams": {"metric_type": metric, "params": {"radius": outer, "range_filter": inner}},
            },
        )
        low, high = sorted((inner, outer))
        assert 195 <= len(hits) <= 205 and all(low - 1e-4 <= h["distance"] <= high + 1e-4 for h in hits)
        scores = [h["distance"] for h in hits]
        assert scores == sorted(scores, reverse=metric != "L2")

    @pytest.mark.parametrize("nq", [1, 2, 10])
    @pytest.mark.parametrize("limit,offset", [(1, 0), (100, 0), (10, 90)])
    def test_search_with_nq_limit_offset(self, api, library, nq, limit, offset):
        name, rows = library
        queries = [gen_vector("FloatVector", 32, np.random.default_rng(30 + i)) for i in range(nq)]
        answer = api.v2("entities/search", {"collectionName": name, "data": queries, "limit": limit, "offset": offset})
        assert answer["code"] == 0 and answer["topks"] == [limit] * nq and len(answer["data"]) == limit * nq
        for i, query in enumerate(queries):
            expected = [key for key, _ in self.nearest(rows, query, "COSINE", lambda _: True, limit + offset)][offset:]
            assert [h["book_id"] for h in answer["data"][i * limit : (i + 1) * limit]] == expected

    def test_search_grouped(self, api, library):
        name, rows = library
        hits = api.ok(
            "entities/search",
            {
                "collectionName": name,
                "data": [rows[0]["text_emb"]],
                "limit": 50,
                "groupingField": "user_id",
                "outputFields": ["user_id"],
            },
        )
        groups = [h["user_id"] for h in hits]
        assert len(groups) == 50 and len(set(groups)) == 50
        best = {}
        for key, score in self.nearest(rows, rows[0]["text_emb"], "COSINE", lambda _: True, NB):
            best.setdefault(rows[key]["user_id"], key)
        assert [h["book_id"] for h in hits] == list(best.values())[:50]

    @pytest.mark.parametrize("metric", ["L2", "IP"])
    def test_search_with_other_metric_is_refused(self, api, library, metric):
        answer = api.v2(
            "entities/search", {"collectionName": library[0], "data": [[0.1] * 32], "searchParams": {"metric_type": metric}}
        )
        assert (
            answer["code"] == 1100
            and "metric type not match: invalid parameter" in answer["message"]
            and f"[expected=COSINE][actual={metric}]" in answer["message"]
        )

    @pytest.mark.parametrize("limit", [0, -1, 16385])
    def test_search_with_wrong_limit(self, api, library, limit):
        answer = api.v2("entities/search", {"collectionName": library[0], "data": [[0.1] * 32], "limit": limit})
        assert answer["code"] == 1100 and "it should be in range [1, 16384]" in answer["message"]

    @pytest.mark.parametrize("data", [[[0.1] * 31], [[0.1] * 33], [["a"] * 32], "abc", [{}], [None]])
    def test_search_with_wrong_vectors(self, api, library, data):
        answer = api.v2("entities/search", {"collectionName": library[0], "data": data})
        assert answer["code"] == 1801 and "can only accept json format request" in answer["message"]

    @pytest.mark.parametrize("strategy,params", [("rrf", {"k": 10}), ("weighted", {"weights": [0.2, 0.8]})])
    def test_advanced_search(self, api, library, strategy, params):
        name, rows = library
        queries = [gen_vector("FloatVector", 32, np.random.default_rng(40 + i)) for i in range(2)]
        searches = [{"data": [q], "annsField": "text_emb", "limit": 30, "outputFields": ["*"]} for q in queries]
        hits = api.ok(
            "entities/advanced_search",
            {
                "collectionName": name,
                "search": searches,
                "rerank": {"strategy": strategy, "params": params},
                "limit": 10,
                "outputFields": ["user_id", "word_count", "book_describe"],
            },
        )
        sums = {}
        for weight, query in zip(params.get("weights", [1, 1]), queries):
            for rank, (key, score) in enumerate(self.nearest(rows, query, "COSINE", lambda _: True, 30), 1):
                sums[key] = sums.get(key, 0) + (1 / (params["k"] + rank) if strategy == "rrf" else weight * score)
        expected = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))[:10]
        assert np.allclose([h["distance"] for h in hits], [s for _, s in expected], atol=1e-4)
        assert [h["book_id"] for h in hits] == [key for key, _ in expected]
        assert all(h["word_count"] == h["book_id"] for h in hits)


class TestDelete:
    @pytest.mark.parametrize(
        "expression,left",
        [
            ("id == 5", 99),
            ("id in [1, 2, 3]", 97),
            ("n > 50", 51),
            ("n >= 0", 0),
            ("id > 10 and n < 20", 91),
            ("tag == 'even'", 50),
            ("tag like 'o%'", 50),
        ],
    )
    def test_delete_by_filter(self, api, name, expression, left):
        api.ok("collections/create", {"collectionName": name, "dimension": 4, "metricType": "L2"})
        insert(api, name, [{"id": i, "vector": [i, 0, 0, 0], "n": i, "tag": ["even", "odd"][i % 2]} for i in range(100)])
        assert api.ok("entities/delete", {"collectionName": name, "filter": expression})["deleteCount"] == 100 - left
        assert api.ok("entities/query", {"collectionName": name, "filter": "", "outputFields": ["count(*)"]}) == [
            {"count(*)": left}
        ]
        assert api.ok("entities/query", {"collectionName": name, "filter": expression}) == []
        assert len(api.ok("entities/search", {"collectionName": name, "data": [[0, 0, 0, 0]], "limit": 100})) == left

    def test_delete_with_text_keys(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 4, "idType": "VarChar", "params": {"max_length": 50}})
        keys = ["it's", 'a "quote"', "back\\slash", "plain", "ключ"]
        insert(api, name, [{"id": key, "vector": [1, 2, 3, 4]} for key in keys])
        expression = f"id in {json.dumps(keys[:3], ensure_ascii=False)}"
        assert api.ok("entities/delete", {"collectionName": name, "filter": expression})["deleteCount"] == 3
        assert [
            r["id"] for r in api.ok("entities/query", {"collectionName": name, "filter": "id != ''", "outputFields": ["id"]})
        ] == ["plain", "ключ"]

    def test_delete_in_a_partition(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 4})
        api.ok("partitions/create", {"collectionName": name, "partitionName": "p"})
        insert(api, name, [{"id": i, "vector": [1, 2, 3, 4]} for i in range(10)])
        insert(api, name, [{"id": i + 10, "vector": [1, 2, 3, 4]} for i in range(10)], partitionName="p")
        api.ok("entities/delete", {"collectionName": name, "partitionName": "p", "filter": "id >= 0"})
        assert [
            r["id"] for r in api.ok("entities/query", {"collectionName": name, "filter": "id >= 0", "outputFields": ["id"]})
        ] == list(range(10))

    def test_delete_with_wrong_requests(self, api, library):
        name, _ = library
        assert api.v2("entities/delete", {"collectionName": name})["code"] == 1802
        assert api.v2("entities/delete", {"collectionName": name, "filter": "book_id >"})["code"] == 1100
        assert api.v2("entities/delete", {"collectionName": gen_unique_str(), "filter": "id > 1"})["code"] == 100


class TestPartitionAliasDatabase:
    def test_partition_e2e(self, api, name):
        """create, list, has, stats, load, release, drop: as test_partition_e2e."""
        api.ok("collections/create", {"collectionName": name, "dimension": 128})
        assert api.ok("partitions/list", {"collectionName": name}) == ["_default"]
        for p in ("p1", "p2"):
            assert api.v2("partitions/create", {"collectionName": name, "partitionName": p})["code"] == 0
        assert set(api.ok("partitions/list", {"collectionName": name})) == {"_default", "p1", "p2"}
        assert api.ok("partitions/has", {"collectionName": name, "partitionName": "p1"})["has"] is True
        rng = np.random.default_rng(50)
        for p in ("p1", "p2"):
            insert(
                api,
                name,
                [
                    {"id": i, "vector": gen_vector("FloatVector", 128, rng)}
                    for i in range(0 if p == "p1" else 1000, 500 if p == "p1" else 1500)
                ],
                partitionName=p,
            )
            assert api.ok("partitions/get_stats", {"collectionName": name, "partitionName": p})["rowCount"] == 500
        assert api.v2("partitions/release", {"collectionName": name, "partitionNames": ["p1"]})["code"] == 0
        assert api.v2("partitions/load", {"collectionName": name, "partitionNames": ["p1"]})["code"] == 0
        assert api.v2("partitions/drop", {"collectionName": name, "partitionName": "p1"})["code"] == 1100
        assert api.v2("partitions/release", {"collectionName": name, "partitionNames": ["p1"]})["code"] == 0
        assert api.v2("partitions/drop", {"collectionName": name, "partitionName": "p1"})["code"] == 0
        assert "p1" not in api.ok("partitions/list", {"collectionName": name})

    def test_alias_e2e(self, api):
        first, second = gen_unique_str("c1"), gen_unique_str("c2")
        alias, other = gen_unique_str("alias"), gen_unique_str("alias")
        for c, count in ((first, 10), (second, 20)):
            api.ok("collections/create", {"collectionName": c, "dimension": 8})
            insert(api, c, [{"id": i, "vector": [i + 1] * 8} for i in range(count)])
        assert api.v2("aliases/create", {"collectionName": first, "aliasName": alias})["code"] == 0
        assert api.v2("aliases/create", {"collectionName": second, "aliasName": other})["code"] == 0
        assert {alias, other} <= set(api.ok("aliases/list", {}))
        assert api.ok("aliases/describe", {"aliasName": alias})["collectionName"] == first
        assert len(api.ok("entities/query", {"collectionName": alias, "filter": "id >= 0", "outputFields": ["id"]})) == 10
        assert api.v2("aliases/alter", {"collectionName": second, "aliasName": alias})["code"] == 0
        assert len(api.ok("entities/query", {"collectionName": alias, "filter": "id >= 0", "outputFields": ["id"]})) == 20
        assert api.v2("collections/drop", {"collectionName": second})["code"] == 1100
        for a in (alias, other):
            assert api.v2("aliases/drop", {"aliasName": a})["code"] == 0
        assert api.v2("aliases/describe", {"aliasName": alias})["code"] == 1600
        assert api.v2("collections/drop", {"collectionName": second})["code"] == 0

    def test_database_e2e(self, api, name):
        db = gen_unique_str("db")
        assert api.v2("databases/create", {"dbName": db})["code"] == 0
        assert db in api.ok("databases/list", {})
        assert api.ok("databases/describe", {"dbName": db})["dbName"] == db
        api.ok("collections/create", {"dbName": db, "collectionName": name, "dimension": 8})
        assert api.ok("collections/list", {"dbName": db}) == [name] and name not in api.ok("collections/list", {})
        assert api.v2("databases/drop", {"dbName": db})["code"] == 1100
        api.ok("collections/drop", {"dbName": db, "collectionName": name})
        assert api.v2("databases/drop", {"dbName": db})["code"] == 0
        assert db not in api.ok("databases/list", {})
        assert api.v2("databases/drop", {"dbName": db})["code"] == 0, "dropping an unknown database succeeds"
        assert api.v2("databases/create", {"dbName": ""}, **{"DB-Name": ""})["code"] != 0
        for bad in ("1db", "db-1", "db name", "d" * 300):
            assert api.v2("databases/create", {"dbName": bad})["code"] == 802, bad


class TestIndex:
    CASES = [
        ("FLAT", {}),
        ("IVF_FLAT", {"nlist": 128}),
        ("IVF_SQ8", {"nlist": "128"}),
        ("HNSW", {"M": 16, "efConstruction": 200}),
        ("AUTOINDEX", {}),
        ("DISKANN", {}),
        ("SCANN", {"nlist": 16}),
    ]

    @pytest.mark.parametrize("metric", ["L2", "COSINE", "IP"])
    @pytest.mark.parametrize("kind,params", CASES, ids=[c[0] for c in CASES])
    def test_index_e2e(self, api, name, metric, kind, params):
        schema = {"fields": [field("id", "Int64", isPrimary=True), field("v", "FloatVector", dim=16)]}
        api.ok("collections/create", {"collectionName": name, "schema": schema})
        rng = np.random.default_rng(60)
        rows = [{"id": i, "v": gen_vector("FloatVector", 16, rng)} for i in range(500)]
        insert(api, name, rows)
        assert api.ok("indexes/list", {"collectionName": name}) == []
        assert (
            api.v2(
                "indexes/create",
                {
                    "collectionName": name,
                    "indexParams": [
                        {"fieldName": "v", "indexName": "v_idx", "metricType": metric, "indexType": kind, "params": params}
                    ],
                },
            )["code"]
            == 0
        )
        assert api.ok("indexes/list", {"collectionName": name}) == ["v_idx"]
        done = wait_until(
            lambda: [
                i
                for i in api.ok("indexes/describe", {"collectionName": name, "indexName": "v_idx"})
                if i["indexState"] == "Finished"
            ],
            "built",
        )
        assert len(done) == 1 and done[0]["fieldName"] == "v" and done[0]["indexType"] == kind and done[0]["metricType"] == metric
        assert done[0]["totalRows"] == 500 and done[0]["indexedRows"] == 500 and done[0]["pendingRows"] == 0
        api.ok("collections/load", {"collectionName": name})
        assert api.ok(
            "entities/search",
            {"collectionName": name, "data": [rows[3]["v"]], "limit": 500, "searchParams": {"metric_type": metric}},
        )
        api.ok("collections/release", {"collectionName": name})
        assert api.v2("indexes/drop", {"collectionName": name, "indexName": "v_idx"})["code"] == 0
        assert api.ok("indexes/list", {"collectionName": name}) == []

    @pytest.mark.parametrize("metric,kind", [("HAMMING", "BIN_FLAT"), ("JACCARD", "BIN_IVF_FLAT")])
    def test_index_for_binary_vectors(self, api, name, metric, kind):
        schema = {"fields": [field("id", "Int64", isPrimary=True), field("v", "BinaryVector", dim=128)]}
        index = {"fieldName": "v", "indexName": "v", "metricType": metric, "indexType": kind, "params": {"nlist": 16}}
        api.ok("collections/create", {"collectionName": name, "schema": schema, "indexParams": [index]})
        rng = np.random.default_rng(61)
        rows = [{"id": i, "v": gen_vector("BinaryVector", 128, rng)} for i in range(500)]
        insert(api, name, rows)
        bits = np.array([np.unpackbits(np.frombuffer(base64.b64decode(r["v"]), dtype=np.uint8)) for r in rows]).astype(int)
        scores = (bits != bits[9]).sum(1) if metric == "HAMMING" else 1 - (bits & bits[9]).sum(1) / (bits | bits[9]).sum(1)
        order = np.lexsort((np.arange(500), scores))[:10]
        hits = api.ok("entities/search", {"collectionName": name, "data": [rows[9]["v"]], "limit": 10})
        assert [h["id"] for h in hits] == order.tolist() and np.allclose([h["distance"] for h in hits], scores[order], atol=1e-5)

    def test_index_duplicate(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 8, "metricType": "L2"})
        wrong = api.v2(
            "indexes/create",
            {"collectionName": name, "indexParams": [{"fieldName": "vector", "indexName": "other", "metricType": "COSINE"}]},
        )
        assert wrong["code"] == 1100 and "CreateIndex failed" in wrong["message"]

    @pytest.mark.parametrize(
        "kind,f",
        [
            ("INVERTED", "word_count"),
            ("INVERTED", "book_describe"),
            ("STL_SORT", "word_count"),
            ("Trie", "book_describe"),
            ("BITMAP", "user_id"),
            ("BITMAP", "bool"),
            ("INVERTED", "int_array"),
        ],
    )
    def test_scalar_indexes_change_no_result(self, api, name, kind, f):
        create_books(api, name, dim=4)
        rows = books(300, 4, np.random.default_rng(62))
        insert(api, name, rows)
        questions = ["word_count > 100", "book_describe like 'book_1%'", "user_id in [1, 2]", "bool == true"]
        before = [
            api.ok("entities/query", {"collectionName": name, "filter": q, "limit": 300, "outputFields": ["book_id"]})
            for q in questions
        ]
        api.ok(
            "indexes/create",
            {"collectionName": name, "indexParams": [{"fieldName": f, "indexName": f"{f}_idx", "indexType": kind}]},
        )
        wait_until(
            lambda: api.ok("indexes/describe", {"collectionName": name, "indexName": f"{f}_idx"})[0]["indexState"] == "Finished",
            "built",
        )
        assert before == [
            api.ok("entities/query", {"collectionName": name, "filter": q, "limit": 300, "outputFields": ["book_id"]})
            for q in questions
        ]


class TestUsersAndRoles:
    def test_user_e2e(self, api):
        user = gen_unique_str("user")[:30].replace("-", "_")
        assert "root" in api.ok("users/list", {})
        assert api.v2("users/create", {"userName": user, "password": "password0"})["code"] == 0
        assert user in api.ok("users/list", {})
        assert api.ok("users/describe", {"userName": user}) == []
        assert (
            api.v2("users/update_password", {"userName": user, "password": "password0", "newPassword": "password1"})["code"] == 0
        )
        assert (
            api.v2("users/update_password", {"userName": user, "password": "password0", "newPassword": "password2"})["code"]
            == 1400
        )
        role = gen_unique_str("role")
        api.ok("roles/create", {"roleName": role})
        assert api.v2("users/grant_role", {"userName": user, "roleName": role})["code"] == 0
        assert role in api.ok("users/describe", {"userName": user})
        assert api.v2("users/revoke_role", {"userName": user, "roleName": role})["code"] == 0
        assert role not in api.ok("users/describe", {"userName": user})
        assert api.v2("users/create", {"userName": user, "password": "password0"})["code"] == 1100
        assert api.v2("users/drop", {"userName": user})["code"] == 0
        assert user not in api.ok("users/list", {})
        assert api.v2("roles/drop", {"roleName": role})["code"] == 0

    def test_role_e2e(self, api):
        role = gen_unique_str("role")
        assert {"admin", "public"} <= set(api.ok("roles/list", {}))
        assert api.v2("roles/create", {"roleName": role})["code"] == 0
        assert role in api.ok("roles/list", {})
        grants = [
            ("Global", "*", "CreateCollection"),
            ("Global", "*", "DropCollection"),
            ("Global", "*", "CreateOwnership"),
            ("Collection", "*", "Insert"),
            ("Collection", "*", "Query"),
            ("User", "*", "UpdateUser"),
        ]
        for kind, target, privilege in grants:
            body = {"roleName": role, "objectType": kind, "objectName": target, "privilege": privilege}
            assert api.v2("roles/grant_privilege", body)["code"] == 0, body
        described = api.ok("roles/describe", {"roleName": role})
        assert {(g["objectType"], g["objectName"], g["privilege"]) for g in described} == set(grants)
        for kind, target, privilege in grants:
            assert (
                api.v2(
                    "roles/revoke_privilege", {"roleName": role, "objectType": kind, "objectName": target, "privilege": privilege}
                )["code"]
                == 0
            )
        assert api.ok("roles/describe", {"roleName": role}) == []
        assert api.v2("roles/drop", {"roleName": role})["code"] == 0
        assert role not in api.ok("roles/list", {})


class TestImportJobs:
    @staticmethod
    def run(api, name, *files, state="Completed", **more):
        """Uploads files of rows as JSON, imports them as one job and gives back how it ended."""
        names = []
        for rows in files:
            names.append(f"{gen_unique_str('import')}.json")
            content = json.dumps(rows if isinstance(rows, dict) else list(rows))
            assert api.post(f"/v1/imports/{names[-1]}", data=content).status_code == 200
        job = api.ok("jobs/import/create", {"collectionName": name, "files": [[n] for n in names], **more})["jobId"]
        assert isinstance(job, str)

        def ended():
            seen = api.ok("jobs/import/describe", {"jobId": job})
            assert 0 <= seen["progress"] <= 100 and seen["collectionName"] == name
            return seen if seen["state"] in ("Completed", "Failed") else None

        seen = wait_until(ended, "the import ends")
        assert seen["state"] == state and seen["jobId"] == job, seen
        assert any(r["jobId"] == job for r in api.ok("jobs/import/list", {"collectionName": name})["records"])
        return seen

    @pytest.mark.parametrize("auto_id", [True, False])
    def test_job_e2e(self, api, name, auto_id):
        create_books(api, name, dim=8, auto_id=auto_id)
        assert api.ok("jobs/import/list", {"collectionName": name})["records"] == []
        rows = books(1500, 8, np.random.default_rng(80), auto_id=auto_id)
        seen = self.run(api, name, rows[:1000], {"rows": rows[1000:]})
        assert seen["progress"] == 100 and seen["importedRows"] == seen["totalRows"] == 1500 and len(seen["details"]) == 2
        assert api.ok("entities/query", {"collectionName": name, "filter": "", "outputFields": ["count(*)"]}) == [
            {"count(*)": 1500}
        ]
        body = {"collectionName": name, "filter": "word_count in [3, 1400]", "outputFields": ["*"]}
        got = sorted(api.ok("entities/query", body), key=lambda row: row["word_count"])
        for found, row in zip(got, (rows[3], rows[1400])):
            for key in set(row) - {"text_emb", "int_array", "varchar_array"}:
                assert found[key] == row[key], key
            assert array(found["int_array"]) == row["int_array"] and np.allclose(found["text_emb"], row["text_emb"])
        [hit] = api.ok(
            "entities/search", {"collectionName": name, "data": [rows[7]["text_emb"]], "limit": 1, "outputFields": ["word_count"]}
        )
        assert hit["word_count"] == 7

    def test_import_into_a_partition_and_beside_rows(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 4, "metricType": "L2"})
        api.ok("partitions/create", {"collectionName": name, "partitionName": "p"})
        insert(api, name, [{"id": i, "vector": [i, 0, 0, 0]} for i in range(10)])
        self.run(api, name, [{"id": i, "vector": [i, 0, 0, 0], "more": str(i)} for i in range(100, 120)], partitionName="p")
        assert api.ok("partitions/get_stats", {"collectionName": name, "partitionName": "p"})["rowCount"] == 20
        assert api.count(name) == 30
        got = api.ok("entities/query", {"collectionName": name, "filter": "more == '107'", "outputFields": ["id"]})
        assert got == [{"id": 107}]

    WRONG = {
        "a wrong dimension": [{"id": 1, "vector": [1, 2, 3]}],
        "no vector": [{"id": 1}],
        "a wrong type": [{"id": "x", "vector": [1, 2, 3, 4]}],
        "a null key": [{"id": None, "vector": [1, 2, 3, 4]}],
        "no rows": {"lines": []},
        "a good row and a bad one": [{"id": 1, "vector": [1, 2, 3, 4]}, {"id": 2, "vector": [1]}],
    }

    @pytest.mark.parametrize("rows", WRONG.values(), ids=WRONG)
    def test_a_wrong_file_fails_with_a_reason_and_stores_nothing(self, api, name, rows):
        api.ok("collections/create", {"collectionName": name, "dimension": 4})
        assert self.run(api, name, rows, state="Failed")["reason"]
        assert api.count(name) == 0

    def test_wrong_requests(self, api, name):
        api.ok("collections/create", {"collectionName": name, "dimension": 8})
        assert api.v2("jobs/import/create", {"collectionName": name})["code"] == 1802
        assert api.v2("jobs/import/create", {"collectionName": gen_unique_str(), "files": [["a.json"]]})["code"] == 100
        assert api.v2("jobs/import/describe", {"jobId": "no_job"})["code"] != 0
        for file in ("/etc/passwd", "../catalog", "a/../../LOCK", "/proc/self/environ", "a.json\0", "\\..\\x.json"):
            answer = api.v2("jobs/import/create", {"collectionName": name, "files": [[file]]})
            if answer["code"] == 0:
                job = {"jobId": answer["data"]["jobId"]}
                ended = lambda: api.ok("jobs/import/describe", job)["state"] == "Failed"
                wait_until(ended, f"the import of {file!r} fails")
        assert api.count(name) == 0


class TestTimestamptz:
    def test_timestamptz_e2e(self, api, name):
        schema = {
            "fields": [
                field("id", "Int64", isPrimary=True),
                field("event", "Timestamptz", nullable=True),
                field("v", "FloatVector", dim=4),
            ]
        }
        api.ok(
            "collections/create",
            {"collectionName": name, "schema": schema, "indexParams": [{"fieldName": "v", "metricType": "L2"}]},
        )
        moments = [f"2025-01-{day:02}T{hour:02}:00:00Z" for day in range(1, 11) for hour in (0, 12)]
        answer = api.v2(
            "entities/insert",
            {"collectionName": name, "data": [{"id": i, "event": m, "v": [i, 0, 0, 0]} for i, m in enumerate(moments)]},
        )
        assert answer["code"] == 0, answer
        got = api.ok("entities/query", {"collectionName": name, "filter": "id >= 0", "outputFields": ["event"]})
        assert [r["event"] for r in got] == moments
        for operator, keep in (
            ("==", lambda m, at: m == at),
            ("!=", lambda m, at: m != at),
            (">", lambda m, at: m > at),
            (">=", lambda m, at: m >= at),
            ("<", lambda m, at: m < at),
            ("<=", lambda m, at: m <= at),
        ):
            at = moments[7]
            rows = api.ok(
                "entities/query", {"collectionName": name, "filter": f"event {operator} ISO '{at}'", "outputFields": ["id"]}
            )
            assert [r["id"] for r in rows] == [i for i, m in enumerate(moments) if keep(m, at)]
        rows = api.ok(
            "entities/query",
            {"collectionName": name, "filter": "event + INTERVAL 'P1D' == ISO '2025-01-05T12:00:00Z'", "outputFields": ["event"]},
        )
        assert [r["event"] for r in rows] == ["2025-01-04T12:00:00Z"]
        api.ok(
            "entities/upsert",
            {"collectionName": name, "data": [{"id": 0, "event": "2030-06-01T00:00:00+02:00", "v": [0, 0, 0, 0]}]},
        )
        [row] = api.ok("entities/get", {"collectionName": name, "id": 0, "outputFields": ["event"]})
        assert row["event"] == "2030-05-31T22:00:00Z"


@pytest.mark.parametrize("path", ["collections/list", "collections/describe", "entities/search"])
def test_every_answer_has_the_headers_of_milvus(api, path):
    answer = api.post(f"/v2/vectordb/{path}", json={})
    assert answer.status_code == 200
    headers = answer.headers
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Access-Control-Allow-Origin"] == "*" and headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Access-Control-Allow-Headers"] and headers["Access-Control-Allow-Methods"]
    assert headers["X-Content-Type-Options"] == "nosniff"


ENGLISH = [
    "the quick brown fox",
    "vector databases search fast",
    "a fox and a rabbit",
    "brown bread and butter",
    "search engines rank texts",
    "rabbit holes are deep",
]


class TestFullText:
    @pytest.mark.parametrize("nullable", [True, False])
    @pytest.mark.parametrize("tokenizer", ["standard", "whitespace", "jieba"])
    def test_search_vector_for_full_text_search(self, api, name, nullable, tokenizer):
        """Half of the texts empty or null, as the suite's `empty_percent`; every hit holds a word of the query. What a
        function reads can't be null, so the nullable texts are only matched."""
        text = {"enable_analyzer": True, "enable_match": True, "analyzer_params": {"tokenizer": tokenizer}, "max_length": "1000"}
        schema = {
            "autoId": False,
            "fields": [
                field("user_id", "Int64", isPrimary=True),
                {"fieldName": "text", "dataType": "VarChar", "nullable": nullable, "elementTypeParams": text},
                field("s", "SparseFloatVector"),
            ],
            "functions": [
                {"name": "bm25_fn", "type": "BM25", "inputFieldNames": ["text"], "outputFieldNames": ["s"], "params": {}}
            ],
        }
        index = {
            "fieldName": "s",
            "indexName": "s",
            "metricType": "BM25",
            "params": {"index_type": "SPARSE_INVERTED_INDEX", "bm25_k1": 1.5, "bm25_b": 0.75},
        }
        created = api.v2("collections/create", {"collectionName": name, "schema": schema, "indexParams": [index]})
        if nullable:
            assert created["code"] == 1100 and "function input field cannot be nullable" in created["message"]
            del schema["functions"]
            created = api.v2(
                "collections/create",
                {"collectionName": name, "schema": schema, "indexParams": [{"fieldName": "s", "metricType": "IP"}]},
            )
        assert created["code"] == 0, created
        texts = [ENGLISH[i % 6] if i % 2 else (None if nullable else "") for i in range(300)]
        insert(api, name, [{"user_id": i, "text": t, **({"s": {"1": 1.0}} if nullable else {})} for i, t in enumerate(texts)])
        for query in ("fox", "rabbit search", "bread"):
            holding = [i for i, t in enumerate(texts) if t and set(query.split()) & set(t.split())]
            matched = api.ok(
                "entities/query",
                {"collectionName": name, "filter": f"text_match(text, '{query}')", "limit": 1000, "outputFields": ["text"]},
            )
            assert [r["user_id"] for r in matched] == holding
            if nullable:
                continue
            hits = api.ok(
                "entities/search",
                {"collectionName": name, "data": [query], "annsField": "s", "limit": 1000, "outputFields": ["text"]},
            )
            assert sorted(h["user_id"] for h in hits) == holding
            assert all(set(query.split()) & set(h["text"].split()) for h in hits)
            scores = [h["distance"] for h in hits]
            assert scores == sorted(scores, reverse=True) and (not scores or scores[-1] > 0)

    def test_scores_are_those_of_bm25(self, api, name):
        """Against a BM25 of its own, with Lucene's idf, as Milvus has it."""
        schema = {
            "fields": [
                field("id", "Int64", isPrimary=True),
                {
                    "fieldName": "text",
                    "dataType": "VarChar",
                    "elementTypeParams": {"enable_analyzer": True, "max_length": "1000"},
                },
                field("s", "SparseFloatVector"),
            ],
            "functions": [{"name": "f", "type": "BM25", "inputFieldNames": ["text"], "outputFieldNames": ["s"], "params": {}}],
        }
        k1, b = 1.2, 0.75
        api.ok(
            "collections/create",
            {
                "collectionName": name,
                "schema": schema,
                "indexParams": [
                    {
                        "fieldName": "s",
                        "metricType": "BM25",
                        "params": {"index_type": "SPARSE_INVERTED_INDEX", "bm25_k1": k1, "bm25_b": b},
                    }
                ],
            },
        )
        insert(api, name, [{"id": i, "text": t} for i, t in enumerate(ENGLISH)])
        documents = [t.split() for t in ENGLISH]
        average = sum(map(len, documents)) / len(documents)
        query = ["fox", "rabbit", "brown"]
        expected = {}
        for i, words in enumerate(documents):
            for word in query:
                frequency, having = words.count(word), sum(word in d for d in documents)
                if frequency:
                    idf = np.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
                    expected[i] = expected.get(i, 0) + idf * frequency * (k1 + 1) / (
                        frequency + k1 * (1 - b + b * len(words) / average)
                    )
        hits = api.ok("entities/search", {"collectionName": name, "data": [" ".join(query)], "limit": 10})
        assert {h["id"] for h in hits} == set(expected)
        for hit in hits:
            assert hit["distance"] == pytest.approx(expected[hit["id"]], rel=0.02), "document lengths may be rounded"


def test_a_day_in_the_life(api, name):
    """Writers and readers at once: counts never go back, every hit is a row that was written."""
    api.ok("collections/create", {"collectionName": name, "dimension": 8, "metricType": "L2"})
    rng = np.random.default_rng(70)
    rows = [{"id": i, "vector": gen_vector("FloatVector", 8, rng), "n": i} for i in range(2000)]
    seen, ended = [], []

    def read():
        while not ended:
            answer = api.post(
                "/v2/vectordb/entities/query", json={"collectionName": name, "filter": "", "outputFields": ["count(*)"]}
            ).json()
            seen.append(answer["data"][0]["count(*)"])
            hits = api.post(
                "/v2/vectordb/entities/search",
                json={"collectionName": name, "data": [rows[0]["vector"]], "limit": 10, "outputFields": ["n"]},
            ).json()["data"]
            assert all(hit["id"] == hit["n"] for hit in hits)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for part in range(0, 2000, 100):
            api.post("/v2/vectordb/entities/insert", json={"collectionName": name, "data": rows[part : part + 100]})
        ended.append(time.monotonic())
        for reader in readers:
            reader.result()
    assert api.count(name) == 2000 and seen
