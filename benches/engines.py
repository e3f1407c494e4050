"""Compares the images per second of Ray Data and Spark with those of the plain command, on the cores of this machine.

    pip install './python[ray,spark]' && cargo build --release
    python benches/engines.py --model B.safetensors --count 2000

Each round runs the three one after another, in separate processes: the plain command with one thread per worker, and the engines
with one worker per core and one thread per worker. They read images from Parquet (the command reads files) and write results to
Parquet. "Start" is the fixed cost of a program: Python, its imports, and the processes of Ray or Spark. "Job" is the work,
including one model load per worker. "Whole" is both, plus the end of the program. The fastest round of each is printed, because
other work on the machine can only slow it down, with its speed relative to the plain command. The resulting labels are compared.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = ["a cat", "a dog", "a cup of coffee"]
ENGINES = {"ray": "Ray Data", "spark": "Spark"}


def write_images(into, opt):
    """Writes `opt.count` copies of the repository's photos, as files and as Parquet in `opt.parts` parts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    originals = [(ROOT / "img" / name).read_bytes() for name in ("cat.jpg", "coffee.jpg", "astronaut.jpg")]
    files, parquet = into / "photos", into / "parquet"
    files.mkdir()
    parquet.mkdir()
    paths = [files / f"{i:06}.jpg" for i in range(opt.count)]
    for i, path in enumerate(paths):
        path.write_bytes(originals[i % 3])
    for part in range(opt.parts):
        some = range(part * opt.count // opt.parts, (part + 1) * opt.count // opt.parts)
        table = pa.table({"path": [str(paths[i]) for i in some], "image": [originals[i % 3] for i in some]})
        pq.write_table(table, parquet / f"{part:06}.parquet", compression="none")
    return files, parquet


def plain(opt, files, out):
    command = [opt.longclip, "classify", str(files), *(f"--label={label}" for label in LABELS), "--model", opt.model]
    command += ["--dtype", opt.dtype, "--threads", str(opt.workers), "-q", "--output", str(out / "all.parquet")]
    subprocess.run(command, check=True)
    return {}


def on_ray(opt, parquet, out):
    """Runs the job; returns the time when Ray was ready."""
    import longclip.ray
    import ray

    # One CPU more than workers, for reading and writing: Ray's CPUs are slots, not cores.
    ray.init(num_cpus=opt.workers + 1, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 30)
    ray.data.DataContext.get_current().enable_progress_bars = False
    ready = time.monotonic()
    # An actor takes one block at a time. Ray would put these few images into one or two blocks, and an actor would wait.
    images = ray.data.read_parquet(str(parquet)).repartition(target_num_rows_per_block=opt.batch)
    labelled = images.map_batches(
        longclip.ray.Classify,
        fn_constructor_kwargs={"labels": LABELS, "model": opt.model, "dtype": opt.dtype},
        batch_format="pyarrow",
        batch_size=opt.batch,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=opt.workers),
    )
    labelled.write_parquet(str(out))
    return ready


def on_spark(opt, parquet, out):
    """Runs the job; returns the time when Spark was ready."""
    import longclip.spark
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = SparkSession.builder.master(f"local[{opt.workers}]").config("spark.ui.enabled", "false")
    spark = spark.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(opt.batch)).config("spark.driver.memory", "2g")
    # One part per task, as usual for larger parts.
    spark = spark.config("spark.sql.files.openCostInBytes", str(1 << 30))
    spark = spark.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    ready = time.monotonic()
    images = spark.read.parquet(str(parquet))
    classify = longclip.spark.Classify(LABELS, model=opt.model, dtype=opt.dtype)
    images.mapInArrow(classify, classify.schema(images)).write.mode("append").parquet(str(out))
    return ready


def in_a_process(opt, engine, parquet, out):
    """Runs this script again as a program for the engine; returns when the engine was ready and when the job was done."""
    command = [sys.executable, __file__, *sys.argv[1:], "--model", opt.model, "--engine", engine, "--parquet", str(parquet), "--out", str(out)]
    with open(out.parent / f"{engine}.log", "w") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert done.returncode == 0, pathlib.Path(log.name).read_text()
    return json.loads(done.stdout.splitlines()[-1])


def likeliest(out):
    """The likeliest label of each path."""
    import pyarrow.parquet as pq

    table = pq.read_table(out)
    if "label" in table.column_names:
        labels = table.column("label").to_pylist()
    else:
        labels = [row[0]["label"] for row in table.column("labels").to_pylist()]
    return dict(zip(table.column("path").to_pylist(), labels))


def measured(opt, folder):
    """The seconds of the start, the job and the whole program, for each of the three and each round."""
    files, parquet = write_images(folder, opt)
    jobs = {"plain command": lambda out: plain(opt, files, out)}
    for engine, name in ENGINES.items():
        jobs[name] = lambda out, engine=engine: in_a_process(opt, engine, parquet, out)
    times, answers = {name: [] for name in jobs}, {}
    for i in range(opt.rounds):
        for name, job in jobs.items():
            out = folder / f"{name}-{i}"
            out.mkdir()
            begun = time.monotonic()
            reported = job(out)
            ended = time.monotonic()
            ready, done = reported.get("ready", begun), reported.get("done", ended)
            times[name].append((ready - begun, done - ready, ended - begun))
            answers[name] = likeliest(out)
            print("{}: start {:.1f} s, job {:.1f} s, whole {:.1f} s".format(name, *times[name][-1]), file=sys.stderr, flush=True)
    assert all(found == answers["plain command"] and len(found) == opt.count for found in answers.values())
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longclip", default=str(ROOT / "target/release/longclip"))
    parser.add_argument("--model", default="nano")
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64, help="rows that a worker gets at a time")
    parser.add_argument("--parts", type=int, default=16, help="number of Parquet files, each of which the engines read as one part")
    for internal in ("--engine", "--parquet", "--out"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    opt = parser.parse_args()
    if pathlib.Path(opt.model).exists():
        opt.model = str(pathlib.Path(opt.model).resolve())
    if opt.engine:
        ready = {"ray": on_ray, "spark": on_spark}[opt.engine](opt, opt.parquet, opt.out)
        print(json.dumps({"ready": ready, "done": time.monotonic()}))
        return
    with tempfile.TemporaryDirectory() as folder:
        times = measured(opt, pathlib.Path(folder))
    print("| | start, s | job, s | images per second | relative to the plain command | whole, s | relative to the plain command |")
    print("| --- |" + " ---: |" * 6)
    best = {name: min(rounds, key=lambda round: round[2]) for name, rounds in times.items()}
    plain_s = best["plain command"][2]
    for name, (start, job, whole) in best.items():
        rate = f"{opt.count / job:.1f} | {plain_s / job:.2f}"
        print(f"| {name} | {start:.1f} | {job:.1f} | {rate} | {whole:.1f} | {plain_s / whole:.2f} |")


if __name__ == "__main__":
    main()
