"""The same pymilvus calls against Elanus and Milvus Lite, side by side in one run: milliseconds of each operation, and
how many times as fast Elanus is. Rounds alternate between the two; the medians are compared. "Outside pymilvus" is the
part of that time in which the client waits for answers: what is left is its own work, the same on both sides, and no
server can make it shorter.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install pymilvus==3.0.2 milvus-lite==3.2.2 numpy
    /tmp/peers/bin/python benches/peers/over_pymilvus.py --elanus target/release/elanus [--rows 50000] [--dim 128] [--rounds 3]
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

import grpc._channel
import numpy as np
from pymilvus import AnnSearchRequest, DataType, MilvusClient, RRFRanker

LABELS = ["cat", "dog", "bird", "fish"]


class Waiting:
    """Counts the seconds that this process waits for answers."""

    seconds = 0.0

    def __init__(self):
        calls = grpc._channel._UnaryUnaryMultiCallable
        blocking = calls._blocking

        def timed(*arguments, **named):
            began = time.perf_counter()
            try:
                return blocking(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - began

        future = calls.future

        def begun(*arguments, **named):
            began = time.perf_counter()
            answer = future(*arguments, **named)
            result = answer.result

            def waited(*arguments, **named):
                try:
                    return result(*arguments, **named)
                finally:
                    self.seconds += time.perf_counter() - began

            answer.result = waited
            return answer

        calls._blocking, calls.future = timed, begun


WAITING = Waiting()


class Elanus:
    """A server of its own, reached over its real port."""

    name = "elanus"

    def __init__(self, program, folder):
        command = [program, "serve", "--data", str(folder / "data"), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            found = re.search(r"page, API\s+(http://\S+?)/?$", line.strip())
            if found:
                break
        self.client = MilvusClient(found.group(1))

    def close(self):
        self.client.close()
        self.process.terminate()
        self.process.wait()


class Lite:
    """Milvus Lite in this process's service, on a file."""

    name = "milvus-lite"

    def __init__(self, folder):
        self.client = MilvusClient(str(folder / "lite.db"))

    def close(self):
        self.client.close()


class Flow:
    """One round of operations on one of the two; `times` is milliseconds by operation: all, and those of waiting."""

    def __init__(self, client, rows, dim, rng):
        self.client, self.rows, self.dim, self.rng, self.times = client, rows, dim, rng, {}

    def timed(self, name, call, times=1):
        measured, waited = [], []
        for number in range(times):
            began, waiting = time.perf_counter(), WAITING.seconds
            result = call(number)
            measured.append((time.perf_counter() - began) * 1e3)
            waited.append((WAITING.seconds - waiting) * 1e3)
        self.times[name] = (statistics.median(measured), statistics.median(waited))
        return result

    def batch(self, first, count):
        vectors = self.rng.standard_normal((count, self.dim), dtype=np.float32)
        return [
            {"id": first + i, "v": vectors[i].tolist(), "w": vectors[i].tolist(), "label": LABELS[(first + i) % 4], "n": first + i}
            for i in range(count)
        ]

    def run(self):
        client, name = self.client, "flow"
        if client.has_collection(name):
            client.drop_collection(name)
        schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("v", DataType.FLOAT_VECTOR, dim=self.dim)
        schema.add_field("w", DataType.FLOAT_VECTOR, dim=self.dim)
        schema.add_field("label", DataType.VARCHAR, max_length=32)
        schema.add_field("n", DataType.INT64)
        self.timed("create collection", lambda _: client.create_collection(name, schema=schema))
        batches = [self.batch(first, 5_000) for first in range(0, self.rows, 5_000)]
        self.timed("insert 5,000 rows", lambda i: client.insert(name, batches[i]), len(batches))
        self.timed("flush", lambda _: client.flush(name))
        index = client.prepare_index_params()
        index.add_index("v", index_type="HNSW", metric_type="L2", params={"M": 16, "efConstruction": 200})
        index.add_index("w", index_type="IVF_FLAT", metric_type="L2", params={"nlist": 128})
        self.timed("create both indexes", lambda _: client.create_index(name, index))
        self.timed("load", lambda _: client.load_collection(name))
        queries = self.rng.standard_normal((64, self.dim), dtype=np.float32).tolist()
        hnsw, ivf = {"params": {"ef": 64}}, {"params": {"nprobe": 16}}

        def search(i, field="v", params=hnsw, **more):
            return client.search(name, [queries[i % 64]], anns_field=field, search_params=params, limit=10, **more)

        self.timed("search, HNSW", search, 64)
        self.timed("search, IVF_FLAT", lambda i: search(i, "w", ivf), 64)
        self.timed("search, label == 'cat'", lambda i: search(i, filter="label == 'cat'", output_fields=["label"]), 64)
        self.timed("search, 64 queries", lambda _: client.search(name, queries, anns_field="v", search_params=hnsw, limit=10), 4)
        requests = lambda i: [AnnSearchRequest([queries[i]], f, p, limit=10) for f, p in (("v", hnsw), ("w", ivf))]
        self.timed("hybrid search", lambda i: client.hybrid_search(name, requests(i), RRFRanker(), limit=10), 16)
        self.timed("get 100 keys", lambda i: client.get(name, list(range(i * 100, i * 100 + 100))), 16)
        self.timed("query by filter", lambda i: client.query(name, f"n >= {i * 100} and n < {i * 100 + 50}", output_fields=["label"]), 16)
        self.timed("count(*)", lambda _: client.query(name, "", output_fields=["count(*)"]), 16)
        self.timed("count(*) by filter", lambda _: client.query(name, "label == 'dog'", output_fields=["count(*)"]), 16)
        self.timed("query iterator, all rows", lambda _: self.iterate(name))
        self.timed("upsert 1,000 rows", lambda i: client.upsert(name, self.batch(i * 1_000, 1_000)), 4)
        self.timed("delete 1,000 keys", lambda i: client.delete(name, ids=list(range(i * 1_000, i * 1_000 + 1_000))), 4)
        self.timed("delete by filter", lambda i: client.delete(name, filter=f"n >= {20_000 + i * 500} and n < {20_500 + i * 500}"), 4)
        self.timed("drop collection", lambda _: client.drop_collection(name))
        return self.times

    def iterate(self, name):
        iterator, seen = self.client.query_iterator(name, batch_size=1_000, output_fields=["n"]), 0
        while page := iterator.next():
            seen += len(page)
        iterator.close()
        assert seen == self.rows, (seen, self.rows)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--elanus", required=True, help="the program")
    options.add_argument("--rows", type=int, default=50_000)
    options.add_argument("--dim", type=int, default=128)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", type=pathlib.Path, help="also write the medians here")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        both = [Elanus(options.elanus, folder), Lite(folder)]
        rounds = {system.name: [] for system in both}
        for number in range(options.rounds):
            for system in both:
                flow = Flow(system.client, options.rows, options.dim, np.random.default_rng(number))
                rounds[system.name].append(flow.run())
        for system in both:
            system.close()
    medians = {
        name: {key: [statistics.median(part) for part in zip(*(one[key] for one in measured))] for key in measured[0]}
        for name, measured in rounds.items()
    }
    ours, theirs = medians["elanus"], medians["milvus-lite"]
    print(f"{options.rows:,} rows, twice {options.dim} floats; medians of {options.rounds} rounds, milliseconds\n")
    print("| operation | Elanus | Milvus Lite | times as fast | outside pymilvus: Elanus | Milvus Lite | times as fast |")
    print("|---|---|---|---|---|---|---|")
    for key in ours:
        cells = [f"{a:.2f} | {b:.2f} | {b / max(a, 1e-9):.1f}" for a, b in zip(ours[key], theirs[key])]
        print(f"| {key} | {' | '.join(cells)} |")
    if options.json:
        options.json.write_text(json.dumps(medians, indent=1))


if __name__ == "__main__":
    main()
