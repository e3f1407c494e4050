"""Measures the tables of docs/PERFORMANCE.md and writes them into it. All of them take about an hour on an otherwise idle machine.

    cargo build --release --bin longclip && cargo bench --no-run --bench kernels --bench preprocess
    cd benches/peers
    venv/bin/python weights.py B B.safetensors && venv/bin/python weights.py L L.safetensors
    venv/bin/python report.py --b B.safetensors --l L.safetensors --data nano-data --work measured --kernels KERNELS [PART...]

Parts: encoders, avx2, processes, preprocessing, scaling, number-types, number-types-avx2; all if none is named. A part of the page
is between `<!-- report.py PART -->` and `<!-- end -->`, and begins with the machine that it was measured on. The rest of the page is
written by hand and stays. What is measured is kept in --work, and not measured again.
"""
import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import version

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAGE = os.path.join(ROOT, "docs/PERFORMANCE.md")
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


def kept(opt, name, make):
    """What `make` returns and the machine, kept in --work."""
    path = os.path.join(opt.work, name + ".json")
    if not os.path.exists(path):
        print("measuring", name, flush=True)
        environment = {"LONGCLIP_CPU": "avx2"} if name.endswith("avx2") else {}
        made = {"machine": machine(opt, {**os.environ, **environment}), "measured": make(opt)}
        with open(path + ".part", "w") as file:
            json.dump(made, file, indent=1)
        os.replace(path + ".part", path)
    with open(path) as file:
        return json.load(file)


def peer(opt, script, *arguments, prefix=()):
    """The JSON that a script of this folder writes into the file that its last argument names."""
    path = os.path.join(opt.work, "part.json")
    subprocess.run([*prefix, sys.executable, os.path.join(HERE, script), *arguments, path], check=True, cwd=ROOT)
    with open(path) as file:
        return json.load(file)


def encoders(opt):
    ours = ("--longclip", opt.longclip)
    b = peer(opt, "encoders.py", opt.b, *ours, "--json")
    return {"B": b, "L": peer(opt, "encoders.py", opt.l, *ours, "--batch", "1", "--texts", "0", "--json")}


def avx2(opt):
    arguments = (opt.b, "--longclip", opt.longclip, "--avx2", "--cpu-time", "--json")
    return {"AVX2": peer(opt, "encoders.py", *arguments, prefix=("taskset", "-c", "0"))}


def processes(opt):
    return peer(opt, "process.py", opt.b, "--longclip", opt.longclip, "--json")


def preprocessing(opt):
    return peer(opt, "preprocess.py")


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


def machine(opt, environment):
    with open("/proc/cpuinfo") as file:
        info = file.read()
    run = lambda *command: subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    said = run(opt.kernels, "--bench", "nothing-of-this-name")
    peaks = {k.lower(): float(v) for k, v in re.findall(r"peak of one core in (\w+): (\d+) GFLOP/s", said)}
    version_of_ours = run(opt.longclip, "--version")
    return {
        "cpu": re.search(r"model name\s*: (.*)", info).group(1),
        "instructions": re.search(r"cpu: (.*)", version_of_ours).group(1),
        "cores": CORES,
        "date": datetime.date.today().isoformat(),
        "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip(),
        "rustc": subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1],
        "versions": {name: version(name) for name in PEERS},
        "peaks_of_one_core": peaks,
    }


def number_types(opt, models, **variables):
    command = [sys.executable, os.path.join(ROOT, "benches/number_types.py"), "--binary", opt.longclip, "--data", opt.data, *models]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **variables}).stdout.strip()


# ---------------------------------------------------------------- writing


def wrapped(text):
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def encoder_tables(measured, _):
    out = []
    for model, cases in measured.items():
        for case in cases:
            n = case["batch"]
            what = f"{n} {'image' if case['tower'] == 'image' else 'text'}{'s' if n > 1 else ''}"
            rows = [(name, f"{s * 1e3:.1f}", f"{n / s:.2f}") for name, s in sorted(case["seconds"].items(), key=lambda kv: kv[1])]
            out += [f"\n### {'B on AVX2' if model == 'AVX2' else model}, {what} at once\n", table(("engine", "ms", "per second"), rows), "\n" + ratios(model, case)]
    return "\n".join(out).strip()


def ratios(model, case):
    goals = GOALS.get((model, case["tower"], case["batch"]), {})
    said = []
    for name, ratio in case["times_as_fast"].items():
        pair = name.removeprefix("longclip ")
        goal = f" (goal {goals[pair]}, {'met' if ratio >= goals[pair] else 'not met'})" if pair in goals else ""
        said.append(f"{pair.replace(' / ', ' over ')} {ratio:.2f}{goal}")
    return wrapped("Speedup of longclip: " + "; ".join(said) + ".") + "\n"


def scaling_tables(measured, m):
    peaks = m["peaks_of_one_core"]

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


def process_table(measured, _):
    base = measured["processes"]["onnxruntime f32"]["seconds"]
    rows = [(n, f"{r['seconds'] * 1e3:.0f}", f"{base / r['seconds']:.2f}", f"{r['peak_mib']:.0f}") for n, r in measured["processes"].items()]
    return table(("process", "ms", "times as fast as ONNX Runtime", "peak MiB"), rows) + f"\n\nThe weights file is {measured['weights_mib']:.0f} MiB (f32)."


def preprocess_table(measured, _):
    rows = [(r["file"], f"{r['ms']:.1f}", f"{r['peer_ms']:.1f}", f"{r['times_as_fast']:.2f}", r["difference"], f"{r['fast_ms']:.1f}") for r in measured]
    return table(("file", "longclip ms", "Pillow + torchvision ms", "times as fast", "largest difference of a pixel", "`--fast-decode` ms"), rows)


def setting(m):
    versions = ", ".join(f"{name} {v}" for name, v in m["versions"].items())
    peaks = ", ".join(f"{v:.0f} in {k}" for k, v in m["peaks_of_one_core"].items())
    measured = f"{m['cpu']} ({m['instructions']}), {m['cores']} cores; {m['date']}, commit {m['commit']}, rustc {m['rustc']}; {versions}."
    # The bench knows the peaks of AVX-512 and AVX2 only.
    return wrapped(measured + (f" Register peak of one core in GFLOP/s: {peaks}." if peaks else ""))


PARTS = {  # what measures a part, and what writes it from what was measured and the machine
    "encoders": (encoders, encoder_tables),
    "avx2": (avx2, encoder_tables),
    "processes": (processes, process_table),
    "preprocessing": (preprocessing, preprocess_table),
    "scaling": (scaling, scaling_tables),
    "number-types": (lambda opt: number_types(opt, ["nano", opt.b, opt.l]), lambda text, _: text),
    "number-types-avx2": (lambda opt: number_types(opt, ["nano"], LONGCLIP_CPU="avx2"), lambda text, _: text),
}


def put(name, text):
    """Replaces a part of the page."""
    with open(PAGE) as file:
        page = file.read()
    head, begin, rest = page.partition(f"<!-- report.py {name} -->\n")
    _, end, tail = rest.partition("<!-- end -->\n")
    if not end:
        sys.exit(f"{PAGE} has no part `<!-- report.py {name} -->` with an `<!-- end -->`")
    with open(PAGE, "w") as file:
        file.write(f"{head}{begin}\n{text}\n\n{end}{tail}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--b")
    parser.add_argument("--l")
    parser.add_argument("--work", required=True)
    parser.add_argument("--data", help="the folder that checkpoints/nano/train/prepare.py made")
    parser.add_argument("--longclip", default=os.path.join(ROOT, "target/release/longclip"))
    parser.add_argument("--kernels", required=True, help="the kernels bench's binary, as `cargo bench --bench kernels --no-run` names it")
    opt = parser.parse_args()
    if unknown := [name for name in opt.parts if name not in PARTS]:
        parser.error(f"PART may be {', '.join(PARTS)}; found {', '.join(unknown)}")
    for given in ("b", "l", "work", "data", "longclip", "kernels"):
        setattr(opt, given, getattr(opt, given) and os.path.abspath(getattr(opt, given)))
    os.makedirs(opt.work, exist_ok=True)
    for name in opt.parts or PARTS:
        measure, write = PARTS[name]
        made = kept(opt, name, measure)
        put(name, f"{setting(made['machine'])}\n\n{write(made['measured'], made['machine'])}")


if __name__ == "__main__":
    main()
