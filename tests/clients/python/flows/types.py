"""Values of every type, through the client and back, and searches in every kind of vector."""

import numpy as np
from data import vectors
from place import flow
from pymilvus import DataType, MilvusClient

from .rows import plain


def with_vector(place, kind, index_type, metric, dim=None, params=None, field_params=None):
    client, name = place.client, place.name("typed")
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", kind, **({"dim": dim} if dim else {}))
    index = MilvusClient.prepare_index_params()
    index.add_index("v", index_type=index_type, metric_type=metric, params=params or {})
    client.create_collection(name, schema=schema, index_params=index)
    return name


@flow()
def scalars(place):
    client, name = place.client, place.name("scalars")
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description="all of them")
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    values = {
        "b": (DataType.BOOL, [True, False, True]),
        "i8": (DataType.INT8, [-128, 127, 0]),
        "i16": (DataType.INT16, [-32768, 32767, 0]),
        "i32": (DataType.INT32, [-(2**31), 2**31 - 1, 0]),
        "i64": (DataType.INT64, [-(2**63), 2**63 - 1, 2**53 + 1]),
        "f": (DataType.FLOAT, [1.5, -3.25, 1e-20]),
        "d": (DataType.DOUBLE, [0.1, -1e300, 2**-1074]),
        "s": (DataType.VARCHAR, ["", "ünï ✓ 日本", "a'b\"c\\d\n"]),
        "j": (DataType.JSON, [{"a": [1, {"b": None}], "big": 2**53 + 1}, [1, "x"], {"ü": 1.5}]),
    }
    for field, (kind, _) in values.items():
        schema.add_field(field, kind, **({"max_length": 100} if kind == DataType.VARCHAR else {}))
    arrays = {
        "ab": (DataType.BOOL, [[True, False], [], [True]]),
        "a8": (DataType.INT8, [[1, -1], [], [127]]),
        "a32": (DataType.INT32, [[1, 2], [], [-3]]),
        "a64": (DataType.INT64, [[2**63 - 1], [], [0, 1]]),
        "af": (DataType.FLOAT, [[0.5], [], [1.25, 2]]),
        "ad": (DataType.DOUBLE, [[0.1], [], [1e300]]),
        "as": (DataType.VARCHAR, [["a", "ü"], [], ["", "b"]]),
    }
    for field, (kind, _) in arrays.items():
        more = {"max_length": 20} if kind == DataType.VARCHAR else {}
        schema.add_field(field, DataType.ARRAY, element_type=kind, max_capacity=4, **more)
    index = MilvusClient.prepare_index_params()
    index.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    both = {**values, **arrays}
    rows = [{"id": i, "v": [float(i), 1.0], **{field: cells[i] for field, (_, cells) in both.items()}} for i in range(3)]
    assert client.insert(name, rows)["insert_count"] == 3
    got = client.query(name, filter="id >= 0", output_fields=list(both), limit=10)
    for row, written in zip(got, rows):
        for field, (kind, _) in both.items():
            value = list(row[field]) if isinstance(row[field], (list, tuple)) or field in arrays else row[field]
            wanted = written[field]
            if kind == DataType.FLOAT:
                assert np.array_equal(np.float32(value), np.float32(wanted)), field
            else:
                assert value == wanted and type(value) is type(wanted), (field, value, wanted)
    described = {f["name"]: f for f in client.describe_collection(name)["fields"]}
    assert list(described) == ["id", "v", *both]
    assert all(described[field]["type"] == kind for field, (kind, _) in values.items())
    assert all(described[field]["element_type"] == kind for field, (kind, _) in arrays.items())
    assert described["s"]["params"]["max_length"] in (100, "100")
    found = client.search(name, data=[[2.0, 1.0]], limit=1, output_fields=["i64", "s", "j", "as"])[0][0]["entity"]
    assert (found["i64"], found["s"], found["j"], list(found["as"])) == (2**53 + 1, "a'b\"c\\d\n", {"ü": 1.5}, ["", "b"])


@flow(lite="has none")
def binary_vectors(place):
    client = place.client
    bits = np.random.default_rng(3).integers(0, 2, (200, 64)).astype(bool)
    packed = [np.packbits(row).tobytes() for row in bits]
    for metric in ("HAMMING", "JACCARD"):
        name = with_vector(place, DataType.BINARY_VECTOR, "BIN_FLAT", metric, 64)
        client.insert(name, [{"id": i, "v": cell} for i, cell in enumerate(packed)])
        hits = client.search(name, data=[packed[7]], limit=10, search_params={"metric_type": metric}, output_fields=["v"])[0]
        both, either = (bits & bits[7]).sum(1), (bits | bits[7]).sum(1)
        scores = (bits != bits[7]).sum(1) if metric == "HAMMING" else 1 - both / either
        assert np.allclose([hit["distance"] for hit in hits], sorted(scores)[:10], atol=1e-5)
        assert all(abs(scores[hit["id"]] - hit["distance"]) < 1e-5 for hit in hits) and hits[0]["id"] == 7
        assert hits[0]["entity"]["v"] in (packed[7], [packed[7]])
        place.note_hits(metric, [hits])


def bfloat16(array):
    """Without a package for it: the upper half of a float, rounded to even."""
    bits = np.asarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _narrow(place, kind, encode, decode, ask, metric="L2", scale=1.0):
    client = place.client
    base = vectors(300, 8, seed=5) * scale
    cells = [encode(row) for row in base]
    exact = np.array([decode(cell) for cell in cells], np.float64)
    name = with_vector(place, kind, "HNSW", metric, 8, {"M": 16, "efConstruction": 100})
    client.insert(name, [{"id": i, "v": cell} for i, cell in enumerate(cells)])
    hits = client.search(name, data=[ask(cells[9])], limit=5, search_params={"params": {"ef": 100}}, output_fields=["v"])[0]
    scores = ((exact - exact[9]) ** 2).sum(1)
    assert hits[0]["id"] == 9
    assert np.allclose([hit["distance"] for hit in hits], np.sort(scores)[:5], rtol=2e-2, atol=1e-2)
    cell = hits[0]["entity"]["v"]
    cell = cell[0] if isinstance(cell, list) and len(cell) == 1 else cell
    assert np.array_equal(decode(cell), exact[9])


@flow(lite="has no halves")
def half_precision_vectors(place):
    decode = lambda cell: np.frombuffer(bytes(cell), np.float16) if isinstance(cell, bytes) else np.float16(cell)  # noqa: E731
    _narrow(place, DataType.FLOAT16_VECTOR, lambda row: row.astype(np.float16).tobytes(), decode, decode)


@flow(lite="has no halves")
def brain_float_vectors(place):
    decode = lambda cell: (np.frombuffer(bytes(cell), np.uint16).astype(np.uint32) << 16).view(np.float32)  # noqa: E731
    # numpy has no such numbers to ask with: plain floats do.
    ask = lambda cell: decode(cell).tolist()  # noqa: E731
    _narrow(place, DataType.BFLOAT16_VECTOR, lambda row: bfloat16(row).tobytes(), decode, ask)


@flow(since=(2, 6), lite="has none")
def int8_vectors(place):
    decode = lambda cell: np.frombuffer(bytes(cell), np.int8) if isinstance(cell, bytes) else np.int8(cell)  # noqa: E731
    encode = lambda row: np.clip(np.round(row), -128, 127).astype(np.int8)  # noqa: E731
    _narrow(place, DataType.INT8_VECTOR, encode, decode, decode, scale=20)


@flow()
def sparse_vectors(place):
    client = place.client
    name = with_vector(place, DataType.SPARSE_FLOAT_VECTOR, "SPARSE_INVERTED_INDEX", "IP", None, {"inverted_index_algo": "DAAT_MAXSCORE"})
    random = np.random.default_rng(8)
    cells = [{int(k): float(np.float32(random.random() + 0.1)) for k in random.choice(100, 12, replace=False)} for _ in range(200)]
    client.insert(name, [{"id": i, "v": cell} for i, cell in enumerate(cells)])
    query = {1: 0.5, 20: 1.0, 33: 0.25, 70: 2.0, 99: 0.125}
    scores = np.array([sum(w * cell.get(k, 0) for k, w in query.items()) for cell in cells])
    hits = client.search(name, anns_field="v", data=[query], limit=10, output_fields=["v"])[0]
    assert np.allclose([hit["distance"] for hit in hits], np.sort(scores)[::-1][:10], rtol=1e-4)
    assert all(abs(scores[hit["id"]] - hit["distance"]) < 1e-4 for hit in hits)
    back = hits[0]["entity"]["v"]
    assert {int(k): np.float32(x) for k, x in back.items()} == {k: np.float32(x) for k, x in cells[hits[0]["id"]].items()}
    place.note_hits("sparse", [hits])


TEXTS = [
    "information retrieval is a field of study",
    "information retrieval focuses on finding relevant information in large datasets",
    "data mining and information retrieval overlap in research",
    "cats sleep on the warm roof",
    "a cat and a dog share the garden",
]


@flow(since=(2, 6), lite="scores with negative numbers")
def full_text(place):
    from pymilvus import Function, FunctionType

    client, name = place.client, place.name("texts")
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True, auto_id=True)
    schema.add_field("text", DataType.VARCHAR, max_length=1000, enable_analyzer=True, enable_match=True)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(
        Function(name="bm25", function_type=FunctionType.BM25, input_field_names=["text"], output_field_names=["sparse"])
    )
    index = MilvusClient.prepare_index_params()
    index.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25", params={"bm25_k1": 1.2, "bm25_b": 0.75})
    client.create_collection(name, schema=schema, index_params=index)
    client.insert(name, [{"text": text} for text in TEXTS])
    hits = client.search(name, data=["information datasets"], anns_field="sparse", limit=3, output_fields=["text"])[0]
    assert [hit["entity"]["text"] for hit in hits][0] == TEXTS[1] and len(hits) == 3
    scores = [hit["distance"] for hit in hits]
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0
    assert [f["name"] for f in client.describe_collection(name)["functions"]] == ["bm25"]
    got = client.query(name, filter="text_match(text, 'cat garden')", output_fields=["text"], limit=5)
    assert [row["text"] for row in got] == [TEXTS[4]]
    place.note("scores", scores)


@flow()
def flawless_numbers_of_numpy(place):
    """Rows with numpy's own scalars and arrays, as people have them."""
    client, name = place.client, place.name("numpy")
    client.create_collection(name, dimension=4, metric_type="IP")
    base = vectors(10, 4)
    client.insert(name, [{"id": int(np.int64(i)), "vector": base[i], "n": int(i)} for i in np.arange(10)])
    assert plain(client.query(name, filter="n == 3", output_fields=["n"])) == [{"id": 3, "n": 3}]
    assert len(client.search(name, data=base[:2], limit=3)) == 2
