"""Storage as an operator meets it: kill -9, full disks, disks that become read-only, backups, damaged files. All from
outside, over the real ports and the real command line.

`ELANUS_KILL_ROUNDS` says how often the server is killed under its writers (10); `-s` shows what the rounds measured.
Tests that mount a file system need root and are skipped without it.
"""

import collections
import concurrent.futures
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import tarfile
import threading
import time

import pytest
import requests

from conftest import BINARY, PATIENCE, Server, draw, wait_until

MIB = 1 << 20
DISK_EXHAUSTED = 7
MOST_ROWS = 16_384  # of one answer

# Vectors of small integers: short as JSON, exact as floats. Keys that are not a multiple of this apart differ.
PATTERNS = 97


@functools.cache
def pattern_of(place, dim):
    return [random.Random(place * 1000 + axis).randrange(10) for axis in range(dim)]


def pattern(key, dim):
    return pattern_of(key % PATTERNS, dim)


class Rows:
    """Rows `{"id", "vector", "tag": id * 3}` of one dimension, as the text of a request, made fast."""

    def __init__(self, dim):
        self.dim = dim
        self._vectors = [json.dumps(pattern(key, dim), separators=(",", ":")) for key in range(PATTERNS)]

    def body(self, collection, keys):
        rows = ",".join(f'{{"id":{k},"tag":{k * 3},"vector":{self._vectors[k % PATTERNS]}}}' for k in keys)
        return f'{{"collectionName":"{collection}","data":[{rows}]}}'

    def insert(self, server, collection, keys, session=None):
        """The answer: HTTP status and envelope."""
        answer = (session or server.session).post(
            f"{server.url}/v2/vectordb/entities/insert",
            data=self.body(collection, keys),
            headers={"Content-Type": "application/json"},
            timeout=PATIENCE,
        )
        return answer.status_code, answer.json()

    def must_insert(self, server, collection, keys):
        status, answer = self.insert(server, collection, keys)
        assert (status, answer["code"]) == (200, 0), answer

    def check(self, row):
        assert row["vector"] == pattern(row["id"], self.dim) and row["tag"] == row["id"] * 3, row


def create(server, name, dim):
    server.ok("collections/create", {"collectionName": name, "dimension": dim, "metricType": "L2"})


def keys_in(server, collection, fields=(), check=None, low=0, high=1 << 27):
    """All keys of a collection, in order; `check` is called with every row."""
    expression = f"id >= {low} and id < {high}"
    if count(server, collection, expression) > MOST_ROWS:
        middle = (low + high) // 2
        below = keys_in(server, collection, fields, check, low, middle)
        return below + keys_in(server, collection, fields, check, middle, high)
    body = {"collectionName": collection, "filter": expression, "limit": MOST_ROWS}
    rows = server.ok("entities/query", {**body, "outputFields": ["id", *fields]})
    for row in rows if check else ():
        check(row)
    keys = sorted(row["id"] for row in rows)
    assert len(set(keys)) == len(keys), "a key came twice"
    return keys


def count(server, collection, expression=""):
    body = {"collectionName": collection, "filter": expression, "outputFields": ["count(*)"]}
    return server.ok("entities/query", body)[0]["count(*)"]


def metrics(server, collection=None):
    """Metrics by name without `elanus_`: those of a collection, or those without labels."""
    answer = requests.get(f"{server.admin}/metrics", timeout=PATIENCE)
    labels = re.escape(f'{{collection="{collection}"}}') if collection else ""
    found = re.findall(rf"^elanus_(\w+){labels} (\S+)$", answer.text, re.MULTILINE)
    return {name.removeprefix("collection_"): float(value) for name, value in found}


def wait_sealed(server, collection):
    def sealed():
        found = metrics(server, collection)
        return found and found["growing_rows"] == 0 and not found["compacting"]

    wait_until(sealed, f"{collection} is in segment files")


def disk_usage(folder):
    """Bytes of the files below a folder, as the disk counts them. Files may go while we look."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(base, name)).st_blocks * 512
    return total


def write_config(path, **tables):
    """A configuration file of tables of numbers."""
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {value}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


# Sealing and compaction at every turn.
BUSY = {"seal_bytes": 65536 * 4, "seal_age_s": 1, "segment_bytes": 2 * MIB}


@pytest.fixture
def busy(tmp_path):
    return write_config(tmp_path / "busy.toml", storage=BUSY)


def elanus(*arguments, timeout=PATIENCE):
    run = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    assert "panicked" not in run.stderr, run.stderr
    return run


def admin_of(server):
    return server.admin.removeprefix("http://")


def tree(folder):
    """Every file below a folder with the hash of its content."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "LOCK")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def flip(path, place):
    """Changes one bit of a file; a negative place counts from its end."""
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_SET if place >= 0 else os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x10]))


# ---- kill -9 under eight writers ----

KILL_ROUNDS = int(os.environ.get("ELANUS_KILL_ROUNDS", "10"))
WRITERS = 8
KEYS_OF_A_WRITER = 400
KILL_DIM = 64


class Client:
    """One client with keys of its own. It knows what every acknowledged request left behind, and what the request that
    is under way will leave behind."""

    def __init__(self, number):
        self.number = number
        self.random = random.Random(number)
        self.live = {}  # key: version
        self.in_flight = {}  # key: version, or None for deleted
        self.version = 0
        self.acknowledged = 0
        self.refused = None

    def request(self):
        """A path, a body, and what it does."""
        first = self.number * 1_000_000
        keys = self.random.sample(range(first, first + KEYS_OF_A_WRITER), self.random.randrange(1, 33))
        kind = self.random.choice(["insert", "upsert", "upsert", "delete"])
        if kind == "delete":
            return "delete", {"filter": f"id in {keys}"}, dict.fromkeys(keys)
        if kind == "insert":
            keys = [key for key in keys if key not in self.live] or keys[:1]
        self.version += 1
        rows = [
            {"id": key, "writer": self.number, "version": self.version, "vector": pattern(key + self.version, KILL_DIM)}
            for key in keys
        ]
        return kind, {"data": rows}, dict.fromkeys(keys, self.version)

    def write(self, url):
        """Writes until the server is gone."""
        with requests.Session() as session:
            while True:
                path, body, self.in_flight = self.request()
                try:
                    body["collectionName"] = "rows"
                    answer = session.post(f"{url}/v2/vectordb/entities/{path}", json=body, timeout=PATIENCE)
                    answer = answer.json()
                except requests.exceptions.RequestException:
                    return
                if answer["code"] != 0:
                    self.refused = answer
                    return
                self.live = self.after()
                self.in_flight = {}
                self.acknowledged += 1

    def after(self):
        merged = {**self.live, **self.in_flight}
        return {key: version for key, version in merged.items() if version is not None}

    def compare(self, server):
        """Lost and phantom rows; then takes over what is there."""
        mine = {"collectionName": "rows", "outputFields": ["version", "writer", "vector"]}
        rows = server.ok("entities/query", {**mine, "filter": f"writer == {self.number}", "limit": MOST_ROWS})
        there = {row["id"]: row["version"] for row in rows}
        assert len(there) == len(rows), "a key names two rows"
        for row in rows:
            assert row["vector"] == pattern(row["id"] + row["version"], KILL_DIM), "a row of two writes"
        # The same by key: another way through the files.
        first = self.number * 1_000_000
        by_key = server.ok("entities/get", {**mine, "id": list(range(first, first + KEYS_OF_A_WRITER))})
        assert {row["id"]: row["version"] for row in by_key} == there
        lost, phantom = [], []
        if there != self.after():  # then the request that was under way must have left no trace
            keys = set(there) | set(self.live)
            wrong = [key for key in keys if there.get(key) != self.live.get(key)]
            lost = [(key, self.live[key], there.get(key)) for key in wrong if key in self.live]
            phantom = [(key, there[key]) for key in wrong if key not in self.live]
        self.live, self.in_flight = there, {}
        return lost, phantom


def spread(values, unit=""):
    return f"{min(values):.6g} / {statistics.median(values):.6g} / {max(values):.6g}{unit}"


def test_killed_under_eight_writers_again_and_again(start, tmp_path):
    """After each kill -9 no acknowledged row is lost and none is there that nobody wrote; deleted rows stay deleted.
    Some rounds end after a random number of requests, some in the middle of a compaction, some right after the start."""
    config = write_config(tmp_path / "kill.toml", storage={**BUSY, "compaction_bytes_per_s": 2 * MIB})
    moments = random.Random(os.environ.get("ELANUS_KILL_SEED", "elanus"))
    clients = [Client(number) for number in range(WRITERS)]
    starts, first_reads, replayed, lost, phantom = [], [], [], [], []
    compactions = in_compaction = 0
    for attempt in range(KILL_ROUNDS + 1):
        server = start("--config", config)
        if attempt == 0:
            create(server, "rows", KILL_DIM)
        there = count(server, "rows")
        first_reads.append(time.monotonic() - server.started)
        starts.append(server.ready_after)
        replayed.append(metrics(server, "rows")["replayed_bytes"])
        for client in clients:
            missing, unknown = client.compare(server)
            lost += missing
            phantom += unknown
        assert not lost and not phantom, (attempt, lost, phantom)
        assert there == sum(len(client.live) for client in clients)
        if attempt == KILL_ROUNDS:
            break
        kind = moments.choice(["writes", "writes", "compaction", "start"])
        with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
            writing = [pool.submit(client.write, server.url) for client in clients]
            before = sum(client.acknowledged for client in clients)
            goal = before + moments.randrange(0, 10 if kind == "start" else 1500)
            wait_until(lambda: sum(client.acknowledged for client in clients) >= goal, "requests", pause=0.0005)
            if kind == "compaction":
                wait_until(lambda: metrics(server, "rows")["compacting"], "a compaction", pause=0)
                in_compaction += 1
            compactions += metrics(server, "rows")["compactions_total"]
            server.kill()
            for future in writing:
                future.result()
        assert not [client.refused for client in clients if client.refused]
    print(f"\n{KILL_ROUNDS} rounds of kill -9, {sum(c.acknowledged for c in clients)} requests acknowledged, "
          f"{len(lost)} rows lost, {len(phantom)} phantom rows")
    print(f"{in_compaction} rounds ended in a compaction; {compactions:.0f} compactions were finished")
    print("min / median / max of a start (from the second on)")
    print("  until it listens:  ", spread(starts[1:] or starts, " s"))
    print("  until the first read:", spread(first_reads[1:] or first_reads, " s"))
    print("  replayed bytes:    ", spread(replayed[1:] or replayed))
    # The log is bounded by the sealing size; that writers go on while it is sealed is in the factor.
    assert max(replayed) <= 16 * BUSY["seal_bytes"]
    assert server.stop() == 0
    check = elanus("check", tmp_path / "data")
    assert check.returncode == 0 and "DAMAGE" not in check.stdout, check.stdout + check.stderr


# ---- full disks ----


def must_mount(*arguments):
    run = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if run.returncode != 0:
        pytest.skip(f"a file system can't be mounted here: {run.stderr.strip()}")


def unmount(folder):
    if subprocess.run(["umount", str(folder)], capture_output=True).returncode != 0:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 MiB. To be named before `start`, so that no server runs when it goes."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    must_mount("-t", "tmpfs", "-o", f"size={64 * MIB}", "tmpfs", folder)
    try:
        yield folder
    finally:
        unmount(folder)


WIDE = Rows(256)
BATCH = 250


def fill(server, collection, first=0):
    """Inserts in batches until one is refused; the keys of the acknowledged ones and the refusal."""
    keys = range(first, first)
    while True:
        batch = range(keys.stop, keys.stop + BATCH)
        status, answer = WIDE.insert(server, collection, batch)
        if answer["code"] != 0:
            return keys, status, answer
        keys = range(first, batch.stop)


def accepted(server, collection, keys):
    """Whether a batch is taken; a refusal must be the one of a full disk."""
    status, answer = WIDE.insert(server, collection, keys)
    assert status == 200 and answer["code"] in (0, DISK_EXHAUSTED), (status, answer)
    return answer["code"] == 0


def searchable(server, collection, key):
    hits = server.ok(
        "entities/search",
        {"collectionName": collection, "data": [pattern(key, WIDE.dim)], "limit": 3, "outputFields": ["tag"]},
    )
    return hits[0]["distance"] == 0 and hits[0]["id"] % PATTERNS == key % PATTERNS


def test_a_full_disk_refuses_growth_and_nothing_else(small_disk, start, busy, tmp_path):
    photos = [draw(tmp_path / f"photo-{seed}.jpg", seed) for seed in range(3)]
    data = small_disk / "data"
    server = start("--config", busy, data=data)
    first_photo = server.upload(photos[:1]).json()["data"]["ids"][0]
    for name in ("bulk", "spare"):
        create(server, name, WIDE.dim)
    spare = range(5 * BATCH)
    for part in range(0, len(spare), BATCH):
        WIDE.must_insert(server, "spare", spare[part : part + BATCH])
    # A small batch may still fit where a larger one did not: until nothing does.
    keys, status, answer = fill(server, "bulk")
    assert (status, answer["code"]) == (200, DISK_EXHAUSTED) and "disk" in answer["message"], answer
    assert len(keys) * WIDE.dim * 4 > 20 * MIB, "it is refused far too early"
    print(f"\nrefused after {len(keys)} rows with {disk_usage(data) >> 20} of 64 MiB in use: {answer['message']}")

    refused = server.upload(photos[1:2])
    assert (refused.status_code, refused.json()["code"]) == (507, DISK_EXHAUSTED), refused.text
    upsert = server.v2("entities/upsert", {"collectionName": "bulk", "data": [{"id": 0, "vector": pattern(0, WIDE.dim), "tag": 1}]})
    assert upsert["code"] == DISK_EXHAUSTED, upsert
    assert keys_in(server, "bulk") == list(keys), "exactly what was acknowledged"
    assert count(server, "spare") == len(spare)
    for key in (keys[0], keys[len(keys) // 2], keys[-1]):
        row = server.ok("entities/get", {"collectionName": "bulk", "id": [key], "outputFields": ["vector", "tag"]})
        WIDE.check(row[0])
        assert searchable(server, "bulk", key)
    assert server.get(f"/v1/images/images/{first_photo}").content == photos[0].read_bytes()
    assert 'elanus_quota_exceeded{resource="disk"} 1' in requests.get(f"{server.admin}/metrics", timeout=60).text

    # Room comes back by a delete and a drop; nobody has to ask for it.
    gone = server.ok("entities/delete", {"collectionName": "bulk", "filter": f"id < {len(keys) // 2}"})
    assert gone["deleteCount"] == len(keys) // 2
    assert keys_in(server, "bulk") == list(keys[len(keys) // 2 :])
    server.ok("collections/drop", {"collectionName": "spare"})
    assert "spare" not in server.ok("collections/list", {})
    fresh = range(keys.stop, keys.stop + BATCH)
    wait_until(lambda: accepted(server, "bulk", fresh), "room again, without a restart", pause=0.1)
    uploaded = wait_until(lambda: server.upload(photos[1:2]).json()["data"]["ids"], "room for photos")
    expected = [*keys[len(keys) // 2 :], *fresh]
    assert keys_in(server, "bulk") == expected

    server.kill()
    again = start("--config", busy, data=data)
    assert keys_in(again, "bulk", fields=["vector", "tag"], check=WIDE.check) == expected
    assert again.get(f"/v1/images/images/{uploaded[0]}").content == photos[1].read_bytes()
    assert again.stop() == 0
    check = elanus("check", data)
    assert check.returncode == 0, check.stdout


def occupy(path):
    """Writes a file until the disk is full."""
    with path.open("wb", buffering=0) as file:
        for size in (MIB, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\1" * size)


def test_a_disk_filled_by_another_program_loses_nothing(small_disk, start, busy):
    data, other = small_disk / "data", small_disk / "other"
    server = start("--config", busy, data=data)
    create(server, "rows", WIDE.dim)
    acknowledged, refusals, lock = set(), [], threading.Lock()
    enough = threading.Event()

    def write(writer):
        """Until refused three times in a row."""
        with requests.Session() as session:
            refused, first = 0, writer * 1_000_000
            while not enough.is_set():
                batch = range(first, first + 20)
                status, answer = WIDE.insert(server, "rows", batch, session)
                with lock:
                    if answer["code"] == 0:
                        acknowledged.update(batch)
                        first, refused = batch.stop, 0
                    else:
                        refusals.append((status, answer["code"], answer["message"]))
                        refused += 1
                if refused == 3:
                    return

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, writer) for writer in range(4)]
        wait_until(lambda: len(acknowledged) > 1000, "some rows")
        occupy(other)
        try:
            wait_until(lambda: all(future.done() for future in writing), "all writers are refused")
        finally:
            enough.set()
        for future in writing:
            future.result()
    assert {(status, code) for status, code, _ in refusals} == {(200, DISK_EXHAUSTED)}, refusals
    print("\n" + "\n".join(f"{n} x {message}" for message, n in collections.Counter(r[2] for r in refusals).most_common(4)))
    assert keys_in(server, "rows") == sorted(acknowledged)
    health = requests.get(f"{server.admin}/healthz", timeout=60)
    assert health.status_code == 200, health.text

    other.unlink()
    fresh = range(9_000_000, 9_000_000 + BATCH)
    wait_until(lambda: accepted(server, "rows", fresh), "writes go on, without a restart", pause=0.1)
    expected = sorted(acknowledged) + list(fresh)
    assert keys_in(server, "rows") == expected
    server.kill()
    again = start("--config", busy, data=data)
    assert keys_in(again, "rows", fields=["vector", "tag"], check=WIDE.check) == expected


@pytest.fixture
def packed(small_disk, start, busy):
    """A server that was killed and started again on a disk without a free byte; two collections, and what makes room."""
    data, others = small_disk / "data", [small_disk / "other-1", small_disk / "other-2"]
    server = start("--config", busy, data=data)
    for name in ("rows", "spare"):
        create(server, name, WIDE.dim)
        for first in range(0, 20 * BATCH, BATCH):
            WIDE.must_insert(server, name, range(first, first + BATCH))
    occupy(others[0])
    server.kill()
    occupy(others[1])

    def make_room():
        for file in others:
            file.unlink()

    return start("--config", busy, data=data), make_room


def test_starts_and_reads_on_a_disk_without_a_free_byte(packed, small_disk, start, busy):
    """A full disk is no reason to stay down."""
    server, make_room = packed
    for name in ("rows", "spare"):
        assert keys_in(server, name, fields=["vector", "tag"], check=WIDE.check) == list(range(20 * BATCH))
    wait_until(lambda: not accepted(server, "rows", range(1_000_000, 1_000_000 + BATCH)), "a refusal")
    stored = count(server, "rows")
    assert stored % BATCH == 0
    make_room()
    wait_until(lambda: accepted(server, "rows", range(2_000_000, 2_000_000 + BATCH)), "room again", pause=0.1)
    assert count(server, "rows") == stored + BATCH
    server.kill()
    assert count(start("--config", busy, data=small_disk / "data"), "rows") == stored + BATCH


def test_a_drop_makes_room_on_a_disk_without_a_free_byte(packed):
    """Where nothing can be written any more, a drop is the way out."""
    server, _ = packed
    wait_until(lambda: not accepted(server, "rows", range(1_000_000, 1_000_000 + BATCH)), "a refusal")
    server.ok("collections/drop", {"collectionName": "spare"})
    assert "spare" not in server.ok("collections/list", {})
    wait_until(lambda: accepted(server, "rows", range(2_000_000, 2_000_000 + 10)), "room again", pause=0.1)


def test_a_quota_of_bytes_is_kept_and_recovers_by_itself(start, tmp_path):
    quota = 24 * MIB
    config = write_config(tmp_path / "quota.toml", storage=BUSY, quota={"disk_bytes": quota})
    server = start("--config", config)
    create(server, "rows", WIDE.dim)
    keys, status, answer = fill(server, "rows")
    assert (status, answer["code"]) == (200, DISK_EXHAUSTED), answer
    used = disk_usage(tmp_path / "data")
    print(f"\n{len(keys)} rows, {used / MIB:.1f} MiB of {quota / MIB:.0f}: {answer['message']}")
    assert used <= quota
    assert keys_in(server, "rows") == list(keys)
    keep = len(keys) * 2 // 5
    server.ok("entities/delete", {"collectionName": "rows", "filter": f"id >= {keep}"})
    fresh = range(1_000_000, 1_000_000 + BATCH)
    wait_until(lambda: accepted(server, "rows", fresh), "writes are taken again", pause=0.1)
    more, status, answer = fill(server, "rows", fresh.stop)
    assert (status, answer["code"]) == (200, DISK_EXHAUSTED) and len(more) > BATCH, answer
    assert disk_usage(tmp_path / "data") <= quota
    expected = [*keys[:keep], *fresh, *more]
    assert keys_in(server, "rows") == expected
    server.kill()
    assert keys_in(start("--config", config), "rows", fields=["vector", "tag"], check=WIDE.check) == expected


# ---- room that comes back ----


def test_after_deleting_nine_tenths_the_disk_shrinks_without_a_call(start, tmp_path):
    rows, total, kept = Rows(64), 40_000, 4_000
    config = write_config(tmp_path / "shrink.toml", storage=BUSY)
    small = start("--config", config, data=tmp_path / "reference")
    create(small, "rows", rows.dim)
    survivors = range(0, total, total // kept)
    for first in range(0, kept, 1000):
        rows.must_insert(small, "rows", survivors[first : first + 1000])
    wait_sealed(small, "rows")
    assert small.stop() == 0
    truth = next((tmp_path / "reference/collections").iterdir()) / "truth"
    live_bytes = sum(path.stat().st_size for path in truth.iterdir())
    assert live_bytes >= kept * rows.dim * 4

    server = start("--config", config)
    create(server, "rows", rows.dim)
    for first in range(0, total, 2000):
        rows.must_insert(server, "rows", range(first, first + 2000))
    wait_sealed(server, "rows")
    folder = next((tmp_path / "data/collections").iterdir())
    full, before = disk_usage(folder), metrics(server, "rows")
    gone = server.ok("entities/delete", {"collectionName": "rows", "filter": f"tag % {3 * total // kept} != 0"})
    assert gone["deleteCount"] == total - kept
    sizes = []

    def shrunk():
        sizes.append(disk_usage(folder))
        return sizes[-1] <= 1.3 * live_bytes

    try:
        wait_until(shrunk, f"at most 1.3 x {live_bytes} bytes on the disk", pause=0.1)
    finally:
        print(f"\n{full} bytes with all rows; live: {live_bytes}; at last {sizes[-1]} = {sizes[-1] / live_bytes:.2f} x")
    after = wait_until(lambda: (m := metrics(server, "rows"))["dead_rows"] == 0 and m, "no dead rows")
    assert after["compactions_total"] > before["compactions_total"]
    assert after["compaction_dropped_rows_total"] >= before["compaction_dropped_rows_total"] + total - kept
    assert after["rows"] == kept and after["segment_bytes"] <= 1.3 * live_bytes
    assert after["disk_bytes"] <= 1.3 * live_bytes
    check = dict(fields=["vector", "tag"], check=rows.check)
    assert keys_in(server, "rows", **check) == list(survivors)
    server.kill()
    assert keys_in(start("--config", config), "rows", **check) == list(survivors)


# ---- a disk that becomes read-only ----


@pytest.fixture
def failing_disk(tmp_path):
    """An ext4 that can be made read-only under open files, as Linux does after a disk error. (`mount -o remount,ro`
    refuses while a file is open for writing.) Gives its folder, a function that breaks it, and one that repairs it."""
    image, folder = tmp_path / "disk.img", tmp_path / "failing-disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    if shutil.which("mkfs.ext4") is None or shutil.which("e2fsck") is None:
        pytest.skip("there is no mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, capture_output=True)
    must_mount("-o", "loop,errors=remount-ro", image, folder)
    try:
        device = subprocess.run(["findmnt", "-no", "SOURCE", str(folder)], capture_output=True, text=True, check=True)
        trigger = pathlib.Path("/sys/fs/ext4", pathlib.Path(device.stdout.strip()).name, "trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel can't be asked for an error of ext4")

        def repair():
            unmount(folder)
            # 1: errors were corrected.
            assert subprocess.run(["e2fsck", "-fy", str(image)], capture_output=True).returncode <= 1
            must_mount("-o", "loop,errors=remount-ro", image, folder)

        yield folder, lambda: trigger.write_text("asked for by a test"), repair
    finally:
        unmount(folder)


def test_a_disk_that_becomes_read_only_refuses_writes_and_loses_nothing(failing_disk, start, busy):
    folder, break_it, repair = failing_disk
    data = folder / "data"
    server = start("--config", busy, data=data)
    create(server, "rows", WIDE.dim)
    create(server, "idle", WIDE.dim)
    WIDE.must_insert(server, "idle", range(BATCH))
    acknowledged, in_flight, refusals = set(), set(), []
    # While ext4 gives its journal up, an fsync under way may succeed although its part of the journal is thrown away
    # (`jbd2_complete_transaction` finds the transaction gone and takes that for done; seen on Linux 6.18 in one of ten
    # runs). No program can tell. So the disk breaks between requests, and what comes after must be refused.
    between_requests = [threading.Lock() for _ in range(4)]

    def write(writer):
        with requests.Session() as session:
            for first in range(writer * 1_000_000, writer * 1_000_000 + 100_000, 10):
                batch = range(first, first + 10)
                with between_requests[writer]:
                    status, answer = WIDE.insert(server, "rows", batch, session)
                if answer["code"] != 0:
                    in_flight.update(batch)
                    refusals.append((status, answer))
                    return
                acknowledged.update(batch)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, writer) for writer in range(4)]
        wait_until(lambda: len(acknowledged) > 2000, "some rows")
        with contextlib.ExitStack() as nobody_writes:
            for lock in between_requests:
                nobody_writes.enter_context(lock)
            break_it()
        for future in writing:
            future.result()
    for _ in range(3):
        refusals.append(WIDE.insert(server, "rows", range(8_000_000, 8_000_010)))
    refusals.append(WIDE.insert(server, "idle", range(8_000_000, 8_000_010)))
    deleted = server.post("/v2/vectordb/entities/delete", json={"collectionName": "rows", "filter": "id < 10"})
    refusals.append((deleted.status_code, deleted.json()))
    print()
    for told, times in collections.Counter((s, a["code"], a["message"]) for s, a in refusals).items():
        print(times, "x", told)
    # A failure of the machine is 65535 (with status 500); from then on: not available.
    assert {(status, answer["code"]) for status, answer in refusals} <= {(500, 65535), (200, 2)}, refusals
    assert all(answer["message"] for _, answer in refusals)

    assert set(keys_in(server, "rows", fields=["vector", "tag"], check=WIDE.check)) == acknowledged, "reads go on"
    assert count(server, "idle") == BATCH and searchable(server, "idle", 5)
    health = requests.get(f"{server.admin}/healthz", timeout=60)
    assert health.status_code == 500 and "rows" in health.text, health.text
    assert metrics(server, "rows")["read_only"] == 1
    print("it ends with", server.stop())

    repair()
    again = start("--config", busy, data=data)
    there = set(keys_in(again, "rows", fields=["vector", "tag"], check=WIDE.check))
    assert acknowledged <= there <= acknowledged | in_flight
    assert count(again, "idle") == BATCH
    assert requests.get(f"{again.admin}/healthz", timeout=60).status_code == 200
    WIDE.must_insert(again, "rows", range(9_000_000, 9_000_010))
    again.stop()
    check = elanus("check", data)
    assert check.returncode == 0, check.stdout


# ---- backup and restore ----

GROUP = 3  # rows of one request of a backup's writers


class Sequence:
    """A client that writes rows with rising numbers, first into one collection, then into the other."""

    def __init__(self, number):
        self.first = number * 1_000_000
        self.begun = collections.Counter()
        self.acknowledged = collections.Counter()

    def write(self, server, stop):
        with requests.Session() as session:
            while not stop.is_set():
                for name in ("front", "back"):
                    start = self.first + self.begun[name]
                    self.begun[name] += GROUP
                    status, answer = NARROW.insert(server, name, range(start, start + GROUP), session)
                    assert (status, answer["code"]) == (200, 0), answer
                    self.acknowledged[name] += GROUP


NARROW = Rows(16)


def copies(counters):
    return [dict(counter) for counter in counters]


@pytest.fixture(scope="module")
def backups(tmp_path_factory):
    """A server with photos, two backups of it taken under heavy writes: one folder, one archive; and what had been
    acknowledged before each began, and had been begun when it ended."""
    base = tmp_path_factory.mktemp("backups")
    config = write_config(base / "busy.toml", storage=BUSY)
    server = Server(base / "data", "--config", config)
    photos = [draw(base / f"photo-{seed}.jpg", 50 + seed) for seed in range(2)]
    try:
        ids = server.upload(photos).json()["data"]["ids"]
        for name in ("front", "back"):
            create(server, name, NARROW.dim)
        clients = [Sequence(number) for number in range(8)]
        stop, taken = threading.Event(), {}
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            writing = [pool.submit(client.write, server, stop) for client in clients]
            try:
                for target in (base / "folder", base / "archive.tar"):
                    # Of each kind of file some: sealed, rewritten, and the log.
                    wait_until(lambda: metrics(server, "front")["compactions_total"], "a compaction")
                    now = sum(c.acknowledged["back"] for c in clients)
                    wait_until(lambda: sum(c.acknowledged["back"] for c in clients) > now + 600, "writes")
                    before = copies(c.acknowledged for c in clients)
                    run = elanus("backup", target, "--admin", admin_of(server))
                    after = copies(c.begun for c in clients)
                    assert run.returncode == 0, run.stderr
                    taken[target.name] = (target, before, after, run.stdout)
            finally:
                stop.set()
            for future in writing:
                future.result()
        wait_until(lambda: not (base / "data/staging").exists(), "nothing is left of putting it together")
        yield server, taken, list(zip(ids, photos)), config
    finally:
        server.kill()


@pytest.mark.parametrize("form", ["folder", "archive.tar"])
def test_a_backup_under_writes_holds_one_moment(backups, start, tmp_path, form):
    _, taken, photos, config = backups
    source, before, after, said = taken[form]
    run = elanus("restore", source, "--data", tmp_path / "new")
    assert run.returncode == 0 and run.stdout == said, (run.stdout, run.stderr, said)
    assert not (tmp_path / "new.restoring").exists()
    check = elanus("check", tmp_path / "new")
    assert check.returncode == 0, check.stdout
    server = start("--config", config, data=tmp_path / "new")
    lengths = {}
    for name in ("front", "back"):
        there = keys_in(server, name, fields=["vector", "tag"], check=NARROW.check)
        assert f"{name}: {len(there)} rows" in said
        for number, (acknowledged, begun) in enumerate(zip(before, after)):
            mine = [key for key in there if key // 1_000_000 == number]
            assert mine == list(range(number * 1_000_000, number * 1_000_000 + len(mine))), "a hole"
            assert acknowledged[name] <= len(mine) <= begun[name] and len(mine) % GROUP == 0
            lengths[name, number] = len(mine)
        assert len(there) == sum(lengths[name, number] for number in range(len(before)))
    # Every writer wrote to the front first: the two collections must be of one moment.
    assert all(lengths["front", n] - lengths["back", n] in (0, GROUP) for n in range(len(before))), lengths
    for key, photo in photos:
        assert server.get(f"/v1/images/images/{key}").content == photo.read_bytes()
        assert server.get(f"/v1/images/images/{key}/thumb").status_code == 200
        hits = server.post("/v1/images/images/search", files={"file": photo.open("rb")}).json()["data"]
        assert hits[0]["id"] == key
    NARROW.must_insert(server, "front", [90_000_000])
    assert server.stop() == 0
    # The restored rows are no longer the backup's: it can be restored again.
    again = elanus("restore", source, "--data", tmp_path / "again")
    assert again.returncode == 0 and again.stdout == said, again.stderr


@pytest.mark.parametrize("form", ["folder", "archive.tar"])
def test_one_collection_comes_back_under_another_name(backups, start, tmp_path, form):
    running, taken, photos, config = backups
    source, _, _, said = taken[form]
    copy = f"copy-of-{form}".replace("-", "_").replace(".", "_")
    run = elanus("restore", source, "--collection", "front", "--as", copy, "--admin", admin_of(running))
    assert run.returncode == 0, run.stderr
    rows = int(re.search(r"^front: (\d+) rows$", said, re.MULTILINE).group(1))
    assert run.stdout == f"{copy}: {rows} rows\n"
    there = keys_in(running, copy, fields=["vector", "tag"], check=NARROW.check)
    assert len(there) == rows <= count(running, "front")
    # It is a collection of its own.
    before = count(running, "front")
    NARROW.must_insert(running, copy, [91_000_000])
    running.ok("entities/delete", {"collectionName": copy, "filter": "id < 1000000"})
    assert count(running, "front") == before
    assert requests.get(f"{running.admin}/healthz", timeout=60).text == "OK"

    taken_name = elanus("restore", source, "--collection", "front", "--as", copy, "--admin", admin_of(running))
    assert taken_name.returncode == 1 and copy in taken_name.stderr, taken_name.stderr
    own_name = elanus("restore", source, "--collection", "front", "--admin", admin_of(running))
    assert own_name.returncode == 1 and "front" in own_name.stderr and count(running, "front") == before
    nothing = elanus("restore", source, "--collection", "nowhere", "--as", "x", "--admin", admin_of(running))
    assert nothing.returncode == 1 and "nowhere" in nothing.stderr, nothing.stderr
    bad_name = elanus("restore", source, "--collection", "front", "--as", "../x", "--admin", admin_of(running))
    assert bad_name.returncode == 1 and bad_name.stderr, bad_name.stderr
    assert not (tmp_path / "data").exists()

    # Photos go into a server that has none, and stay when it sweeps unused ones.
    other = start("--config", config)
    run = elanus("restore", source, "--collection", "images", "--as", "album", "--admin", admin_of(other))
    assert run.returncode == 0 and run.stdout == "album: 2 rows\n", (run.stdout, run.stderr)
    extra = other.upload([draw(tmp_path / "extra.jpg", 99)], "album").json()["data"]["ids"][0]
    original = hashlib.sha256((tmp_path / "extra.jpg").read_bytes()).hexdigest()
    path = tmp_path / "data/images" / original[:2] / original
    assert path.exists()
    assert other.session.delete(f"{other.url}/v1/images/album/{extra}").json()["code"] == 0
    wait_until(lambda: not path.exists(), "the photo that was deleted is swept")
    for key, photo in photos:
        assert other.get(f"/v1/images/album/{key}").content == photo.read_bytes()


def test_a_backup_with_several_databases_comes_back(start, tmp_path):
    server = start()
    server.ok("databases/create", {"dbName": "second"})
    for database, keys in (("default", 3), ("second", 7)):
        here = {"dbName": database, "collectionName": "same"}
        server.ok("collections/create", {**here, "dimension": 2})
        server.ok("entities/insert", {**here, "data": [{"id": key, "vector": [0, 1]} for key in range(keys)]})
    server.ok("aliases/create", {"collectionName": "same", "aliasName": "alias"})
    source = tmp_path / "backup"
    assert elanus("backup", source, "--admin", admin_of(server)).returncode == 0
    taken = elanus("restore", source, "--collection", "second/same", "--as", "alias", "--admin", admin_of(server))
    refused(taken, "alias")
    assert server.ok("collections/list", {}) == ["same"]
    run = elanus("restore", source, "--data", tmp_path / "new")
    assert run.returncode == 0, run.stderr
    again = start(data=tmp_path / "new")
    for database, keys in (("default", 3), ("second", 7)):
        stats = again.ok("collections/get_stats", {"dbName": database, "collectionName": "same"})
        assert stats["rowCount"] == keys


def test_what_is_missing_keeps_nothing_else_from_coming_back(start, tmp_path):
    server = start()
    photos = [draw(tmp_path / f"photo-{seed}.jpg", 90 + seed) for seed in range(2)]
    assert server.upload(photos).status_code == 200
    # Hashes of its own, in a collection that holds no photos.
    server.ok("collections/create", {"collectionName": "docs", "dimension": 2, "autoId": True, "idType": "Int64"})
    row = {"vector": [1, 2], "sha256": hashlib.sha256(b"a document").hexdigest()}
    server.ok("entities/insert", {"collectionName": "docs", "data": [row]})
    source = tmp_path / "backup"
    assert elanus("backup", source, "--admin", admin_of(server)).returncode == 0
    run = elanus("restore", source, "--data", tmp_path / "whole")
    assert run.returncode == 0 and run.stderr == "", run.stderr
    check = elanus("check", tmp_path / "whole")
    assert check.returncode == 0 and "missing; " not in check.stdout, check.stdout

    lost = hashlib.sha256(photos[0].read_bytes()).hexdigest()
    (source / "images" / lost[:2] / lost).unlink()
    refused(elanus("restore", source, "--data", tmp_path / "never"), "damaged", "images holds 1 files of 2")
    (tmp_path / "data" / "images" / lost[:2] / lost).unlink()
    source = tmp_path / "without"
    assert elanus("backup", source, "--admin", admin_of(server)).returncode == 0
    run = elanus("restore", source, "--data", tmp_path / "holed")
    assert run.returncode == 0 and f"{lost}: missing; a row of images refers to it" in run.stderr, run.stderr
    check = elanus("check", tmp_path / "holed")
    assert check.returncode == 1 and "MISSING" in check.stdout and "0 damaged, 1 missing" in check.stdout, check.stdout
    again = start(data=tmp_path / "holed")
    assert len(again.ok("entities/query", {"collectionName": "docs", "filter": "", "limit": 10})) == 1
    found = again.post("/v1/images/images/search", files={"file": photos[0].open("rb")}).json()["data"]
    assert len(found) == 2


def refused(run, *words):
    assert run.returncode == 1 and run.stdout == "" and len(run.stderr.strip().splitlines()) == 1, (run.stdout, run.stderr)
    for word in words:
        assert str(word) in run.stderr, run.stderr


def test_backup_refuses_what_would_overwrite(backups, tmp_path):
    server, taken, _, _ = backups
    admin = admin_of(server)
    before = {form: tree(entry[0]) if entry[0].is_dir() else entry[0].stat().st_size for form, entry in taken.items()}
    for target, *_ in taken.values():
        refused(elanus("backup", target, "--admin", admin), target, "exists")
    after = {form: tree(entry[0]) if entry[0].is_dir() else entry[0].stat().st_size for form, entry in taken.items()}
    assert after == before
    refused(elanus("backup", tmp_path / "x", "--admin", "127.0.0.1:1"), "127.0.0.1:1")
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("x")
    refused(elanus("backup", tmp_path / "file/below", "--admin", admin))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert elanus("backup", empty, "--admin", admin).returncode == 0, "an empty folder is fine"
    # Nothing that a browser could be made to send is taken.
    bare = requests.post(f"{server.admin}/backup", json={"target": str(tmp_path / "y")}, timeout=60)
    assert bare.status_code == 403 and not (tmp_path / "y").exists()


def test_restore_overwrites_nothing(backups, tmp_path):
    _, taken, _, _ = backups
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("precious")
    for source, *_ in taken.values():
        refused(elanus("restore", source, "--data", full), full)
        refused(elanus("restore", source, "--data", full / "mine"), full / "mine")
    assert tree(full) == {"mine": hashlib.sha256(b"precious").hexdigest()}
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def no_backup(kind, folder, archive, place):
    """Makes something that can't be restored."""
    if kind == "nothing":
        return place / "nowhere"
    if kind == "no archive there":
        return place / "nowhere.tar"
    if kind == "an empty folder":
        (place / "empty").mkdir()
        return place / "empty"
    if kind == "a backup that was not finished":
        shutil.copytree(folder, place / "unfinished")
        (place / "unfinished/BACKUP").unlink()
        return place / "unfinished"
    made = place / "made.tar"
    if kind == "an empty file":
        made.write_bytes(b"")
    elif kind == "a text":
        made.write_text("this is no archive\n" * 100)
    elif kind == "noise":
        made.write_bytes(random.Random(1).randbytes(100_000))
    elif kind == "another archive":
        (place / "letter").write_text("dear")
        with tarfile.open(made, "w") as tar:
            tar.add(place / "letter", "letter")
    elif kind == "a link inside":
        with tarfile.open(made, "w") as tar:
            tar.add(folder, ".")
            entry = tarfile.TarInfo("collections/link")
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(entry)
    elif kind == "a path that leads out":
        with tarfile.open(made, "w") as tar:
            tar.add(folder, ".")
            tar.add(folder / "BACKUP", "../escaped")
    else:
        whole = archive.read_bytes()
        made.write_bytes(whole[: len(whole) * int(kind.split()[-2]) // 100])
    return made


NO_BACKUPS = [
    "nothing",
    "no archive there",
    "an empty folder",
    "a backup that was not finished",
    "an empty file",
    "a text",
    "noise",
    "another archive",
    "a link inside",
    "a path that leads out",
    "cut at 1 %",
    "cut at 50 %",
    "cut at 90 %",
]


@pytest.mark.parametrize("kind", NO_BACKUPS)
def test_what_is_no_whole_backup_is_refused(backups, tmp_path, kind):
    server, taken, _, _ = backups
    source = no_backup(kind, taken["folder"][0], taken["archive.tar"][0], tmp_path)
    before, names, in_data = tree(tmp_path), server.ok("collections/list", {}), tree_names(server)
    refused(elanus("restore", source, "--data", tmp_path / "target"))
    refused(elanus("restore", source, "--collection", "front", "--as", "never", "--admin", admin_of(server)))
    assert tree(tmp_path) == before and not list(tmp_path.glob("target*"))
    assert server.ok("collections/list", {}) == names and tree_names(server) == in_data
    assert requests.get(f"{server.admin}/healthz", timeout=60).text == "OK"


def tree_names(server):
    """Folders of collections and of backups under way in a server's data."""
    data = pathlib.Path(server.get("/v1/status").json()["data"]["dataDir"])
    return sorted(str(path) for base in ("collections", "staging") for path in (data / base).glob("*"))


def test_a_damaged_backup_is_refused(backups, tmp_path):
    server, taken, _, _ = backups
    damaged = tmp_path / "damaged"
    shutil.copytree(taken["folder"][0], damaged)
    victim = max(damaged.glob("collections/*/truth/*.vectors"), key=lambda path: path.stat().st_size)
    flip(victim, victim.stat().st_size // 2)
    manifest = (victim.parents[1] / "MANIFEST").read_bytes()
    bad, good = ("front", "back") if b'"front"' in manifest else ("back", "front")
    refused(elanus("restore", damaged, "--data", tmp_path / "target"), "damaged", victim.name)
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]
    before = tree_names(server)
    admin = admin_of(server)
    refused(elanus("restore", damaged, "--collection", bad, "--as", "never", "--admin", admin), "damaged", victim.name)
    assert tree_names(server) == before
    run = elanus("restore", damaged, "--collection", good, "--as", "intact", "--admin", admin)
    assert run.returncode == 0, run.stderr
    server.ok("collections/drop", {"collectionName": "intact"})


# ---- elanus check ----


COLD_ROWS = 400  # of one segment


@pytest.fixture(scope="module")
def cold(tmp_path_factory):
    """A data directory that nobody uses, with every kind of file: two collections of several segments with dead rows and
    rows that are only in the log, and photos."""
    base = tmp_path_factory.mktemp("cold")
    config = write_config(base / "seal.toml", storage=BUSY)
    server = Server(base / "data", "--config", config)
    photos = [draw(base / f"photo-{seed}.jpg", 70 + seed) for seed in range(2)]
    try:
        ids = server.upload(photos).json()["data"]["ids"]
        mixed = random.Random(3)
        names = ("broken", "sound")
        for name in names:
            create(server, name, NARROW.dim)
        for part in range(2):
            keys = list(range(part * COLD_ROWS, (part + 1) * COLD_ROWS))
            mixed.shuffle(keys)
            for name in names:
                NARROW.must_insert(server, name, keys)
            for name in names:
                wait_sealed(server, name)
        for name in names:
            # Too few dead rows for a compaction.
            server.ok("entities/delete", {"collectionName": name, "filter": "id < 40"})
        folders = base / "data/collections"
        wait_until(lambda: len(list(folders.glob("*/truth/*.deletes"))) == 2, "deletes in files")
        wait_sealed(server, "images")
        assert server.stop() == 0
        server = Server(base / "data")
        for name in names:
            NARROW.must_insert(server, name, range(2 * COLD_ROWS, 2 * COLD_ROWS + 50))
        assert server.stop() == 0
    finally:
        server.kill()
    return base / "data", range(40, 2 * COLD_ROWS + 50), list(zip(ids, photos))


@pytest.fixture
def warm(cold, tmp_path):
    """A copy of it to be broken, its rows, its photos, and the folder of the collection `broken`."""
    data, keys, photos = cold
    shutil.copytree(data, tmp_path / "data")
    folders = sorted((tmp_path / "data/collections").iterdir())
    folder = next(f for f in folders if b'"broken"' in (f / "MANIFEST").read_bytes())
    return tmp_path / "data", list(keys), photos, folder


def serves_the_rest(server, keys, photos):
    assert keys_in(server, "sound", fields=["vector", "tag"], check=NARROW.check) == keys
    for key, photo in photos:
        assert server.get(f"/v1/images/images/{key}").content == photo.read_bytes()
    NARROW.must_insert(server, "sound", [7_000_000])
    server.ok("entities/delete", {"collectionName": "sound", "filter": "id == 7000000"})


def test_a_sound_directory_is_sound_and_stays_as_it_is(warm):
    data, keys, _, _ = warm
    before = tree(data)
    for extra in ([], ["--repair"]):
        run = elanus("check", data, *extra)
        assert run.returncode == 0 and "DAMAGE" not in run.stdout, run.stdout
        assert f"3 collections, {2 * len(keys) + 2} rows" in run.stdout and " 0 damaged" in run.stdout
        assert tree(data) == before and not (data / "quarantine").exists()


def test_check_refuses_what_it_can_not_examine(start, tmp_path):
    server = start()
    for extra in ([], ["--repair"]):
        run = elanus("check", tmp_path / "data", *extra)
        assert run.returncode == 2 and str(server.process.pid) in run.stderr, run.stderr
        nothing = tmp_path / "nothing"
        run = elanus("check", nothing, *extra)
        assert run.returncode == 2 and str(nothing) in run.stderr and not nothing.exists(), run.stderr
        other = tmp_path / "other"
        other.mkdir(exist_ok=True)
        (other / "letter.txt").write_text("dear")
        run = elanus("check", other, *extra)
        assert run.returncode == 2 and str(other) in run.stderr, run.stderr
        assert [path.name for path in other.iterdir()] == ["letter.txt"]
    create(server, "rows", 4)


# What is broken: pattern of files in the collection's folder, where (a share of the file), and whether its rows go.
DAMAGE = {
    "vectors": ("truth/*.vectors", 0.5),
    "header of vectors": ("truth/*.vectors", 0.0),
    "columns": ("truth/*.columns", 0.5),
    "deletes": ("truth/*.deletes", 0.6),
    "manifest": ("MANIFEST", 0.5),
    "key order": ("derived/*.keys", 0.5),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_one_wrong_bit_is_found_named_and_put_aside(warm, start, what):
    data, keys, photos, folder = warm
    pattern_of_files, share = DAMAGE[what]
    victim = sorted(folder.glob(pattern_of_files))[0]
    flip(victim, int(victim.stat().st_size * share))
    derived = what == "key order"
    before = tree(data)
    run = elanus("check", data)
    assert run.returncode == (0 if derived else 1) and str(victim) in run.stdout, run.stdout
    assert tree(data) == before, "without --repair nothing is changed"

    server = start(data=data)
    serves_the_rest(server, keys, photos)
    answer = server.v2("entities/query", {"collectionName": "broken", "filter": "id >= 0", "limit": MOST_ROWS})
    print(f"\n{what}: {run.stdout}before the repair the collection says: {str(answer)[:200]}")
    if answer["code"] == 0:
        assert {row["id"] for row in answer["data"]} <= set(keys)
    else:
        assert answer["code"] == 2 and answer["message"], answer
        health = requests.get(f"{server.admin}/healthz", timeout=60)
        assert health.status_code == 500 and "broken" in health.text
    assert server.stop() == 0

    run = elanus("check", data, "--repair")
    print(f"repair: {run.stdout}")
    if not derived:
        assert run.returncode == 0 and "repaired" in run.stdout, run.stdout
        below = data / "quarantine" / victim.relative_to(data)
        assert below.exists() or (data / "quarantine" / folder.relative_to(data) / victim.name).exists()
    again = elanus("check", data)
    assert again.returncode == 0 and "DAMAGE" not in again.stdout, again.stdout
    server = start(data=data)
    serves_the_rest(server, keys, photos)
    assert requests.get(f"{server.admin}/healthz", timeout=60).text == "OK"
    if what == "manifest":
        assert "broken" not in server.ok("collections/list", {})
        return
    there = keys_in(server, "broken", fields=["vector", "tag"], check=NARROW.check)
    if what == "deletes":
        assert there == list(range(keys[-1] + 1)), "rows are visible again rather than lost"
    elif derived:
        assert there == keys
    else:
        # Of three parts one is lost.
        assert set(there) < set(keys) and len(there) >= COLD_ROWS, len(there)
        got = server.ok("entities/get", {"collectionName": "broken", "id": keys})
        assert [row["id"] for row in got] == there
    NARROW.must_insert(server, "broken", keys)
    assert set(keys_in(server, "broken")) == set(keys) | set(there)


def test_what_is_derived_is_built_again(warm, start):
    data, keys, photos, folder = warm
    derived = [path.relative_to(data) for path in data.rglob("derived/*")]
    assert derived
    for path in list(data.rglob("derived")):
        shutil.rmtree(path)
    shutil.rmtree(data / "thumbs")
    check = elanus("check", data)
    assert check.returncode == 0 and "DAMAGE" not in check.stdout, check.stdout
    server = start(data=data)
    serves_the_rest(server, keys, photos)
    assert keys_in(server, "broken", fields=["vector", "tag"], check=NARROW.check) == keys
    got = server.ok("entities/get", {"collectionName": "broken", "id": [0, 39, 40, 500, 849, 850], "outputFields": ["tag"]})
    assert [row["id"] for row in got] == [40, 500, 849]
    server.ok("entities/upsert", {"collectionName": "broken", "data": [{"id": 500, "vector": pattern(500, 16), "tag": 1500}]})
    assert count(server, "broken") == len(keys)
    for key, _ in photos:
        assert server.get(f"/v1/images/images/{key}/thumb").status_code == 200
    wait_until(lambda: list(data.rglob("derived/*.keys")), "key orders are built again")
    assert server.stop() == 0
    check = elanus("check", data)
    assert check.returncode == 0, check.stdout


def test_a_damaged_photo_is_found(warm, start):
    data, keys, photos, _ = warm
    digest = hashlib.sha256(photos[0][1].read_bytes()).hexdigest()
    victim = data / "images" / digest[:2] / digest
    flip(victim, victim.stat().st_size // 2)
    run = elanus("check", data)
    assert run.returncode == 1 and str(victim) in run.stdout and run.stdout.count("DAMAGE") >= 1, run.stdout
    server = start(data=data)
    serves_the_rest(server, keys, photos[1:])
    assert server.stop() == 0
    run = elanus("check", data, "--repair")
    print("\n" + run.stdout)
    assert (data / "quarantine" / victim.relative_to(data)).exists() and not victim.exists()
    server = start(data=data)
    serves_the_rest(server, keys, photos[1:])
    gone = server.get(f"/v1/images/images/{photos[0][0]}")
    assert gone.status_code != 200 and gone.json()["message"], gone.text
    # Whoever has the photo can bring it back.
    assert server.upload([photos[0][1]]).json()["data"]["ids"] == [photos[0][0]]
    assert server.get(f"/v1/images/images/{photos[0][0]}").content == photos[0][1].read_bytes()
    assert server.stop() == 0
    check = elanus("check", data)
    assert check.returncode == 0, check.stdout
