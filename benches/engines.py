"""Pictures a second of Ray Data and of Spark on this machine's cores, held against the plain command on the same ones.

    pip install './python[ray,spark]' && cargo build --release
    python benches/engines.py --model B.safetensors --count 2000

Each round runs the three one behind the other, each in processes of its own: the plain command on so many threads as there are
workers, and the engines with a worker a core and a thread a worker. From pictures in Parquet (in files, for the command) to results
in Parquet. "Start" is what comes once a program, whatever it does then: Python, its imports, Ray's or Spark's own processes; "job" is
the work, loading models included, one for each worker; "whole" is both and the end of the program. Printed is each one's fastest round,
since whatever else the machine does only slows one down, with its share of the plain command's pictures a second. Rows are compared.
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


def pictures_in(into, opt):
    """So many photos, those of the repository over and over, as files and as Parquet in so many parts."""
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
    """Gives the time at which Ray stands ready."""
    import longclip.ray
    import ray

    # A CPU more than workers, for what reads and writes: Ray's CPUs are tickets, not cores.
    ray.init(num_cpus=opt.workers + 1, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 30)
    ray.data.DataContext.get_current().enable_progress_bars = False
    ready = time.monotonic()
    # A block is what one actor takes: Ray would make these few pictures one or two of them, and let an actor wait.
    pictures = ray.data.read_parquet(str(parquet)).repartition(target_num_rows_per_block=opt.batch)
    labelled = pictures.map_batches(
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
    """Gives the time at which Spark stands ready."""
    import longclip.spark
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = SparkSession.builder.master(f"local[{opt.workers}]").config("spark.ui.enabled", "false")
    spark = spark.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(opt.batch)).config("spark.driver.memory", "2g")
    # A part a task, as is usual where parts are larger.
    spark = spark.config("spark.sql.files.openCostInBytes", str(1 << 30))
    spark = spark.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    ready = time.monotonic()
    pictures = spark.read.parquet(str(parquet))
    classify = longclip.spark.Classify(LABELS, model=opt.model, dtype=opt.dtype)
    pictures.mapInArrow(classify, classify.schema(pictures)).write.mode("append").parquet(str(out))
    return ready


def in_a_process(opt, engine, parquet, out):
    """This program again, as a person's program for the engine; gives when the engine stood ready and when the job was done."""
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
    """Of each and of each round: seconds to start, of the job, of the whole program."""
    files, parquet = pictures_in(folder, opt)
    jobs = {"plain command": lambda out: plain(opt, files, out)}
    for engine, name in ENGINES.items():
        jobs[name] = lambda out, engine=engine: in_a_process(opt, engine, parquet, out)
    times, answers = {name: [] for name in jobs}, {}
    for i in range(opt.rounds):
        for name, job in jobs.items():
            out = folder / f"{name}-{i}"
            out.mkdir()
            begun = time.monotonic()
            told = job(out)
            ended = time.monotonic()
            ready, done = told.get("ready", begun), told.get("done", ended)
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
    parser.add_argument("--batch", type=int, default=64, help="rows that a worker is given at a time")
    parser.add_argument("--parts", type=int, default=16, help="files of Parquet, each of which the engines read as one part")
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
    print("| | start, s | job, s | pictures a second | of the plain command's | whole, s | of the plain command's |")
    print("| --- |" + " ---: |" * 6)
    best = {name: min(rounds, key=lambda round: round[2]) for name, rounds in times.items()}
    plain_s = best["plain command"][2]
    for name, (start, job, whole) in best.items():
        rate = f"{opt.count / job:.1f} | {plain_s / job:.2f}"
        print(f"| {name} | {start:.1f} | {job:.1f} | {rate} | {whole:.1f} | {plain_s / whole:.2f} |")


if __name__ == "__main__":
    main()
