"""Measures what `longclip score` costs compared with `classify` on the same images: CPU time and wall-clock time.

    venv/bin/python benches/score.py --longclip target/release/longclip [--model longclip-b]        # needs pyarrow

Copies of the photos in img/, each with a caption of its own, as a tar, records and a Parquet file. `classify` reads the same
tar and folder with two labels. `score` also encodes a text for each image. All cases run in turn. Prints medians, images per
second, and ratios to `classify` on the folder.
"""
import argparse
import io
import json
import pathlib
import statistics
import subprocess
import tarfile
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq

from stream import IMG, taken

SENTENCE = "Photo {i} of a series: {what}, seen from the side, in soft light, with a plain wall in the background."


def write(folder, count):
    """The same pairs in each form, and the images alone."""
    photos = [(path.stem, path.read_bytes()) for path in sorted(IMG.glob("*.jpg"))]
    images = folder / "images"
    images.mkdir()
    rows = []
    with tarfile.open(folder / "pairs.tar", "w") as tar, open(folder / "pairs.ndjson", "w") as records:
        for i in range(count):
            what, data = photos[i % len(photos)]
            text = SENTENCE.format(i=i, what=what)
            (images / f"{i:06}.jpg").write_bytes(data)
            for ending, content in (("jpg", data), ("txt", text.encode())):
                member = tarfile.TarInfo(f"{i:06}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            records.write(json.dumps({"path": f"images/{i:06}.jpg", "text": text}) + "\n")
            rows.append({"image": data, "text": text})
    pq.write_table(pa.Table.from_pylist(rows), folder / "pairs.parquet", row_group_size=64)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longclip", default="target/release/longclip")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    opt = parser.parse_args()
    program = str(pathlib.Path(opt.longclip).resolve())
    quiet = ["-q", "--model", opt.model, "--format", "ndjson", "--output"]
    labels = ["--label", "a cat", "--label", "a dog"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write(folder, opt.count)

        def run(*arguments):
            out = folder / "out.ndjson"
            subprocess.run([program, *arguments, *quiet, out], check=True, cwd=folder)
            assert len(out.read_text().splitlines()) == opt.count
            out.unlink()

        cases = {
            "classify images/": lambda: run("classify", "images", *labels),
            "classify pairs.tar": lambda: run("classify", "pairs.tar", *labels),
            "score pairs.tar": lambda: run("score", "pairs.tar"),
            "score pairs.ndjson": lambda: run("score", "pairs.ndjson"),
            "score pairs.parquet": lambda: run("score", "pairs.parquet"),
        }
        times = {case: [] for case in cases}
        for _ in range(opt.rounds):
            for case, work in cases.items():
                times[case].append(taken(work))
    medians = {case: [statistics.median(column) for column in zip(*rounds)] for case, rounds in times.items()}
    first = medians["classify images/"]
    print("| command | CPU s | relative | clock s | images per second | relative |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for case, (cpu, clock) in medians.items():
        print(f"| `{case}` | {cpu:.2f} | {cpu / first[0]:.2f} | {clock:.2f} | {opt.count / clock:.1f} | {first[1] / clock:.2f} |")


if __name__ == "__main__":
    main()
