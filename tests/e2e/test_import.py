"""Imports of files with rows, as a program written for Milvus uses them: JSON, NumPy arrays, Parquet."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import wait_until

numbers = itertools.count()
BIG = 2**62 + 1  # no float holds it


@pytest.fixture
def name():
    return f"imported{next(numbers)}"


def create(server, name, dim=4):
    """A collection with a field of every kind that files bring."""
    field = lambda f, t, **more: {"fieldName": f, "dataType": t, **more}
    params = lambda **values: {"elementTypeParams": values}
    fields = [
        field("id", "Int64", isPrimary=True),
        field("vector", "FloatVector", **params(dim=dim)),
        field("bits", "BinaryVector", nullable=True, **params(dim=16)),
        field("half", "Float16Vector", nullable=True, **params(dim=2)),
        field("sparse", "SparseFloatVector", nullable=True),
        field("name", "VarChar", nullable=True, **params(max_length=32)),
        field("small", "Int8", nullable=True),
        field("ratio", "Double", nullable=True),
        field("flag", "Bool", nullable=True),
        field("meta", "JSON", nullable=True),
        field("tags", "Array", nullable=True, elementDataType="Int32", **params(max_capacity=8)),
    ]
    body = {"collectionName": name, "schema": {"enableDynamicField": True, "fields": fields}}
    metrics = {"vector": "L2", "bits": "HAMMING", "half": "L2", "sparse": "IP"}
    indexes = [{"fieldName": field, "metricType": metric, "indexType": "AUTOINDEX"} for field, metric in metrics.items()]
    server.ok("collections/create", {**body, "indexParams": indexes})


def upload(server, file, content):
    answer = server.post(f"/v1/imports/{file}", data=content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == {"name": file, "size": len(content)}


def begin(server, name, *groups, **more):
    body = {"collectionName": name, "files": [list(g) if isinstance(g, (list, tuple)) else [g] for g in groups], **more}
    return server.ok("jobs/import/create", body)["jobId"]


def finish(server, job, state="Completed"):
    def look():
        seen = server.ok("jobs/import/get_progress", {"jobId": job})
        return seen if seen["state"] in ("Completed", "Failed") else None

    seen = wait_until(look, f"import {job} ends", 120)
    assert seen["state"] == state, seen
    return seen


def refused(server, path, body):
    answer = server.v2(path, body)
    assert answer["code"] != 0, answer
    return answer["code"], answer["message"]


def rows(count, start=0, dim=4):
    return [{"id": BIG + i, "vector": [i, 0.5, -1.25, 1e-3][:dim], "name": f"n{i}", "x": BIG + i} for i in range(start, start + count)]


def array(values, tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, values)
    return path.read_bytes()


def table(columns, tmp_path, **options):
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path.read_bytes()


def test_json_rows_come_back_exactly(shared_server, name):
    server = shared_server
    create(server, name)
    first, second, third = rows(700), rows(5, 700), rows(300, 705)
    upload(server, f"{name}-a.json", json.dumps(first).encode())
    upload(server, f"{name}-b.json", json.dumps({"rows": second}, indent=1).encode())
    upload(server, f"{name}-c.jsonl", "\n".join(json.dumps(row) for row in third).encode())
    seen = finish(server, begin(server, name, f"{name}-a.json", f"{name}-b.json", f"{name}-c.jsonl"))
    assert (seen["importedRows"], seen["totalRows"], seen["progress"]) == (1005, 1005, 100)
    assert [part["importedRows"] for part in seen["details"]] == [700, 5, 300]
    assert seen["details"][0]["fileName"] == f"{name}-a.json" and seen["fileSize"] > 0 and seen["completeTime"]
    assert server.count(name) == 1005
    found = server.ok("entities/get", {"collectionName": name, "id": [BIG + 703], "outputFields": ["name", "x", "vector"]})
    assert found == [{"id": BIG + 703, "name": "n703", "x": BIG + 703, "vector": [703, 0.5, -1.25, 0.001]}]
    hits = server.ok("entities/search", {"collectionName": name, "annsField": "vector", "data": [third[7]["vector"]], "limit": 1})
    assert [hit["id"] for hit in hits] == [BIG + 712]


def test_arrays_of_every_type(shared_server, name, tmp_path):
    server = shared_server
    create(server, name)
    count, random = 300, np.random.default_rng(3)
    vectors = random.normal(size=(count, 4)).astype(np.float32)
    bits = random.integers(0, 256, (count, 2)).astype(np.uint8)
    columns = {
        "id": np.arange(count, dtype=np.int64) + BIG,
        "vector": vectors,
        "bits": bits,
        "half": np.full((count, 2), 0.5, dtype=np.float16),
        "sparse": np.array(['{"%d":0.5}' % i for i in range(count)]),
        "name": np.array([f"ü{i}" for i in range(count)]),
        "small": (np.arange(count) % 100 - 50).astype(np.int8),
        "ratio": np.arange(count) / 3,
        "flag": np.arange(count) % 2 == 0,
        "meta": np.array(['{"a":[%d]}' % i for i in range(count)]),
        "tags": np.arange(count * 3, dtype=np.int32).reshape(count, 3),
        "$meta": np.array(['{"k":%d}' % i for i in range(count)]),
    }
    # Arrays are named like their fields, so each test has names of its own only by not running beside others.
    for field, values in columns.items():
        upload(server, f"{field}.npy", array(values, tmp_path))
    seen = finish(server, begin(server, name, [f"{field}.npy" for field in columns]))
    assert seen["importedRows"] == count
    row = server.ok("entities/get", {"collectionName": name, "id": BIG + 7})[0]
    assert np.allclose(row["vector"], vectors[7])
    assert (row["name"], row["small"], row["flag"], row["k"], row["tags"]) == ("ü7", -43, False, 7, [21, 22, 23])
    assert row["ratio"] == 7 / 3 and row["meta"] == {"a": [7]}
    for field in columns:
        assert server.session.delete(f"{server.url}/v1/imports/{field}.npy").status_code == 200


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}, {"compression": "gzip", "data_page_version": "2.0"}, {"row_group_size": 70}])
def test_columns_of_every_type(shared_server, name, tmp_path, options):
    server = shared_server
    create(server, name)
    count, random = 400, np.random.default_rng(4)
    vectors = random.normal(size=(count, 4)).astype(np.float32)
    columns = {
        "id": pa.array(np.arange(count) + BIG),
        "vector": pa.array(list(vectors), pa.list_(pa.float32())),
        "bits": pa.array([bytes([i % 256, 1]) for i in range(count)], pa.binary()),
        "half": pa.array([[0, 0x3C, 0, 0x40]] * count, pa.list_(pa.uint8())),
        "sparse": pa.array(['{"indices":[3],"values":[0.5]}'] * count),
        "name": pa.array([None if i % 3 == 0 else f"n{i}" for i in range(count)]),
        "small": pa.array([i % 100 for i in range(count)], pa.int8()),
        "ratio": pa.array(np.arange(count) / 3),
        "meta": pa.array(['{"a":%d}' % i for i in range(count)]),
        "tags": pa.array([list(range(i % 4)) for i in range(count)], pa.list_(pa.int32())),
        "other": pa.array([BIG + i for i in range(count)]),
    }
    upload(server, f"{name}.parquet", table(columns, tmp_path, **options))
    assert finish(server, begin(server, name, f"{name}.parquet"))["importedRows"] == count
    row = server.ok("entities/get", {"collectionName": name, "id": BIG + 7})[0]
    assert np.allclose(row["vector"], vectors[7])
    assert (row["name"], row["small"], row["tags"], row["other"], row["meta"]) == ("n7", 7, [0, 1, 2], BIG + 7, {"a": 7})
    assert server.ok("entities/get", {"collectionName": name, "id": BIG + 9, "outputFields": ["name"]})[0]["name"] is None


def test_a_wrong_row_stores_nothing_and_is_named(shared_server, name, tmp_path):
    server = shared_server
    create(server, name)
    good = rows(20)
    wrong = [
        ({**good[19], "vector": [1, 2]}, "row number: 19"),
        ({**good[19], "small": 128}, "row number: 19"),
        ({**good[19], "id": None}, "row number: 19"),
        ({**good[19], "name": "x" * 33}, "max length"),
        ("no row", "row number: 19"),
    ]
    for row, words in wrong:
        upload(server, f"{name}.json", json.dumps(good[:19] + [row]).encode())
        seen = finish(server, begin(server, name, f"{name}.json"), "Failed")
        assert words in seen["reason"] and f"{name}.json" in seen["reason"], seen
        assert seen["importedRows"] == 0
    upload(server, f"{name}.json", json.dumps(good).encode()[:-3])
    finish(server, begin(server, name, f"{name}.json"), "Failed")
    whole = table({"id": pa.array([1]), "vector": pa.array([[1.0, 2.0, 3.0, 4.0]])}, tmp_path)
    for cut in (0, 3, 8, len(whole) // 2, len(whole) - 1):
        upload(server, f"{name}.parquet", whole[:cut])
        finish(server, begin(server, name, f"{name}.parquet"), "Failed")
    # An array that says it has a million million rows.
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
    upload(server, "id.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8))
    assert "cut off" in finish(server, begin(server, name, ["id.npy"]), "Failed")["reason"]
    assert server.count(name) == 0
    listed = server.ok("jobs/import/list", {"collectionName": name})["records"]
    assert len(listed) == len(wrong) + 7 and all(record["state"] == "Failed" and record["reason"] for record in listed)


def test_compressed_bombs_are_refused_before_they_are_decoded(shared_server, name, tmp_path):
    server = shared_server
    create(server, name)
    zeros = np.zeros(30_000_000, dtype=np.float32)
    long = pa.ListArray.from_arrays(pa.array([0, len(zeros)], pa.int32()), pa.array(zeros))
    short = pa.array([[0.0] * 4])
    for columns, words in [
        ({"id": pa.array([1]), "vector": long}, "more than 65536 elements"),
        ({"id": pa.array([1]), "vector": short, "name": pa.array(["x" * 100_000_000])}, "a page of the column \"name\" has 1000000"),
    ]:
        content = table(columns, tmp_path, compression="zstd", use_dictionary=False)
        assert len(content) < 200_000
        upload(server, f"{name}.parquet", content)
        assert words in finish(server, begin(server, name, f"{name}.parquet"), "Failed")["reason"]


def test_partitions(shared_server, name):
    server = shared_server
    create(server, name)
    server.ok("partitions/create", {"collectionName": name, "partitionName": "p"})
    upload(server, f"{name}.json", json.dumps(rows(30)).encode())
    finish(server, begin(server, name, f"{name}.json", partitionName="p"))
    assert server.ok("partitions/get_stats", {"collectionName": name, "partitionName": "p"})["rowCount"] == 30
    assert refused(server, "jobs/import/create", {"collectionName": name, "partitionName": "q", "files": [[f"{name}.json"]]})[0] == 200


def test_what_cannot_be_imported_is_refused_at_once(shared_server, name):
    server = shared_server
    create(server, name)
    upload(server, f"{name}.json", b"[]")
    ask = lambda **body: refused(server, "jobs/import/create", {"collectionName": name, **body})
    assert ask()[0] == 1802
    assert refused(server, "jobs/import/create", {"files": [["a.json"]]})[0] == 1802
    assert ask(files="a.json")[0] == 1801
    assert ask(collectionName="nowhere", files=[[f"{name}.json"]])[0] == 100
    for files in ([], [[]], [["a.csv"]], [["missing.json"]], [["/etc/passwd"]], [["/etc/x.json"]], [["../FORMAT"]], [["../x.json"]], [[f"{name}.json"] * 2]):
        code, message = ask(files=files)
        assert code == 2100 and "importing data failed" in message, (files, message)
    for action in ("describe", "get_progress", "commit", "abort"):
        code, message = refused(server, f"jobs/import/{action}", {"jobId": "12"})
        assert code == 2100 and "12" in message
    assert refused(server, "jobs/import/describe", {})[0] == 1802
    assert refused(server, "jobs/import/list", {"collectionName": "nowhere"})[0] == 100
    assert server.ok("jobs/import/list", {"collectionName": name}) == {"records": []}
    job = begin(server, name, f"{name}.json")
    assert finish(server, job)["totalRows"] == 0
    assert server.ok("jobs/import/commit", {"jobId": job}) == {} == server.ok("jobs/import/abort", {"jobId": job})
    assert server.ok("jobs/import/describe", {"jobId": job})["state"] == "Completed", "an end is final"


def test_uploads_are_listed_replaced_and_removed(shared_server, name):
    server = shared_server
    upload(server, f"{name}.json", b"[ ]")
    upload(server, f"{name}.json", b"[]")
    listed = {file["name"]: file["size"] for file in server.get("/v1/imports").json()["data"]}
    assert listed[f"{name}.json"] == 2
    remove = lambda: server.session.delete(f"{server.url}/v1/imports/{name}.json").status_code
    assert (remove(), remove()) == (200, 404)
    for wrong in ("x.csv", ".x.json", "a%2Fb.json", "..%2Fx.json", "x.json.tmp", "x%20y.json"):
        assert server.post(f"/v1/imports/{wrong}", data=b"[]").status_code == 400, wrong


def test_an_upload_may_be_larger_than_other_bodies(start, tmp_path):
    settings = tmp_path / "e.toml"
    settings.write_text("[limits]\nmax_body_bytes = 100000\n")
    server = start("--config", settings)
    create(server, "c")
    text = json.dumps(rows(5000)).encode()
    assert len(text) > 300_000

    def pieces():
        for at in range(0, len(text), 7000):
            yield text[at : at + 7000]

    # Without a length in front.
    assert server.post("/v1/imports/large.json", data=pieces()).status_code == 200
    assert finish(server, begin(server, "c", "large.json"))["importedRows"] == 5000


def test_folders_of_the_operator_and_nothing_else(start, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside / "deep", outside):
        folder.mkdir(parents=True)
    (inside / "deep/a.json").write_text(json.dumps(rows(3)))
    (outside / "b.json").write_text(json.dumps(rows(3)))
    (inside / "link.json").symlink_to(outside / "b.json")
    server = start("--import-root", inside)
    create(server, "c")
    for file in ("deep/a.json", str(inside / "deep/a.json")):
        assert finish(server, begin(server, "c", file))["importedRows"] == 3
    for file in ("link.json", "../outside/b.json", str(outside / "b.json"), str(inside / "../outside/b.json")):
        assert refused(server, "jobs/import/create", {"collectionName": "c", "files": [[file]]})[0] == 2100


def test_aborting_and_stopping_end_an_import(start, tmp_path):
    server = start()
    create(server, "c")
    upload(server, "many.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in rows(300_000)))
    running, waiting = begin(server, "c", "many.jsonl"), begin(server, "c", "many.jsonl")
    server.ok("jobs/import/abort", {"jobId": waiting})
    assert finish(server, waiting, "Failed")["reason"] == "the import was aborted"
    server.ok("jobs/import/abort", {"jobId": running})
    finish(server, running, "Failed")
    last = begin(server, "c", "many.jsonl")
    assert server.stop() == 0, "a running import does not hold the end up"
    again = start(data=tmp_path / "data")
    assert refused(again, "jobs/import/describe", {"jobId": last})[0] == 2100, "imports are forgotten"
    assert [file["name"] for file in again.get("/v1/imports").json()["data"]] == ["many.jsonl"], "files are not"


def varint(value):
    low, value = value & 127, value >> 7
    return bytes([low | 128]) + varint(value) if value else bytes([low])


def footer_only(footer):
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def test_files_that_would_end_the_process_are_refused(shared_server, name):
    """Schemas in Thrift that no writer makes; more of the kind are in `imports/source/hostile.rs`."""
    server = shared_server
    create(server, name)
    group = b"\x48\x01g\x15" + varint(2) + b"\x00"  # the name g, one child
    many = b"\x48\x01g\x15" + varint(2 * (2**31 - 1)) + b"\x00"
    schema = lambda nodes, count: footer_only(b"\x15\x02\x19\xfc" + varint(count) + nodes + b"\x00")
    for content, words in [
        (schema(group * 200_000, 200_000), "footer is broken, or is larger"),
        (schema(group * 4_000, 4_000), "levels deep"),
        (schema(many, 1), "nodes"),
        (footer_only(bytes(5 << 20)), "longer than 4194304 bytes"),
    ]:
        upload(server, f"{name}.parquet", content)
        assert words in finish(server, begin(server, name, f"{name}.parquet"), "Failed")["reason"]
    upload(server, f"{name}.json", json.dumps(rows(3)).encode())
    assert finish(server, begin(server, name, f"{name}.json"))["importedRows"] == 3, "the same process goes on"


def test_uploaded_files_stay_while_an_import_names_them(start):
    server = start()
    create(server, "c")
    upload(server, "many.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in rows(300_000)))
    upload(server, "few.json", json.dumps(rows(3)).encode())
    running, waiting = begin(server, "c", "many.jsonl"), begin(server, "c", "few.json")
    for file in ("many.jsonl", "few.json"):
        assert server.post(f"/v1/imports/{file}", data=b"[]").status_code == 409
        assert server.session.delete(f"{server.url}/v1/imports/{file}").status_code == 409
    server.ok("jobs/import/abort", {"jobId": running})
    assert finish(server, waiting)["importedRows"] == 3
    upload(server, "few.json", b"[]")
    assert server.session.delete(f"{server.url}/v1/imports/few.json").status_code == 200


def test_imports_belong_to_their_collections(start):
    server = start(environment={"ELANUS_AUTH": "true"})
    root, ann, bob = ({"Authorization": f"Bearer {user}"} for user in ("root:Milvus", "ann:secret1", "bob:secret1"))
    as_root = lambda path, body: server.ok(path, body, **root)
    as_root("databases/create", {"dbName": "d2"})
    for database, name in [("default", "a"), ("d2", "x"), ("d2", "y")]:
        as_root("collections/create", {"dbName": database, "collectionName": name, "dimension": 2})
    as_root("aliases/create", {"dbName": "d2", "collectionName": "x", "aliasName": "now"})
    # Ann may import into d2.x, Bob into everything of the default database.
    for user, database, collection in [("ann", "d2", "x"), ("bob", "default", "*")]:
        as_root("users/create", {"userName": user, "password": "secret1"})
        as_root("roles/create", {"roleName": f"role_{user}"})
        privilege = {"privilege": "Import", "dbName": database, "collectionName": collection}
        as_root("roles/grant_privilege_v2", {"roleName": f"role_{user}", **privilege})
        as_root("users/grant_role", {"userName": user, "roleName": f"role_{user}"})
    content = json.dumps([{"id": 1, "vector": [1, 2]}])
    assert server.post("/v1/imports/one.json", data=content, headers=root).status_code == 200
    job = lambda who, database, name: server.ok(
        "jobs/import/create", {"dbName": database, "collectionName": name, "files": [["one.json"]]}, **who
    )["jobId"]
    by_ann, by_bob, by_root = job(ann, "d2", "now"), job(bob, "default", "a"), job(root, "d2", "y")
    assert server.ok("jobs/import/describe", {"jobId": by_ann}, **ann)["collectionName"] == "x"
    # By the name and by the alias.
    for collection in ("x", "now"):
        listed = server.ok("jobs/import/list", {"dbName": "d2", "collectionName": collection}, **ann)["records"]
        assert [record["jobId"] for record in listed] == [by_ann]
    for action in ("describe", "get_progress", "commit", "abort"):
        ask = lambda who, number: server.post(f"/v2/vectordb/jobs/import/{action}", json={"jobId": number}, headers=who)
        for who, own, foreign in [(ann, by_ann, [by_bob, by_root]), (bob, by_bob, [by_ann, by_root])]:
            assert ask(who, own).status_code == 200
            unknown = ask(who, "12")
            assert unknown.status_code == 403
            # Who may not learns nothing: foreign ones and those that are not there answer alike.
            for number in foreign:
                assert (ask(who, number).status_code, ask(who, number).json()) == (403, unknown.json())
        assert ask(root, by_ann).status_code == 200 and ask(root, "12").json()["code"] == 2100
