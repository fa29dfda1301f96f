"""Are two lists of notes alike? Hits with scores that are equal but for rounding may change places."""

TOLERANCE = 1e-3


def assert_alike(theirs, ours):
    assert [what for what, _ in theirs] == [what for what, _ in ours]
    for (what, a), (_, b) in zip(theirs, ours):
        assert alike(a, b), f"{what}:\nmilvus-lite: {a}\nElanus:      {b}"


def alike(a, b):
    if _is_hits(a) and _is_hits(b):
        return len(a) == len(b) and all(_hits_alike(x, y) for x, y in zip(a, b))
    return _equal(a, b)


def _equal(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, float) or isinstance(b, float):
        return isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a - b) <= TOLERANCE * max(1.0, abs(a))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b))
    return a == b


def _is_hits(value):
    return isinstance(value, list) and all(
        isinstance(hits, list) and all(isinstance(hit, tuple) and len(hit) > 1 and isinstance(hit[1], float) for hit in hits)
        for hits in value
    )


def _hits_alike(a, b):
    """Equal scores place by place, and the same rows, but for those that the last score ties with."""
    if len(a) != len(b) or not all(_equal(x[1], y[1]) for x, y in zip(a, b)):
        return False
    rows = {hit[0]: hit for hit in a}
    last = a[-1][1] if a else 0.0
    return all(_equal(rows[hit[0]], hit) if hit[0] in rows else _equal(hit[1], last) for hit in b)
