"""The image API: embed, upload, search by photo, serve by id, import jobs, hostile files."""

import concurrent.futures
import contextlib
import io
import itertools
import json
import os
import pathlib
import re
import socket
import threading
import urllib.parse

import numpy as np
import pytest
import requests
from PIL import Image

from conftest import PATIENCE, SHARED, draw, wait_until

numbers = itertools.count()
GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "embed/tests/data"


@pytest.fixture
def name():
    return f"i{next(numbers)}"


def test_embedding_is_unit_length_and_names_its_model(shared_server, photos):
    photo = next(photos.glob("*.jpg")).read_bytes()
    raw = shared_server.post("/v1/embed", data=photo, headers={"Content-Type": "image/jpeg"}).json()
    form = shared_server.post("/v1/embed", files={"file": ("x.jpg", photo)}).json()
    assert raw["code"] == 0 and len(raw["data"]["vector"]) == 512 == raw["data"]["dimension"]
    assert abs(np.linalg.norm(raw["data"]["vector"]) - 1) < 1e-5
    assert raw["data"]["vector"] == form["data"]["vector"]
    assert "vgg16" in raw["data"]["model"]


def test_photos_that_nobody_waits_for_are_not_embedded(start, photos):
    server, clients = start(), 200
    photo = next(photos.glob("*.jpg")).read_bytes()
    head = f"POST /v1/embed HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n\r\n"
    address = urllib.parse.urlsplit(server.url)
    assert server.post("/v1/embed", data=photo, headers={"Content-Type": "image/jpeg"}).status_code == 200

    def metric(name):
        text = requests.get(server.admin + "/metrics", timeout=30).text
        return float(re.search(rf"^elanus_{name} (\S+)$", text, re.MULTILINE).group(1))

    waiting = [socket.create_connection((address.hostname, address.port)) for _ in range(clients)]
    for client in waiting:
        client.sendall(head.encode() + photo)
    wait_until(lambda: metric("embed_queue_depth") > clients / 4, "photos wait for the network")
    for client in waiting:
        client.close()
    wait_until(lambda: metric("embed_queue_depth") == 0, "the queue is empty")
    assert metric("images_embedded_total") < clients / 2
    assert server.post("/v1/embed", data=photo, headers={"Content-Type": "image/jpeg"}).status_code == 200


def test_upload_search_serve_delete(shared_server, name, photos):
    server = shared_server
    files = sorted(photos.rglob("*.jpg"))
    answer = server.upload(files, name, album="drawn").json()
    ids = answer["data"]["ids"]
    assert answer["code"] == 0 and len(set(ids)) == len(files) and answer["data"]["failed"] == []
    assert server.count(name) == len(files)

    found = server.post(f"/v1/images/{name}/search", files={"file": files[3].open("rb")}, data={"limit": "5"}).json()["data"]
    assert len(found) == 5 and found[0]["id"] == ids[3] and found[0]["name"] == files[3].name
    assert abs(found[0]["distance"] - 1) < 1e-4
    assert [hit["distance"] for hit in found] == sorted((hit["distance"] for hit in found), reverse=True)
    by_id = server.post(f"/v1/images/{name}/search", json={"id": ids[3], "limit": 5}).json()["data"]
    assert [hit["id"] for hit in by_id] == [hit["id"] for hit in found]
    none = server.post(f"/v1/images/{name}/search", json={"id": ids[3], "filter": "album == 'other'"}).json()
    assert none == {"code": 0, "data": []}

    original = server.get(found[0]["url"])
    assert original.content == files[3].read_bytes() and original.headers["Content-Type"] == "image/jpeg"
    assert original.headers["X-Content-Type-Options"] == "nosniff"
    head = server.session.head(f"{server.url}{found[0]['url']}")
    assert head.content == b"" and head.headers["Content-Length"] == original.headers["Content-Length"]
    thumbnail = Image.open(io.BytesIO(server.get(found[0]["thumb"]).content))
    assert thumbnail.format == "JPEG" and max(thumbnail.size) <= 512

    assert server.session.delete(f"{server.url}/v1/images/{name}/{ids[3]}").json()["code"] == 0
    assert server.count(name) == len(files) - 1
    assert server.get(found[0]["url"]).status_code == 404
    milvus = server.ok("entities/query", {"collectionName": name, "filter": "name == 'photo-00.jpg'", "outputFields": ["width", "height", "album"]})
    assert [(row["width"], row["height"], row["album"]) for row in milvus] == [(96, 80, "drawn")]


def test_slow_readers_of_originals_take_no_memory(start, tmp_path):
    server, readers = start(), 40
    photo = tmp_path / "large.bmp"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (2000, 2000, 3), np.uint8)).save(photo)
    content = photo.read_bytes()
    (id,) = server.upload([photo], "photos").json()["data"]["ids"]
    address = urllib.parse.urlsplit(server.url)
    before, sockets = server.memory("RssAnon"), []
    for _ in range(readers):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((address.hostname, address.port))
        reader.sendall(f"GET /v1/images/photos/{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        sockets.append((reader, reader.makefile("rb")))
    for _, answer in sockets:
        assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
    assert server.memory("RssAnon") - before < readers * len(content) / 10
    # The file may even be removed while it is read.
    assert server.session.delete(f"{server.url}/v1/images/photos/{id}").status_code == 200
    wait_until(lambda: not [path for path in (tmp_path / "data/images").rglob("*") if path.is_file()], "it is removed")
    for reader, answer in sockets:
        assert answer.read().endswith(content)
        reader.close()


def test_the_same_photo_twice_is_one_row(shared_server, name, photos):
    file = sorted(photos.rglob("*.jpg"))[0]
    first = shared_server.upload([file], name).json()["data"]["ids"]
    assert shared_server.upload([file, file], name).json()["data"]["ids"] == first * 2
    assert shared_server.count(name) == 1


def vectors_of(server, name, **more):
    """A collection as a client of Milvus makes it: keys and vectors are declared, the rest is dynamic."""
    fields = [
        {"fieldName": "pk", "dataType": "Int64", "isPrimary": True},
        {"fieldName": "embedding", "dataType": "FloatVector", "elementTypeParams": {"dim": 512}},
    ]
    schema = {"autoId": True, "enableDynamicField": True, "fields": fields}
    index = {"fieldName": "embedding", "indexName": "embedding", "metricType": "COSINE"}
    server.ok("collections/create", {"collectionName": name, "schema": schema, "indexParams": [index], **more})


def test_fields_of_a_repeated_photo_meet_and_it_stays_in_its_partition(start, photos):
    server, file = start(), sorted(photos.rglob("*.jpg"))[0]
    vectors_of(server, "c")
    server.ok("partitions/create", {"collectionName": "c", "partitionName": "one"})
    every = {"collectionName": "c", "filter": "", "limit": 9, "outputFields": ["*"]}
    [pk] = server.upload([file], "c").json()["data"]["ids"]
    [row] = server.ok("entities/query", every)
    assert server.session.delete(f"{server.url}/v1/images/c/{pk}").json()["code"] == 0
    row = {key: value for key, value in row.items() if key != "pk"}
    server.ok("entities/insert", {"collectionName": "c", "partitionName": "one", "data": [row]})
    # Another life reads from the rows which photos there are.
    server.stop()
    server = start()

    names = [f"f{number}" for number in range(24)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda field: server.upload([file], "c", **{field: "x"}).json(), names))
    assert len({answer["data"]["ids"][0] for answer in answers}) == 1 == server.count("c")
    [found] = server.ok("entities/query", {**every, "partitionNames": ["one"]})
    assert set(names) <= set(found)


def test_photos_outlive_new_names_and_fields_of_their_collection(start, photos, tmp_path):
    server, files = start(), sorted(photos.rglob("*.jpg"))[:4]

    def originals():
        return {path.name for path in (tmp_path / "data/images").rglob("*") if path.is_file()}

    for name in ["a", "b", "c"]:
        vectors_of(server, name)
    server.upload(files[:1], "a"), server.upload(files[1:2], "b"), server.upload(files[2:3], "c")
    for name, field in [
        ("a", {"fieldName": "width", "dataType": "VarChar", "elementTypeParams": {"max_length": 9}}),
        ("b", {"fieldName": "terms", "dataType": "SparseFloatVector"}),
        ("c", {"fieldName": "sha256", "dataType": "VarChar", "elementTypeParams": {"max_length": 64}}),
    ]:
        server.ok("collections/fields/add", {"collectionName": name, "schema": {**field, "nullable": True}})
    server.ok("collections/rename", {"collectionName": "a", "newCollectionName": "z"})
    kept = originals()
    assert len(kept) == 3
    # Only a sweep removes the last one.
    [last] = server.upload(files[3:], "d").json()["data"]["ids"]
    assert server.session.delete(f"{server.url}/v1/images/d/{last}").json()["code"] == 0
    wait_until(lambda: len(originals()) == 3, "the photo without a row is removed")
    assert originals() == kept


def test_what_stores_nothing_decides_nothing(shared_server, name, photos, tmp_path):
    text = tmp_path / "no.txt"
    text.write_text("no photo")
    vectors_of(shared_server, name)
    url = f"{shared_server.url}/v1/images/{name}"
    refused = shared_server.session.post(url + "?pooling=gem", files={"file": text.open("rb")})
    assert refused.status_code == 415
    photo = sorted(photos.rglob("*.jpg"))[0]
    stored = shared_server.session.post(url + "?pooling=avg", files={"file": photo.open("rb")})
    assert stored.json()["code"] == 0, stored.text
    assert shared_server.session.post(url + "?pooling=gem", files={"file": photo.open("rb")}).status_code == 409


def test_refused_files_have_a_reason_and_the_others_are_stored(shared_server, name, photos, tmp_path):
    good = sorted(photos.rglob("*.jpg"))[0]
    wrong = tmp_path / "<b>page.jpg"
    wrong.write_text("<html>404</html>")
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    answer = shared_server.upload([wrong, good, empty], name)
    data = answer.json()["data"]
    assert answer.status_code == 200 and len(data["ids"]) == 1 and shared_server.count(name) == 1
    assert [(f["name"], bool(f["reason"])) for f in data["failed"]] == [(wrong.name, True), (empty.name, True)]
    nothing = shared_server.upload([wrong], name)
    assert 400 <= nothing.status_code < 500 and nothing.json()["code"] != 0 and nothing.json()["message"]


@pytest.mark.parametrize(
    "method,path,status",
    [
        ("get", "/v1/images/nowhere/1", 404),
        ("get", "/v1/images/..%2f..%2fetc/passwd", None),
        ("get", "/ui/../../etc/passwd", None),
        ("get", "/ui/%2e%2e/%2e%2e/etc/passwd", None),
        ("get", "/v1/jobs/none", 404),
        ("post", "/v1/embed", None),
        ("post", "/v1/images/bad%20name", None),
        ("post", "/v1/images/nowhere/search", None),
    ],
)
def test_wrong_requests_are_4xx(shared_server, method, path, status):
    answer = getattr(shared_server.session, method)(f"{shared_server.url}{path}", timeout=60)
    assert 400 <= answer.status_code < 500 and (status is None or answer.status_code == status)
    assert "root:" not in answer.text


REJECTED = ["01", "02", "03", "04", "05", "06", "07", "28", "31"]
MAY_REJECT = ["27"]


def test_every_hostile_file_gets_a_result_or_a_reason(start, bad_images):
    server = start()
    good = sorted(bad_images.glob("2[16]-*"))
    server.upload(good[:1], "warm")
    before = server.memory("VmHWM")
    ids = {}
    for file in sorted(p for p in bad_images.iterdir() if p.suffix != ".md"):
        answer = server.upload([file], "hostile")
        data = answer.json()
        key = file.name[:2]
        if key in REJECTED or (key in MAY_REJECT and data["code"] != 0):
            assert 400 <= answer.status_code < 500 and data["message"], file
            assert data["data"]["failed"][0]["name"] == file.name and data["data"]["failed"][0]["reason"]
        else:
            assert answer.status_code == 200 and data["data"]["failed"] == [], (file, data)
            ids[file.name] = data["data"]["ids"][0]
    assert server.memory("VmHWM") - before < 256 << 20
    rows = server.ok("entities/query", {"collectionName": "hostile", "outputFields": ["name", "vector"], "limit": 100})
    assert {row["id"]: row["name"] for row in rows} == {i: n for n, i in ids.items()}
    vectors = {row["name"]: np.array(row["vector"]) for row in rows}
    assert vectors["17-exif-orientation-6.jpg"] @ vectors["18-exif-upright-twin.jpg"] > 0.99
    for file_name in ["图片 1.jpg", "it's a 'quoted' & ünïcode – name.JPEG"]:
        served = server.get(f"/v1/images/hostile/{ids[file_name]}")
        assert served.content == (bad_images / file_name).read_bytes()


def test_import_job_counts_reports_and_skips(start, photos, tmp_path):
    folder = tmp_path / "import"
    for n, source in enumerate(sorted(photos.rglob("*.jpg"))):
        (folder / f"sub{n % 2}").mkdir(parents=True, exist_ok=True)
        (folder / f"sub{n % 2}" / source.name).write_bytes(source.read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nonsense")
    (folder / "notes.txt").write_text("no photo")
    (folder / ".hidden.jpg").write_bytes(b"no photo")
    (folder / "again.jpg").write_bytes(next(photos.rglob("*.jpg")).read_bytes())
    server = start("--image-root", tmp_path)
    job = server.post("/v1/jobs", json={"collection": "mine", "folder": str(folder)}).json()["data"]
    assert job["state"] in ("queued", "running")
    job = server.wait_for_job(job["id"])
    assert (job["total"], job["done"], job["failedCount"]) == (14, 14, 1)
    assert [f["name"] for f in job["failed"]] == ["broken.jpg"] and job["failed"][0]["reason"]
    assert server.count("mine") == 12
    names = {row["name"] for row in server.ok("entities/query", {"collectionName": "mine", "outputFields": ["name"]})}
    assert any(name.startswith("sub0/") for name in names)


def test_jobs_are_listed_while_one_is_stored_slowly(start, photos, tmp_path):
    server = start("--image-root", photos)
    # Who writes to a full pipe waits until somebody reads.
    pipe = tmp_path / "data/jobs/1.json.tmp"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(end, bytes(4096))
    answers = []
    body = {"collection": "photos", "folder": str(photos)}
    create = threading.Thread(target=lambda: answers.append(requests.post(f"{server.url}/v1/jobs", json=body, timeout=PATIENCE)))
    create.start()

    def opened():
        for link in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(link) == str(pipe):
                    return True
        return False

    wait_until(opened, "a job is being stored")
    assert server.get("/v1/jobs").json()["data"] == [] and server.get("/v1/jobs/1").status_code == 404
    while create.is_alive():
        with contextlib.suppress(BlockingIOError):
            os.read(end, 65536)
    os.close(end)
    assert answers[0].status_code == 500, "a pipe can't be synced"
    job = server.post("/v1/jobs", json=body).json()["data"]
    assert job["id"] == "1"
    server.wait_for_job("1")


def test_folders_outside_the_roots_are_refused(start, tmp_path, photos):
    root = tmp_path / "root"
    root.mkdir()
    (root / "way-out").symlink_to(photos)
    server = start("--image-root", root)
    for folder in [photos, root / ".." / "..", root / "way-out", "/", "/etc", root / "missing", "", 7]:
        answer = server.post("/v1/jobs", json={"collection": "x", "folder": str(folder) if folder != 7 else 7})
        assert 400 <= answer.status_code < 500 and answer.json()["message"], folder
    assert server.get("/v1/jobs").json()["data"] == []


def test_a_job_can_be_cancelled(start, tmp_path):
    folder = tmp_path / "many"
    for seed in range(60):
        draw(folder / f"{seed:03}.jpg", seed, size=(48, 40))
    server = start("--image-root", folder)
    job = server.post("/v1/jobs", json={"folder": str(folder)}).json()["data"]["id"]
    wait_until(lambda: server.get(f"/v1/jobs/{job}").json()["data"]["done"] > 0, "the first photo")
    assert server.post(f"/v1/jobs/{job}/cancel").json()["code"] == 0
    job = server.wait_for_job(job, ("cancelled", "done"))
    assert job["state"] == "cancelled" and job["done"] < 60
    assert server.count() <= 60


def embedded(server, photo, **words):
    data = server.post("/v1/embed", params=words, data=photo.read_bytes()).json()["data"]
    return np.array(data["vector"]), data["identity"]


def stored(server, collection):
    rows = server.ok("entities/query", {"collectionName": collection, "outputFields": ["name", "vector"], "limit": 100})
    return {row["name"]: np.array(row["vector"]) for row in rows}


def models(server):
    return {entry["collection"]: entry["model"] for entry in server.get("/v1/images").json()["data"]}


def test_a_collection_keeps_its_descriptor_when_the_settings_change(start, photos):
    files = sorted(photos.rglob("*.jpg"))[:4]
    server = start()
    server.upload(files[:2], "old")
    server.stop()
    server = start("--input", "torchvision", "--pooling", "gem")
    assert server.get("/v1/status").json()["data"]["model"].endswith(";torchvision-bilinear-224-v1;gem;512")
    assert server.upload(files[2:3], "old").status_code == 200
    assert server.upload(files[:3], "new").status_code == 200
    told = models(server)
    assert told["old"].endswith(";keras-bilinear-224-v1;max;512")
    assert told["new"].endswith(";torchvision-bilinear-224-v1;gem;512")
    # What was stored before and after the change is alike: every photo finds itself, by file too, with its full score.
    for collection, words in [("old", {"input": "keras", "pooling": "max"}), ("new", {})]:
        vectors = stored(server, collection)
        assert len(vectors) == 3
        for file in files[:3]:
            vector, identity = embedded(server, file, **words)
            assert told[collection].split(";")[2:4] == [identity["preprocessing"], identity["pooling"]]
            assert vector @ vectors[file.name] > 0.9999
            answer = server.post(f"/v1/images/{collection}/search", files={"file": file.open("rb")}, data={"limit": "1"}).json()
            assert answer["data"][0]["name"] == file.name and answer["data"][0]["distance"] > 0.9999
    assert all(entry["searchable"] for entry in server.get("/v1/images").json()["data"])


def test_requests_name_descriptors(start, photos, tmp_path):
    files = sorted(photos.rglob("*.jpg"))[:2]
    server = start("--image-root", photos)
    vectors = {}
    for words in [{}, {"input": "torchvision"}, {"input": "320"}, {"pooling": "avg"}, {"pooling": "gem"}, {"pooling": "rmac"}]:
        vector, identity = embedded(server, files[0], **words)
        assert abs(np.linalg.norm(vector) - 1) < 1e-5 and len(vector) == identity["dimension"] == 512
        vectors[identity["preprocessing"], identity["pooling"]] = vector
    assert len(vectors) == 6
    for one, other in itertools.combinations(vectors.values(), 2):
        assert one @ other < 0.9999

    def upload(collection, query):
        with files[0].open("rb") as file:
            return server.post(f"/v1/images/{collection}?{query}", files={"file": file})

    assert upload("gem", "input=320&pooling=gem").status_code == 200
    assert models(server)["gem"].endswith(";keras-bilinear-320-v1;gem;512")
    assert upload("gem", "").status_code == upload("gem", "pooling=gem").status_code == 200 and server.count("gem") == 1
    for query, word in [("pooling=max", "max"), ("input=keras", "keras")]:
        answer = upload("gem", query)
        assert answer.status_code == 409 and word in answer.json()["message"] and "gem" in answer.json()["message"]
    for query in ["pooling=median", "input=vgg", "input="]:
        answer = upload("wrong", query)
        assert answer.status_code == 400 and "expected" in answer.json()["message"], query
    assert server.post("/v1/embed?pooling=median", data=files[0].read_bytes()).status_code == 400
    assert "wrong" not in models(server)

    job = server.post("/v1/jobs", json={"collection": "by_job", "folder": str(photos), "pooling": "median"})
    assert job.status_code == 400
    job = server.post("/v1/jobs", json={"collection": "by_job", "folder": str(photos), "input": "torchvision", "pooling": "rmac"})
    server.wait_for_job(job.json()["data"]["id"])
    assert models(server)["by_job"].endswith(";torchvision-bilinear-224-v1;rmac;512")
    vector, _ = embedded(server, files[0], input="torchvision", pooling="rmac")
    assert vector @ stored(server, "by_job")[str(files[0].relative_to(photos))] > 0.9999
    job = server.post("/v1/jobs", json={"collection": "gem", "folder": str(photos), "pooling": "rmac"})
    assert job.status_code == 409


def test_another_model_is_refused(shared_server, name, photos):
    server, file = shared_server, sorted(photos.rglob("*.jpg"))[0]
    foreign = "vgg19-imagenet-notop;sha256=" + "0" * 64 + ";keras-bilinear-224-v1;max;512"
    params = {"dimension": 512, "idType": "Int64", "autoID": True}
    server.ok("collections/create", {"collectionName": name, **params})
    server.ok("collections/alter_properties", {"collectionName": name, "properties": {"elanus.model": foreign}})
    answer = server.upload([file], name)
    assert answer.status_code == 409 and "vgg19" in answer.json()["message"]
    assert server.post(f"/v1/images/{name}/search", files={"file": file.open("rb")}).status_code == 409
    assert server.count(name) == 0
    [entry] = [entry for entry in server.get("/v1/images").json()["data"] if entry["collection"] == name]
    assert entry["searchable"] is False

    unknown = name + "_unknown"
    server.ok("collections/create", {"collectionName": unknown, **params})
    server.ok("entities/insert", {"collectionName": unknown, "data": [{"vector": [1.0] + [0.0] * 511}]})
    answer = server.upload([file], unknown)
    assert answer.status_code == 409 and "unknown origin" in answer.json()["message"]


def test_drawn_golden_features_through_the_server(shared_server):
    """Parity through the whole path, on our own drawn inputs, with features of an independent implementation."""
    golden = json.loads((GOLDEN / "golden.json").read_text())
    for image in golden["images"]:
        vector, _ = embedded(shared_server, GOLDEN / image["file"])
        assert vector @ np.array(image["max"]) > 0.998, image["file"]
        for recipe, poolings in image.get("inputs", {}).items():
            for pooling, expected in poolings.items():
                vector, _ = embedded(shared_server, GOLDEN / image["file"], input=recipe, pooling=pooling)
                assert vector @ np.array(expected) > 0.998, (image["file"], recipe, pooling)


def test_features_of_real_photos_equal_the_reference(shared_server, voc_mini):
    golden = json.loads((SHARED / "data/golden/vgg16.json").read_text())
    for image in golden["images"][:6]:
        for recipe, pooling in [("keras", "max"), ("torchvision", "avg")]:
            photo = voc_mini / pathlib.Path(image["file"]).name
            vector, _ = embedded(shared_server, photo, input=recipe, pooling=pooling)
            assert vector @ np.array(image["features"][recipe][pooling]) > 0.998, (image["file"], recipe)
