#!/usr/bin/env python3
"""Draws the small test images of embed/tests/data/ and computes their reference vectors.

An independent implementation of what the embed crate does: Pillow decodes and resizes, numpy convolves, and the
weights are read from the safetensors file by hand. Needs numpy and Pillow only:

    python3 tests/golden.py           writes the images and golden.json
    python3 tests/golden.py --check   computes again from the stored images and compares
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "embed" / "tests" / "data"
WEIGHTS = ROOT / "embed" / "models" / "vgg16-imagenet-notop.f16.safetensors"
BLOCKS = [[0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28]]
MEAN_BGR = np.array([103.939, 116.779, 123.68], dtype=np.float32)


def drawing(width, height):
    """A sky, a sun, a house, a striped fence: edges, gradients, thin lines and flat colours, the same every time."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    sky = np.stack([90 + 120 * y / height, 140 + 60 * x / width, 230 - 90 * y / height], axis=-1)
    image = Image.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    w, h = width / 100, height / 100
    draw.ellipse([70 * w, 8 * h, 90 * w, 30 * h], fill=(255, 230, 60))
    draw.rectangle([0, 75 * h, width, height], fill=(60, 140, 50))
    draw.rectangle([20 * w, 45 * h, 55 * w, 80 * h], fill=(190, 60, 50), outline=(40, 20, 20), width=2)
    draw.polygon([(15 * w, 45 * h), (60 * w, 45 * h), (37 * w, 22 * h)], fill=(110, 70, 40))
    draw.rectangle([33 * w, 60 * h, 42 * w, 80 * h], fill=(250, 240, 200))
    for post in range(62, 98, 4):
        draw.rectangle([post * w, 65 * h, (post + 1) * w, 88 * h], fill=(245, 245, 245))
    draw.line([(0, 95 * h), (width, 70 * h)], fill=(20, 20, 120), width=1)
    return image


def write_resized(name):
    """Pillow's own 224x224 version, so that the resize filter is compared pixel by pixel."""
    Image.fromarray(network_input(DATA / name)).save(DATA / "resized" / name, optimize=True)


def write_images():
    (DATA / "resized").mkdir(parents=True, exist_ok=True)
    drawing(224, 224).save(DATA / "exact-224.png", optimize=True)
    drawing(411, 307).save(DATA / "landscape.png", optimize=True)
    drawing(411, 307).save(DATA / "landscape.jpg", quality=90)
    drawing(380, 300).save(DATA / "progressive.jpg", quality=85, progressive=True)
    drawing(90, 180).save(DATA / "small.png", optimize=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    # Stored lying on its side; a viewer turns it by 90 degrees clockwise.
    drawing(300, 420).transpose(Image.Transpose.ROTATE_90).save(DATA / "turned.jpg", quality=92, exif=exif)
    write_resized("landscape.png")
    write_resized("small.png")


def weights():
    raw = WEIGHTS.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        assert entry["dtype"] == "F16", entry
        tensors[name] = np.frombuffer(raw[begin:end], "<f2").astype(np.float32).reshape(entry["shape"])
    return tensors


def conv_relu(x, kernel, bias):
    """[c, h, w] to [o, h, w]: nine shifted matrix products, one per position of the 3x3 kernel."""
    _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((kernel.shape[0], h * w), dtype=np.float32)
    for dy in range(3):
        for dx in range(3):
            out += kernel[:, :, dy, dx] @ padded[:, dy : dy + h, dx : dx + w].reshape(x.shape[0], -1)
    return np.maximum(out + bias[:, None], 0).reshape(-1, h, w)


def network_input(path):
    """224x224 RGB bytes of a file, upright."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    return np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR))


def features(rgb, tensors):
    x = (rgb[:, :, ::-1].astype(np.float32) - MEAN_BGR).transpose(2, 0, 1)
    for block in BLOCKS:
        for layer in block:
            x = conv_relu(x, tensors[f"features.{layer}.weight"], tensors[f"features.{layer}.bias"])
        c, h, w = x.shape
        x = x.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))
    pooled = {"max": x.max(axis=(1, 2)), "avg": x.mean(axis=(1, 2))}
    return {name: values / np.linalg.norm(values) for name, values in pooled.items()}


def golden():
    tensors = weights()
    entries = []
    for path in sorted(p for p in DATA.iterdir() if p.suffix in (".png", ".jpg")):
        rgb = network_input(path)
        entry = {"file": path.name}
        for name, values in features(rgb, tensors).items():
            entry[name] = [round(float(value), 6) for value in values]
        entries.append(entry)
        print("computed", path.name)
    return {"weights_sha256": hashlib.sha256(WEIGHTS.read_bytes()).hexdigest(), "images": entries}


def check(new, old):
    assert new["weights_sha256"] == old["weights_sha256"], "other weights"
    assert [e["file"] for e in new["images"]] == [e["file"] for e in old["images"]], "other files"
    for a, b in zip(new["images"], old["images"]):
        for pooling in ("max", "avg"):
            cosine = float(np.dot(a[pooling], b[pooling]))
            assert cosine > 0.99999, f"{a['file']} {pooling}: cosine {cosine}"
    print("golden.json is right")


def main():
    stored = DATA / "golden.json"
    if "--check" in sys.argv[1:]:
        check(golden(), json.loads(stored.read_text()))
        return
    write_images()
    stored.write_text(json.dumps(golden(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
