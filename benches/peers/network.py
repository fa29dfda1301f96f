"""A network on the processor beside onnxruntime and torch: the same convolutions (f32, 224x224, no classifier), the same
threads and batches, in alternation, each run in a process of its own. Prints images/s (the median of the rounds) and
ratios.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch torchvision onnx onnxruntime
    /tmp/peers/bin/python benches/peers/network.py target/release/elanus vgg16 [ROUNDS [SECONDS]]      # or vgg19, resnet50

A peer that is not installed is left out. Weights are random, but for ours of VGG16: they cost the same.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

CASES = [(threads, batch) for threads in (1, 2) for batch in (1, 8)]


def model(network):
    import torch
    import torchvision

    whole = getattr(torchvision.models, network)(weights=None).eval()
    if network.startswith("vgg"):
        whole.avgpool = whole.classifier = torch.nn.Identity()
    else:
        whole.fc = torch.nn.Identity()
    return whole


def onnxruntime(network, threads, batch):
    import onnxruntime
    import torch

    images = torch.randn(batch, 3, 224, 224)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        torch.onnx.export(model(network), images, file.name, input_names=["input"], dynamo=False)
        session = onnxruntime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"input": images.numpy()})


def torch(network, threads, batch):
    import torch

    torch.set_num_threads(threads)
    layers = model(network).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, 224, 224).to(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            layers(images)

    return run


def weights(network, folder):
    """What our program is told to open."""
    if network == "vgg16":
        return []
    import torch
    import torchvision

    file = os.path.join(folder, "weights.pth")
    torch.save(getattr(torchvision.models, network)(weights=None).state_dict(), file)
    return ["--model", network, "--weights", file]


def measure_peer(name, network, threads, batch, seconds):
    run = globals()[name](network, threads, batch)
    run()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end or not times:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    print(f"network {batch / statistics.median(times)} images/s")


def measure(name, elanus, network, threads, batch, seconds):
    if name == "elanus":
        command = [*elanus, "--batch", str(batch), "--seconds", str(seconds)]
    else:
        command = [sys.executable, __file__, "--peer", name, network, str(threads), str(batch), str(seconds)]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = re.search(r"^network +([0-9.]+) images/s", done.stdout, re.M)
    if not found:
        print(f"{name}: not measured: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    return found and float(found[1])


def main(folder):
    network = sys.argv[2]
    elanus = [sys.argv[1], "embed-bench", "--device", "cpu", *weights(network, folder)]
    rounds, seconds = (int(word) for word in (sys.argv[3:5] + ["5", "3"][len(sys.argv) - 3 :]))
    names = ["elanus", "onnxruntime", "torch"]
    print("threads batch " + " ".join(f"{name:>12}" for name in names) + "   ratios in each round")
    for threads, batch in CASES:
        found = {name: [] for name in names}
        for _ in range(rounds):
            for name in list(names):
                speed = measure(name, elanus, network, threads, batch, seconds)
                if speed is None:
                    names.remove(name)
                    found.pop(name)
                else:
                    found[name].append(speed)
        speeds = " ".join(f"{statistics.median(found[name]):12.2f}" for name in names)
        ratios = []
        for name in names[1:]:
            each = sorted(ours / peer for ours, peer in zip(found["elanus"], found[name]))
            ratios.append(f"{statistics.median(each):.2f} x {name} ({each[0]:.2f} to {each[-1]:.2f})")
        print(f"{threads:7} {batch:5} {speeds}   {', '.join(ratios)}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        measure_peer(*sys.argv[2:4], *(int(word) for word in sys.argv[4:]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(folder)
