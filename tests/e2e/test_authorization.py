"""A server that asks for passwords, beside Milvus's own calls (those are in `tests/cases/authorization.json`): images, imports
of folders, backups, and clients that make it hash passwords without end."""

import concurrent.futures
import os
import stat
import subprocess

import pytest
import requests
from conftest import BINARY, PATIENCE, draw

ROOT = {"Authorization": "Bearer root:rootpass"}
USER = {"Authorization": "Bearer user:password"}


@pytest.fixture
def server(start, tmp_path):
    """With root, and a user without rights."""
    folder = tmp_path / "root"
    draw(folder / "a.jpg", 1)
    running = start("--image-root", folder, environment={"ELANUS_AUTH": "true", "ELANUS_ROOT_PASSWORD": "rootpass"})
    for path, body in [
        ("users/create", {"userName": "user", "password": "password"}),
        ("roles/create", {"roleName": "role"}),
        ("users/grant_role", {"userName": "user", "roleName": "role"}),
    ]:
        running.ok(path, body, **ROOT)
    return running


def grant(server, privilege, collection):
    body = {"roleName": "role", "privilege": privilege, "dbName": "default", "collectionName": collection}
    server.ok("roles/grant_privilege_v2", body, **ROOT)


def upload(server, name, who, path):
    files = {"file": (path.name, path.read_bytes())}
    return requests.post(f"{server.url}/v1/images/{name}", files=files, headers=who, timeout=PATIENCE)


def test_an_alias_opens_no_images_of_another_collection(server, tmp_path):
    photo = draw(tmp_path / "b.jpg", 2)
    key = upload(server, "secret", ROOT, photo).json()["data"]["ids"][0]
    server.ok("aliases/create", {"collectionName": "secret", "aliasName": "open"}, **ROOT)
    grant(server, "CollectionReadWrite", "open")
    for method, path in [
        ("GET", "/v1/images/open"),
        ("POST", "/v1/images/open/search"),
        ("GET", f"/v1/images/open/{key}"),
        ("GET", f"/v1/images/open/{key}/thumb"),
        ("GET", f"/data/open/{key}"),
        ("DELETE", f"/v1/images/open/{key}"),
    ]:
        answer = requests.request(method, server.url + path, headers=USER, timeout=PATIENCE)
        assert answer.status_code == 403, (method, path, answer.text[:300])
    assert upload(server, "open", USER, photo).status_code == 403
    grant(server, "CollectionReadOnly", "secret")
    assert requests.get(f"{server.url}/v1/images/open", headers=USER, timeout=PATIENCE).status_code == 200


def test_an_upload_makes_a_collection_only_for_who_may(server, tmp_path):
    photo = draw(tmp_path / "b.jpg", 3)
    grant(server, "Insert", "*")
    folder = str(tmp_path / "root")

    def attempts(name):
        post = lambda path, **what: requests.post(server.url + path, headers=USER, timeout=PATIENCE, **what)
        image = {"file": (photo.name, photo.read_bytes())}
        yield upload(server, name, USER, photo)
        yield post("/img/upload", files=image, data={"Table": name})
        yield post("/img/load", json={"Table": name, "File": folder})
        yield post("/api/v1/train", json={"Table": name, "File": folder})
        yield post("/v1/jobs", json={"collection": name, "folder": folder})

    for answer in attempts("fresh"):
        assert answer.status_code == 403 and "CreateCollection" in answer.text, (answer.url, answer.text)
    assert server.ok("collections/list", {}, **ROOT) == []
    assert upload(server, "there", ROOT, photo).status_code == 200
    for answer in attempts("there"):
        assert answer.status_code == 200, (answer.url, answer.text)
    grant(server, "CreateCollection", "*")
    assert upload(server, "fresh", USER, photo).status_code == 200


def elanus(*arguments, **environment):
    command = [BINARY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **environment})


def test_backups_are_for_who_may_do_all_and_for_no_other_account(server, tmp_path):
    admin = server.admin.removeprefix("http://")
    server.ok("collections/create", {"collectionName": "c", "dimension": 2}, **ROOT)
    server.ok("entities/insert", {"collectionName": "c", "data": [{"id": 1, "vector": [1, 2]}]}, **ROOT)
    for call, body in [
        ("backup", {"target": str(tmp_path / "x")}),
        ("restore", {"source": str(tmp_path / "x"), "collection": "c", "as": "d"}),
    ]:
        for who, status in [({}, 401), ({"Authorization": "Bearer root:wrong1"}, 401), (USER, 403)]:
            headers = {"x-elanus-admin": "1", **who}
            answer = requests.post(f"{server.admin}/{call}", json=body, headers=headers, timeout=PATIENCE)
            assert answer.status_code == status, answer.text
    bare = elanus("backup", tmp_path / "x", "--admin", admin)
    assert bare.returncode != 0 and "ELANUS_PASSWORD" in bare.stderr
    assert not (tmp_path / "x").exists()
    for target in (tmp_path / "backups/folder", tmp_path / "backups/archive.tar"):
        made = elanus("backup", target, "--admin", admin, ELANUS_PASSWORD="rootpass")
        assert made.returncode == 0, made.stderr
        for path in [target, *target.rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    server.ok("users/grant_role", {"userName": "user", "roleName": "admin"}, **ROOT)
    back = ["restore", target, "--collection", "c", "--as", "d", "--admin", admin, "--user", "user"]
    restored = elanus(*back, ELANUS_PASSWORD="password")
    assert restored.returncode == 0, restored.stderr
    assert server.ok("collections/get_stats", {"collectionName": "d"}, **ROOT) == {"rowCount": 1}


def test_who_makes_it_hash_without_end_keeps_nobody_out(server):
    server.ok("users/create", {"userName": "other", "password": "password"}, **ROOT)
    wrong = {"userName": "user", "password": "wrong-one", "newPassword": "password2"}

    def change(_):
        url = f"{server.url}/v2/vectordb/users/update_password"
        return requests.post(url, json=wrong, headers=USER, timeout=PATIENCE)

    def guess(_):
        url = f"{server.url}/v2/vectordb/collections/list"
        headers = {"Authorization": "Bearer root:guessed"}
        return requests.post(url, json={}, headers=headers, timeout=PATIENCE)

    for number, (attempt, ordinary) in enumerate([(change, {200}), (guess, {401, 503})]):
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            attempts = [pool.submit(attempt, i) for i in range(300)]
            # Somebody who was never seen before, and root, who asks for hashing as well.
            user = f"fresh{number}"
            server.ok("users/create", {"userName": user, "password": "password"}, **ROOT)
            fresh = {"Authorization": f"Bearer {user}:password"}
            assert server.ok("collections/has", {"collectionName": "none"}, **fresh) == {"has": False}
            answers = [attempt.result() for attempt in attempts]
        assert {answer.status_code for answer in answers} <= ordinary
        busy = [answer for answer in answers if answer.status_code == 503]
        assert all(answer.headers["Retry-After"] and answer.json()["code"] == 8 for answer in busy)
    other = {"Authorization": "Bearer other:password"}
    assert server.ok("collections/has", {"collectionName": "none"}, **other) == {"has": False}
