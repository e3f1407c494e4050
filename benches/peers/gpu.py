"""Compares images per second on an NVIDIA GPU with PyTorch, with the same weights and input in one run.

    venv/bin/python weights.py B B.safetensors                             # venv: see encoders.py
    venv/bin/python gpu.py B.safetensors --longclip ../../target/release/longclip [--batch 1,64,256] [--json out.json]

`benches/cuda` builds longclip, checks its numbers, and runs this. PyTorch uses fused attention, in the same number type.
Every engine computes each case once per round, in turn; the table shows medians. --device cpu tries the script without a GPU.
"""
import argparse
import json
import statistics
import subprocess
import time

import torch
from safetensors.torch import load_file

from clip import Vision
from encoders import weights_side

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def torch_seconds(opt, module, dtype, x):
    x = x.to(opt.device, DTYPES[dtype])

    @torch.inference_mode()
    def seconds():
        start = time.perf_counter()
        module(x).float().cpu()  # longclip returns its features to the CPU too
        return time.perf_counter() - start

    return seconds


def longclip_seconds(opt, dtype, batch):
    command = [opt.longclip, "bench", "-q", "--model", opt.weights, "--device", opt.device, "--dtype", dtype, "--tower", "image"]
    command += ["--batch", str(batch), "--rounds", "5", "--format", "json"]

    def seconds():
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[0]["ms_median"] / 1e3

    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--longclip", default="../../target/release/longclip")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtypes", default="f32,f16,bf16")
    parser.add_argument("--batch", default="1,64,256")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json")
    opt = parser.parse_args()
    weights, results = load_file(opt.weights), []
    side = weights_side(weights)
    print("GPU:", torch.cuda.get_device_name() if opt.device == "cuda" else "none", "- torch", torch.__version__)
    print(f"{'type':5} {'batch':>5} {'longclip images/s':>18} {'torch images/s':>15} {'ratio':>6}")
    for dtype in opt.dtypes.split(","):
        module = Vision(weights).eval().to(opt.device, DTYPES[dtype])
        for batch in map(int, opt.batch.split(",")):
            x = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(3))
            engines = {"longclip": longclip_seconds(opt, dtype, batch), "torch": torch_seconds(opt, module, dtype, x)}
            rounds = [{name: run() for name, run in engines.items()} for _ in range(opt.rounds + 1)][1:]  # the first warms up
            rate = {name: batch / statistics.median(r[name] for r in rounds) for name in engines}
            print(f"{dtype:5} {batch:5} {rate['longclip']:18.1f} {rate['torch']:15.1f} {rate['longclip'] / rate['torch']:6.2f}", flush=True)
            results.append({"dtype": dtype, "batch": batch, "images_per_second": rate})
    if opt.json:
        with open(opt.json, "w") as file:
            json.dump({"gpu": torch.cuda.get_device_name() if opt.device == "cuda" else None, "cases": results}, file, indent=1)


if __name__ == "__main__":
    main()
