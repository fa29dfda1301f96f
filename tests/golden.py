#!/usr/bin/env python3
"""Draws the small test images of embed/tests/data/ and computes their reference vectors.

An independent implementation of what the embed crate does: Pillow decodes, resizes and crops, numpy convolves and pools,
and the weights are read from the safetensors file by hand. Needs numpy and Pillow only:

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
# Of these files all poolings of all inputs are kept; of the others two of the standard one.
WITH_ALL = ["landscape.png", "turned.jpg"]
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


def write_resized(recipe, name):
    """Pillow's own version of an input, so that the resize filter is compared pixel by pixel."""
    folder = DATA / "resized" / recipe
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(network_input(DATA / name, recipe)).save(folder / name, optimize=True)


def write_images():
    drawing(224, 224).save(DATA / "exact-224.png", optimize=True)
    drawing(411, 307).save(DATA / "landscape.png", optimize=True)
    drawing(411, 307).save(DATA / "landscape.jpg", quality=90)
    drawing(380, 300).save(DATA / "progressive.jpg", quality=85, progressive=True)
    drawing(90, 180).save(DATA / "small.png", optimize=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    # Stored lying on its side; a viewer turns it by 90 degrees clockwise.
    drawing(300, 420).transpose(Image.Transpose.ROTATE_90).save(DATA / "turned.jpg", quality=92, exif=exif)
    for recipe, name in [("keras", "landscape.png"), ("keras", "small.png"), ("torchvision", "landscape.png"),
                         ("torchvision", "small.png"), ("320", "small.png")]:
        write_resized(recipe, name)


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


def straight(image, side):
    return image.resize((side, side), Image.Resampling.BILINEAR)


def short_side(image, short):
    width, height = image.size
    size = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    return image.resize(size, Image.Resampling.BILINEAR)


def centre_crop(image, side):
    left, top = (round((length - side) / 2) for length in image.size)
    return image.crop((left, top, left + side, top + side))


INPUTS = {
    "keras": lambda image: straight(image, 224),
    "torchvision": lambda image: centre_crop(short_side(image, 256), 224),
    "320": lambda image: straight(image, 320),
}


def network_input(path, recipe):
    """RGB bytes of a file as the network takes them, upright."""
    return np.asarray(INPUTS[recipe](ImageOps.exif_transpose(Image.open(path)).convert("RGB")))


def rmac(x, levels=3):
    """Tolias, Sicre and Jegou 2016, for square maps: a sum of unit vectors, one for each square."""
    side, total = x.shape[1], np.zeros(x.shape[0])
    for level in range(1, levels + 1):
        size = int(np.floor(2 * side / (level + 1)))
        starts = [0] if level == 1 else [int(np.floor(n * (side - size) / (level - 1))) for n in range(level)]
        for top in starts:
            for left in starts:
                region = x[:, top : top + size, left : left + size].max(axis=(1, 2)).astype(np.float64)
                total += region / np.linalg.norm(region)
    return total


POOLINGS = {
    "max": lambda x: x.max(axis=(1, 2)),
    "avg": lambda x: x.mean(axis=(1, 2)),
    "gem": lambda x: np.cbrt((x.astype(np.float64) ** 3).mean(axis=(1, 2))),
    "rmac": rmac,
}


def features(rgb, tensors, poolings=POOLINGS):
    x = (rgb[:, :, ::-1].astype(np.float32) - MEAN_BGR).transpose(2, 0, 1)
    for block in BLOCKS:
        for layer in block:
            x = conv_relu(x, tensors[f"features.{layer}.weight"], tensors[f"features.{layer}.bias"])
        c, h, w = x.shape
        x = x.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))
    pooled = {name: POOLINGS[name](x) for name in poolings}
    return {name: rounded(values / np.linalg.norm(values)) for name, values in pooled.items()}


def rounded(values):
    return [round(float(value), 6) for value in values]


def golden():
    tensors = weights()
    entries = []
    for path in sorted(p for p in DATA.iterdir() if p.suffix in (".png", ".jpg")):
        standard = features(network_input(path, "keras"), tensors, ["max", "avg"])
        entry = {"file": path.name, **standard}
        if path.name in WITH_ALL:
            entry["inputs"] = {recipe: features(network_input(path, recipe), tensors) for recipe in INPUTS}
        entries.append(entry)
        print("computed", path.name)
    return {"weights_sha256": hashlib.sha256(WEIGHTS.read_bytes()).hexdigest(), "images": entries}


def near(new, old, poolings, where):
    for pooling in poolings:
        cosine = float(np.dot(new[pooling], old[pooling]))
        assert cosine > 0.99999, f"{where} {pooling}: cosine {cosine}"


def check(new, old):
    assert new["weights_sha256"] == old["weights_sha256"], "other weights"
    assert [e["file"] for e in new["images"]] == [e["file"] for e in old["images"]], "other files"
    for a, b in zip(new["images"], old["images"]):
        near(a, b, ("max", "avg"), a["file"])
        assert a.get("inputs", {}).keys() == b.get("inputs", {}).keys(), a["file"]
        for recipe, vectors in a.get("inputs", {}).items():
            near(vectors, b["inputs"][recipe], POOLINGS, f"{a['file']} {recipe}")
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
