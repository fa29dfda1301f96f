"""VGG16 on the processor beside onnxruntime and torch: the same network (13 convolutions, f32, 224x224), the same threads
and batches, in alternation, each run in a process of its own. Prints images/s (the median of the rounds) and ratios.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy onnx onnxruntime torch
    /tmp/peers/bin/python benches/peers/vgg16.py target/release/elanus [ROUNDS [SECONDS]]

A peer that is not installed is left out. Weights of the peers are random: they cost the same.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

LAYERS = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool"]
CASES = [(threads, batch) for threads in (1, 2) for batch in (1, 8)]


def onnxruntime(threads, batch):
    import numpy
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper, save

    random = numpy.random.default_rng(0)
    nodes, weights, last, channels = [], [], "input", 3
    for i, layer in enumerate(LAYERS):
        if layer == "pool":
            nodes.append(helper.make_node("MaxPool", [last], [f"{i}"], kernel_shape=[2, 2], strides=[2, 2]))
        else:
            kernel = random.standard_normal((layer, channels, 3, 3)) * (2 / 9 / channels) ** 0.5
            weights.append(numpy_helper.from_array(kernel.astype("float32"), f"{i}w"))
            weights.append(numpy_helper.from_array(numpy.zeros(layer, "float32"), f"{i}b"))
            nodes.append(helper.make_node("Conv", [last, f"{i}w", f"{i}b"], [f"{i}c"], kernel_shape=[3, 3], pads=[1] * 4))
            nodes.append(helper.make_node("Relu", [f"{i}c"], [f"{i}"]))
            channels = layer
        last = f"{i}"
    value = helper.make_tensor_value_info
    ends = value("input", TensorProto.FLOAT, ["n", 3, 224, 224]), value(last, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "vgg16", [ends[0]], [ends[1]], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        save(model, file.name)
        session = onnxruntime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])
    images = (random.random((batch, 3, 224, 224)) * 255 - 120).astype("float32")
    return lambda: session.run(None, {"input": images})


def torch(threads, batch):
    import torch

    torch.set_num_threads(threads)
    layers, channels = [], 3
    for layer in LAYERS:
        if layer == "pool":
            layers.append(torch.nn.MaxPool2d(2))
        else:
            layers += [torch.nn.Conv2d(channels, layer, 3, padding=1), torch.nn.ReLU(inplace=True)]
            channels = layer
    model = torch.nn.Sequential(*layers).eval().to(memory_format=torch.channels_last)
    images = (torch.rand(batch, 3, 224, 224) * 255 - 120).to(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            model(images)

    return run


def measure_peer(name, threads, batch, seconds):
    run = globals()[name](threads, batch)
    run()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end or not times:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    print(f"network {batch / statistics.median(times)} images/s")


def measure(name, elanus, threads, batch, seconds):
    if name == "elanus":
        command = [elanus, "embed-bench", "--device", "cpu", "--batch", str(batch), "--seconds", str(seconds)]
    else:
        command = [sys.executable, __file__, "--peer", name, str(threads), str(batch), str(seconds)]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = re.search(r"^network +([0-9.]+) images/s", done.stdout, re.M)
    if not found:
        print(f"{name}: not measured: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    return found and float(found[1])


def main():
    elanus = sys.argv[1]
    rounds, seconds = (int(word) for word in (sys.argv[2:4] + ["5", "3"][len(sys.argv) - 2 :]))
    names = ["elanus", "onnxruntime", "torch"]
    print("threads batch " + " ".join(f"{name:>12}" for name in names) + "   ratios in each round")
    for threads, batch in CASES:
        found = {name: [] for name in names}
        for _ in range(rounds):
            for name in list(names):
                speed = measure(name, elanus, threads, batch, seconds)
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
        measure_peer(sys.argv[2], *(int(word) for word in sys.argv[3:]))
    else:
        main()
