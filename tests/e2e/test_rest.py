"""The Milvus REST v2 subset, as a program written for Milvus uses it, with numpy as the oracle of searches."""

import itertools

import numpy as np
import pytest

numbers = itertools.count()


@pytest.fixture
def name():
    return f"c{next(numbers)}"


def rows_of(vectors, **columns):
    return [
        {"id": i, "vector": [float(x) for x in v], **{key: values[i] for key, values in columns.items()}}
        for i, v in enumerate(vectors)
    ]


def expected(metric, base, query, keep, k):
    """Exact neighbours: scores as Milvus gives them, ties to the smaller key."""
    base, query = base.astype(np.float64), query.astype(np.float64)
    if metric == "L2":
        scores = ((base - query) ** 2).sum(1)
        order = np.lexsort((np.arange(len(base)), scores))
    else:
        scores = base @ query
        if metric == "COSINE":
            scores /= np.linalg.norm(base, axis=1) * np.linalg.norm(query)
        order = np.lexsort((np.arange(len(base)), -scores))
    order = [i for i in order if keep[i]][:k]
    return order, scores[order]


@pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
def test_search_equals_numpy_with_and_without_filter(shared_server, name, metric):
    random = np.random.default_rng(5)
    base = random.normal(size=(3000, 33)).astype(np.float32)
    ages = [int(a) for a in random.integers(0, 100, len(base))]
    server = shared_server
    server.ok("collections/create", {"collectionName": name, "dimension": 33, "metricType": metric})
    for part in range(0, len(base), 1000):
        rows = rows_of(base, age=ages)[part : part + 1000]
        assert server.ok("entities/insert", {"collectionName": name, "data": rows})["insertCount"] == 1000
    queries = random.normal(size=(4, 33)).astype(np.float32)
    for expression, keep in [("", [True] * 3000), ("age < 30", [a < 30 for a in ages]), ("age == 7", [a == 7 for a in ages])]:
        body = {"collectionName": name, "data": queries.tolist(), "limit": 10, "filter": expression, "outputFields": ["age"]}
        answer = server.v2("entities/search", body)
        assert answer["code"] == 0 and answer["topks"] == [10] * 4, answer
        for q, query in enumerate(queries):
            hits = answer["data"][q * 10 : q * 10 + 10]
            order, scores = expected(metric, base, query, keep, 10)
            assert [hit["id"] for hit in hits] == order
            assert np.allclose([hit["distance"] for hit in hits], scores, rtol=1e-4, atol=1e-4)
            assert [hit["age"] for hit in hits] == [ages[i] for i in order]


def test_quick_create_describe_and_drop(shared_server, name):
    server = shared_server
    assert server.ok("collections/has", {"collectionName": name}) == {"has": False}
    server.ok("collections/create", {"collectionName": name, "dimension": 8})
    assert server.ok("collections/has", {"collectionName": name}) == {"has": True}
    assert name in server.ok("collections/list", {})
    described = server.ok("collections/describe", {"collectionName": name})
    assert [f["name"] for f in described["fields"]] == ["id", "vector"]
    assert described["fields"][0]["primaryKey"] and described["fields"][0]["type"] == "Int64"
    assert described["fields"][1]["params"] == [{"key": "dim", "value": "8"}]
    assert described["indexes"] == [{"fieldName": "vector", "indexName": "vector", "metricType": "COSINE"}]
    assert described["enableDynamicField"] is True and described["load"] == "LoadStateLoaded"
    assert server.ok("collections/drop", {"collectionName": name}) == {}
    assert server.ok("collections/drop", {"collectionName": name}) == {}, "dropping an unknown collection succeeds"
    gone = server.v2("collections/describe", {"collectionName": name})
    assert gone["code"] == 100 and "data" not in gone


def test_schema_form_with_text_keys_and_types(shared_server, name):
    server = shared_server
    field = lambda f, t, **more: {"fieldName": f, "dataType": t, **more}
    server.ok(
        "collections/create",
        {
            "collectionName": name,
            "schema": {
                "enableDynamicField": True,
                "fields": [
                    field("key", "VarChar", isPrimary=True, elementTypeParams={"max_length": 64}),
                    field("v", "FloatVector", elementTypeParams={"dim": "4"}),
                    field("flag", "Bool"),
                    field("small", "Int8"),
                    field("big", "Int64"),
                    field("ratio", "Double"),
                    field("note", "VarChar", nullable=True, elementTypeParams={"max_length": "8"}),
                    field("meta", "JSON"),
                ],
            },
            "indexParams": [{"fieldName": "v", "metricType": "L2", "indexType": "HNSW", "params": {"M": 16}}],
        },
    )
    row = {"key": "a'b", "v": [1, 2, 3, 4], "flag": True, "small": -128, "big": 2**63 - 1, "ratio": 0.1, "meta": {"a": [1, {"b": None}]}, "extra": 2**60 + 1}
    inserted = server.ok("entities/insert", {"collectionName": name, "data": [row]})
    assert inserted == {"insertCount": 1, "insertIds": ["a'b"]}
    assert server.ok("entities/query", {"collectionName": name, "filter": "big > 0"}) == [{**row, "note": None}]
    assert server.ok("entities/get", {"collectionName": name, "id": "a'b", "outputFields": ["extra"]}) == [{"key": "a'b", "extra": 2**60 + 1}]
    text = server.ok("entities/get", {"collectionName": name, "id": ["a'b"], "outputFields": ["big"]}, **{"Accept-Type-Allow-Int64": "false"})
    assert text == [{"key": "a'b", "big": str(2**63 - 1)}]


def test_writes_are_read_at_once_and_counted(shared_server, name):
    server = shared_server
    server.ok("collections/create", {"collectionName": name, "dimension": 2, "metricType": "L2"})
    server.ok("entities/insert", {"collectionName": name, "data": rows_of(np.eye(2), kind=["a", "b"])})
    assert server.count(name) == 2
    server.ok("entities/upsert", {"collectionName": name, "data": [{"id": 1, "vector": [9, 9], "kind": "c"}]})
    assert server.count(name) == 2
    assert server.ok("entities/query", {"collectionName": name, "filter": "id == 1", "outputFields": ["kind"]}) == [{"id": 1, "kind": "c"}]
    assert server.ok("entities/query", {"collectionName": name, "outputFields": ["count(*)"]}) == [{"count(*)": 2}]
    server.ok("entities/delete", {"collectionName": name, "filter": "id in [1]"})
    assert server.count(name) == 1
    hits = server.ok("entities/search", {"collectionName": name, "data": [[9, 9]], "limit": 5})
    assert [hit["id"] for hit in hits] == [0]


def test_auto_ids_are_unique_and_returned(shared_server, name):
    server = shared_server
    server.ok("collections/create", {"collectionName": name, "dimension": 2, "autoID": True})
    ids = []
    for _ in range(3):
        data = [{"vector": [1, 2]}, {"vector": [3, 4]}]
        ids += server.ok("entities/insert", {"collectionName": name, "data": data})["insertIds"]
    assert len(set(ids)) == 6
    refused = server.v2("entities/insert", {"collectionName": name, "data": [{"id": 1, "vector": [1, 2]}]})
    assert refused["code"] != 0


WRONG = [
    ("collections/create", {"collectionName": "9x", "dimension": 2}, 1100),
    ("collections/create", {"dimension": 2}, 1802),
    ("collections/create", {"collectionName": "nodim"}, 1100),
    ("collections/create", {"collectionName": "x", "dimension": "many"}, 1801),
    ("collections/create", {"collectionName": "x", "dimension": 1}, 1100),
    ("collections/create", {"collectionName": "x", "dimension": 4, "metricType": "HAMMING"}, 1100),
    ("collections/describe", {"collectionName": "nowhere"}, 100),
    ("collections/list", {"dbName": "nowhere"}, 800),
    ("entities/insert", {"collectionName": "nowhere", "data": [{"id": 1}]}, 100),
    ("entities/insert", {"collectionName": "CASE", "data": {"id": 1}}, 1801),
    ("entities/insert", {"collectionName": "CASE"}, 1802),
    ("entities/insert", {"collectionName": "CASE", "data": []}, 1804),
    ("entities/insert", {"collectionName": "CASE", "data": [{"id": 1, "vector": [1]}]}, 1804),
    ("entities/insert", {"collectionName": "CASE", "data": [{"id": 1}]}, 1804),
    ("entities/insert", {"collectionName": "CASE", "data": [{"id": 2**64, "vector": [1, 2]}]}, 1804),
    ("entities/search", {"collectionName": "CASE"}, 1802),
    ("entities/search", {"collectionName": "CASE", "data": [[1, 2, 3]]}, 1801),
    ("entities/search", {"collectionName": "CASE", "data": [[1, 2]], "limit": 0}, 1100),
    ("entities/search", {"collectionName": "CASE", "data": [[1, 2]], "limit": 16385}, 1100),
    ("entities/search", {"collectionName": "CASE", "data": [[1, 2]], "filter": "id >"}, 1100),
    ("entities/query", {"collectionName": "CASE", "filter": "id > 1", "limit": 16385}, 1100),
    ("entities/delete", {"collectionName": "CASE"}, 1802),
]


@pytest.mark.parametrize("path,body,code", WRONG, ids=lambda v: str(v)[:60])
def test_wrong_requests_get_milvus_codes_and_change_nothing(shared_server, path, body, code):
    server = shared_server
    server.ok("collections/create", {"collectionName": "CASE", "dimension": 2})
    before = server.count("CASE")
    answer = server.v2(path, body)
    assert answer["code"] == code and answer["message"] and "data" not in answer, answer
    assert server.count("CASE") == before


def test_bad_bodies_and_unknown_routes(shared_server):
    server = shared_server
    for body in ["", "{", "[]", "nonsense", "{" * 10_000, '{"a":' * 5_000]:
        answer = server.post("/v2/vectordb/collections/list", data=body.encode(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 200 and answer.json()["code"] == 1801, (body[:20], answer.text)
    assert server.post("/v2/vectordb/nonsense/list", json={}).status_code == 404
    assert server.get("/v2/vectordb/collections/list").status_code == 404
    assert server.session.options(f"{server.url}/v2/vectordb/collections/list").status_code == 204


def test_a_failed_batch_stores_nothing(shared_server, name):
    server = shared_server
    server.ok("collections/create", {"collectionName": name, "dimension": 2})
    data = [{"id": i, "vector": [1, 2]} for i in range(50)] + [{"id": 50, "vector": [1, 2, 3]}]
    assert server.v2("entities/insert", {"collectionName": name, "data": data})["code"] == 1804
    assert server.count(name) == 0


def test_a_partial_upsert_reads_only_what_rows_leave_out(shared_server, name):
    server = shared_server
    text = {"fieldName": "t", "dataType": "VarChar", "elementTypeParams": {"max_length": 65535}, "defaultValue": "x" * 60000}
    fields = [
        {"fieldName": "id", "dataType": "Int64", "isPrimary": True},
        {"fieldName": "n", "dataType": "Int64"},
        text,
        {"fieldName": "v", "dataType": "FloatVector", "elementTypeParams": {"dim": 2}},
    ]
    server.ok("collections/create", {"collectionName": name, "schema": {"fields": fields}})
    for start in (0, 2000):
        rows = [{"id": start + key, "n": 1, "v": [0, 1]} for key in range(2000)]
        server.ok("entities/insert", {"collectionName": name, "data": rows})
    here = {"collectionName": name, "partialUpdate": True}
    # With their texts the rows are more than an answer, or a batch, may be.
    refused = server.v2("entities/upsert", {**here, "data": [{"id": key, "n": 2} for key in range(4000)]})
    assert refused["code"] == 1100 and "batch" in refused["message"], refused
    done = server.ok("entities/upsert", {**here, "data": [{"id": key, "t": "short"} for key in range(4000)]})
    assert done["upsertCount"] == 4000
    count = {"collectionName": name, "filter": "n == 1 and t == 'short'", "outputFields": ["count(*)"]}
    assert server.ok("entities/query", count)[0]["count(*)"] == 4000
    server.ok("collections/drop", {"collectionName": name})
