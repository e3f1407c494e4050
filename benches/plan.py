"""Estimates what it takes to classify very many images, from measurements on one core of this machine. Prints the tables of docs/scale.md.

    python3 benches/plan.py --longclip target/release/longclip --model ViT-B/16=B.safetensors --model ViT-L/14=L.safetensors

Measures the CPU time (user and system) of `longclip classify --threads 1` on --count images minus that on one image, per image. It
covers reading, decoding, the model and writing ndjson. CPU time is meaningful even on a machine that does other work. Everything
else is calculated from it; no larger machine was used. For images of another size, name a folder with --images.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZES = {"1 million": 1e6, "100 million": 1e8, "5 billion": 5e9}


def cpu_s(opt, model, dtype, folder):
    """CPU seconds of one run over a folder."""
    command = [opt.longclip, "classify", str(folder), "--labels", "a cat", "a dog", "--threads", "1", "--model", model, "--dtype", dtype, "-q"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--format", "ndjson", "--output", os.devnull], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def folder_of(images, count, into):
    """Links to `count` images, repeating those of a folder; returns their mean size in bytes."""
    found = sorted(p for p in pathlib.Path(images).resolve().iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    into.mkdir()
    for i in range(count):
        image = found[i % len(found)]
        os.symlink(image, into / f"{i:06d}{image.suffix}")
    return statistics.mean(found[i % len(found)].stat().st_size for i in range(count))


def measured(opt, model, dtype, many, one):
    """CPU seconds per image."""
    rounds = [cpu_s(opt, model, dtype, many) - cpu_s(opt, model, dtype, one) for _ in range(opt.rounds)]
    return statistics.median(rounds) / (opt.count - 1)


def duration(hours):
    if hours * 60 < 1:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"


def estimate(opt, core_s, n):
    core_hours = n * core_s / 3600
    hours = f"{core_hours:,.1f}" if core_hours < 10 else f"{core_hours:,.0f}"
    return f"{hours} core hours, {duration(core_hours / opt.cores)}, {core_hours * opt.price:,.0f}"


def row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def head(cells):
    row(cells)
    print("| --- |" + " ---: |" * (len(cells) - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longclip", default=str(ROOT / "target/release/longclip"))
    parser.add_argument("--model", action="append", default=[], help="NAME=FILE; nano is always measured")
    parser.add_argument("--dtypes", default="f32,bf16,int8")
    parser.add_argument("--images", default=str(ROOT / "img"))
    parser.add_argument("--count", type=int, default=31)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=1000, help="number of cores for the estimate")
    parser.add_argument("--price", type=float, default=0.04, help="price of one core hour")
    opt = parser.parse_args()
    core_s = {}
    with tempfile.TemporaryDirectory() as work:
        many, one = pathlib.Path(work) / "many", pathlib.Path(work) / "one"
        mean_bytes = folder_of(opt.images, opt.count, many)
        folder_of(opt.images, 1, one)
        print(f"{opt.count} images of {mean_bytes / 1000:,.0f} kB on average, one core, medians of {opt.rounds}:\n")
        head(["model", "ms per image", "images per second", "MB per second"])
        for name, model in [("nano", "nano"), *(m.split("=", 1) for m in opt.model)]:
            for dtype in opt.dtypes.split(","):
                s = core_s[f"{name} {dtype}"] = measured(opt, model, dtype, many, one)
                row([f"{name} {dtype}", f"{s * 1000:.1f}", f"{1 / s:.1f}", f"{mean_bytes / s / 1e6:.2f}"])
    print(f"\nCalculated for {opt.cores:,} such cores, at {opt.price} per core hour:\n")
    head(["model", *SIZES])
    for name, s in core_s.items():
        row([name, *(estimate(opt, s, n) for n in SIZES.values())])


if __name__ == "__main__":
    main()
