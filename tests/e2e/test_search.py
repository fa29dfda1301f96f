"""Searches as a program written for Milvus makes them, over every index type, with numpy as the oracle.

Segments of fewer than 4,096 rows get no index: what has to be found through one is 6,000 rows or more.
"""

import collections
import functools
import itertools
import json
import re

import numpy as np
import pytest
import requests

from conftest import PATIENCE, wait_until

ROWS, DIM, QUERIES, LIMIT = 6000, 16, 20, 10
PART = 3000  # rows of one insert
GROUPS = 40
ONE_BIG_GROUP = 3000  # rows of the value 0 of `skewed`

numbers = itertools.count()



@pytest.fixture
def name():
    return f"s{next(numbers)}"


# ---- data ----


@functools.cache
def vectors(rows=ROWS, dim=DIM, seed=1):
    """Vectors around 60 centres, of differing lengths."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(60, dim))
    around = centres[random.integers(0, len(centres), rows)] + 0.6 * random.normal(size=(rows, dim))
    return around.astype(np.float32)


@functools.cache
def queries(count=QUERIES, dim=DIM, seed=1):
    """From the same centres, but not in the data."""
    return vectors(ROWS + count, dim, seed)[ROWS:]


@functools.cache
def far_ranks():
    """The place of each row when rows are ordered by their distance from the first query, nearest first."""
    distances = scores_of("L2", vectors(), queries()[0])
    ranks = np.empty(ROWS, int)
    ranks[np.argsort(distances)] = np.arange(ROWS)
    return ranks


@functools.cache
def columns():
    random = np.random.default_rng(7)
    skewed = np.where(np.arange(ROWS) < ONE_BIG_GROUP, 0, np.arange(ROWS) // 2)
    return {
        "n": [int(v) for v in random.permutation(ROWS)],
        "rank": [int(v) for v in far_ranks()],
        "team": [int(v) for v in random.integers(0, GROUPS, ROWS)],
        "skewed": [int(v) for v in random.permutation(skewed)],
        "label": [f"l{v}" for v in random.integers(0, GROUPS, ROWS)],
        "flag": [bool(v) for v in random.integers(0, 2, ROWS)],
        "price": [float(v) for v in random.random(ROWS)],
    }


TYPES = {
    "n": "Int64",
    "rank": "Int64",
    "team": "Int8",
    "skewed": "Int64",
    "label": "VarChar",
    "flag": "Bool",
    "price": "Double",
}


def scores_of(metric, base, query):
    base, query = base.astype(np.float64), np.asarray(query, np.float64)
    if metric == "L2":
        return ((base - query) ** 2).sum(1)
    if metric == "COSINE":
        norms = np.linalg.norm(base, axis=1) * np.linalg.norm(query)
        return np.divide(base @ query, norms, out=np.zeros(len(base)), where=norms > 0)
    return base @ query


def ranked(metric, base, query, keep=None):
    """Keys (places in `base`) of the rows to keep, best first, ties to the smaller key; and the scores of all rows."""
    scores = scores_of(metric, base, query)
    order = np.argsort(scores if metric == "L2" else -scores, kind="stable")
    return (order if keep is None else order[np.asarray(keep)[order]]), scores


# ---- requests ----


def field(field_name, data_type, **more):
    params = {"elementTypeParams": {"max_length": 32}} if data_type == "VarChar" else {}
    return {"fieldName": field_name, "dataType": data_type, **params, **more}


def vector_field(field_name, dim):
    return field(field_name, "FloatVector", elementTypeParams={"dim": dim})


def schema(*fields):
    return {"fields": [field("id", "Int64", isPrimary=True), *fields]}


def index_on(index_type, metric="L2", field_name="vector", **params):
    return {"fieldName": field_name, "indexType": index_type, "metricType": metric, "params": params}


def create(server, name, *indexes, scalars=(), dim=DIM):
    fields = [vector_field("vector", dim), *(field(f, TYPES[f]) for f in scalars)]
    body = {"collectionName": name, "schema": schema(*fields)}
    server.ok("collections/create", {**body, "indexParams": list(indexes)} if indexes else body)


@functools.cache
def row_texts(scalars=()):
    """The rows of `vectors()` as JSON, made once."""
    cells = [columns()[f] for f in scalars]
    base = [[float(x) for x in v] for v in vectors()]
    return [
        json.dumps({"id": i, "vector": v, **{f: cell[i] for f, cell in zip(scalars, cells)}})
        for i, v in enumerate(base)
    ]


def send(server, name, texts):
    for part in range(0, len(texts), PART):
        rows = ",".join(texts[part : part + PART])
        answer = server.post(
            "/v2/vectordb/entities/insert",
            data=f'{{"collectionName":"{name}","data":[{rows}]}}',
            headers={"Content-Type": "application/json"},
        ).json()
        assert answer["code"] == 0 and answer["data"]["insertCount"] == min(PART, len(texts) - part), answer


def insert(server, name, base):
    send(server, name, [json.dumps({"id": i, "vector": [float(x) for x in v]}) for i, v in enumerate(base)])


def describe(server, name, index="vector"):
    (described,) = server.ok("indexes/describe", {"collectionName": name, "indexName": index})
    return described


def is_finished(described):
    assert described["indexState"] != "Failed", described
    return described["indexState"] == "Finished" and described["pendingRows"] == 0


def wait_indexed(server, name, index="vector"):
    def look():
        described = describe(server, name, index)
        return described if is_finished(described) else None

    return wait_until(look, f"the index of {name} is finished")


def flush_and_wait(server, name):
    server.ok("collections/flush", {"collectionName": name})
    return wait_indexed(server, name)


def search(server, name, data, limit=LIMIT, params=None, path="entities/search", **more):
    """Hits of each query, and the whole answer."""
    body = {"collectionName": name, "data": [[float(x) for x in q] for q in data], "limit": limit, **more}
    if params is not None:
        body["searchParams"] = params
    answer = server.v2(path, body)
    assert answer["code"] == 0, (more, params, answer)
    return split(answer), answer


def split(answer):
    rows = iter(answer["data"])
    lists = [list(itertools.islice(rows, count)) for count in answer["topks"]]
    assert next(rows, None) is None, "topks tell of all rows"
    return lists


def refused(server, path, body, code, *words):
    answer = server.v2(path, body)
    assert answer["code"] == code and "data" not in answer, (path, body, answer)
    assert all(word in answer["message"] for word in words), (path, body, answer)


def refused_search(server, name, params, code, *words, **more):
    body = {"collectionName": name, "data": [[0.5] * DIM], "limit": LIMIT, "searchParams": params, **more}
    refused(server, "entities/search", body, code, *words)


def keys(hits):
    return [hit["id"] for hit in hits]


def check_hits(metric, hits, scores):
    """Each score is that of its row; hits are sorted, ties by key; no row comes twice."""
    found = keys(hits)
    assert len(set(found)) == len(found)
    given = [hit["distance"] for hit in hits]
    assert np.allclose(given, scores[found], rtol=1e-4, atol=1e-5), list(zip(found, given, scores[found]))
    sign = 1 if metric == "L2" else -1
    order = [(sign * score, key) for score, key in zip(given, found)]
    assert order == sorted(order)


def check_recall(metric, base, lists, asked, limit=LIMIT, keep=None, least=0.9):
    """Right scores and order, as many rows as there are, and on average this share of the true nearest rows."""
    recalls = []
    assert len(lists) == len(asked)
    for query, hits in zip(asked, lists):
        order, scores = ranked(metric, base, query, keep)
        check_hits(metric, hits, scores)
        wanted = {int(i) for i in order[:limit]}
        assert len(hits) == len(wanted), (len(hits), len(wanted))
        if keep is not None:
            assert all(keep[key] for key in keys(hits)), "a row that does not match"
        recalls.append(len(wanted & set(keys(hits))) / max(len(wanted), 1))
    assert np.mean(recalls) >= least, recalls
    return np.mean(recalls)


# ---- 1. index types ----

INDEXES = [
    ("FLAT", "L2", {}, "FLAT"),
    ("FLAT", "COSINE", {}, "FLAT"),
    ("IVF_FLAT", "L2", {"nlist": 64}, "IVF_FLAT"),
    ("IVF_FLAT", "IP", {"nlist": "64"}, "IVF_FLAT"),
    ("IVF_SQ8", "COSINE", {"nlist": 64}, "IVF_SQ8"),
    ("HNSW", "L2", {"M": 16, "efConstruction": 100}, "HNSW"),
    ("HNSW", "IP", {"M": "16", "efConstruction": "100"}, "HNSW"),
    ("HNSW_SQ", "COSINE", {"M": 16, "efConstruction": 100, "sq_type": "SQ8"}, "HNSW_SQ"),
    ("HNSW_SQ", "L2", {"M": 16, "efConstruction": 100, "refine": True}, "HNSW"),
    ("AUTOINDEX", "COSINE", {}, "HNSW"),
    ("IVF_PQ", "L2", {"nlist": 64, "m": 4, "nbits": 8}, "IVF_FLAT"),
    ("SCANN", "IP", {"nlist": 64, "with_raw_data": True}, "IVF_FLAT"),
    ("DISKANN", "L2", {}, "HNSW"),
]


@pytest.fixture(scope="module")
def of_every_type(shared_server):
    """A collection for each of the above; one after the other would wait for the builder each time."""
    names = [f"type_{number}" for number in range(len(INDEXES))]
    for collection, (index_type, metric, params, _) in zip(names, INDEXES):
        create(shared_server, collection, index_on(index_type, metric, **params))
        send(shared_server, collection, row_texts())
        shared_server.ok("collections/flush", {"collectionName": collection})
    return names


@pytest.mark.parametrize("number", range(len(INDEXES)), ids=[f"{i[0]}-{i[1]}-{i[3]}" for i in INDEXES])
def test_every_index_type_finds_the_nearest_rows(shared_server, of_every_type, number):
    server, name = shared_server, of_every_type[number]
    index_type, metric, params, built_as = INDEXES[number]
    described = wait_indexed(server, name)
    shown = {pair["key"]: pair["value"] for pair in described["indexParams"]}
    echoed = {key: value if isinstance(value, str) else json.dumps(value) for key, value in params.items()}
    assert shown == {"index_type": index_type, "metric_type": metric, **echoed}
    assert (described["indexName"], described["fieldName"]) == ("vector", "vector")
    assert (described["indexType"], described["metricType"]) == (index_type, metric)
    assert (described["totalRows"], described["indexedRows"], described["pendingRows"]) == (ROWS, ROWS, 0)
    assert (described["builtAs"], described["failReason"]) == (built_as, "")

    base, asked = vectors(), queries()
    lists, answer = search(server, name, asked, params={"recall": 0.95, "metric_type": metric, "explain": True})
    check_recall(metric, base, lists, asked)
    segments = answer["explain"]["searches"][0]["segments"]
    if built_as == "FLAT":
        assert [(s["index"], s["path"]) for s in segments] == [(None, "rows")]
    else:
        assert [(s["index"], s["path"]) for s in segments] == [(built_as, "index")]
    # One query alone goes another way than many; and without parameters.
    for query in asked[:3]:
        alone, _ = search(server, name, [query])
        check_recall(metric, base, alone, [query], least=0.8)
    # Rows themselves are found.
    stored, _ = search(server, name, base[:5], limit=1, params={"recall": 0.99})
    if metric != "IP":
        assert [keys(hits) for hits in stored] == [[i] for i in range(5)]
    other = {"L2": "IP", "IP": "COSINE", "COSINE": "L2"}[metric]
    refused_search(server, name, {"metric_type": other}, 1100, "metric type not match")
    server.ok("collections/drop", {"collectionName": name})


# ---- collections that tests share, and leave as they are ----

SHARED_INDEXES = {
    "flat": index_on("FLAT", "L2"),
    "hnsw": index_on("HNSW", "L2", M=16, efConstruction=100),
    "ivf": index_on("IVF_FLAT", "L2", nlist=64),
    "sq": index_on("IVF_SQ8", "IP", nlist=64),
    "cosine": index_on("AUTOINDEX", "COSINE"),
}


@pytest.fixture(scope="module")
def indexed(shared_server):
    """Gives a function from a name above to a collection with that index and all columns."""
    names = {key: f"shared_{key}" for key in SHARED_INDEXES}
    for key, collection in names.items():
        create(shared_server, collection, SHARED_INDEXES[key], scalars=tuple(TYPES))
        send(shared_server, collection, row_texts(tuple(TYPES)))
        shared_server.ok("collections/flush", {"collectionName": collection})
    for collection in names.values():
        wait_indexed(shared_server, collection)
    return names.__getitem__


def metric_of(key):
    return SHARED_INDEXES[key]["metricType"]


# ---- 2. parameters ----


@pytest.mark.parametrize(
    "key, params",
    [
        ("hnsw", {"ef": 100}),
        ("hnsw", {"ef": "100"}),
        ("hnsw", {"params": {"ef": 100}}),
        ("hnsw", {"metric_type": "L2", "params": {"ef": "100"}}),
        ("hnsw", {"search_list": 100}),
        ("hnsw", {"search_list": "100"}),
        ("hnsw", {"nprobe": 1}),
        ("ivf", {"nprobe": 32}),
        ("ivf", {"nprobe": "32"}),
        ("ivf", {"nprobe": 65536}),
        ("ivf", {"params": {"nprobe": 32}}),
        ("ivf", {"recall": "0.95"}),
        ("ivf", {"ef": 10}),
        ("flat", {"ef": 10}),
        ("flat", {"nprobe": 1}),
        ("cosine", {"recall": 0.99}),
        ("cosine", {"ef": 64}),
    ],
)
def test_effort_in_every_spelling(shared_server, indexed, key, params):
    lists, _ = search(shared_server, indexed(key), queries(), params=params)
    check_recall(metric_of(key), vectors(), lists, queries())


@pytest.mark.parametrize("key, low, high", [("hnsw", {"ef": 10}, {"ef": 200}), ("ivf", {"nprobe": 1}, {"nprobe": 64})])
def test_more_effort_looks_at_more_and_finds_more(shared_server, indexed, key, low, high):
    found, work = [], []
    for params in (low, high):
        lists, answer = search(shared_server, indexed(key), queries(), params={**params, "explain": True})
        found.append(check_recall("L2", vectors(), lists, queries(), least=0.2))
        work.append(answer["explain"]["stats"]["compared"])
        (segment,) = answer["explain"]["searches"][0]["segments"]
        if segment["path"] == "index":
            assert segment["effort"] == next(iter(params.values()))
    assert work[0] * 2 < work[1], work
    assert found[0] <= found[1] and found[1] >= 0.99, found


def test_wrong_parameters_are_refused(shared_server, indexed):
    for key in ("hnsw", "ivf", "flat"):
        collection = indexed(key)
        refuse = functools.partial(refused_search, shared_server, collection)
        refuse({"ef": 9}, 1100, "ef(9) should be larger than k(10)")
        refuse({"ef": "9"}, 1100, "should be larger than k")
        refuse({"ef": 19}, 1100, "ef(19) should be larger than k(20)", offset=10)
        refuse({"search_list": 5}, 1100, "should be larger than k")
        refuse({"ef": -1}, 1100)
        refuse({"ef": "many"}, 1100, "ef")
        refuse({"ef": 20.5}, 1100, "ef")
        refuse({"nprobe": 0}, 1100, "nprobe", "[1, 65536]")
        refuse({"nprobe": "0"}, 1100, "nprobe")
        refuse({"nprobe": -3}, 1100, "nprobe")
        refuse({"nprobe": 65537}, 1100, "nprobe")
        refuse({"recall": 1.5}, 1100, "recall")
        refuse({"recall": -0.1}, 1100, "recall")
        refuse({"recall": "high"}, 1100, "recall")
        refuse({"recall": 0.9, "ef": 100}, 1100, "recall")
        refuse({"recall": 0.9, "params": {"nprobe": 10}}, 1100, "recall")
        refuse({"ef": 100, "params": {"ef": 200}}, 1100, "ambiguous parameter: ef")
        refuse({"explain": "perhaps"}, 1100, "explain")


@pytest.mark.parametrize(
    "index, words",
    [
        (index_on("HNSW", M=1), "param 'M' (1) should be in range [2, 2048]"),
        (index_on("HNSW", M="10000"), "param 'M' (10000) should be in range [2, 2048]"),
        (index_on("HNSW", M="wide"), "param 'M'"),
        (index_on("HNSW", efConstruction=0), "param 'efConstruction'"),
        (index_on("IVF_FLAT", nlist=0), "param 'nlist' (0) should be in range [1, 65536]"),
        (index_on("IVF_SQ8", nlist=65537), "param 'nlist'"),
        (index_on("IVF_PQ", nlist=64, m=5), "m:5"),
        (index_on("AUTOINDEX", recall=1.5), "recall"),
        (index_on("TREE"), "invalid index type: TREE"),
        (index_on("BIN_FLAT"), "BIN_FLAT"),
        (index_on("HNSW", "HAMMING"), "HAMMING"),
    ],
)
def test_a_wrong_index_leaves_no_collection(shared_server, name, index, words):
    body = {"collectionName": name, "schema": schema(vector_field("vector", DIM)), "indexParams": [index]}
    refused(shared_server, "collections/create", body, 1100, words)
    assert shared_server.ok("collections/has", {"collectionName": name}) == {"has": False}
    # Nor does it change a collection that is there.
    create(shared_server, name)
    refused(shared_server, "indexes/create", {"collectionName": name, "indexParams": [index]}, 1100, words)
    assert shared_server.ok("indexes/list", {"collectionName": name}) == []


def test_a_recall_of_the_index_holds_for_searches_that_say_nothing(shared_server, name):
    create(shared_server, name, index_on("AUTOINDEX", "L2", recall=0.5))
    send(shared_server, name, row_texts())
    flush_and_wait(shared_server, name)
    work = []
    for params in ({"explain": True}, {"explain": True, "recall": 0.99}):
        lists, answer = search(shared_server, name, queries(), params=params)
        check_recall("L2", vectors(), lists, queries(), least=0.4)
        work.append(answer["explain"]["stats"]["compared"])
    assert work[0] < work[1]


@pytest.mark.parametrize("index_type", ["FLAT", "HNSW", "IVF_SQ8"])
def test_a_zero_vector_under_cosine_scores_zero(shared_server, name, index_type):
    base = np.concatenate([vectors(), np.zeros((3, DIM), np.float32)])
    create(shared_server, name, index_on(index_type, "COSINE"))
    insert(shared_server, name, base)
    flush_and_wait(shared_server, name)
    (hits,), _ = search(shared_server, name, [[0] * DIM])
    assert [hit["distance"] for hit in hits] == [0] * LIMIT
    assert keys(hits) == sorted(set(keys(hits)))
    (zeros,), _ = search(shared_server, name, queries()[:1], filter=f"id >= {ROWS}")
    assert [(hit["id"], hit["distance"]) for hit in zeros] == [(ROWS + i, 0) for i in range(3)]
    lists, _ = search(shared_server, name, queries())
    check_recall("COSINE", base, lists, queries())


@pytest.mark.parametrize(
    "key, limit, recall",
    [
        ("hnsw", 1000, 0.9),
        ("hnsw", 300, 0.95),
        ("ivf", 100, 0.9),
        ("ivf", 1000, 0.9),
        ("sq", 1000, 0.9),
    ],
)
def test_the_recall_asked_for_is_reached_on_long_lists(shared_server, indexed, key, limit, recall):
    lists, _ = search(shared_server, indexed(key), queries(60), limit=limit, params={"recall": recall})
    check_recall(metric_of(key), vectors(), lists, queries(60), limit=limit, least=recall - 0.05)


@pytest.mark.parametrize("key", list(SHARED_INDEXES))
def test_full_recall_finds_every_row(shared_server, indexed, key):
    for limit in (1, 10, 300):
        for params in ({"recall": 1}, {"recall": "1.0"}):
            lists, _ = search(shared_server, indexed(key), queries(), limit=limit, params=params)
            check_recall(metric_of(key), vectors(), lists, queries(), limit=limit, least=1.0)


def test_stored_rows_are_queries_too(shared_server, indexed):
    for key in ("hnsw", "ivf", "flat"):
        body = {"collectionName": indexed(key), "ids": [5, 3], "limit": 3, "searchParams": {"recall": 0.99}}
        answer = shared_server.v2("entities/search", body)
        given, _ = search(shared_server, indexed(key), vectors()[[5, 3]], limit=3, params={"recall": 0.99})
        assert answer["code"] == 0 and split(answer) == given and [hits[0]["id"] for hits in given] == [5, 3]


# ---- 3. explain ----


@pytest.mark.parametrize("key", list(SHARED_INDEXES))
def test_explain_says_how_rows_were_found(shared_server, indexed, key):
    collection = indexed(key)
    _, plain = search(shared_server, collection, queries())
    assert "explain" not in plain
    _, denied = search(shared_server, collection, queries(), params={"explain": False})
    assert "explain" not in denied
    answers = [
        search(shared_server, collection, queries(), params=params, filter="team < 20")[1]
        for params in ({"explain": True}, {"params": {"explain": "true"}})
    ]
    assert answers[0]["explain"] == answers[1]["explain"]
    (one,) = answers[0]["explain"]["searches"]
    matching = sum(team < 20 for team in columns()["team"])
    assert one["metric"] == metric_of(key) and one["kernel"]
    assert (one["rows"], one["matching"]) == (ROWS, matching)
    assert 0.9 <= one["expected_recall"] <= 1
    (segment,) = one["segments"]
    assert (segment["rows"], segment["matching"]) == (ROWS, matching)
    built_as = {"flat": None, "hnsw": "HNSW", "ivf": "IVF_FLAT", "sq": "IVF_SQ8", "cosine": "HNSW"}[key]
    assert segment["path"] in ("rows", "codes", "index") and segment["index"] == built_as
    counters = {"segments", "indexed_segments", "scored", "compared", "checked", "lists", "hops", "bytes"}
    assert set(one["stats"]) == counters and one["stats"] == answers[0]["explain"]["stats"]
    assert one["stats"]["segments"] == 1 and one["stats"]["scored"] > 0 and one["stats"]["bytes"] > 0
    assert one["stats"]["indexed_segments"] == (segment["path"] != "rows")


# ---- 4. filters ----

SHARES = [0.001, 0.01, 0.1, 0.5, 0.99]


def check_filters(server, collection, metric, alive=None, base=None):
    base = vectors() if base is None else base
    alive = np.ones(len(base), bool) if alive is None else alive
    n = np.array(columns()["n"])
    for share in SHARES:
        bound = int(share * ROWS)
        for expression, keep in [
            (f"n < {bound}", n < bound),
            (f"n >= {ROWS - bound} and team >= 0", n >= ROWS - bound),
        ]:
            keep = keep & alive
            for params in ({"recall": 0.95}, None):
                lists, _ = search(server, collection, queries(), params=params, filter=expression)
                check_recall(metric, base, lists, queries(), keep=keep)
    for limit in (1, 100, 1000):
        keep = (n < ROWS // 10) & alive
        lists, _ = search(server, collection, queries()[:5], limit=limit, filter=f"n < {ROWS // 10}")
        check_recall(metric, base, lists, queries()[:5], limit=limit, keep=keep)
    none, answer = search(server, collection, queries(), filter="n < 0")
    assert none == [[]] * QUERIES and answer["data"] == [] and answer["topks"] == [0] * QUERIES


@pytest.mark.parametrize("key", list(SHARED_INDEXES))
def test_filters_of_every_share(shared_server, indexed, key):
    check_filters(shared_server, indexed(key), metric_of(key))


@pytest.mark.parametrize(
    "key, params", [("hnsw", {"ef": 10}), ("hnsw", {"ef": 64}), ("ivf", {"nprobe": 1}), ("ivf", {"nprobe": 16})]
)
def test_a_filter_does_not_cost_rows_whatever_the_effort(shared_server, indexed, key, params):
    n = np.array(columns()["n"])
    for share in SHARES:
        keep = n < share * ROWS
        lists, _ = search(shared_server, indexed(key), queries(), params=params, filter=f"n < {int(share * ROWS)}")
        check_recall("L2", vectors(), lists, queries(), keep=keep, least=0.2 if params.get("nprobe") == 1 else 0.8)


@pytest.mark.parametrize(
    "key, share",
    [
        ("flat", 0.5),
        ("hnsw", 0.9),
        ("hnsw", 0.5),
        ("hnsw", 0.05),
        ("ivf", 0.9),
        ("ivf", 0.5),
        ("ivf", 0.2),
        ("ivf", 0.05),
    ],
)
def test_a_filter_on_rows_far_from_the_query(shared_server, indexed, key, share):
    """What matches lies away from the query: `rank` is the place by distance from the first one."""
    bound = int(ROWS * (1 - share))
    keep = far_ranks() >= bound
    near = queries()[0] + 0.05 * np.random.default_rng(3).normal(size=(QUERIES, DIM)).astype(np.float32)
    lists, _ = search(shared_server, indexed(key), near, params={"recall": 0.95}, filter=f"rank >= {bound}")
    check_recall("L2", vectors(), lists, near, keep=keep)


@pytest.mark.parametrize("key", ["hnsw", "sq", "cosine"])
def test_deleted_rows_are_not_found(shared_server, name, key):
    server, metric = shared_server, metric_of(key)
    create(server, name, SHARED_INDEXES[key], scalars=tuple(TYPES))
    send(server, name, row_texts(tuple(TYPES)))
    flush_and_wait(server, name)
    alive = np.arange(ROWS) % 3 != 1
    server.ok("entities/delete", {"collectionName": name, "filter": "id % 3 == 1"})
    # At once; and when the deletion is in the files, whether or not they are rewritten.
    lists, _ = search(server, name, queries())
    check_recall(metric, vectors(), lists, queries(), keep=alive)
    described = flush_and_wait(server, name)
    assert described["totalRows"] == described["indexedRows"] == alive.sum()
    check_filters(server, name, metric, alive)
    # Moved rows are found where they are now, beside those that did not move.
    base = vectors().copy()
    base[:300] = base[:300][::-1]
    texts = row_texts(tuple(TYPES))
    moved = [{**json.loads(text), "vector": vector} for text, vector in zip(texts, base[:300].tolist())]
    server.ok("entities/upsert", {"collectionName": name, "data": moved})
    alive[:300] = True
    for _ in range(2):
        lists, _ = search(server, name, queries())
        check_recall(metric, base, lists, queries(), keep=alive)
        found, _ = search(server, name, base[:20], limit=1, params={"recall": 1.0})
        if metric != "IP":
            assert [keys(hits) for hits in found] == [[i] for i in range(20)]
        flush_and_wait(server, name)
    server.ok("collections/drop", {"collectionName": name})


# ---- 5. range search ----


def between(scores, order, place):
    """A bound that leaves `place` rows on its better side."""
    return float(scores[order[place - 1]] + scores[order[place]]) / 2


@pytest.mark.parametrize("key", list(SHARED_INDEXES))
def test_range_search_keeps_what_lies_between_the_bounds(shared_server, indexed, key):
    metric, collection = metric_of(key), indexed(key)
    recalls = []
    for query in queries()[:6]:
        order, scores = ranked(metric, vectors(), query)
        inner, outer = between(scores, order, 15), between(scores, order, 60)
        for params, limit, wanted in [
            ({"radius": outer}, 200, order[:60]),
            ({"radius": outer}, 20, order[:20]),
            ({"radius": str(outer)}, 200, order[:60]),
            ({"radius": outer, "range_filter": inner}, 200, order[15:60]),
            ({"params": {"radius": outer, "range_filter": str(inner)}}, 20, order[15:35]),
            ({"radius": outer, "range_filter": inner, "recall": 1.0}, 200, order[15:60]),
            ({"range_filter": inner}, 20, order[:20]),
            ({"radius": between(scores, order, 1), "metric_type": metric}, 20, order[:1]),
        ]:
            (hits,), _ = search(shared_server, collection, [query], limit=limit, params=params)
            check_hits(metric, hits, scores)
            wanted = [int(i) for i in wanted]
            bounds = {**params, **params.get("params", {})}
            if "radius" in bounds:
                assert set(keys(hits)) <= set(order[:60].tolist())
            # Between two bounds every row is compared.
            if {"radius", "range_filter"} <= set(bounds) or key == "flat":
                assert keys(hits) == wanted, params
            recalls.append(len(set(keys(hits)) & set(wanted)) / len(wanted))
        far = -1.0 if metric == "L2" else float(scores.max()) + 1
        (none,), _ = search(shared_server, collection, [query], params={"radius": far})
        assert none == []
        (hits,), _ = search(
            shared_server, collection, [query], limit=200, params={"radius": outer}, filter="team == 3"
        )
        keep = np.array(columns()["team"]) == 3
        assert keys(hits) == [i for i in order[:60] if keep[i]]
    assert np.mean(recalls) >= 0.95, recalls


@pytest.mark.parametrize("key", list(SHARED_INDEXES))
def test_range_bounds_the_wrong_way_round_are_refused(shared_server, indexed, key):
    inner, outer = (2.0, 1.0) if metric_of(key) == "L2" else (0.1, 0.5)
    refuse = functools.partial(refused_search, shared_server, indexed(key))
    refuse({"radius": outer, "range_filter": inner}, 1100, "range_filter", "radius")
    refuse({"radius": 0.5, "range_filter": 0.5}, 1100, "range_filter")
    refuse({"radius": "wide"}, 1100, "radius")


def test_bounds_of_a_range_are_exact(shared_server, name):
    """L2 keeps range_filter <= d < radius, similarities radius < s <= range_filter."""
    for metric, params, wanted in [
        ("L2", {"radius": 9, "range_filter": 1}, [1, 2]),
        ("IP", {"radius": 1, "range_filter": 3}, [3, 2]),
    ]:
        collection = f"{name}_{metric}"
        create(shared_server, collection, index_on("FLAT", metric), dim=2)
        insert(shared_server, collection, [[x, 0] for x in range(6)])
        (hits,), _ = search(shared_server, collection, [[0 if metric == "L2" else 1, 0]], params=params)
        assert keys(hits) == wanted, hits


# ---- 6. grouping ----


def groups_of(order, values):
    """Rows of each value, best first; values by their best row."""
    groups = collections.OrderedDict()
    for row in order:
        groups.setdefault(values[row], []).append(int(row))
    return groups


def groups_in(hits, field_name):
    groups = collections.OrderedDict()
    for hit in hits:
        groups.setdefault(hit[field_name], []).append(hit["id"])
    return groups


@pytest.mark.parametrize("grouping", ["team", "label", "flag", "skewed"])
@pytest.mark.parametrize("key", ["flat", "hnsw", "sq"])
def test_a_group_is_its_best_rows(shared_server, indexed, key, grouping):
    metric, values = metric_of(key), columns()[grouping]
    shares = []
    for size, strict, more in [
        (1, False, {"groupingField": grouping}),
        (1, True, {"groupingField": grouping, "groupSize": 1, "strictGroupSize": True}),
        (3, False, {"groupingField": grouping, "groupSize": 3}),
        (3, True, {"groupingField": grouping, "groupSize": 3, "strictGroupSize": True}),
        (1, False, {"params": {"group_by_field": grouping}}),
        (3, True, {"params": {"params": {"group_by_field": grouping, "group_size": "3", "strict_group_size": True}}}),
    ]:
        params = {"recall": 0.98, **more.pop("params", {})}
        lists, _ = search(
            shared_server, indexed(key), queries()[:6], limit=8, params=params, outputFields=[grouping], **more
        )
        for query, hits in zip(queries(), lists):
            order, scores = ranked(metric, vectors(), query)
            wanted = groups_of(order, values)
            found = groups_in(hits, grouping)
            for group, rows in found.items():
                check_hits(metric, [hit for hit in hits if hit[grouping] == group], scores)
                assert all(values[row] == group for row in rows) and len(rows) <= size
                if strict:
                    assert len(rows) == min(size, len(wanted[group])), (group, rows)
            assert len(found) == min(8, len(wanted))
            best = [scores[rows[0]] for rows in found.values()]
            assert best == sorted(best, reverse=metric != "L2"), "groups are in the order of their best rows"
            first = dict(itertools.islice(wanted.items(), 8))
            if key == "flat":
                assert list(found) == list(first)
                assert all(rows == first[group][: len(rows)] for group, rows in found.items())
            right = sum(rows[0] == first.get(group, [None])[0] for group, rows in found.items())
            shares.append(right / len(first))
    assert np.mean(shares) >= 0.95, shares


def test_groups_with_filter_offset_and_little_effort(shared_server, indexed):
    team = columns()["team"]
    keep = np.array(columns()["n"]) < ROWS // 5
    for key, params in [("flat", {}), ("hnsw", {"ef": 8}), ("ivf", {"nprobe": 1})]:
        more = {"groupingField": "team", "outputFields": ["team"], "filter": f"n < {ROWS // 5}"}
        whole, _ = search(shared_server, indexed(key), queries()[:4], limit=GROUPS, **more)
        paged, _ = search(shared_server, indexed(key), queries()[:4], limit=5, offset=3, params=params, **more)
        for query, all_hits, hits in zip(queries(), whole, paged):
            order, _ = ranked("L2", vectors(), query, keep)
            wanted = groups_of(order, team)
            assert len(groups_in(all_hits, "team")) == len(wanted) and len(groups_in(hits, "team")) == 5
            if key == "flat":
                assert [(h["team"], h["id"]) for h in all_hits] == [(t, rows[0]) for t, rows in wanted.items()]
                assert hits == all_hits[3:8]


def test_wrong_groups_are_refused(shared_server, indexed):
    for key in ("flat", "hnsw"):
        refuse = functools.partial(refused_search, shared_server, indexed(key))
        refuse({}, 1100, "group size", groupingField="team", groupSize=11)
        refuse({}, 1100, "group size", groupingField="team", groupSize=0)
        refuse({}, 1100, "group size", groupingField="team", groupSize=-1)
        refuse({"group_by_field": "team", "group_size": 11}, 1100, "group size")
        refuse({}, 1100, "Double", groupingField="price")
        refuse({}, 1100, "FloatVector", groupingField="vector")
        refuse({}, 1100, "group size", groupingField="id", groupSize=11)


@pytest.mark.parametrize("body", [{"groupingField": "nothing"}, {"searchParams": {"group_by_field": "nothing"}}])
def test_an_unknown_field_of_groups_is_refused(shared_server, indexed, body):
    base = {"collectionName": indexed("flat"), "data": [[0.5] * DIM], "limit": LIMIT}
    refused(shared_server, "entities/search", {**base, **body}, 1700, "field not found[field=nothing]")


# ---- 7. pages ----


@pytest.mark.parametrize("key", list(SHARED_INDEXES))
@pytest.mark.parametrize("expression", ["", "n < 1500"])
def test_pages_make_up_one_big_page(shared_server, indexed, key, expression):
    matching = 1500 if expression else ROWS

    def page(limit, offset=0):
        more = {"params": {"recall": 1.0}, "filter": expression, "outputFields": ["n"]}
        return search(shared_server, indexed(key), queries()[:5], limit=limit, offset=offset, **more)[0]

    pages = [page(15, offset) for offset in (0, 15, 30, 45)]
    for number, hits in enumerate(page(60)):
        assert list(itertools.chain.from_iterable(page[number] for page in pages)) == hits
    assert [len(hits) for hits in page(10, matching - 4)] == [4] * 5
    assert page(10, matching + 5) == [[]] * 5


def test_windows_out_of_range_are_refused(shared_server, indexed):
    for more, words in [
        ({"limit": 0}, "topk [0] is invalid"),
        ({"limit": 16385}, "topk [16385] is invalid"),
        ({"offset": -1}, "offset [-1] is invalid"),
        ({"limit": 10, "offset": 16380}, "offset+topk [16390] is invalid"),
    ]:
        refused_search(shared_server, indexed("hnsw"), {}, 1100, words, **more)


# ---- 8. hybrid search ----

HYBRID_ROWS = 600
HYBRID = {"a": (16, "L2"), "b": (8, "COSINE"), "c": (5, "IP")}


def hybrid_base(f):
    return vectors(HYBRID_ROWS + 3, HYBRID[f][0], seed=ord(f))[:HYBRID_ROWS]


def hybrid_queries(f, count):
    return vectors(HYBRID_ROWS + 3, HYBRID[f][0], seed=ord(f))[HYBRID_ROWS : HYBRID_ROWS + count]


@pytest.fixture(scope="module")
def hybrid(shared_server):
    collection = "hybrid"
    body = {
        "collectionName": collection,
        "schema": schema(*(vector_field(f, dim) for f, (dim, _) in HYBRID.items()), field("team", "Int64")),
        "indexParams": [index_on("FLAT", metric, f) for f, (_, metric) in HYBRID.items()],
    }
    shared_server.ok("collections/create", body)
    bases = {f: hybrid_base(f).tolist() for f in HYBRID}
    rows = [{"id": i, "team": i % 7, **{f: base[i] for f, base in bases.items()}} for i in range(HYBRID_ROWS)]
    shared_server.ok("entities/insert", {"collectionName": collection, "data": rows})
    return collection


def sub(f, nq=2, limit=40, **more):
    return {"annsField": f, "data": hybrid_queries(f, nq).tolist(), "limit": limit, **more}


def lists_of(searches, number):
    """The hits of each search by brute force: keys and scores, in order."""
    for one in searches:
        metric = HYBRID[one["annsField"]][1]
        keep = np.arange(HYBRID_ROWS) % 7 < 4 if one.get("filter") else None
        order, scores = ranked(metric, hybrid_base(one["annsField"]), one["data"][number], keep)
        offset = one.get("offset", 0)
        yield metric, [(int(i), scores[i]) for i in order[offset : offset + one["limit"]]]


def fuse_by_rank(searches, number, k):
    fused = collections.defaultdict(np.float32)
    for _, hits in lists_of(searches, number):
        for rank, (key, _) in enumerate(hits, 1):
            fused[key] += np.float32(1) / (np.float32(k) + np.float32(rank))
    return sorted(fused.items(), key=lambda item: (-item[1], item[0]))


def fuse_by_weight(searches, number, weights, normalized):
    fused = collections.defaultdict(float)
    for (metric, hits), weight in zip(lists_of(searches, number), weights):
        for key, score in hits:
            if metric == "L2":
                score = 1 - 2 * np.arctan(score) / np.pi
            elif normalized:
                score = (1 + score) / 2 if metric == "COSINE" else 0.5 + np.arctan(score) / np.pi
            fused[key] += weight * score
    return sorted(fused.items(), key=lambda item: (-item[1], item[0]))


def hybrid_search(server, collection, searches, rerank, path="hybrid_search", **more):
    body = {"collectionName": collection, "search": searches, "rerank": rerank, "limit": 20, **more}
    answer = server.v2(f"entities/{path}", body)
    assert answer["code"] == 0, answer
    return split(answer), answer


SEARCHES = {
    "two": [sub("a"), sub("b")],
    "three": [sub("a"), sub("b"), sub("c")],
    "windows": [sub("a", limit=25, offset=5), sub("c", limit=60, filter="team < 4")],
    "one": [sub("b", limit=20)],
    "same twice": [sub("a"), sub("a", limit=10)],
}


@pytest.mark.parametrize("case", list(SEARCHES))
@pytest.mark.parametrize(
    "rerank, k", [({"strategy": "rrf"}, 60), ({"strategy": "rrf", "params": {"k": 7}}, 7), ({}, 60)]
)
def test_ranks_are_fused(shared_server, hybrid, case, rerank, k):
    searches = SEARCHES[case]
    lists, answer = hybrid_search(shared_server, hybrid, searches, rerank, outputFields=["team"])
    again = hybrid_search(shared_server, hybrid, searches, rerank, path="advanced_search", outputFields=["team"])
    assert again[1] == answer
    page, _ = hybrid_search(shared_server, hybrid, searches, rerank, limit=6, offset=4)
    for number, hits in enumerate(lists):
        wanted = fuse_by_rank(searches, number, k)[:20]
        assert keys(hits) == [key for key, _ in wanted]
        assert np.allclose([hit["distance"] for hit in hits], [score for _, score in wanted], rtol=1e-5)
        assert [hit["team"] for hit in hits] == [key % 7 for key, _ in wanted]
        assert keys(page[number]) == [key for key, _ in wanted[4:10]]


@pytest.mark.parametrize("case", list(SEARCHES))
@pytest.mark.parametrize("normalized", [True, False, None])
def test_weighted_scores_are_fused(shared_server, hybrid, case, normalized):
    searches = SEARCHES[case]
    weights = [0.7, 0.3, 1.0][: len(searches)]
    params = {"weights": weights, **({} if normalized is None else {"norm_score": normalized})}
    rerank = {"strategy": "weighted", "params": params}
    lists, answer = hybrid_search(shared_server, hybrid, searches, rerank)
    assert hybrid_search(shared_server, hybrid, searches, rerank, path="advanced_search")[1] == answer
    for number, hits in enumerate(lists):
        wanted = fuse_by_weight(searches, number, weights, bool(normalized))
        scores = dict(wanted)
        assert np.allclose([hit["distance"] for hit in hits], [score for _, score in wanted[:20]], atol=1e-5)
        assert np.allclose([hit["distance"] for hit in hits], [scores[key] for key in keys(hits)], atol=1e-5)
        assert len(set(keys(hits))) == 20


@pytest.mark.parametrize("size, strict", [(1, False), (3, True)])
def test_hybrid_searches_are_grouped(shared_server, hybrid, size, strict):
    searches = [sub("a", limit=HYBRID_ROWS), sub("c", limit=HYBRID_ROWS)]
    more = {"groupingField": "team", "groupSize": size, "strictGroupSize": strict, "outputFields": ["team"]}
    lists, _ = hybrid_search(shared_server, hybrid, searches, {}, limit=4, offset=1, **more)
    for number, hits in enumerate(lists):
        groups = groups_of([key for key, _ in fuse_by_rank(searches, number, 60)], [i % 7 for i in range(HYBRID_ROWS)])
        wanted = {team: rows[:size] for team, rows in itertools.islice(groups.items(), 1, 5)}
        assert list(groups_in(hits, "team").items()) == list(wanted.items())


@pytest.mark.parametrize(
    "size",
    [
        11,
        0,
    ],
)
def test_wrong_group_sizes_of_hybrid_searches_are_refused(shared_server, hybrid, size):
    body = {"collectionName": hybrid, "search": [sub("a"), sub("b")], "groupingField": "team", "groupSize": size}
    answer = requests.post(f"{shared_server.url}/v2/vectordb/entities/hybrid_search", json=body, timeout=3).json()
    assert answer["code"] == 1100 and "group size" in answer["message"], answer


def test_hybrid_searches_group_and_explain(shared_server, hybrid):
    lists, answer = hybrid_search(
        shared_server, hybrid, SEARCHES["three"], {}, limit=5, groupingField="team", outputFields=["team"], explain=True
    )
    assert all(len({hit["team"] for hit in hits}) == len(hits) == 5 for hits in lists)
    assert [one["metric"] for one in answer["explain"]["searches"]] == ["L2", "COSINE", "IP"]
    _, plain = hybrid_search(shared_server, hybrid, SEARCHES["three"], {})
    assert "explain" not in plain


def test_wrong_hybrid_searches_are_refused(shared_server, hybrid):
    weighted = lambda *weights: {"strategy": "weighted", "params": {"weights": list(weights)}}
    for searches, rerank, code, words in [
        ([sub("a"), sub("b")], weighted(0.5), 1100, "weights"),
        ([sub("a"), sub("b")], weighted(0.5, 0.5, 0.5), 1100, "weights"),
        ([sub("a"), sub("b")], weighted(0.5, 2), 1100, "[0, 1]"),
        ([sub("a"), sub("b")], weighted(-0.1, 1), 1100, "[0, 1]"),
        ([sub("a"), sub("b")], {"strategy": "weighted"}, 1100, "weights"),
        ([sub("a"), sub("b")], {"strategy": "best"}, 1100, "unsupported rank type best"),
        ([sub("a"), sub("b")], {"strategy": "rrf", "params": {"k": 0}}, 1100, "k"),
        ([sub("a"), sub("b")], {"strategy": "rrf", "params": {"k": 16384}}, 1100, "k"),
        ([sub("a", nq=2), sub("b", nq=1)], {"strategy": "rrf"}, 1100, "nq"),
        ([sub("a"), {**sub("b"), "annsField": "team"}], {}, 1801, "team"),
        ([sub("a"), {**sub("b"), "annsField": "a"}], {}, 1801, "dimension: 16, but length of []float: 8"),
        ([sub("a"), {**sub("b"), "metricType": "L2"}], {}, 1100, "metric type not match"),
        ([sub("a"), {**sub("b"), "params": {"ef": 3}}], {}, 1100, "ef(3) should be larger than k(40)"),
        ([sub("a"), sub("b", limit=0)], {}, 1100, "topk [0]"),
    ]:
        for path in ("entities/hybrid_search", "entities/advanced_search"):
            refused(shared_server, path, {"collectionName": hybrid, "search": searches, "rerank": rerank}, code, words)
    for searches in ({}, {"search": []}):
        answer = shared_server.v2("entities/hybrid_search", {"collectionName": hybrid, "rerank": {}, **searches})
        assert answer["code"] in (1100, 1802) and "data" not in answer
    body = {"collectionName": hybrid, "search": [sub("a"), sub("b")], "limit": 16384, "offset": 1}
    refused(shared_server, "entities/hybrid_search", body, 1100, "16385")


# ---- 9. the life of an index ----


def check_right(server, name, least=0.9):
    lists, answer = search(server, name, queries(), params={"recall": 0.95, "metric_type": "L2", "explain": True})
    check_recall("L2", vectors(), lists, queries(), least=least)
    return {segment["path"] for segment in answer["explain"]["searches"][0]["segments"]}


def index_files(folder):
    return sorted((folder / "data" / "collections").glob("*/derived/*.index"))


def wait_right(server, name, index="vector"):
    """Searches until the index is finished, and every answer is right."""

    def look():
        check_right(server, name)
        return is_finished(describe(server, name, index))

    wait_until(look, "the index is finished")


def test_an_index_is_made_dropped_and_made_anew(start, tmp_path, name):
    server = start()
    create(server, name)
    send(server, name, row_texts())
    assert server.ok("indexes/list", {"collectionName": name}) == []
    assert check_right(server, name) == {"rows"}
    server.ok("collections/flush", {"collectionName": name})
    assert check_right(server, name) == {"rows"} and index_files(tmp_path) == []

    first = {**index_on("HNSW", M=16, efConstruction=100), "indexName": "first"}
    hnsw = {"collectionName": name, "indexParams": [first]}
    server.ok("indexes/create", hnsw)
    wait_right(server, name, "first")
    assert server.ok("indexes/list", {"collectionName": name}) == ["first"]
    (file,) = index_files(tmp_path)
    assert check_right(server, name) == {"index"}
    server.ok("indexes/create", hnsw)
    ivf = {"collectionName": name, "indexParams": [index_on("IVF_FLAT", nlist=64)]}
    refused(server, "indexes/create", ivf, 1100, "creating multiple indexes on same field is not supported")
    other = {"collectionName": name, "indexParams": [{**index_on("HNSW", M=32), "indexName": "first"}]}
    refused(server, "indexes/create", other, 1100)
    assert server.ok("indexes/list", {"collectionName": name}) == ["first"]
    assert describe(server, name, "first")["builtAs"] == "HNSW"

    server.ok("indexes/drop", {"collectionName": name, "indexName": "first"})
    assert check_right(server, name) == {"rows"} and not file.exists()
    assert server.ok("indexes/list", {"collectionName": name}) == []
    assert server.v2("indexes/describe", {"collectionName": name, "indexName": "first"})["code"] == 700
    server.ok("indexes/drop", {"collectionName": name, "indexName": "first"})

    server.ok("indexes/create", ivf)
    wait_right(server, name)
    assert describe(server, name)["builtAs"] == "IVF_FLAT" and check_right(server, name) == {"index"}
    # New rows are found at once, sealed or not, and an index dropped while it is built leaves nothing.
    more = vectors(200, seed=9)
    rows = [{"id": ROWS + i, "vector": vector} for i, vector in enumerate(more.tolist())]
    server.ok("entities/insert", {"collectionName": name, "data": rows})
    for _ in range(2):
        found, _ = search(server, name, more[:20], limit=1)
        assert [keys(hits) for hits in found] == [[ROWS + i] for i in range(20)]
        described = flush_and_wait(server, name)
        assert (described["totalRows"], described["indexedRows"]) == (ROWS + 200, ROWS + 200)
    server.ok("entities/delete", {"collectionName": name, "filter": f"id >= {ROWS}"})
    server.ok("indexes/drop", {"collectionName": name, "indexName": "vector"})
    server.ok("indexes/create", {"collectionName": name, "indexParams": [index_on("HNSW", M=64, efConstruction=2000)]})
    server.ok("indexes/drop", {"collectionName": name, "indexName": "vector"})
    assert check_right(server, name) <= {"rows", "nothing"}
    server.ok("indexes/create", {"collectionName": name, "indexParams": [index_on("FLAT")]})
    assert is_finished(describe(server, name)) and check_right(server, name) <= {"rows", "nothing"}
    assert server.stop() == 0
    assert index_files(tmp_path) == []


@pytest.mark.parametrize(
    "index, damages",
    [
        (index_on("HNSW", M=16, efConstruction=100), ["deleted", "overwritten", "cut short"]),
        (index_on("IVF_SQ8", nlist=64), ["overwritten"]),
    ],
)
def test_an_index_outlives_the_program_and_damage_to_its_file(start, tmp_path, name, index, damages):
    server = start()
    create(server, name, index)
    send(server, name, row_texts())
    flush_and_wait(server, name)
    assert check_right(server, name) == {"index"}
    (file,) = index_files(tmp_path)
    content, made = file.read_bytes(), file.stat().st_mtime_ns
    rebuilt = lambda: any("an index is built again" in line for line in server.lines)

    assert server.stop() == 0
    server = start()
    wait_right(server, name)
    assert check_right(server, name) == {"index"}
    assert index_files(tmp_path) == [file] and file.stat().st_mtime_ns == made and not rebuilt()

    middle, junk = len(content) // 2, bytes(range(100, 200))
    for damage in damages:
        server.stop()
        if damage == "deleted":
            file.unlink()
        elif damage == "overwritten":
            with file.open("r+b") as handle:
                handle.seek(middle)
                handle.write(junk)
        else:
            with file.open("r+b") as handle:
                handle.truncate(middle)
        server = start()
        wait_right(server, name)
        assert check_right(server, name) == {"index"}, damage
        assert index_files(tmp_path) == [file] and rebuilt() == (damage != "deleted")
        # A graph is not built twice the same, but about as large.
        assert 0.9 < file.stat().st_size / len(content) < 1.1 and junk not in file.read_bytes()
    server.kill()
    server = start()
    wait_right(server, name)
    assert index_files(tmp_path) == [file] and not rebuilt()


@pytest.mark.parametrize(
    "body, code, words",
    [
        ([index_on("HNSW", field_name="nothing")], 1100, "cannot create index on non-exist field: nothing"),
        ([], 1802, ""),
        ([index_on("HNSW", field_name="id")], 1100, ""),
    ],
)
def test_indexes_on_what_cannot_have_one_are_refused(shared_server, name, body, code, words):
    create(shared_server, name)
    refused(shared_server, "indexes/create", {"collectionName": name, "indexParams": body}, code, words)
    assert shared_server.ok("indexes/list", {"collectionName": name}) == []


# ---- 10. duplicates and few rows ----

SAME = 5000
MANY_TWINS = [
    ("FLAT", "COSINE"),
    ("HNSW", "L2"),
    ("HNSW", "COSINE"),
    ("HNSW_SQ", "COSINE"),
    ("IVF_FLAT", "L2"),
    ("IVF_SQ8", "COSINE"),
]


@functools.cache
def with_twins():
    """Vectors of which 5,000, at places drawn at random, are the same; and which those are."""
    same = np.zeros(ROWS, bool)
    same[np.random.default_rng(4).permutation(ROWS)[:SAME]] = True
    base = vectors().copy()
    base[same] = vectors(1, seed=77)[0]
    return base, same


@pytest.fixture(scope="module")
def twin_collections(shared_server):
    names = [f"twins_{number}" for number in range(len(MANY_TWINS))]
    for collection, (index_type, metric) in zip(names, MANY_TWINS):
        create(shared_server, collection, index_on(index_type, metric))
        insert(shared_server, collection, with_twins()[0])
        shared_server.ok("collections/flush", {"collectionName": collection})
    return names


@pytest.mark.parametrize("number", range(len(MANY_TWINS)), ids=["-".join(case) for case in MANY_TWINS])
def test_many_rows_with_one_vector(shared_server, twin_collections, number):
    (index_type, metric), name = MANY_TWINS[number], twin_collections[number]
    base, same = with_twins()
    wait_indexed(shared_server, name)
    twins = [int(i) for i in np.flatnonzero(same)]
    best = 0 if metric == "L2" else 1
    narrow = {"ef": 10} if index_type.startswith("HNSW") else {"nprobe": 1}
    for params in (None, {"recall": 0.5}, {"recall": 1.0}, narrow):
        for count in (1, 20):  # one query, and many at once
            lists, _ = search(shared_server, name, [base[twins[0]]] * count, params=params)
            for hits in lists:
                assert keys(hits) == twins[:LIMIT], (params, hits)
                assert np.allclose([hit["distance"] for hit in hits], best, atol=1e-6)
    (hits,), _ = search(shared_server, name, [base[twins[0]]], filter=f"id > {twins[50]}")
    assert keys(hits) == twins[51 : 51 + LIMIT]
    (hits,), _ = search(shared_server, name, [base[twins[0]]], limit=16384)
    assert keys(hits)[:SAME] == twins and sorted(keys(hits)) == list(range(ROWS))
    others, _ = search(shared_server, name, base[~same][:QUERIES], params={"recall": 0.95})
    assert [hits[0]["id"] for hits in others] == [int(i) for i in np.flatnonzero(~same)[:QUERIES]]
    shared_server.ok("entities/delete", {"collectionName": name, "filter": f"id in {twins[:5]}"})
    (hits,), _ = search(shared_server, name, [base[twins[0]]])
    assert keys(hits) == twins[5 : 5 + LIMIT]
    (hits,), _ = search(shared_server, name, [base[twins[0]]], limit=10000)
    assert len(hits) == ROWS - 5
    shared_server.ok("collections/drop", {"collectionName": name})


@pytest.mark.parametrize("index_type", ["HNSW", "IVF_FLAT"])
def test_all_rows_with_one_vector(shared_server, name, index_type):
    base = np.tile(vectors(1, seed=5), (4200, 1))
    create(shared_server, name, index_on(index_type, "L2"))
    insert(shared_server, name, base)
    flush_and_wait(shared_server, name)
    for query, distance in [(base[0], 0), (base[0] + 1, DIM)]:
        (hits,), _ = search(shared_server, name, [query])
        assert keys(hits) == list(range(LIMIT))
        assert np.allclose([hit["distance"] for hit in hits], distance, rtol=1e-4)


@pytest.mark.parametrize("index_type", ["FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX"])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_rows(shared_server, name, index_type, rows):
    create(shared_server, name, index_on(index_type, "IP"))
    if rows:
        insert(shared_server, name, vectors()[:rows])
    for _ in range(2):
        lists, answer = search(shared_server, name, queries()[:3], params={"recall": 0.95})
        check_recall("IP", vectors()[:rows], lists, queries()[:3], least=1.0 if rows else 0)
        assert answer["topks"] == [rows] * 3
        described = flush_and_wait(shared_server, name)
        assert (described["totalRows"], described["indexedRows"]) == (rows, rows)
    grouped, _ = search(shared_server, name, queries()[:1], groupingField="id")
    assert len(grouped[0]) == rows


# ---- 11. metrics ----


def test_metrics_tell_of_indexes_and_of_work(shared_server, indexed):
    collection = indexed("hnsw")

    def metrics():
        text = requests.get(f"{shared_server.admin}/metrics", timeout=PATIENCE).text
        found = re.findall(r"^(elanus_\w+)(\{.*\})? (\S+)$", text, re.MULTILINE)
        return {f"{key}{labels}": float(value) for key, labels, value in found}

    before = metrics()
    work = {key: value for key, value in before.items() if key.startswith("elanus_search_work_total{")}
    _, answer = search(shared_server, collection, queries(), params={"explain": True})
    after = metrics()
    for what in ("scored", "compared", "hops"):
        grown = [after[key] - before[key] for key in work if f'what="{what}"' in key]
        assert grown == [answer["explain"]["stats"][what]] and grown[0] > 0, (what, work)
    labels = f'{{collection="{collection}"}}'
    wait_until(lambda: metrics().get(f"elanus_collection_indexed_rows{labels}") == ROWS, "the rows are in the metrics")
    last = metrics()
    assert last[f"elanus_collection_index_pending_rows{labels}"] == 0
    assert last[f"elanus_collection_index_bytes{labels}"] > 0
