"""Nearest-neighbour search of peers in this process, on a data set that data.py made: a worker for a benchmark to drive.

    /tmp/elanus-peers/bin/python benches/peers/ann.py FOLDER NAME

Reads requests from standard input and answers on standard output, one JSON object a line. The first line says
{"ready": true, "versions": {...}}. What fails answers {"error": "sentence"}, and the worker goes on.

    {"do": "build", "lib": L, "threads": T}     -> {"seconds": s, "bytes": size of the index, vectors included}
    {"do": "search", "lib": L, "effort": E, "threads": T, "k": 10, "filter": null|1|10|50, "single": false}
                                                -> {"seconds": s, "queries": n, "recall": r}
        one batch of all queries; with "single" the first 400, one at a time, and also "p50_us" and "p99_us".
        A filter F lets through the rows with id % 100 < F. Recall is the part of the k exact neighbours that was found.
    {"do": "free", "lib": L}                    -> {"ok": true}
    {"do": "quit"}                              ends the worker without an answer, as the end of the input does

Libraries and what effort means to each:

    flat                     Faiss, exact; no effort
    ivf, ivf_sq8             Faiss, 1,024 lists of floats or of bytes; the lists searched
    fhnsw                    Faiss, HNSW; efSearch
    hnswlib                  HNSW; ef
    us_f32, us_f16, us_i8    usearch, HNSW of floats, half floats or bytes (bytes: unit vectors only); expansion

HNSW graphs have 16 neighbours a node (M) and were built with efConstruction 200. Filters are made before the clock starts.
usearch's Python interface has no filter, so it answers "unsupported: ...". hnswlib's is a call back into
Python, under the interpreter's lock, for each row met: its filtered figures say little about the library underneath.
"""

import gc
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import time

import faiss
import hnswlib
import numpy as np
from usearch.index import Index

NEIGHBOURS, EFFORT_OF_BUILD, LISTS = 16, 200, 1024
TRAINING_ROWS = 100_000
WARM_UP, SINGLE = 20, 400
FILTERS = (1, 10, 50)


class Refused(Exception):
    """A request that cannot be answered; its text is the answer's error."""


class DataSet:
    """The vectors, queries and exact answers of one data set."""

    def __init__(self, folder, name):
        path = lambda part: pathlib.Path(folder) / f"{name}.{part}"
        meta = json.loads(path("meta.json").read_text())
        self.dim, self.metric = meta["dim"], meta["metric"]
        self.base = np.fromfile(path("base.f32"), np.float32).reshape(meta["n"], self.dim)
        self.queries = np.fromfile(path("query.f32"), np.float32).reshape(meta["nq"], self.dim)
        self.truth = {None: "gt.i32"} | {share: f"gtf{share}.i32" for share in FILTERS}
        for share, part in self.truth.items():
            self.truth[share] = np.fromfile(path(part), np.int32).reshape(meta["nq"], -1)

    def matching(self, share):
        """For each row whether the filter lets it through."""
        return np.arange(len(self.base)) % 100 < share

    def recall(self, found, share):
        """The part of the exact neighbours among the ids found; -1 stands for a missing one."""
        truth = self.truth[share][: len(found), : found.shape[1]]
        return float((truth[:, :, None] == found[:, None, :]).any(axis=2).mean())


class Faiss:
    """An index of Faiss: flat, ivf, ivf_sq8 or fhnsw."""

    def __init__(self, kind, data):
        self.kind, self.data = kind, data
        self.metric = faiss.METRIC_L2 if data.metric == "L2" else faiss.METRIC_INNER_PRODUCT
        self.selectors = {None: None}

    def build(self, threads):
        faiss.omp_set_num_threads(threads)
        self.index = self.empty()
        if not self.index.is_trained:
            self.index.train(self.data.base[:: max(1, len(self.data.base) // TRAINING_ROWS)])
        self.index.add(self.data.base)

    def empty(self):
        dim = self.data.dim
        if self.kind == "flat":
            return faiss.IndexFlat(dim, self.metric)
        if self.kind == "fhnsw":
            index = faiss.IndexHNSWFlat(dim, NEIGHBOURS, self.metric)
            index.hnsw.efConstruction = EFFORT_OF_BUILD
            return index
        lists = faiss.IndexFlat(dim, self.metric)
        if self.kind == "ivf":
            return faiss.IndexIVFFlat(lists, dim, LISTS, self.metric)
        return faiss.IndexIVFScalarQuantizer(lists, dim, LISTS, faiss.ScalarQuantizer.QT_8bit, self.metric)

    def bytes(self):
        """Counts what a save would write, without holding it."""
        written = 0

        def count(piece):
            nonlocal written
            written += len(piece)

        faiss.write_index(self.index, faiss.PyCallbackIOWriter(count))
        return written

    def searcher(self, effort, threads, k, share):
        params = self.params(effort, self.selector(share))

        def search(queries):
            return self.index.search(queries, k, params=params)[1]

        faiss.omp_set_num_threads(threads)
        return search

    def selector(self, share):
        """The filter as a bitmap: measured faster than IDSelectorBatch at each share."""
        if share not in self.selectors:
            self.selectors[share] = faiss.IDSelectorBitmap(np.packbits(self.data.matching(share), bitorder="little"))
        return self.selectors[share]

    def params(self, effort, selector):
        if self.kind == "flat":
            return faiss.SearchParameters(sel=selector) if selector else None
        chosen = {"sel": selector} if selector else {}
        if self.kind == "fhnsw":
            return faiss.SearchParametersHNSW(efSearch=effort, **chosen)
        return faiss.SearchParametersIVF(nprobe=effort, **chosen)


class Hnswlib:
    """A graph of hnswlib."""

    def __init__(self, data):
        self.data = data

    def build(self, threads):
        rows, dim = self.data.base.shape
        self.index = hnswlib.Index("l2" if self.data.metric == "L2" else "ip", dim)
        self.index.init_index(rows, M=NEIGHBOURS, ef_construction=EFFORT_OF_BUILD, random_seed=1)
        self.index.add_items(self.data.base, num_threads=threads)

    def bytes(self):
        return self.index.index_file_size()

    def searcher(self, effort, threads, k, share):
        self.index.set_ef(effort)
        options = {"num_threads": threads}
        if share is not None:
            # A list's own method, so that no Python code runs for a row: at 1 % faster than a lambda over a numpy array.
            options["filter"] = self.data.matching(share).tolist().__getitem__

        def search(queries):
            try:
                return self.index.knn_query(queries, k, **options)[0].astype(np.int64)
            except RuntimeError as error:
                raise Refused(f"hnswlib gave no answer: {error}") from error

        return search


class Usearch:
    """A graph of usearch over numbers of one type: f32, f16 or i8."""

    def __init__(self, number, data):
        if number == "i8" and data.metric == "L2":
            raise Refused("unsupported: usearch's i8 needs unit vectors, and this data set is compared by L2")
        self.number, self.data = number, data

    def build(self, threads):
        metric = "l2sq" if self.data.metric == "L2" else "cos" if self.number == "i8" else "ip"
        self.index = Index(
            ndim=self.data.dim,
            metric=metric,
            dtype=self.number,
            connectivity=NEIGHBOURS,
            expansion_add=EFFORT_OF_BUILD,
        )
        self.index.add(np.arange(len(self.data.base), dtype=np.uint64), self.data.base, threads=threads)

    def bytes(self):
        return self.index.serialized_length

    def searcher(self, effort, threads, k, share):
        if share is not None:
            raise Refused("unsupported: usearch's Python interface has no filter")
        self.index.expansion_search = effort
        return lambda queries: self.ids(self.index.search(queries, k, threads=threads), k)

    @staticmethod
    def ids(matches, k):
        """The ids of a batch, or of one query, whose answer ends with the last match."""
        keys = matches.keys.astype(np.int64)
        if keys.ndim == 1:
            return np.pad(keys, (0, k - len(keys)), constant_values=-1)[None, :]
        return np.where(np.arange(k) < np.asarray(matches.counts)[:, None], keys, -1)


LIBRARIES = {
    "flat": lambda data: Faiss("flat", data),
    "ivf": lambda data: Faiss("ivf", data),
    "ivf_sq8": lambda data: Faiss("ivf_sq8", data),
    "fhnsw": lambda data: Faiss("fhnsw", data),
    "hnswlib": Hnswlib,
    "us_f32": lambda data: Usearch("f32", data),
    "us_f16": lambda data: Usearch("f16", data),
    "us_i8": lambda data: Usearch("i8", data),
}


class Worker:
    """The built indexes, and what each request does to them."""

    def __init__(self, data):
        self.data, self.built = data, {}

    def answer(self, request):
        action = {"build": self.build, "search": self.search, "free": self.free}.get(request.get("do"))
        if action is None:
            raise Refused(f"no such request: {request.get('do')!r}; there are build, search, free and quit")
        if request.get("lib") not in LIBRARIES:
            raise Refused(f"no such library: {request.get('lib')!r}; there are {', '.join(LIBRARIES)}")
        return action(request["lib"], request)

    def build(self, lib, request):
        threads = positive(request, "threads", 1)
        self.free(lib, request)
        library = LIBRARIES[lib](self.data)
        started = time.perf_counter()
        library.build(threads)
        seconds = time.perf_counter() - started
        self.built[lib] = library
        return {"seconds": seconds, "bytes": int(library.bytes())}

    def search(self, lib, request):
        k, share = positive(request, "k", 10), request.get("filter")
        if share is not None and share not in FILTERS:
            raise Refused(f"no such filter: {share!r}; there are null, 1, 10 and 50")
        if k > self.data.truth[share].shape[1]:
            raise Refused(f"k is {k}, but only {self.data.truth[share].shape[1]} exact neighbours are known")
        if lib not in self.built:
            raise Refused(f"{lib} is not built")
        effort = positive(request, "effort", 1 if lib == "flat" else None)
        search = self.built[lib].searcher(effort, positive(request, "threads", 1), k, share)
        measured, found = (one_by_one if request.get("single") else in_a_batch)(search, self.data.queries)
        return measured | {"recall": self.data.recall(found, share)}

    def free(self, lib, _request):
        self.built.pop(lib, None)
        gc.collect()
        return {"ok": True}


def positive(request, name, default):
    """A whole number of at least 1 from the request."""
    value = request.get(name, default)
    if type(value) is not int or value < 1:
        raise Refused(f"{name} has to be a whole number of at least 1, not {value!r}")
    return value


def in_a_batch(search, queries):
    """Times one call with all queries."""
    search(queries[:WARM_UP])
    started = time.perf_counter()
    found = search(queries)
    return {"seconds": time.perf_counter() - started, "queries": len(queries)}, found


def one_by_one(search, queries):
    """Times a call for each of the first queries."""
    rows = [queries[at : at + 1] for at in range(min(SINGLE, len(queries)))]
    for row in rows[:WARM_UP]:
        search(row)
    found, nanoseconds = [], []
    for row in rows:
        started = time.perf_counter_ns()
        found.append(search(row))
        nanoseconds.append(time.perf_counter_ns() - started)
    p50, p99 = np.percentile(nanoseconds, [50, 99]) / 1e3
    measured = {"seconds": sum(nanoseconds) / 1e9, "queries": len(rows), "p50_us": float(p50), "p99_us": float(p99)}
    return measured, np.concatenate(found)


def versions():
    """What the answers were measured with."""
    packages = {"faiss": "faiss-cpu", "hnswlib": "hnswlib", "usearch": "usearch", "numpy": "numpy"}
    found = {name: importlib.metadata.version(package) for name, package in packages.items()}
    return found | {"python": platform.python_version()}


def answers_alone():
    """The standard output for answers only: whatever else the libraries print there goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return answers


def reply(worker, line):
    """The answer to one line, or None where it asks to end."""
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise Refused("a request is a JSON object")
        return None if request.get("do") == "quit" else worker.answer(request)
    except Refused as refusal:
        return {"error": str(refusal)}
    except json.JSONDecodeError as error:
        return {"error": f"the line is not JSON: {error}"}
    except Exception as error:  # whatever a library raises: the next request may do better
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    answers = answers_alone()
    worker = Worker(DataSet(*sys.argv[1:]))
    print(json.dumps({"ready": True, "versions": versions()}), file=answers)
    for line in sys.stdin:
        answer = reply(worker, line)
        if answer is None:
            break
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
