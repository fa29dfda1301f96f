"""Made-up rows, and numpy's exact answer to a search: scores as Milvus gives them, ties to the smaller key."""

import numpy as np

LABELS = ["cat", "dog", "bird", "fish", "horse"]


def vectors(count, dim, seed=0):
    """Clustered, as embeddings of images are: an index over noise would find little."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(16, dim))
    return (centres[random.integers(0, 16, count)] + 0.3 * random.normal(size=(count, dim))).astype(np.float32)


def exact(metric, base, query, k, keep=None):
    """Positions and scores of the k nearest rows for which `keep` holds."""
    base, query = np.asarray(base, np.float64), np.asarray(query, np.float64)
    if metric == "L2":
        scores = ((base - query) ** 2).sum(1)
    else:
        scores = base @ query
        if metric == "COSINE":
            scores = scores / np.linalg.norm(base, axis=1) / np.linalg.norm(query)
    order = np.lexsort((np.arange(len(base)), scores if metric == "L2" else -scores))
    order = [int(i) for i in order if keep is None or keep[i]][:k]
    return order, scores[order]


def assert_exact(hits, metric, base, query, k, keep=None, key=lambda position: position, tolerance=1e-4):
    """The hits of one query are the true nearest rows, in order, with their scores; rows whose scores are equal but for
    rounding may change places."""
    order, scores = exact(metric, base, query, k, keep)
    assert len(hits) == len(order)
    got = [hit["distance"] for hit in hits]
    assert np.allclose(got, scores, rtol=tolerance, atol=tolerance), (got, scores)
    ids = [hit["id"] for hit in hits]
    if ids != [key(i) for i in order]:
        _, wider = exact(metric, base, query, 2 * k, keep)
        all_scores = {key(i): s for i, s in zip(*exact(metric, base, query, 2 * k, keep))}
        assert len(set(ids)) == len(ids)
        for id_, score in zip(ids, scores):
            assert abs(all_scores[id_] - score) <= tolerance * max(1.0, abs(score)), (ids, order)


def recall(hits, metric, base, query, k, keep=None, key=lambda position: position):
    """The share of the true nearest rows that was found; what was found has its true score."""
    order, _ = exact(metric, base, query, k, keep)
    return len({hit["id"] for hit in hits} & {key(i) for i in order}) / max(1, len(order))
