"""Collections with shorter vectors: a PCA is learned on the vectors of a collection, and from then on reduces what is
compared with the copy. Vectors are compared with numpy's."""

import itertools
import json
import subprocess

import numpy as np
import pytest

from conftest import BINARY, PATIENCE, draw, wait_until

MANY = 16_000  # rows of a collection that takes a while to reduce
numbers = itertools.count()


@pytest.fixture
def name():
    return f"reduced{next(numbers)}"


@pytest.fixture(scope="session")
def album(tmp_path_factory):
    """Forty drawn photos."""
    folder = tmp_path_factory.mktemp("album")
    return [draw(folder / f"{seed:02}.jpg", 1000 + seed) for seed in range(40)]


def elanus(*arguments):
    command = [BINARY, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def reduce(server, collection, to, dimension, **options):
    body = {"to": to, "dimension": dimension, **options}
    return server.post(f"/v1/images/{collection}/reduce", json=body)


def reduced(server, collection, to, dimension, **options):
    answer = reduce(server, collection, to, dimension, **options)
    assert answer.status_code == 200, answer.text
    return server.wait_for_job(answer.json()["data"]["id"])


def rows_of(server, collection, *fields):
    fields = ["name", "vector", *fields]
    rows = server.ok("entities/query", {"collectionName": collection, "outputFields": fields, "limit": 1000})
    return {row["id"]: row for row in rows}


def entries(server):
    return {entry["collection"]: entry for entry in server.get("/v1/images").json()["data"]}


def search(server, collection, photo, limit=1):
    return server.post(f"/v1/images/{collection}/search", files={"file": photo.open("rb")}, data={"limit": str(limit)})


def files_of(server_data):
    return [path for path in (server_data / "reductions").rglob("*") if path.is_file()]


def numpys(vectors, others, dimension, whiten):
    """The same by singular values; each component up to its sign."""
    mean = vectors.mean(axis=0)
    _, singular, components = np.linalg.svd(vectors - mean, full_matrices=False)
    projected = (others - mean) @ components[:dimension].T
    if whiten:
        projected /= singular[:dimension] / np.sqrt(len(vectors) - 1)
    return projected / np.linalg.norm(projected, axis=1)[:, None]


@pytest.mark.parametrize("whiten", [False, True])
def test_a_reduced_copy_finds_takes_and_keeps_photos(start, name, album, whiten):
    server = start()
    stored, new = album[:30], album[30:]
    server.upload(stored, name, place="Lisbon")
    to = f"{name}_small"
    job = reduced(server, name, to, 12, whiten=whiten)
    assert (job["total"], job["done"], job["collection"], job["to"]) == (30, 30, name, to)

    before, after = rows_of(server, name, "place", "sha256", "width"), rows_of(server, to, "place", "sha256", "width")
    without = lambda rows: {key: {k: v for k, v in row.items() if k != "vector"} for key, row in rows.items()}
    assert without(before) == without(after) and len(after) == 30
    vectors = np.array([before[key]["vector"] for key in sorted(before)], dtype=np.float64)
    ours = np.array([after[key]["vector"] for key in sorted(after)])
    theirs = numpys(vectors, vectors, 12, whiten)
    signs = np.sign((ours * theirs).sum(axis=0))
    assert np.abs(ours - theirs * signs).max() < 1e-4
    told = entries(server)
    kind = "pcaw12" if whiten else "pca12"
    assert told[to]["model"].startswith(f"{told[name]['model']};{kind}=") and told[to]["searchable"]
    assert told[name]["model"].endswith(";512") and server.count(name) == 30

    added = server.upload(new[:5], to).json()["data"]
    assert len(added["ids"]) == 5 and added["failed"] == []
    assert server.upload(stored[:1], to).json()["data"]["ids"][0] in after, "it has this photo already"

    def answers(server):
        for photo in [*stored[:6], *new[:5]]:
            [hit] = search(server, to, photo).json()["data"]
            assert hit["name"] == photo.name and hit["distance"] > 0.9999, hit
        # A photo that is not stored is reduced as the stored ones were.
        hits = search(server, to, new[7], 30).json()["data"]
        embedded = server.post("/v1/embed", data=new[7].read_bytes()).json()["data"]["vector"]
        query = numpys(vectors, np.array([embedded]), 12, whiten)[0] * signs
        vectors_now = {row["name"]: np.array(row["vector"]) for row in rows_of(server, to).values()}
        for hit in hits:
            assert abs(hit["distance"] - vectors_now[hit["name"]] @ query) < 1e-4
        return hits

    hits = answers(server)
    assert server.stop() == 0
    server = start()
    assert answers(server) == hits and len(server.upload(new[5:7], to).json()["data"]["ids"]) == 2
    assert server.count(to) == 37


def test_fields_partitions_and_indexes_come_along(shared_server, name, album):
    server = shared_server
    fields = [
        {"fieldName": "pk", "dataType": "Int64", "isPrimary": True},
        {"fieldName": "look", "dataType": "FloatVector", "elementTypeParams": {"dim": 512}},
        {"fieldName": "year", "dataType": "Int16", "nullable": True},
        {"fieldName": "tags", "dataType": "Array", "elementDataType": "VarChar", "nullable": True,
         "elementTypeParams": {"max_capacity": 4, "max_length": 10}},
    ]
    index = [{"fieldName": "look", "indexName": "by_look", "indexType": "HNSW", "metricType": "IP", "params": {"M": 8, "efConstruction": 64}}]
    server.ok("collections/create", {"collectionName": name, "schema": {"autoID": True, "enableDynamicField": True, "fields": fields}, "indexParams": index})
    stored = server.upload(album[:10], name, fields=json.dumps({"year": 2007, "note": {"x": [1, None, 9007199254740993]}}))
    assert stored.status_code == 200, stored.text
    server.ok("partitions/create", {"collectionName": name, "partitionName": "old"})
    row = {"look": [0.0] * 511 + [1.0], "name": "by hand", "sha256": "", "width": 1, "height": 1, "tags": ["a", "b"]}
    server.ok("entities/insert", {"collectionName": name, "partitionName": "old", "data": [row]})
    to = f"{name}_small"
    reduced(server, name, to, 6)

    def all_of(collection, **more):
        rows = server.ok("entities/query", {"collectionName": collection, "outputFields": ["*"], "limit": 100, **more})
        return sorted(({k: v for k, v in row.items() if k != "look"} for row in rows), key=lambda row: row["pk"])

    assert all_of(to) == all_of(name) and len(all_of(to)) == 11
    assert all_of(to, partitionNames=["old"]) == all_of(name, partitionNames=["old"]) and len(all_of(to, partitionNames=["old"])) == 1
    [was], [now] = (server.ok("indexes/describe", {"collectionName": c, "indexName": "by_look"}) for c in (name, to))
    assert all(was[key] == now[key] for key in ("indexType", "metricType", "fieldName"))


def test_bad_requests_are_refused_with_a_sentence(shared_server, name, album):
    server = shared_server
    server.upload(album[:8], name)
    server.upload(album[:2], f"{name}_two")
    server.ok("collections/create", {"collectionName": f"{name}_foreign", "dimension": 8})
    server.ok("collections/create", {"collectionName": f"{name}_taken", "dimension": 8})
    server.ok("aliases/create", {"collectionName": f"{name}_taken", "aliasName": f"{name}_alias"})
    to = f"{name}_small"
    for collection, body, status, words in [
        (name, {"to": to, "dimension": 0}, 400, "2 to 7"),
        (name, {"to": to, "dimension": 1}, 400, "2 to 7"),
        (name, {"to": to, "dimension": 8}, 400, "2 to 7"),
        (name, {"to": to, "dimension": 513}, 400, "2 to 7"),
        (name, {"to": to, "dimension": "many"}, 400, "dimension"),
        (name, {"to": to}, 400, "dimension"),
        (name, {"dimension": 4}, 400, "to"),
        (name, {"to": "a b", "dimension": 4}, 400, "a b"),
        (name, {"to": to, "dimension": 4, "whiten": "perhaps"}, 400, "whiten"),
        (name, {"to": name, "dimension": 4}, 409, "taken"),
        (name, {"to": f"{name}_taken", "dimension": 4}, 409, "taken"),
        (name, {"to": f"{name}_alias", "dimension": 4}, 409, "taken"),
        (f"{name}_two", {"to": to, "dimension": 2}, 400, "too few"),
        (f"{name}_foreign", {"to": to, "dimension": 2}, 400, "can't hold images"),
        (f"{name}_nowhere", {"to": to, "dimension": 2}, 404, "nowhere"),
    ]:
        answer = server.post(f"/v1/images/{collection}/reduce", json=body)
        assert answer.status_code == status and words in answer.json()["message"], (body, answer.text)
    reduced(server, name, to, 4)
    again = reduce(server, to, f"{to}_er", 3)
    assert again.status_code == 409 and "reduced already" in again.json()["message"]
    assert f"{to}_er" not in entries(server)


def filled(server, name, album):
    """A collection of photos that has many more rows."""
    server.upload(album[:2], name)
    random = np.random.default_rng(5)
    for first in range(0, MANY, 1000):
        vectors = random.normal(size=(1000, 512)).astype(np.float32)
        rows = [{"vector": v.tolist(), "name": "x", "sha256": "", "width": 1, "height": 1} for v in vectors]
        server.ok("entities/insert", {"collectionName": name, "data": rows})
    return MANY + 2


def names_of(server):
    return set(server.ok("collections/list", {}))


def test_cancelling_leaves_nothing(start, name, album, tmp_path):
    server = start()
    filled(server, name, album)
    for moment in ["at once", "while copying"]:
        job = reduce(server, name, f"{name}_small", 32).json()["data"]["id"]
        if moment == "while copying":
            wait_until(lambda: server.get(f"/v1/jobs/{job}").json()["data"]["done"] > 0, "the first copied rows", pause=0.005)
        server.post(f"/v1/jobs/{job}/cancel")
        state = server.get(f"/v1/jobs/{job}").json()["data"]["state"]
        assert state == "cancelled", moment
        wait_until(lambda: names_of(server) == {name}, "nothing but the collection itself")
        wait_until(lambda: not files_of(tmp_path / "data"), "no file of a reduction")
    reduced(server, name, f"{name}_small", 32)


def test_a_killed_server_begins_again_and_leaves_one_collection(start, name, album, tmp_path):
    server = start()
    count = filled(server, name, album)
    to = f"{name}_small"
    job = reduce(server, name, to, 32).json()["data"]["id"]
    wait_until(lambda: server.get(f"/v1/jobs/{job}").json()["data"]["done"] > 0, "the first copied rows", pause=0.005)
    server.kill()
    server = start()
    server.wait_for_job(job)
    assert names_of(server) == {name, to} and server.count(to) == count
    [hit] = search(server, to, album[1]).json()["data"]
    assert hit["name"] == album[1].name
    assert server.stop() == 0
    assert len(files_of(tmp_path / "data")) == 1
    assert elanus("check", tmp_path / "data").returncode == 0


def test_the_file_is_backed_up_restored_and_removed_with_its_collection(start, name, album, tmp_path):
    server = start()
    server.upload(album[:20], name)
    to = f"{name}_small"
    reduced(server, name, to, 8, whiten=True)
    assert len(files_of(tmp_path / "data")) == 1
    hits = search(server, to, album[25], 5).json()["data"]
    made = elanus("backup", tmp_path / "backup", "--admin", server.admin.removeprefix("http://"))
    assert made.returncode == 0, made.stderr
    server.ok("collections/drop", {"collectionName": to})
    wait_until(lambda: not files_of(tmp_path / "data"), "the file of a dropped collection is removed")
    restored = elanus("restore", tmp_path / "backup", "--collection", to, "--as", f"{to}_again", "--admin", server.admin.removeprefix("http://"))
    assert restored.returncode == 0, restored.stderr
    found = lambda server, collection: [(hit["id"], hit["distance"]) for hit in search(server, collection, album[25], 5).json()["data"]]
    assert found(server, f"{to}_again") == [(hit["id"], hit["distance"]) for hit in hits]

    whole = elanus("restore", tmp_path / "backup", "--data", tmp_path / "new")
    assert whole.returncode == 0, whole.stderr
    assert elanus("check", tmp_path / "new").returncode == 0
    assert found(start(data=tmp_path / "new"), to) == [(hit["id"], hit["distance"]) for hit in hits]


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_without_its_file_a_collection_still_answers_vector_searches(start, name, album, tmp_path, damage):
    server = start()
    server.upload(album[:20], name)
    to = f"{name}_small"
    reduced(server, name, to, 8)
    vector = next(iter(rows_of(server, to).values()))
    assert server.stop() == 0
    [file] = files_of(tmp_path / "data")
    if damage == "missing":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    checked = elanus("check", tmp_path / "data")
    assert checked.returncode == 1 and file.name in checked.stdout and to in checked.stdout

    server = start()
    for answer in [search(server, to, album[0]), server.upload(album[20:21], to)]:
        message = answer.json()["message"]
        assert answer.status_code == 503 and file.name in message and damage in message, answer.text
    hits = server.post(f"/v1/images/{to}/search", json={"id": vector["id"], "limit": 3}).json()["data"]
    assert hits[0]["id"] == vector["id"] and server.count(to) == 20
    found = server.ok("entities/search", {"collectionName": to, "data": [vector["vector"]], "limit": 1})
    assert found[0]["id"] == vector["id"]
    assert search(server, name, album[0]).status_code == 200, "the others are as they were"
