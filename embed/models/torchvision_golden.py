"""Makes what the tests of the networks by a weights file compare with, by torchvision itself.

    python3 -m venv venv && venv/bin/pip install torch torchvision
    venv/bin/python embed/models/torchvision_golden.py embed/tests/data

`torchvision.json`: the vectors of one drawn picture from each network. Its weights are not stored: they are hashes of
the tensors' names and positions, scaled so that activations keep their size (He et al., 2015), and
`embed/tests/torchvision.rs` makes the same numbers again.
`state-dict.pth`, `state-dict-legacy.pth`: one small state dict, as PyTorch saves it today and as it did before 1.6.
`checkpoint-legacy.pth`: one beside an optimiser's state, as training saved it before 1.6.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision


def uniform(name, count):
    """Numbers from -0.5 to 0.5: SplitMix64 from the FNV-1a hash of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(2**24) - np.float32(0.5)


def values(name, shape):
    u = uniform(name, int(np.prod(shape)))
    if len(shape) > 1:
        # Variance 2 / fan-in: the ReLU behind it halves what it doubles.
        return u * np.float32((24 / np.prod(shape[1:])) ** 0.5)
    if name.endswith("running_var"):
        return u + np.float32(1)
    if name.endswith("weight"):
        # Of a batch normalisation. The last one of a block is small, or 16 blocks would add up to infinity.
        return (u + np.float32(1)) * np.float32(0.25 if "bn3" in name else 1)
    return u * np.float32(0.2)


def network(name):
    made = getattr(torchvision.models, name)(weights=None).eval()
    with torch.no_grad():
        for key, tensor in made.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.from_numpy(values(key, tuple(tensor.shape))).reshape(tensor.shape))
    return made


def picture():
    """224 x 224 RGB bytes, drawn by arithmetic."""
    y, x, c = np.ogrid[:224, :224, :3]
    return ((x * (c + 1) * 3 + y * (5 - c) + x * y // (16 + c)) % 256).astype(np.uint8)


def unit(tensor):
    vector = tensor.flatten().double().numpy()
    return [float(f"{value:.6g}") for value in vector / np.linalg.norm(vector)]


@torch.no_grad()
def goldens():
    normalise = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    x = normalise(torchvision.transforms.functional.to_tensor(picture()))[None]
    found = {}
    for name in ("vgg16", "vgg19"):
        vgg = network(name)
        maps = vgg.features(x)
        found[name] = {"max": unit(maps.amax((2, 3))), "avg": unit(maps.mean((2, 3)))}
        if name == "vgg16":
            flat = vgg.avgpool(maps).flatten(1)
            found["vgg16-fc6"] = {"none": unit(vgg.classifier[:2](flat))}
            found["vgg16-fc7"] = {"none": unit(vgg.classifier[:5](flat))}
    resnet = network("resnet50")
    # Everything but the average pool and the classifier.
    maps = torch.nn.Sequential(*list(resnet.children())[:-2])(x)
    found["resnet50"] = {"avg": unit(resnet.avgpool(maps)), "max": unit(maps.amax((2, 3)))}
    return found


def small_state_dict():
    whole = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 8
    return {
        "whole": whole,
        "part": whole[1:],
        "turned": whole.t(),
        "half": torch.tensor([1.5, -2.0, 0.25], dtype=torch.float16),
        "brain": torch.tensor([1.5, -2.0, 0.25], dtype=torch.bfloat16),
        "parameter": torch.nn.Parameter(torch.tensor([7.0])),
        "count": torch.tensor(3),
        "not-a-number": torch.tensor([1.0, float("nan")]),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in goldens().items()]
    (folder / "torchvision.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    torch.save(small_state_dict(), folder / "state-dict.pth")
    torch.save(small_state_dict(), folder / "state-dict-legacy.pth", _use_new_zipfile_serialization=False)
    moment = torch.full((5,), 0.5, dtype=torch.float64)
    checkpoint = {"epoch": 3, "optimizer": {"moment": moment}, "state_dict": {"whole": small_state_dict()["whole"]}}
    torch.save(checkpoint, folder / "checkpoint-legacy.pth", _use_new_zipfile_serialization=False)
