"""Rows come, change and go: insert, get, query, upsert, delete, count, undeclared keys."""

import math

import numpy as np
from data import vectors
from place import flow
from pymilvus import DataType, MilvusClient

DIM = 16


def people(place, count=300, **options):
    """A collection with some fields of its own and undeclared keys, and its rows."""
    client, name = place.client, place.name("people")
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("name", DataType.VARCHAR, max_length=100)
    schema.add_field("age", DataType.INT32)
    schema.add_field("score", DataType.DOUBLE)
    schema.add_field("active", DataType.BOOL)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=20)
    schema.add_field("marks", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8)
    schema.add_field("info", DataType.JSON)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index, **options)
    base = vectors(count, DIM, seed=7)
    rows = [
        {
            "id": i,
            "vector": base[i].tolist(),
            "name": f"name {i}",
            "age": i % 90,
            "score": i * 0.5,
            "active": i % 2 == 0,
            "tags": [f"t{i % 5}", f"u{i % 3}"],
            "marks": [i, i * 2, -i],
            "info": {"n": i, "deep": {"list": [i, i + 1], "word": f"w{i % 4}"}, "flag": i % 3 == 0},
            "colour": ["red", "green", "blue"][i % 3],
            "size": i / 4,
        }
        for i in range(count)
    ]
    for start in range(0, count, 100):
        assert client.insert(name, rows[start : start + 100])["insert_count"] == len(rows[start : start + 100])
    return name, rows


def plain(answer):
    """Rows as plain values: newer clients answer with lists that read columns when asked."""
    return [dict(row) for row in answer]


def same(got, row):
    """A row as it was written, vectors as 32-bit floats."""
    assert set(got) == set(row), (set(got), set(row))
    for key, value in row.items():
        if key == "vector":
            assert np.array_equal(np.float32(got[key]), np.float32(value))
        elif isinstance(value, float):
            assert math.isclose(got[key], value, rel_tol=1e-6)
        else:
            assert (list(got[key]) if isinstance(value, list) else got[key]) == value, key
    return True


@flow()
def rows_come_back_as_they_were_written(place):
    client = place.client
    name, rows = people(place)
    got = client.get(name, ids=[5, 6, 299])
    assert [row["id"] for row in got] == [5, 6, 299]
    assert all(same(row, rows[row["id"]]) for row in got)
    assert plain(client.get(name, ids=3, output_fields=["name", "colour"])) == [{"id": 3, "name": "name 3", "colour": "red"}]
    assert not client.get(name, ids=[100_000])
    got = client.query(name, filter="age > 85", output_fields=["*"], limit=100)
    assert all(same(row, rows[row["id"]]) for row in got)
    assert sorted(row["id"] for row in got) == [i for i in range(300) if i % 90 > 85]
    got = client.query(name, filter="age == 3", output_fields=["vector", "tags", "info", "size"])
    assert [set(row) for row in got] == [{"id", "vector", "tags", "info", "size"}] * 4
    assert same(got[0], {key: rows[3][key] for key in got[0]})
    # Pages in the order of keys.
    pages = [client.query(name, filter="id >= 0", output_fields=["id"], limit=70, offset=at) for at in range(0, 300, 70)]
    assert [row["id"] for page in pages for row in page] == list(range(300))
    place.note("page", [row["id"] for row in pages[1]])
    # The columns that a search brings along.
    found = client.search(name, data=[rows[9]["vector"]], limit=3, output_fields=["*"])
    assert found[0][0]["id"] == 9 and found[0][0]["distance"] == 0
    entity = dict(found[0][0]["entity"])
    assert same({"id": 9, **entity}, rows[9])
    found = client.search(name, data=[rows[9]["vector"]], limit=3, output_fields=["colour", "marks"])
    assert dict(found[0][0]["entity"]) == {"colour": "red", "marks": [9, 18, -9]}
    place.note_hits("columns", found, ["colour", "marks"])


@flow()
def counting(place):
    client = place.client
    name, rows = people(place)

    def count(filter=""):
        answer = client.query(name, filter=filter, output_fields=["count(*)"])
        assert len(answer) == 1 and set(answer[0]) == {"count(*)"}
        return answer[0]["count(*)"]

    for expression, keep in [
        ("", lambda r: True),
        ("age < 30", lambda r: r["age"] < 30),
        ("colour == 'red' and active == true", lambda r: r["colour"] == "red" and r["active"]),
        ("id == -1", lambda r: False),
    ]:
        assert count(expression) == sum(keep(r) for r in rows), expression
    client.delete(name, ids=list(range(10)))
    assert count() == 290
    client.upsert(name, [rows[5], rows[20]])
    assert count() == 291


@flow()
def deleting(place):
    client = place.client
    name, rows = people(place)
    left = lambda: [row["id"] for row in client.query(name, filter="id >= 0", output_fields=["id"], limit=1000)]  # noqa: E731
    done = client.delete(name, ids=[1, 2, 3])
    # Where a server names the keys, its client gives those.
    assert sorted(done) == [1, 2, 3] if isinstance(done, list) else done["delete_count"] == 3, done
    assert left() == [0, *range(4, 300)]
    client.delete(name, filter="age in [10, 11]")
    there = [i for i in [0, *range(4, 300)] if i % 90 not in (10, 11)]
    assert left() == there
    client.delete(name, filter="colour == 'blue' and score < 50")
    there = [i for i in there if not (i % 3 == 2 and i * 0.5 < 50)]
    assert left() == there
    client.delete(name, ids=0)
    assert left() == there[1:]
    # Deleted rows are found no more, and a key can come back.
    found = client.search(name, data=[rows[1]["vector"]], limit=300)
    assert 1 not in [hit["id"] for hit in found[0]]
    client.insert(name, rows[1])
    assert plain(client.get(name, ids=[1], output_fields=["name"])) == [{"id": 1, "name": "name 1"}]
    place.note("left", sorted(left()))


@flow()
def upserting(place):
    client = place.client
    name, rows = people(place)
    changed = [{**rows[i], "name": "changed", "vector": [float(i)] * DIM} for i in (4, 5)] + [{**rows[0], "id": 1000, "name": "new"}]
    done = client.upsert(name, changed)
    assert done["upsert_count"] == 3
    got = client.get(name, ids=[4, 5, 1000], output_fields=["name", "vector"])
    assert [row["name"] for row in got] == ["changed", "changed", "new"]
    assert np.array_equal(got[0]["vector"], [4.0] * DIM)
    assert client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"] == 301
    assert client.search(name, data=[[5.0] * DIM], limit=1)[0][0]["id"] == 5
    if place.is_lite:  # It merges undeclared keys into the old row.
        return
    # An undeclared key that a later row does not have is gone with the old row.
    without = {key: value for key, value in rows[6].items() if key not in ("colour", "size")}
    client.upsert(name, without)
    assert same(client.get(name, ids=[6])[0], without)


@flow(since=(2, 6))
def upserting_parts(place):
    client = place.client
    name, rows = people(place)
    client.upsert(name, [{"id": 7, "age": 33}, {"id": 8, "age": 34}], partial_update=True)
    got = client.get(name, ids=[7, 8])
    assert same(got[0], {**rows[7], "age": 33}) and same(got[1], {**rows[8], "age": 34})
    # Undeclared keys are merged.
    client.upsert(name, [{"id": 9, "colour": "black"}], partial_update=True)
    assert same(client.get(name, ids=[9])[0], {**rows[9], "colour": "black"})
    assert plain(client.query(name, filter="colour == 'black'", output_fields=["id"])) == [{"id": 9}]
    client.upsert(name, [{"id": 10, "vector": [0.25] * DIM}], partial_update=True)
    assert client.search(name, data=[[0.25] * DIM], limit=1)[0][0]["id"] == 10
    assert same(client.get(name, ids=[10])[0], {**rows[10], "vector": [0.25] * DIM})


@flow()
def keys_that_are_text(place):
    client, name = place.client, place.name("text_keys")
    client.create_collection(name, dimension=4, id_type="string", max_length=40, metric_type="IP")
    odd = ["plain", "with 'single'", 'with "double"', "ünïcode ✓", "back\\slash", "new\nline", ""]
    rows = [{"id": key, "vector": [float(i), 1, 0, 0], "n": i} for i, key in enumerate(odd)]
    done = client.insert(name, rows)
    assert list(done["ids"]) == odd
    for i, key in enumerate(odd):
        if key.isprintable() and not set(key) & set("'\"\\"):  # The client puts keys into a filter as they are.
            assert plain(client.get(name, ids=[key], output_fields=["n"])) == [{"id": key, "n": i}], key
    got = client.query(name, filter="n >= 0", output_fields=["n"], limit=10)
    assert sorted((row["id"], row["n"]) for row in got) == sorted((key, i) for i, key in enumerate(odd))
    got = plain(client.query(name, filter="id like 'with%'", output_fields=["n"], limit=10))
    assert sorted(row["n"] for row in got) == [1, 2]
    assert place.is_lite or [row["n"] for row in got] == [2, 1]  # It does not answer in the order of keys.
    assert client.search(name, data=[[1.0, 0, 0, 0]], limit=2)[0][0]["id"] == ""
    client.delete(name, ids=["plain", "ünïcode ✓"])
    assert client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"] == len(odd) - 2


@flow()
def numbers_keep_their_bits(place):
    client, name = place.client, place.name("numbers")
    client.create_collection(name, dimension=2, metric_type="L2")
    big = [2**63 - 1, -(2**63), 2**53 + 1, 0]
    rows = [{"id": key, "vector": [1e-30, 3.4e38 if i == 3 else i], "same": key, "real": 0.1 + i} for i, key in enumerate(big)]
    assert list(client.insert(name, rows)["ids"]) == big
    for key, row in zip(big, rows):
        got = client.get(name, ids=[key])[0]
        assert (got["id"], got["same"], got["real"]) == (key, key, row["real"])
        assert np.array_equal(np.float32(got["vector"]), np.float32(row["vector"]))
    assert plain(client.query(name, filter=f"same == {2**53 + 1}", output_fields=["id"])) == [{"id": 2**53 + 1}]
