"""Compares encoder times with PyTorch, ONNX Runtime and OpenVINO, with the same weights and input in one run.

    python -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python weights.py B B.safetensors
    venv/bin/python encoders.py B.safetensors --longclip ../../target/release/longclip [--batch 1,8] [--rounds 7] [--json out.json] [--avx2] [--only REGEX]

Every engine computes each case once per round, in turn, so that a busy machine affects all equally. Prints medians and ratios of
medians. The other engines get their best settings: fused attention, texts cut at the end token, prepacked models, and one thread
per core. Outputs are compared first (cosine to PyTorch f32). longclip's time is measured inside its process by `longclip bench`.
With --avx2 no engine sees anything of this CPU beyond AVX2 (`avx2_only.py`). For a busy machine, `taskset -c 0 ... --cpu-time`
counts the CPU time of one thread, which others on the CPU change much less.
"""
import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import load_file

import avx2_only
from clip import TextCut, Vision

THREADS = len(os.sched_getaffinity(0))  # `taskset -c 0` for one thread
HERE = os.path.dirname(os.path.abspath(__file__))


def torch_runner(module, dtype=None):
    module = module.eval()
    if dtype is not None:
        module = module.to(dtype)

    @torch.inference_mode()
    def run(x):
        x = torch.from_numpy(x)
        return module(x if dtype is None or x.dtype == torch.long else x.to(dtype)).float().numpy()

    return run


def export(module, example, path):
    torch.onnx.export(module.eval(), (torch.from_numpy(example),), path, input_names=["x"], output_names=["y"], dynamo=False, opset_version=17)
    return path


def ort_runner(path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def ort_int8(path, reduce_range):
    """The graph with dynamic int8, one scale per output. Without VNNI, weights are limited to 7 bits, because products could overflow."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantised = path.removesuffix(".onnx") + "-int8.onnx"
    quantize_dynamic(path, quantised, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8, reduce_range=reduce_range)
    return quantised


def openvino_runner(model, precision):
    import openvino as ov

    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    return lambda x: next(iter(request.infer({0: x}).values())).copy()


def openvino_int8(path, example):
    import nncf
    import openvino as ov

    model = ov.Core().read_model(path)
    rng = np.random.default_rng(0)
    data = [rng.standard_normal(example.shape).astype(np.float32) for _ in range(16)]
    return nncf.quantize(model, nncf.Dataset(data), model_type=nncf.ModelType.TRANSFORMER, subset_size=16)


def longclip_runner(opt, dtype, *case):
    command = [opt.longclip, "bench", "-q", "--model", opt.weights, "--dtype", dtype, *case, "--threads", str(THREADS), "--format", "json"]
    run = lambda rounds: subprocess.run([*command, "--rounds", str(rounds)], check=True, capture_output=True).stdout

    def cpu_seconds(rounds):
        start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        run(rounds)
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start

    if opt.cpu_time:
        return lambda: (cpu_seconds(5) - cpu_seconds(2)) / 3  # without loading
    return lambda: json.loads(run(3))[0]["ms_median"] / 1e3


def timed(opt, run, x):
    clock = time.process_time if opt.cpu_time else time.perf_counter

    def seconds():
        start = clock()
        run(x)
        return clock() - start

    return seconds


def cosine(a, b):
    a, b = a.reshape(len(a), -1).astype(np.float64), b.reshape(len(b), -1).astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def image_engines(opt, weights, batch, folder):
    """name -> (function that times one pass, lowest cosine to PyTorch f32 or None)"""
    x = np.random.default_rng(3).standard_normal((batch, 3, weights_side(weights), weights_side(weights))).astype(np.float32)
    module = Vision(weights)
    reference = torch_runner(module)
    expected, out = reference(x), {}
    path = export(module, x, os.path.join(folder, f"image-{batch}.onnx"))
    makers = {
        "torch f32": lambda: reference,
        "onnxruntime f32": lambda: ort_runner(path),
        "openvino f32": lambda: openvino_runner(path, "f32"),
        "openvino bf16": lambda: openvino_runner(path, "bf16"),
        "onnxruntime int8": lambda: ort_runner(ort_int8(path, opt.avx2)),
        "openvino int8": lambda: openvino_runner(openvino_int8(path, x), "f32"),
    }
    for name, make in makers.items():
        if opt.only.search(name):
            run = make()
            out[name] = (timed(opt, run, x), cosine(run(x), expected))
    return out | ours(opt, "--tower", "image", "--batch", str(batch))


def ours(opt, *case):
    names = {f"longclip {dtype}": dtype for dtype in ("f32", "bf16", "int8")}
    return {name: (longclip_runner(opt, dtype, *case), None) for name, dtype in names.items() if opt.only.search(name)}


def weights_side(weights):
    """The side of the images in pixels."""
    grid = round((len(weights["visual.positional_embedding"]) - 1) ** 0.5)
    return grid * weights["visual.conv1.weight"].shape[-1]


def prompts(n):
    """For 80, CLIP's published templates with one class; for other numbers, classes of ImageNet in one template."""
    import open_clip

    names = open_clip.IMAGENET_CLASSNAMES
    return [t(names[281]) for t in open_clip.OPENAI_IMAGENET_TEMPLATES] if n == 80 else [f"a photo of a {name}." for name in names[:n]]


def text_engines(opt, weights, n, folder):
    """As `image_engines`. PyTorch gets texts in chunks, each cut at its last end token, with the fastest of these chunkings: all
    at once; sorted by length in chunks of 16, 64 or 256; or one chunk per length."""
    import open_clip

    texts = prompts(n)
    rows = [[49406, *open_clip.tokenizer.SimpleTokenizer().encode(t), 49407] for t in texts]
    order = sorted(range(n), key=lambda i: len(rows[i]))
    lengths = [len(rows[i]) for i in order]
    module = TextCut(weights).eval()

    def chunks(starts):
        out = []
        for a, b in zip(starts, [*starts[1:], n]):
            some = [rows[i] for i in order[a:b]]
            ids = torch.zeros(len(some), max(map(len, some)), dtype=torch.long)
            for r, row in enumerate(some):
                ids[r, : len(row)] = torch.tensor(row)
            out.append((ids, torch.tensor([len(row) - 1 for row in some])))
        return out

    ways = [chunks(list(range(0, n, size))) for size in (n, 16, 64, 256)] + [chunks([i for i in range(n) if i == 0 or lengths[i] != lengths[i - 1]])]

    @torch.inference_mode()
    def run(way):
        return torch.cat([module(ids, ends) for ids, ends in way])

    def best_seconds(way):
        return min(timed(opt, run, way)() for _ in range(3))

    way = min(ways, key=best_seconds)
    print(f"text, {n}: PyTorch is fastest in {len(way)} chunks")
    out = {"torch f32": (timed(opt, run, way), 1.0)}
    path = os.path.join(folder, f"texts-{n}.txt")
    with open(path, "w") as file:
        file.write("\n".join(texts) + "\n")
    return out | ours(opt, "--texts-file", path)


def case(opt, weights, tower, batch, folder):
    engines, times = {"image": image_engines, "text": text_engines}[tower](opt, weights, batch, folder), {}
    for round_ in range(opt.rounds + 1):
        for name, (seconds, _) in engines.items():
            taken = seconds()
            if round_:  # the first round warms up
                times.setdefault(name, []).append(taken)
    medians = {name: statistics.median(t) for name, t in times.items()}
    print(f"\n{tower}, batch {batch}")
    for name, median in medians.items():
        near = engines[name][1]
        print(f"  {name:16} {median * 1e3:9.1f} ms  {batch / median:8.2f}/s" + ("" if near is None else f"  cosine {near:.6f}"))
    pairs = [("f32", "openvino f32"), ("bf16", "openvino bf16"), ("int8", "openvino int8"), ("f32", "onnxruntime f32"), ("int8", "onnxruntime int8"), ("f32", "torch f32"), ("bf16", "longclip f32")]
    ratios = {f"longclip {ours} / {peer}": medians[peer] / medians[f"longclip {ours}"] for ours, peer in pairs if peer in medians and f"longclip {ours}" in medians}
    for name, ratio in ratios.items():
        print(f"  {name:34} {ratio:5.2f}x as fast")
    return {"tower": tower, "batch": batch, "rounds": opt.rounds, "seconds": medians, "times_as_fast": ratios}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--longclip", default="../../target/release/longclip")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--texts", default="80,1000", help="numbers of texts; 0 for none")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", type=re.compile, default="", help="only engines whose name matches this regular expression, such as `onnxruntime int8|longclip`")
    parser.add_argument("--avx2", action="store_true", help="hide everything beyond AVX2 from all engines")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU time; only with one thread")
    parser.add_argument("--json")
    opt = parser.parse_args()
    if opt.avx2:
        avx2_only.hide()
    torch.set_num_threads(THREADS)
    weights = load_file(opt.weights)
    with tempfile.TemporaryDirectory() as folder:
        cases = [("image", int(b)) for b in opt.batch.split(",") if int(b)] + [("text", int(n)) for n in opt.texts.split(",") if int(n)]
        results = [case(opt, weights, tower, batch, folder) for tower, batch in cases]
    if opt.json:
        with open(opt.json, "w") as f:
            json.dump(results, f, indent=1)
