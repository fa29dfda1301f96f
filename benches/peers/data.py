"""Data sets for comparing nearest-neighbour search with peers; the same bytes from every run.

    benches/peers/install /tmp/elanus-peers
    /tmp/elanus-peers/bin/python benches/peers/data.py FOLDER [name ...]

    sift100k      100,000 x 128, L2             like SIFT: 1,000 overlapping clusters, varied covariance, not negative
    vgg100k       100,000 x 512, inner product  like VGG features: a clustered latent space through a ReLU, of unit length
    sift1m      1,000,000 x 128, L2             sift100k's recipe from another seed
    minilm100k    100,000 x 384, inner product  real sentence embeddings of unit length, from $ELANUS_SHARED/data/minilm
                                                (without that variable, `shared` beside the repository); skipped where not there

For each set FOLDER gets NAME.base.f32 and NAME.query.f32 (rows of little-endian floats), NAME.gt.i32 (the ids of the 100
exact neighbours of each query), NAME.gtf1.i32, .gtf10.i32 and .gtf50.i32 (the 10 exact neighbours among the rows with
id % 100 < 1, 10, 50) and, last, NAME.meta.json. Files that are there are kept.
"""

import json
import os
import pathlib
import sys
import time

import faiss
import numpy as np

BLOCK = 20_000  # rows made at a time; part of the recipe, as the random numbers are drawn block by block
FILTERS = (1, 10, 50)


def sift_like(rows, queries, seed, dim=128, clusters=1000, latent=28):
    """Overlapping clusters of uneven size and full covariance, projected, clamped to 0..255."""
    rng = np.random.default_rng(seed)
    projection = rng.standard_normal((latent, dim)).astype(np.float32) / np.sqrt(latent)
    bias = rng.standard_normal(dim).astype(np.float32) * 0.4
    centres = 0.55 * rng.standard_normal((clusters, latent)).astype(np.float32)  # apart, they would make the set trivial
    share = 1.0 / (np.arange(clusters) + 20.0) ** 0.6
    share /= share.sum()
    spread = np.exp(rng.uniform(np.log(0.4), np.log(0.95), (clusters, latent))).astype(np.float32)
    turn = np.stack([np.linalg.qr(rng.standard_normal((latent, latent)))[0] for _ in range(clusters)]).astype(np.float32)
    label = rng.choice(clusters, rows + queries, p=share)
    out = np.empty((rows + queries, dim), np.float32)
    for first in range(0, len(out), BLOCK):
        at = label[first : first + BLOCK]
        noise = rng.standard_normal((len(at), latent)).astype(np.float32) * spread[at]
        point = centres[at] + np.einsum("ij,ijk->ik", noise, turn[at])
        grain = 0.12 * rng.standard_normal((len(at), dim)).astype(np.float32)
        features = np.maximum(point @ projection + bias + grain, 0.0)
        out[first : first + BLOCK] = np.minimum(features * 60.0, 255.0)
    return out[:rows], out[rows:]


def vgg_like(rows, queries, seed, dim=512, clusters=500, latent=30):
    """Clusters in a latent space, projected through a ReLU and scaled to unit length."""
    rng = np.random.default_rng(seed)
    projection = rng.standard_normal((latent, dim)).astype(np.float32) / np.sqrt(latent)
    bias = -0.3 + 0.3 * rng.standard_normal(dim).astype(np.float32)
    centres = 0.6 * rng.standard_normal((clusters, latent)).astype(np.float32)
    spread = np.exp(rng.uniform(np.log(0.4), np.log(0.95), (clusters, latent))).astype(np.float32)
    label = rng.integers(0, clusters, rows + queries)
    out = np.empty((rows + queries, dim), np.float32)
    for first in range(0, len(out), BLOCK):
        at = label[first : first + BLOCK]
        point = centres[at] + rng.standard_normal((len(at), latent)).astype(np.float32) * spread[at]
        grain = 0.15 * rng.standard_normal((len(at), dim)).astype(np.float32)
        out[first : first + BLOCK] = unit(np.maximum(point @ projection + bias + grain, 0.0))
    return out[:rows], out[rows:]


def unit(vectors):
    """The vectors, each scaled to length 1."""
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12)


def minilm_file(part):
    """Where the sentence embeddings lie, `part` being base or query."""
    beside = pathlib.Path(__file__).resolve().parents[2].parent / "shared"
    return pathlib.Path(os.environ.get("ELANUS_SHARED") or beside) / "data" / "minilm" / f"minilm-100k.{part}.f16.npy"


def minilm():
    """The sentence embeddings and their queries, or None where they are not there."""
    files = [minilm_file(part) for part in ("base", "query")]
    if not all(file.exists() for file in files):
        return None
    return tuple(unit(np.load(file).astype(np.float32)) for file in files)


SETS = {
    "sift100k": ("L2", lambda: sift_like(100_000, 1000, seed=1)),
    "vgg100k": ("IP", lambda: vgg_like(100_000, 1000, seed=2)),
    "sift1m": ("L2", lambda: sift_like(1_000_000, 1000, seed=4)),
    "minilm100k": ("IP", minilm),
}


def nearest(base, queries, k, metric):
    """The positions in `base` of the k exact neighbours of each query."""
    index = (faiss.IndexFlatL2 if metric == "L2" else faiss.IndexFlatIP)(base.shape[1])
    index.add(base)
    return index.search(queries, k)[1]


def keep_or_write(path, content):
    """Writes the file whole or not at all; one that is there stays as it is."""
    if path.exists():
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    os.replace(part, path)


def make(folder, name):
    """Makes one data set, unless it is there."""
    if (folder / f"{name}.meta.json").exists():
        print(f"{name}: kept")
        return
    started = time.perf_counter()
    metric, vectors = SETS[name]
    made = vectors()
    if made is None:
        print(f"{name}: skipped, as {minilm_file('base')} and its queries are not there")
        return
    base, queries = made
    keep_or_write(folder / f"{name}.base.f32", base.data)
    keep_or_write(folder / f"{name}.query.f32", queries.data)
    keep_or_write(folder / f"{name}.gt.i32", nearest(base, queries, 100, metric).astype(np.int32).data)
    for share in FILTERS:
        ids = np.nonzero(np.arange(len(base)) % 100 < share)[0]
        truth = ids[nearest(base[ids], queries, 10, metric)]
        keep_or_write(folder / f"{name}.gtf{share}.i32", truth.astype(np.int32).data)
    meta = {"name": name, "n": len(base), "nq": len(queries), "dim": base.shape[1], "metric": metric}
    keep_or_write(folder / f"{name}.meta.json", json.dumps(meta).encode())
    print(f"{name}: {len(base)} x {base.shape[1]}, {metric}, made in {time.perf_counter() - started:.1f} s", flush=True)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    unknown = [name for name in sys.argv[2:] if name not in SETS]
    if unknown:
        sys.exit(f"no such data set: {', '.join(unknown)}; there are {', '.join(SETS)}")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or SETS:
        make(folder, name)


if __name__ == "__main__":
    main()
