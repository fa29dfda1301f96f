"""Starts the real program on free ports with a data folder of its own, and makes photos to feed it."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
import requests
from PIL import Image, ImageDraw

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("ELANUS_SHARED", REPOSITORY.parent / "shared"))
BINARY = os.environ.get("ELANUS_BIN", str(REPOSITORY / "target/debug/elanus-under-test"))
PATIENCE = 120  # seconds until a condition that should come counts as never coming


def pytest_configure(config):
    config.addinivalue_line("markers", "strict: gets the server with short timeouts")


def wait_until(condition, what, seconds=PATIENCE, pause=0.05):
    """Polls until `condition` gives something true, and gives that back."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    raise AssertionError(f"never happened in {seconds} s: {what}")


class Server:
    """One run of the program."""

    def __init__(self, data, *arguments, environment=None, binary=BINARY):
        command = [binary, "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command + [str(a) for a in arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "ELANUS_LOG": "info", **(environment or {})},
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._address(r"(https?://127\.0\.0\.1:\d+)/?(\s|$)", "page")
        self.ready_after = time.monotonic() - self.started
        self.admin = self._address(r"(https?://127\.0\.0\.1:\d+)/(?:metrics|healthz)", "metrics")
        self.session = requests.Session()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def _address(self, pattern, what):
        def look():
            assert self.process.poll() is None or self.lines, "ended without a word"
            for line in list(self.lines):
                found = re.search(pattern, line)
                if found:
                    return found.group(1)
            if self.process.poll() is not None:
                raise AssertionError("ended: " + "".join(self.lines))
            return None

        return wait_until(look, f"an address of the {what} in the output", 60)

    def v2(self, path, body, **headers):
        answer = self.session.post(f"{self.url}/v2/vectordb/{path}", json=body, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def ok(self, path, body, **headers):
        answer = self.v2(path, body, **headers)
        assert answer["code"] == 0, (path, answer)
        return answer["data"]

    def get(self, path):
        return self.session.get(f"{self.url}{path}", timeout=PATIENCE)

    def post(self, path, **arguments):
        return self.session.post(f"{self.url}{path}", timeout=PATIENCE, **arguments)

    def upload(self, files, collection="images", **fields):
        parts = [("file", (path.name, path.read_bytes())) for path in files]
        return self.post(f"/v1/images/{collection}", files=parts, data=fields)

    def count(self, collection="images"):
        answer = self.v2("collections/get_stats", {"collectionName": collection})
        return answer["data"]["rowCount"] if answer["code"] == 0 else 0

    def wait_for_job(self, job, states=("done",)):
        def look():
            data = self.get(f"/v1/jobs/{job}").json()["data"]
            assert data["state"] != "failed" or "failed" in states, data
            return data if data["state"] in states else None

        return wait_until(look, f"job {job} in {states}", 600)

    def memory(self, key="VmHWM"):
        """Peak (or `VmRSS`: present) resident memory in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+) kB", status).group(1)) * 1024

    def stop(self, with_signal=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=10)
        return code

    def kill(self):
        self.stop(signal.SIGKILL)


@pytest.fixture
def start(tmp_path):
    """Gives a function that starts the program; whatever still runs at the end is killed."""
    servers = []

    def run(*arguments, data=None, **options):
        server = Server(data or tmp_path / "data", *arguments, **options)
        servers.append(server)
        return server

    yield run
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    """One server for tests that only add collections of their own."""
    server = Server(tmp_path_factory.mktemp("shared-server"))
    yield server
    server.kill()


def draw(path, seed, size=(96, 80), quality=92):
    """A photo of our own: coloured shapes that differ by seed."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(int(v) for v in random.integers(0, 256, 3)))
    pencil = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = random.integers(0, size[0]), random.integers(0, size[1])
        w, h = random.integers(8, size[0] // 2), random.integers(8, size[1] // 2)
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        shape = pencil.ellipse if random.random() < 0.5 else pencil.rectangle
        shape([int(x), int(y), int(x + w), int(y + h)], fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=quality) if path.suffix == ".jpg" else image.save(path)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Twelve drawn photos in a folder with a subfolder."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(12):
        draw(folder / ("deep/er" if seed % 3 == 0 else "") / f"photo-{seed:02}.jpg", seed)
    return folder


@pytest.fixture(scope="session")
def voc_mini():
    folder = SHARED / "data/voc-mini/VOCdevkit/VOC2012/JPEGImages"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture(scope="session")
def bad_images():
    folder = SHARED / "data/bad-images"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture
def fresh_folder(tmp_path):
    folder = tmp_path / "fresh"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
