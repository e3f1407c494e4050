"""Measures everything in docs/PERFORMANCE.md and writes that page. Takes about an hour on an otherwise idle machine.

    venv/bin/python weights.py B B.safetensors && venv/bin/python weights.py L L.safetensors
    cargo build --release --bin longclip --bench kernels --bench preprocess
    venv/bin/python report.py --b B.safetensors --l L.safetensors --work measured [--data nano-data]     # from benches/peers

Each part writes a JSON file to --work, and is not measured again if that file exists.
"""
import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import textwrap
from importlib.metadata import version

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CORES = os.cpu_count()
PEERS = ("torch", "onnxruntime", "openvino", "nncf", "pillow", "torchvision")
GOALS = {  # (model, tower, batch): {pair: least ratio}
    ("B", "image", 1): {"f32 / openvino f32": 1.2, "bf16 / openvino bf16": 1.25, "int8 / openvino int8": 1.2},
    ("B", "image", 8): {"f32 / openvino f32": 1.15, "bf16 / openvino bf16": 1.1, "int8 / openvino int8": 1.1},
    ("L", "image", 1): {"f32 / openvino f32": 1.2, "bf16 / openvino bf16": 1.25, "int8 / openvino int8": 1.2},
    ("B", "text", 80): {"f32 / torch f32": 1.5},
    ("B", "text", 1000): {"f32 / torch f32": 1.5},
    ("AVX2", "image", 1): {"f32 / openvino f32": 1.15, "f32 / onnxruntime f32": 1.15, "int8 / openvino int8": 1.25, "int8 / onnxruntime int8": 1.25, "bf16 / longclip f32": 1},
    ("AVX2", "image", 8): {"f32 / openvino f32": 1.12, "f32 / onnxruntime f32": 1.12, "int8 / openvino int8": 1.2, "int8 / onnxruntime int8": 1.2, "bf16 / longclip f32": 1},
    ("AVX2", "text", 80): {"f32 / torch f32": 2},
    ("AVX2", "text", 1000): {"f32 / torch f32": 2},
}


# ---------------------------------------------------------------- measuring


def part(opt, name, command):
    """The JSON that `command` writes, cached in --work."""
    path = os.path.join(opt.work, name + ".json")
    if not os.path.exists(path):
        print("measuring", name, flush=True)
        subprocess.run([*command, path + ".part"], check=True)
        os.replace(path + ".part", path)
    with open(path) as file:
        return json.load(file)


def kept(opt, name, make):
    """What `make` returns, cached in --work."""
    path = os.path.join(opt.work, name + ".json")
    if not os.path.exists(path):
        print("measuring", name, flush=True)
        made = make()
        with open(path + ".part", "w") as file:
            json.dump(made, file, indent=1)
        os.replace(path + ".part", path)
    with open(path) as file:
        return json.load(file)


def bench(opt, *arguments):
    said = subprocess.run([opt.longclip, "bench", "-q", "--format", "json", "--rounds", "3", *arguments], check=True, capture_output=True).stdout
    return json.loads(said)[0]


def interleaved(opt, cases):
    """Runs all cases in turn, once per round. Returns the record with the median time for each case."""
    rounds = [[bench(opt, *case) for case in cases] for _ in range(7)]
    middle = lambda records: sorted(records, key=lambda r: r["ms_median"])[len(records) // 2]
    return [middle(records) for records in zip(*rounds)]


def scaling(opt):
    model = ("--model", opt.b)
    image, text = ("--tower", "image"), ("--tower", "text")
    return {
        "threads": interleaved(opt, [(*model, *image, "--batch", str(b), "--threads", str(t)) for b in (1, 8) for t in range(1, CORES + 1)]),
        "images": interleaved(opt, [(*model, *image, "--batch", str(b)) for b in (1, 2, 4, 8, 16)]),
        "labels": interleaved(opt, [(*model, *text, "--batch", str(b), "--tokens", "12") for b in (1, 10, 100, 1000)]),
        "tokens": interleaved(opt, [(*model, *text, "--batch", "8", "--tokens", str(t)) for t in (9, 20, 77, 248)]),
    }


def machine(opt):
    with open("/proc/cpuinfo") as file:
        info = file.read()
    said = subprocess.run([opt.kernels, "--bench", "nothing-of-this-name"], check=True, capture_output=True, text=True).stdout
    peaks = {k.lower(): float(v) for k, v in re.findall(r"peak of one core in (\w+): (\d+) GFLOP/s", said)}
    return {
        "cpu": re.search(r"model name\s*: (.*)", info).group(1),
        "cores": CORES,
        "system": f"{platform.system()} {platform.machine()}",
        "date": datetime.date.today().isoformat(),
        "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip(),
        "rustc": subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1],
        "versions": {name: version(name) for name in PEERS},
        "peaks_of_one_core": peaks,
    }


def number_types(opt, models, **variables):
    command = [sys.executable, os.path.join(ROOT, "benches/number_types.py"), "--binary", opt.longclip, "--data", opt.data, *models]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **variables}).stdout


# ---------------------------------------------------------------- writing


def wrapped(text):
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def encoder_tables(measured):
    out = []
    for model, cases in measured.items():
        for case in cases:
            n = case["batch"]
            what = f"{n} {'image' if case['tower'] == 'image' else 'text'}{'s' if n > 1 else ''}"
            rows = [(name, f"{s * 1e3:.1f}", f"{n / s:.2f}") for name, s in sorted(case["seconds"].items(), key=lambda kv: kv[1])]
            out += [f"\n### {'B on AVX2' if model == 'AVX2' else model}, {what} at once\n", table(("engine", "ms", "per second"), rows), "\n" + ratios(model, case)]
    return "\n".join(out)


def ratios(model, case):
    goals = GOALS.get((model, case["tower"], case["batch"]), {})
    said = []
    for name, ratio in case["times_as_fast"].items():
        pair = name.removeprefix("longclip ")
        goal = f" (goal {goals[pair]}, {'met' if ratio >= goals[pair] else 'not met'})" if pair in goals else ""
        said.append(f"{pair.replace(' / ', ' over ')} {ratio:.2f}{goal}")
    return wrapped("Speedup of longclip: " + "; ".join(said) + ".") + "\n"


def scaling_tables(measured, peaks):
    def rows(records, first):
        return [(first(r), f"{r['ms_median']:.1f}", f"{r['items_per_s']:.1f}", f"{r['gflops']:.0f}", f"{100 * r['gflops'] / (peaks['f32'] * r['threads']):.0f}%") for r in records]

    head = lambda what: (what, "ms", "per second", "GFLOP/s", "of peak")
    threads = measured["threads"]
    by = {(r["batch"], r["threads"]): r["ms_median"] for r in threads}
    gains = ", ".join(f"{by[b, 1] / by[b, CORES]:.2f} times as fast at batch {b}" for b in sorted({b for b, _ in by}))
    return "\n\n".join((
        "### Threads\n\n" + table(head("batch, threads"), rows(threads, lambda r: f"{r['batch']}, {r['threads']}")) + f"\n\n{CORES} threads are {gains} as one.",
        "### Images at once\n\n" + table(head("images"), rows(measured["images"], lambda r: r["batch"])),
        "### Labels of 12 tokens\n\n" + table(head("labels"), rows(measured["labels"], lambda r: r["batch"])),
        "### Tokens per label, 8 labels at once\n\n" + table(head("tokens"), rows(measured["tokens"], lambda r: r["tokens"])),
    ))


def process_table(measured):
    base = measured["processes"]["onnxruntime f32"]["seconds"]
    rows = [(n, f"{r['seconds'] * 1e3:.0f}", f"{base / r['seconds']:.2f}", f"{r['peak_mib']:.0f}") for n, r in measured["processes"].items()]
    return table(("process", "ms", "times as fast as ONNX Runtime", "peak MiB"), rows) + f"\n\nThe weights file is {measured['weights_mib']:.0f} MiB (f32)."


def preprocess_table(measured):
    rows = [(r["file"], f"{r['ms']:.1f}", f"{r['peer_ms']:.1f}", f"{r['times_as_fast']:.2f}", r["difference"], f"{r['fast_ms']:.1f}") for r in measured]
    return table(("file", "longclip ms", "Pillow + torchvision ms", "times as fast", "largest difference of a pixel", "`--fast-decode` ms"), rows)


def avx2_section(measured):
    m = measured["machine"]
    setting = f"{m['cpu']}; {m['date']}, commit {m['commit']}."
    return f"""## Encoders on AVX2

`taskset -c 0 encoders.py B.safetensors --avx2 --cpu-time` hides everything beyond AVX2 from all
engines: CPUID does not report AVX-512, AVX-VNNI and AMX (`benches/peers/avx2_only.py`). longclip and
PyTorch, OpenVINO and ONNX Runtime then choose what they use on a CPU with AVX2. OpenVINO computes in
f32 there if it is asked for bf16; longclip's bf16 has half of the weights' memory. Times are CPU
time of one thread.

{wrapped(setting)}
{encoder_tables({"AVX2": measured["cases"]})}"""


def page(m, encoders, avx2, scaled, processes, preprocessing, types):
    versions = ", ".join(f"{name} {v}" for name, v in m["versions"].items())
    peaks = ", ".join(f"{v:.0f} in {k}" for k, v in m["peaks_of_one_core"].items())
    setting = f"{m['cpu']}, {m['cores']} cores; {m['date']}, commit {m['commit']}, rustc {m['rustc']}; {versions}."
    peak = f"Register peak of one core in GFLOP/s (`cargo bench --bench kernels`): {peaks}."
    return f"""# Performance

Written by `benches/peers/report.py`; the comment at its top says how to run it. All numbers are
from one run of it.

{wrapped(setting)}

{wrapped(peak)}

The machine is shared and noisy, so compare times only within a table. The cases of each table were
run in turn for at least 7 rounds, and the tables show medians. All engines use {m['cores']} threads, unless a
table says otherwise.

## Encoders against other engines

Each engine has the same weights, and outputs are compared before timing. B is ViT-B/16 and L is
ViT-L/14, both with the generated weights of the tests. PyTorch uses fused attention; its texts are
cut at the end token and computed in the chunk size that is fastest. 80 texts are CLIP's templates
for one class, and 1,000 are ImageNet's class names in one template. OpenVINO's int8 is NNCF's
post-training quantisation of the transformer.
{encoder_tables(encoders)}
{avx2_section(avx2)}
## 64-bit ARM

Time was not measured, because no ARM machine was available. `benches/arm_instructions.py` counts the instructions of the
kernels' inner loops (a tile of 8 rows and 8 outputs), for each product and sum of two numbers. rten's figure is
counted in its source (`rten-gemm/src/kernels/aarch64.rs`): loads and products, without what its loops take
besides. rten has no bf16.

| number type | instruction | instructions each | rten |
| --- | --- | ---: | ---: |
| f32 | `fmla` | 0.312 | 0.328 |
| bf16 with NEON alone | `fmla` | 0.340 | |
| bf16 with FEAT_BF16 | `bfmmla` | 0.109 | |
| int8 with NEON alone | `smull` | 0.329 | 0.297 |
| int8 with FEAT_DotProd | `sdot` | 0.079 | 0.082 |
| int8 with FEAT_I8MM | `smmla` | 0.055 | 0.047 |

FEAT_DotProd is in Graviton 2, Raspberry Pi 5 and Apple M1, FEAT_I8MM and FEAT_BF16 in Graviton 3 and Apple M2.

## Whole processes

The whole process: load B, encode two labels and one jpeg of 1024x768, and print, with a warm page
cache. ONNX Runtime runs in a Python process without torch, on graphs that it optimised beforehand.

{process_table(processes)}

## Preprocessing

One thread each, from jpeg and png to the same 224x224 pixels; with `--fast-decode`, to nearly the same
([fidelity](fidelity.md#fast-decoding)).

{preprocess_table(preprocessing)}

Each format, decoded alone and with the way to 224x224 pixels, in CPU milliseconds of longclip and of Pillow with its
plug-ins: a photo of 1600x1200 with some noise (`taskset -c 1 python benches/peers/formats.py`; Intel Xeon at 2.8 GHz with
AVX-512, whose core was shared with other work, so differences of a tenth mean nothing; library of commit 073d61e, pillow
13.0.0, pillow_heif 1.8.1, pillow-jxl-plugin 1.3.8). The raw photo's preview is photo.jpg. AVIF was not measured.

| file | kB | decoding | Pillow | whole | Pillow | largest difference of a pixel |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| lossless.jxl | 3646 | 226.7 | 278.4 | 223.3 | 293.5 | 0 |
| lossless.webp | 3491 | 48.6 | 49.3 | 53.5 | 63.4 | 0 |
| photo.bmp | 5760 | 5.1 | 3.7 | 10.4 | 18.1 | 0 |
| photo.dng | 343 | 12.3 | 8.1 | 17.1 | 22.1 | 0 |
| photo.gif | 1751 | 21.0 | 17.4 | 29.4 | 31.9 | 0 |
| photo.heic | 602 | 167.1 | 138.9 | 170.0 | 153.8 | 0 |
| photo.jpg | 343 | 15.6 | 8.8 | 20.2 | 24.3 | 0 |
| photo.jxl | 198 | 50.1 | 64.9 | 60.0 | 80.2 | 1 |
| photo.png | 3774 | 14.9 | 45.3 | 19.2 | 59.8 | 0 |
| photo.tif | 5534 | 24.6 | 29.3 | 29.1 | 43.6 | 0 |
| photo.webp | 339 | 58.9 | 36.2 | 63.1 | 53.4 | 0 |

`longclip score` encodes a text for each image, besides what `classify` does. With nano, on 256 copies of the photos in
img/, each with a sentence of its own, medians of 3 rounds (`taskset -c 1 python benches/score.py --count 256`; Intel
Xeon at 2.8 GHz with AVX-512, commit 073d61e; the core was shared, so only CPU time is given):

| command | CPU s | relative |
| --- | ---: | ---: |
| `classify images/` | 1.97 | 1.00 |
| `classify pairs.tar` | 1.88 | 0.95 |
| `score pairs.tar` | 2.16 | 1.10 |
| `score pairs.ndjson` | 2.07 | 1.05 |
| `score pairs.parquet` | 2.16 | 1.10 |

## What a longclip run costs

B, f32. The share of peak counts only the operations that are computed: the last block is computed
for the class or end token only.

{scaling_tables(scaled, m['peaks_of_one_core'])}

## What the number types cost in answers

`benches/number_types.py` compares with f32 on validation images. int8 weights are scaled per output
channel and int8 activations per token; neither type needs calibration data. B and L have generated
weights, so their answers mean nothing and are nearly tied. The lead is the f32 probability of the
first label minus that of the label that became first.

{types[0]}
### On AVX2

On AVX2 without AVX-VNNI, int8 weights have 7 bits, because sums of products could overflow otherwise. Activations for bf16
weights stay f32.

{types[1]}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--b", required=True)
    parser.add_argument("--l", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--data", required=True, help="the folder that checkpoints/nano/train/prepare.py made")
    parser.add_argument("--longclip", default=os.path.join(ROOT, "target/release/longclip"))
    parser.add_argument("--kernels", required=True, help="the kernels bench's binary, as `cargo bench --bench kernels --no-run` names it")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs/PERFORMANCE.md"))
    opt = parser.parse_args()
    os.makedirs(opt.work, exist_ok=True)
    peer = lambda script, *arguments: [sys.executable, os.path.join(HERE, script), *arguments]
    ours = ("--longclip", opt.longclip)
    m = kept(opt, "machine", lambda: machine(opt))
    encoders = {
        "B": part(opt, "encoders-B", peer("encoders.py", opt.b, *ours, "--json")),
        "L": part(opt, "encoders-L", peer("encoders.py", opt.l, *ours, "--batch", "1", "--texts", "0", "--json")),
    }
    cases = part(opt, "encoders-avx2", ["taskset", "-c", "0", *peer("encoders.py", opt.b, *ours, "--avx2", "--cpu-time", "--json")])
    avx2 = kept(opt, "avx2", lambda: {"machine": machine(opt), "cases": cases})
    processes = part(opt, "process", peer("process.py", opt.b, *ours, "--json"))
    os.chdir(ROOT)
    preprocessing = part(opt, "preprocess", peer("preprocess.py"))
    scaled = kept(opt, "scaling", lambda: scaling(opt))
    types = kept(opt, "number-types", lambda: number_types(opt, ["nano", opt.b, opt.l]))
    types_avx2 = kept(opt, "number-types-avx2", lambda: number_types(opt, ["nano"], LONGCLIP_CPU="avx2"))
    with open(opt.out, "w") as file:
        file.write(page(m, encoders, avx2, scaled, processes, preprocessing, (types, types_avx2)))


if __name__ == "__main__":
    main()
