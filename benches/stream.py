"""Measures what `--in arrow --out arrow` costs compared with the plain command: CPU time and wall-clock time by rows per batch.

    venv/bin/python benches/stream.py --longclip target/release/longclip        # needs pyarrow

All cases run in turn on copies of the images in img/. Prints medians, and ratios to the plain command on the same images. In `piped`,
batches are written without waiting; in `lock-step`, each result is read before the next batch is written, so nothing is decoded
in the meantime.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import threading
import time

import pyarrow as pa

IMG = pathlib.Path(__file__).resolve().parent.parent / "img"
ROWS = (1, 16, 64, 256)


def client(command, table, rows, waits):
    """Sends the table in batches and reads all results, in turn (`waits`) or on another thread."""
    process = subprocess.Popen([*command, "--in", "arrow", "--out", "arrow"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    writer = pa.ipc.new_stream(process.stdin, table.schema)
    batches, n_rows = table.to_batches(rows), 0
    if waits:
        reader = None
        for batch in batches:
            writer.write_batch(batch)
            process.stdin.flush()
            reader = reader or pa.ipc.open_stream(process.stdout)
            n_rows += reader.read_next_batch().num_rows
    else:
        counted = []
        thread = threading.Thread(target=lambda: counted.append(sum(b.num_rows for b in pa.ipc.open_stream(process.stdout))))
        thread.start()
        for batch in batches:
            writer.write_batch(batch)
    writer.close()
    process.stdin.close()
    if not waits:
        thread.join()
        n_rows = counted[0]
    assert process.wait() == 0 and n_rows == table.num_rows


def taken(run):
    """CPU seconds of the processes that `run` starts, and wall-clock seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run()
    clock, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longclip", default="target/release/longclip")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    opt = parser.parse_args()
    images = sorted(IMG.glob("*.jpg"))
    command = [opt.longclip, "classify", "-q", "--labels=a cat", "--label=a dog", "--model", opt.model]
    with tempfile.TemporaryDirectory() as folder:
        for i in range(opt.count):
            os.symlink(images[i % len(images)], f"{folder}/{i:06}.jpg")
        table = pa.table({"image": [images[i % len(images)].read_bytes() for i in range(opt.count)]})
        plain = [opt.longclip, "classify", folder, *command[2:], "--format", "ndjson", "--output", os.devnull]
        cases = {"plain": lambda: subprocess.run(plain, check=True)}
        for rows in ROWS:
            cases[f"piped, {rows}"] = lambda rows=rows: client(command, table, rows, False)
            cases[f"lock-step, {rows}"] = lambda rows=rows: client(command, table, rows, True)
        times = {name: [] for name in cases}
        for _ in range(opt.rounds):
            for name, run in cases.items():
                times[name].append(taken(run))
    medians = {name: [statistics.median(column) for column in zip(*rounds)] for name, rounds in times.items()}
    print("| rows per batch | CPU s | relative to plain | clock s | relative to plain |\n| --- | ---: | ---: | ---: | ---: |")
    for name, (cpu, clock) in medians.items():
        print(f"| {name} | {cpu:.2f} | {cpu / medians['plain'][0]:.2f} | {clock:.2f} | {clock / medians['plain'][1]:.2f} |")


if __name__ == "__main__":
    main()
