"""Models by a weights file: added, downloaded, used, and missed. The file is the carried one, which fits VGG16 too."""

import hashlib
import http.server
import os
import shutil
import subprocess
import threading

import numpy as np
import pytest

from conftest import BINARY, PATIENCE, REPOSITORY, wait_until

WEIGHTS = REPOSITORY / "embed/models/vgg16-imagenet-notop.f16.safetensors"
DIGEST = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
NAME = f"vgg16@{DIGEST[:8]}"


def model(folder, *arguments):
    command = [BINARY, "model", *map(str, arguments), "--models", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """A folder with the file."""
    folder = tmp_path_factory.mktemp("models")
    answer = model(folder, "add", WEIGHTS, "--as", "vgg16")
    assert answer.returncode == 0 and NAME in answer.stdout and DIGEST in answer.stdout, answer
    return folder


def embedded(server, file, **words):
    return server.post("/v1/embed", files={"file": file.open("rb")}, data=words)


def upload(server, file, collection, query=""):
    return server.post(f"/v1/images/{collection}{query}", files={"file": file.open("rb")})


def search(server, file, collection):
    return server.post(f"/v1/images/{collection}/search", files={"file": file.open("rb")})


def states(server):
    return {entry["name"]: entry["state"] for entry in server.get("/v1/status").json()["data"]["models"]}


def test_files_are_added_whole_or_not_at_all(tmp_path, added):
    assert [path.name for path in added.iterdir()] == [f"vgg16-{DIGEST}.weights"]
    listed = model(added, "list").stdout
    for name in ["vgg16-imagenet-notop  carried", NAME, str(WEIGHTS.stat().st_size)]:
        assert name in listed, listed
    assert "-fc" not in listed.replace(str(added), ""), "the file has no classifier"
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(WEIGHTS.read_bytes()[:-1000])
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / "models"
    folder.mkdir()
    for arguments, words in [
        (["add", tmp_path / "pipe", "--as", "vgg16"], "no regular file"),
        (["add", WEIGHTS, "--as", "vgg16-fc7"], "classifier.0.weight is missing"),
        (["add", WEIGHTS, "--as", "vgg19"], "features.16.weight is missing"),
        (["add", cut, "--as", "vgg16"], "reaches beyond the end"),
        (["add", REPOSITORY / "README.md", "--as", "resnet50"], "no weights file"),
        (["add", tmp_path / "absent", "--as", "resnet50"], "absent"),
    ]:
        answer = model(folder, *arguments)
        assert answer.returncode == 1 and words in answer.stderr, answer
        assert not list(folder.iterdir()), words
    assert model(folder, "add", WEIGHTS, "--as", "alexnet").returncode == 2
    # A data directory may have weights before a server has had it.
    data = subprocess.run([BINARY, "model", "add", WEIGHTS, "--as", "vgg16", "--data", tmp_path / "data"], timeout=PATIENCE)
    assert data.returncode == 0 and (tmp_path / "data/models" / f"vgg16-{DIGEST}.weights").is_file()


def test_the_server_tells_what_new_collections_can_have(start, photos, added):
    server = start("--models", str(added), "--model", "vgg16", "--pooling", "gem")
    choices = server.get("/v1/models").json()["data"]
    assert choices["default"] == {"model": NAME, "input": "torchvision", "pooling": "gem"}
    carried, of_file = choices["models"]
    poolings = ["max", "avg", "gem", "rmac"]
    assert carried == {"model": "vgg16-imagenet-notop", "dimension": 512, "inputs": ["keras", "torchvision", "320"], "poolings": poolings}
    assert of_file == {"model": NAME, "dimension": 512, "inputs": ["torchvision", "keras", "320"], "poolings": poolings}
    file = next(iter(sorted(photos.rglob("*.jpg"))))
    for choice in choices["models"]:
        answer = embedded(server, file, model=choice["model"], input=choice["inputs"][-1], pooling=choice["poolings"][-1])
        assert len(answer.json()["data"]["vector"]) == choice["dimension"], answer.text
    # Its file has no classifier.
    assert embedded(server, file, model="vgg16-fc7").status_code == 409


def test_a_collection_is_embedded_with_the_model_it_was_made_for(start, photos, added, tmp_path):
    files = sorted(photos.rglob("*.jpg"))[:3]
    folder = tmp_path / "models"
    shutil.copytree(added, folder)
    server = start("--models", folder, "--image-root", photos)
    wait_until(lambda: states(server) == {"vgg16-imagenet-notop": "ready"}, "only the carried model is opened")
    assert upload(server, files[0], "photos", "?model=vgg16").status_code == 200
    assert states(server) == {"vgg16-imagenet-notop": "ready", "vgg16": "ready"}
    assert "elanus_embed_models 2" in server.session.get(f"{server.admin}/metrics").text
    stamps = {entry["collection"]: entry["model"] for entry in server.get("/v1/images").json()["data"]}
    assert stamps["photos"] == f"vgg16;sha256={DIGEST};torchvision-bilinear-224-v1;max;512"
    answer = embedded(server, files[0], model=NAME, pooling="avg").json()["data"]
    assert answer["identity"]["model"] == "vgg16" and answer["identity"]["pooling"] == "avg"
    carried = embedded(server, files[0], input="torchvision").json()["data"]
    assert np.dot(answer["vector"], carried["vector"]) < 0.999
    # Nothing more has to be said of a collection that is there, and nothing else may be.
    assert upload(server, files[1], "photos").status_code == 200
    for query, word in [("?model=vgg16-imagenet-notop", "model vgg16"), ("?model=vgg16@00000000", "00000000"), ("?pooling=gem", "gem")]:
        refused = upload(server, files[2], "photos", query)
        assert refused.status_code == 409 and word in refused.json()["message"], refused.text
    for query, status, word in [
        ("?model=vgg16&pooling=none", 400, "vgg16 has no pooling none: expected max, avg, gem, rmac"),
        ("?model=alexnet", 400, "unknown model"),
        ("?model=resnet50", 409, "elanus model pull resnet50"),
        # The file is there, but it has no classifier.
        ("?model=vgg16-fc7", 409, "elanus model pull vgg16-fc7"),
    ]:
        refused = upload(server, files[2], "none", query)
        assert refused.status_code == status and word in refused.json()["message"], refused.text
    job = server.post("/v1/jobs", json={"collection": "by_job", "folder": str(photos), "model": "vgg16", "pooling": "gem"})
    server.wait_for_job(job.json()["data"]["id"])
    found = search(server, files[2], "by_job").json()["data"][0]
    assert found["name"] == str(files[2].relative_to(photos)) and found["distance"] > 0.9999
    assert "none" not in [entry["collection"] for entry in server.get("/v1/images").json()["data"]]
    server.stop()

    # Without the file: what needs it says how to get it, everything else goes on; and it is found when it comes back.
    away = tmp_path / "away"
    folder.rename(away)
    server = start("--models", folder)
    for refused in [search(server, files[0], "photos"), upload(server, files[2], "photos"), embedded(server, files[0], model="vgg16")]:
        assert refused.status_code == 409 and "elanus model pull vgg16" in refused.json()["message"], refused.text
    rows = server.ok("entities/query", {"collectionName": "photos", "filter": "", "limit": 10, "outputFields": ["id", "name", "vector"]})
    assert len(rows) == 2
    by_vector = server.ok("entities/search", {"collectionName": "photos", "data": [rows[0]["vector"]], "limit": 1, "outputFields": ["name"]})
    assert by_vector[0]["name"] == rows[0]["name"]
    by_id = server.post("/v1/images/photos/search", data={"id": str(rows[1]["id"])}).json()["data"]
    assert by_id[0]["name"] == rows[1]["name"]
    searchable = lambda: {entry["collection"]: entry["searchable"] for entry in server.get("/v1/images").json()["data"]}["photos"]
    assert searchable() is False

    # Something else under its name is refused, until the right file is back.
    folder.mkdir()
    (folder / f"vgg16-{DIGEST}.weights").write_bytes(b"half a file")
    refused = search(server, files[0], "photos")
    assert refused.status_code == 503 and "damaged or another one" in refused.json()["message"], refused.text
    assert searchable() is False and search(server, files[0], "photos").status_code == 503
    shutil.rmtree(folder)
    away.rename(folder)
    assert search(server, files[0], "photos").json()["data"][0]["distance"] > 0.9999


def test_new_collections_get_the_model_of_the_settings(start, photos, added, tmp_path):
    file = sorted(photos.rglob("*.jpg"))[0]
    config = tmp_path / "elanus.toml"
    config.write_text(f"[embed]\nmodels = '{added}'\nmodel = 'vgg16'\npooling = 'gem'\n")
    server = start("--config", config)
    assert upload(server, file, "photos").status_code == 200
    assert server.get("/v1/status").json()["data"]["model"].endswith(";torchvision-bilinear-224-v1;gem;512")
    assert states(server) == {"vgg16": "ready"}
    # What the settings say of their own model is not said of another one.
    answer = embedded(server, file, model="vgg16-imagenet-notop").json()["data"]
    assert answer["model"].endswith(";keras-bilinear-224-v1;max;512")
    server.stop()
    ended = subprocess.run([BINARY, "serve", "--data", tmp_path / "other", "--model", "resnet50"], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1 and "elanus model pull resnet50" in ended.stderr, ended


def test_a_damaged_file_is_not_used(start, photos, added, tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(added, folder)
    path = folder / f"vgg16-{DIGEST}.weights"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    server = start("--models", folder)
    refused = embedded(server, sorted(photos.rglob("*.jpg"))[0], model="vgg16")
    assert refused.status_code == 503 and "damaged or another one" in refused.json()["message"], refused.text
    assert "damaged" in states(server)["vgg16"]


class Files(http.server.BaseHTTPRequestHandler):
    """Serves `content` as it is told to, and writes down what was asked for."""

    def do_GET(self):
        settings, asked = self.server.settings, self.headers.get("Range")
        self.server.asked.append(asked)
        if settings.get("status"):
            return self.send_error(settings["status"])
        content, start = settings["content"], 0
        same = self.headers.get("If-Range") == settings.get("etag")
        if asked and same and not settings.get("no_range"):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start + settings.get('shift', 0)}-{len(content) - 1}/{len(content)}")
        if settings.get("etag"):
            self.send_header("ETag", settings["etag"])
        self.send_header("Content-Length", str(settings.get("length", len(content) - start)))
        self.end_headers()
        self.wfile.write(content[start:settings.get("cut", len(content))])

    def log_message(self, *_):
        pass


@pytest.fixture
def files():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.asked, server.settings = [], {}
    server.url = f"http://127.0.0.1:{server.server_port}/vgg16.safetensors"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


CONTENT = WEIGHTS.read_bytes()
CUT = len(CONTENT) // 3


def pull(files, folder, *arguments, sha256=DIGEST, **settings):
    files.settings = {"content": CONTENT, "etag": '"one"', **settings}
    pinned = ["--sha256", sha256] if sha256 else []
    return model(folder, "pull", "vgg16", "--url", files.url, *pinned, *arguments)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_download_goes_on_where_it_broke_off(files, tmp_path):
    broken = pull(files, tmp_path, cut=CUT)
    assert broken.returncode == 1 and f"broke off after {CUT} bytes" in broken.stderr, broken
    assert names(tmp_path) == ["vgg16-pull.origin", "vgg16-pull.part"]
    whole = pull(files, tmp_path, sha256=DIGEST[:8].upper())
    assert whole.returncode == 0 and NAME in whole.stdout and f"of {len(CONTENT)} bytes" in whole.stderr, whole
    assert files.asked == [None, f"bytes={CUT}-"]
    assert names(tmp_path) == [f"vgg16-{DIGEST}.weights"]
    assert (tmp_path / f"vgg16-{DIGEST}.weights").read_bytes() == CONTENT


@pytest.mark.parametrize("second", [{"no_range": True}, {"etag": '"two"'}, {"etag": None}])
def test_a_download_begins_anew_where_it_cannot_go_on(files, tmp_path, second):
    assert pull(files, tmp_path, cut=CUT).returncode == 1
    whole = pull(files, tmp_path, **second)
    assert whole.returncode == 0 and names(tmp_path) == [f"vgg16-{DIGEST}.weights"], whole


def test_without_an_etag_nothing_is_put_together(files, tmp_path):
    assert pull(files, tmp_path, cut=CUT, etag=None).returncode == 1
    assert pull(files, tmp_path, etag=None).returncode == 0
    assert files.asked == [None, None]


def test_what_is_not_the_file_leaves_nothing(files, tmp_path):
    wrong = pull(files, tmp_path, sha256="0" * 64)
    assert wrong.returncode == 1 and DIGEST in wrong.stderr and "removed" in wrong.stderr, wrong
    assert names(tmp_path) == []
    other = pull(files, tmp_path, sha256=None, content=b"no weights")
    assert other.returncode == 1 and "no weights file" in other.stderr and "whatever comes is taken" in other.stderr, other
    assert names(tmp_path) == []
    # A part of something else that is as long as the file, or longer.
    assert pull(files, tmp_path, content=b"x" * (len(CONTENT) + 5), length=len(CONTENT) + 9).returncode == 1
    longer = pull(files, tmp_path)
    assert longer.returncode == 1 and "removed" in longer.stderr and names(tmp_path) == [], longer
    assert pull(files, tmp_path).returncode == 0


def test_a_server_that_does_not_have_it_is_told(files, tmp_path):
    for settings, words in [
        ({"status": 404}, "404"),
        ({"status": 503}, "503"),
        ({"length": (1 << 30) + 1}, "no weights file has more than"),
    ]:
        answer = pull(files, tmp_path, **settings)
        assert answer.returncode == 1 and words in answer.stderr and files.url in answer.stderr, answer
    assert names(tmp_path) == []
    assert pull(files, tmp_path, cut=CUT).returncode == 1
    shifted = pull(files, tmp_path, shift=1)
    assert shifted.returncode == 1 and "another part" in shifted.stderr, shifted
    files.shutdown()
    files.server_close()
    gone = model(tmp_path, "pull", "vgg16", "--url", files.url)
    assert gone.returncode == 1 and files.url in gone.stderr
    assert "vgg16-pull.part" in names(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_told(files, tmp_path):
    (tmp_path / "vgg16-pull.part").symlink_to("/dev/full")
    answer = pull(files, tmp_path)
    assert answer.returncode == 1 and "vgg16-pull.part" in answer.stderr, answer


def test_wrong_words_are_refused_before_anything_is_asked_for(files, tmp_path):
    for arguments in [["vgg16-imagenet-notop"], ["vgg16", "--sha256", "12"], ["alexnet"]]:
        assert model(tmp_path, "pull", *arguments).returncode == 2
    assert files.asked == [] and names(tmp_path) == []


def test_models_that_nobody_asks_for_are_closed(start, photos, tmp_path):
    """Weights of further ones take the place of those that were not asked for longest."""
    folder, names = tmp_path / "models", []
    weights = bytearray(WEIGHTS.read_bytes())
    for number in range(4):
        # The last byte is of a weight: with another one it is another model.
        weights[-2] ^= 1 << number
        file = tmp_path / "changed.safetensors"
        file.write_bytes(weights)
        answer = model(folder, "add", file, "--as", "vgg16")
        assert answer.returncode == 0, answer
        names.append(answer.stdout.split()[0])
    config = tmp_path / "elanus.toml"
    config.write_text("[embed]\nopen_models = 4\n")
    server = start("--models", folder, "--config", config)
    wait_until(lambda: states(server) == {"vgg16-imagenet-notop": "ready"}, "the standard model is ready")
    file = next(iter(sorted(photos.rglob("*.jpg"))))

    def opened():
        entries = server.get("/v1/status").json()["data"]["models"]
        assert all(entry["state"] == "ready" for entry in entries)
        return {f"{entry['name']}@{entry['sha256'][:8]}" for entry in entries if entry["name"] == "vgg16"}

    def vector(name):
        return embedded(server, file, model=name).json()["data"]["vector"]

    first = vector(names[0])
    for name in [names[1], names[2], names[0]]:
        vector(name)
    assert opened() == set(names[:3])
    vector(names[3])
    # The one that was asked for first was asked for again since.
    wait_until(lambda: opened() == {names[0], names[2], names[3]}, "one is closed")
    assert "vgg16-imagenet-notop" in states(server), "the standard model stays"
    wait_until(lambda: "elanus_embed_models 4" in server.session.get(f"{server.admin}/metrics").text, "four are open")
    vector(names[1])
    assert opened() == {names[0], names[3], names[1]}
    assert vector(names[0]) == first
