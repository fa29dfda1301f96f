#!/usr/bin/env python3
"""Writes embed/tests/data/pca.json: a small PCA by numpy's singular values, which the embed crate is compared with.

    python3 tests/golden_pca.py
"""

import json
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "embed" / "tests" / "data" / "pca.json"
random = np.random.default_rng(7)
# Values that are exact in f32, and directions of different variance.
rows = np.round(random.normal(size=(40, 6)) @ random.normal(size=(6, 6)) * 16) / 16
others = np.round(random.normal(size=(3, 6)) * 16) / 16
mean = rows.mean(axis=0)
_, singular, components = np.linalg.svd(rows - mean)
variances = singular**2 / (len(rows) - 1)
components *= np.sign(components[np.arange(6), np.abs(components).argmax(axis=1)])[:, None]
projected = (others - mean) @ components[:4].T


def unit(x):
    return (x / np.linalg.norm(x, axis=1)[:, None]).tolist()


TARGET.write_text(json.dumps({
    "rows": rows.tolist(),
    "others": others.tolist(),
    "variances": variances.tolist(),
    "reduced": unit(projected),
    "whitened": unit(projected / np.sqrt(variances[:4])),
}) + "\n")
