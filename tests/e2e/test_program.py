"""Starting, stopping, crashing and starting again: the program as an operator meets it."""

import concurrent.futures
import random
import re
import signal
import subprocess

import pytest
import requests

from conftest import BINARY, draw, wait_until


def test_version_names_commit_kernels_and_devices():
    text = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout
    assert "elanus" in text and "scalar" in text and "cpu" in text and "cuda" in text


def test_says_where_it_listens_which_device_and_where_data_is(start, tmp_path):
    server = start()
    assert server.ready_after < 2
    banner = "".join(server.lines)
    assert str(tmp_path / "data") in banner and "cpu" in banner.lower()
    assert server.get("/").status_code == 200
    assert requests.get(f"{server.admin}/healthz", timeout=10).text == "OK"
    metrics = requests.get(f"{server.admin}/metrics", timeout=10).text
    assert "elanus_" in metrics and "process_resident_memory_bytes" in metrics


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly_and_starts_with_everything(start, photos, how):
    server = start("--images", photos)
    server.wait_for_job(server.get("/v1/jobs").json()["data"][0]["id"])
    server.ok("collections/create", {"collectionName": "plain", "dimension": 2})
    server.ok("entities/insert", {"collectionName": "plain", "data": [{"id": i, "vector": [i, 1]} for i in range(100)]})
    assert server.stop(how) == 0
    again = start("--images", photos)
    assert again.ready_after < 2
    assert (again.count("plain"), again.count()) == (100, 12)
    job = wait_until(lambda: again.get("/v1/jobs").json()["data"], "a job for the folder")[0]
    job = again.wait_for_job(job["id"])
    assert again.count() == 12, "a folder given again embeds nothing twice"
    assert job["done"] == job["total"] == 12 and job["failedCount"] == 0


def test_a_second_process_on_the_same_data_is_refused(start, tmp_path):
    start()
    second = subprocess.run(
        [BINARY, "serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 1 and "another" in (second.stdout + second.stderr).lower()


def test_embed_bench_says_how_fast_and_where_the_time_goes(photos, tmp_path):
    def bench(*arguments):
        command = [BINARY, "embed-bench", "--device", "cpu", "--seconds", "1", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    run = bench("--batch", "2", photos)
    assert run.returncode == 0, run.stderr
    said = dict(line.split(maxsplit=1) for line in run.stdout.replace("from files", "files").splitlines())
    assert said["device"].startswith("cpu: ") and said["precision"] == "f32" and said["batch"] == "2"
    assert float(said["network"].split()[0]) > 0 and float(said["files"].split()[0]) > 0
    for word in ("decode", "copy", "compute", "idle"):
        share = float(re.search(word + r" ([0-9.]+) %", said["time"])[1])
        assert 0 <= share <= 110, said["time"]
    multiplied = re.search(r"([0-9]+) % of the peak", said["multiplied"])
    assert 0 < int(multiplied[1]) <= 110, "more than the processor can do"

    assert "files" not in bench().stdout, "no folder, no files"
    (tmp_path / "notes.txt").write_text("no image")
    run = bench(tmp_path)
    assert run.returncode == 2 and "no image" in run.stderr
    assert bench("--batch", "0").returncode == 2


@pytest.mark.parametrize("arguments", [["serve", "--listen", "nowhere"], ["serve", "--nonsense"], ["fly"]])
def test_wrong_arguments_are_explained(arguments):
    run = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2 and run.stderr.strip() and "panicked" not in run.stderr


def test_configuration_from_file_environment_and_flags(start, tmp_path):
    toml = tmp_path / "elanus.toml"
    toml.write_text(f'data = "{tmp_path}/from-file"\n')
    server = start("--config", toml, data=tmp_path / "from-flag")
    assert server.get("/v1/status").json()["data"]["dataDir"].endswith("from-flag")
    toml.write_text("nonsense = 1\n")
    run = subprocess.run([BINARY, "serve", "--config", str(toml)], capture_output=True, text=True, timeout=60)
    assert run.returncode != 0 and "nonsense" in run.stderr


def test_no_acknowledged_row_is_lost_when_killed(start):
    """kill -9 under eight writers, again and again: what was acknowledged is there, nothing is half there."""
    acknowledged = set()
    rounds = 8
    for attempt in range(rounds):
        server = start()
        server.ok("collections/create", {"collectionName": "rows", "dimension": 4, "metricType": "L2"})
        present = server.ok("entities/query", {"collectionName": "rows", "outputFields": ["count(*)"]})[0]["count(*)"]
        for part in range(0, len(acknowledged), 1000):
            ids = sorted(acknowledged)[part : part + 1000]
            got = server.ok("entities/get", {"collectionName": "rows", "id": ids, "outputFields": ["vector", "pair"]})
            assert [row["id"] for row in got] == ids
            assert all(row["vector"][0] == row["id"] % 1000 and row["pair"] == row["id"] // 5 for row in got)
        assert present % 5 == 0, "batches of five are stored whole or not at all"
        assert present >= len(acknowledged)

        def write(worker):
            session, mine = requests.Session(), []
            for n in range(10_000):
                first = ((attempt * 8 + worker) * 10_000 + n) * 5
                data = [{"id": i, "vector": [i % 1000, 0, 0, 0], "pair": i // 5} for i in range(first, first + 5)]
                try:
                    answer = session.post(f"{server.url}/v2/vectordb/entities/insert", json={"collectionName": "rows", "data": data}, timeout=30)
                    assert answer.json()["code"] == 0, answer.text
                except requests.exceptions.RequestException:
                    return mine
                mine += range(first, first + 5)
            return mine

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(write, worker) for worker in range(8)]
            goal = server.count("rows") + random.randrange(50, 400)
            wait_until(lambda: server.count("rows") >= goal, "some rows written", pause=0.001)
            server.kill()
            for writer in writers:
                acknowledged.update(writer.result())
    assert len(acknowledged) >= 50 * rounds


def test_an_import_killed_twenty_times_loses_and_doubles_nothing(start, tmp_path):
    folder = tmp_path / "many"
    for seed in range(64):
        draw(folder / f"{seed:03}.jpg", seed, size=(48, 40))
    server = start("--images", folder)
    job = wait_until(lambda: server.get("/v1/jobs").json()["data"], "a job for the folder")[0]["id"]
    generator = random.Random(7)
    seen = 0
    for _ in range(20):
        before = server.count()
        assert before >= seen, "a stored photo was lost"
        if before < 60:
            goal = before + generator.randrange(1, 4)
            wait_until(lambda: server.count() >= goal, "the import goes on", pause=0.002)
        seen = server.count()
        server.kill()
        server = start("--images", folder)
    done = server.wait_for_job(job)
    assert (done["done"], done["total"], done["failedCount"]) == (64, 64, 0)
    for other in server.get("/v1/jobs").json()["data"]:
        server.wait_for_job(other["id"])
    rows = server.ok("entities/query", {"collectionName": "images", "outputFields": ["name", "sha256"], "limit": 1000})
    assert sorted(row["name"] for row in rows) == [f"{seed:03}.jpg" for seed in range(64)]
    assert len({row["sha256"] for row in rows}) == 64
    for row in rows[::7]:
        assert server.get(f"/v1/images/images/{row['id']}").status_code == 200
