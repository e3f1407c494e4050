"""Tests `longclip --in arrow --out arrow` with pyarrow, another implementation of Arrow, and reads shards.

Run by tests/arrow/run. Each function checks a promise of docs/scale.md; the first failure ends the run.
"""
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import threading

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet as pq

LONGCLIP = sys.argv[1]
IMG = pathlib.Path(__file__).resolve().parent.parent.parent / "img"
NAMES = ["cat.jpg", "coffee.jpg", "astronaut.jpg"]
BYTES = [(IMG / name).read_bytes() for name in NAMES]
LABELS = ["a cat", "a cup of coffee", "an astronaut"]
MODEL = ["--model", "nano", "-q"]


def stream(table, **options):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in table.to_batches() if isinstance(table, pa.Table) else [table]:
            writer.write_batch(batch)
    return sink.getvalue()


def run(command, data, *more, code=0):
    labels = ["--labels", *LABELS] if command == "classify" and "--labels" not in more else []
    done = subprocess.run([LONGCLIP, command, "--in", "arrow", "--out", "arrow", *MODEL, *more, *labels], input=data, capture_output=True, timeout=120)
    assert done.returncode == code, (done.returncode, done.stderr.decode())
    return pa.ipc.open_stream(done.stdout).read_all() if code < 2 else done.stderr.decode()


def plain():
    """The plain command's scores for the three images, in the order of the labels."""
    command = [LONGCLIP, "classify", *[str(IMG / n) for n in NAMES], *MODEL, "--format", "ndjson", "--labels", *LABELS]
    records = [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True).stdout.splitlines()]
    by_label = [{label["label"]: label["probability"] for label in record["labels"]} for record in records]
    return np.array([[labels[label] for label in LABELS] for labels in by_label], np.float32)


def lock_step():
    """Each batch comes back before the next one is written, and so do empty ones."""
    schema = pa.schema([("id", pa.int64()), ("image", pa.binary())], metadata={"mine": "kept"})
    process = subprocess.Popen([LONGCLIP, "classify", "--in", "arrow", "--out", "arrow", *MODEL, "--labels", *LABELS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    writer, reader = pa.ipc.new_stream(process.stdin, schema), None
    for rows in [[0, 1], [], [2], [0, 1, 2] * 20, []]:
        batch = pa.record_batch([pa.array(rows, pa.int64()), pa.array([BYTES[i] for i in rows], pa.binary())], schema=schema)
        writer.write_batch(batch)
        process.stdin.flush()
        reader = reader or pa.ipc.open_stream(process.stdout)
        back = reader.read_next_batch()
        assert back.select(["id", "image"]).equals(batch), "the input columns come back"
        best = [max(zip(scores, LABELS))[1] for scores in back.column("scores").to_pylist()]
        assert back.column("label").to_pylist() == best and len(best) == len(rows)
        assert back.column("error").null_count == len(rows)
    notes = reader.schema.metadata
    assert notes[b"mine"] == b"kept" and notes[b"longclip.model"] == b"nano" and json.loads(notes[b"longclip.labels"]) == LABELS
    writer.close()
    process.stdin.close()
    assert process.wait() == 0
    try:
        reader.read_next_batch()
        raise AssertionError("one batch too many")
    except StopIteration:
        pass


def numbers(expected):
    """The numbers are the plain command's, for every type of image column and every compression."""
    images = {
        "binary": pa.array(BYTES, pa.binary()),
        "large_binary": pa.array(BYTES, pa.large_binary()),
        "binary_view": pa.array(BYTES, pa.binary_view()),
        "dictionary": pa.array(BYTES, pa.binary()).dictionary_encode(),
        "dataset": pa.array([{"bytes": b, "path": n} for b, n in zip(BYTES, NAMES)]),
    }
    for name, image in images.items():
        for compression in [None, "lz4", "zstd"]:
            table = pa.table({"image": image})
            back = run("classify", stream(table, compression=compression))
            scores = back.column("scores").combine_chunks()
            assert scores.type == pa.list_(pa.float32(), len(LABELS)), scores.type
            found = scores.flatten().to_numpy().reshape(-1, len(LABELS))
            assert np.array_equal(found, expected), (name, compression, found)
            assert back.column("image").equals(table.column("image")), name
    for kind in [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]:
        paths = pa.array([str(IMG / n) for n in NAMES]).cast(kind) if not pa.types.is_dictionary(kind) else pa.array([str(IMG / n) for n in NAMES]).dictionary_encode()
        back = run("classify", stream(pa.table({"path": paths})))
        assert np.array_equal(back.column("scores").combine_chunks().flatten().to_numpy().reshape(-1, len(LABELS)), expected)
    part = pa.table({"image": images["binary"], "n": [1, 2, 3]}).to_batches()[0].slice(1, 2)
    back = run("classify", stream(part))
    assert back.column("n").to_pylist() == [2, 3]
    assert np.array_equal(back.column("scores").combine_chunks().flatten().to_numpy().reshape(-1, len(LABELS)), expected[1:])


def failures():
    """A row that cannot be used comes back as a row. A stream that cannot be read gives exit code 2 and is named."""
    table = pa.table({"image": [BYTES[0], b"broken", None], "path": [None, "b.jpg", None], "nested": [[{"a": 1}], None, []]})
    back = run("classify", stream(table), code=1)
    assert back.column("nested").equals(table.column("nested"))
    assert back.column("label").is_valid().to_pylist() == [True, False, False]
    assert np.isnan(back.column("scores").chunk(0).values.to_numpy(zero_copy_only=False)[3:]).all()
    errors = back.column("error").to_pylist()
    assert errors[0] is None and "`b.jpg`" in errors[1] and "row 3" in errors[2], errors
    assert "neither a column `path` nor `image`" in run("classify", stream(pa.table({"img": BYTES})), code=2)
    assert "`path` of the Arrow stream is of the type Int64" in run("classify", stream(pa.table({"path": [1]})), code=2)
    assert "already has a column `scores`" in run("classify", stream(pa.table({"image": BYTES, "scores": [1, 2, 3]})), code=2)
    whole = stream(pa.table({"image": BYTES}))
    for length in [0, 3, 100, len(whole) // 2, len(whole) - 9]:
        said = run("classify", whole[:length], code=2)
        assert "cannot read the Arrow stream on stdin" in said and "panicked" not in said, said
    own = pa.table({"image": BYTES[:2], "labels": [["a dog", "a cat"], None]})
    back = run("classify", stream(own))
    assert back.column("labels").equals(own.column("labels"))
    assert [len(scores) for scores in back.column("scores").to_pylist()] == [2, 3]


def vectors():
    """`embed` adds the unit-length embeddings of the plain command."""
    back = run("embed", stream(pa.table({"image": BYTES})), "--normalize")
    found = np.stack(back.column("embedding").to_pylist())
    command = [LONGCLIP, "embed", *[str(IMG / n) for n in NAMES], *MODEL, "--normalize"]
    plain = [json.loads(line)["embedding"] for line in subprocess.run(command, check=True, capture_output=True).stdout.splitlines()]
    assert np.array_equal(found.astype(np.float32), np.array(plain, np.float32))


TEXTS = ["A cat looks into the camera.", "A cup of coffee.", "An astronaut."]


def pairs():
    """`score` gives the same numbers for files, for tables in Parquet and Arrow files, and for a stream."""
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        lines = [json.dumps({"path": str(IMG / n), "text": t}) for n, t in zip(NAMES, TEXTS)]
        (work / "pairs.ndjson").write_text("\n".join(lines))

        def scored(data, code=0):
            command = [LONGCLIP, "score", data, *MODEL]
            done = subprocess.run(command, cwd=work, capture_output=True, timeout=120)
            assert done.returncode == code, (done.returncode, done.stderr.decode())
            return [json.loads(line) for line in done.stdout.splitlines()]

        expected = [record["labels"] for record in scored("pairs.ndjson")]
        images = {
            "binary": pa.array(BYTES, pa.binary()),
            "large_binary": pa.array(BYTES, pa.large_binary()),
            "dictionary": pa.array(BYTES, pa.binary()).dictionary_encode(),
            "dataset": pa.array([{"bytes": b, "path": n} for b, n in zip(BYTES, NAMES)]),
        }
        for name, image in images.items():
            table = pa.table({"image": image, "text": TEXTS, "n": [1, 2, 3]})
            for compression in ["none", "snappy", "zstd"]:
                pq.write_table(table, work / "pairs.parquet", compression=compression, row_group_size=2)
                assert [record["labels"] for record in scored("pairs.parquet")] == expected, (name, compression)
            for compression in [None, "lz4", "zstd"]:
                (work / "pairs.arrows").write_bytes(stream(table, compression=compression))
                assert [record["labels"] for record in scored("pairs.arrows")] == expected, (name, compression)
                pa.feather.write_feather(table, work / "pairs.feather", compression=compression or "uncompressed")
                assert [record["labels"] for record in scored("pairs.feather")] == expected, (name, compression)
            back = run("score", stream(table))
            assert back.column_names == ["image", "text", "n", "cosine", "logit", "error"]
            assert np.allclose(back.column("cosine").to_pylist(), [labels[0]["cosine"] for labels in expected], atol=1e-6)
            assert np.allclose(back.column("logit").to_pylist(), [labels[0]["logit"] for labels in expected], rtol=1e-5)
        lists = pa.table({"image": BYTES, "text": [TEXTS, [TEXTS[1]], None]})
        back = run("score", stream(lists), code=1)
        assert [cosines and len(cosines) for cosines in back.column("cosine").to_pylist()] == [3, 1, None]
        assert "text is null" in back.column("error").to_pylist()[2]
        pq.write_table(pa.table({"image": BYTES, "text": [TEXTS[0], None, TEXTS[2]]}), work / "pairs.parquet")
        found = scored("pairs.parquet", code=1)
        assert [record.get("error") is None for record in found] == [True, False, True]


def peak_kib(n_batches):
    """The peak memory for a stream of `n_batches` batches of 4 MiB."""
    process = subprocess.Popen([LONGCLIP, "embed", "--in", "arrow", "--out", "arrow", *MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    batch = pa.record_batch({"image": [bytes(1 << 20)] * 4})
    counted, peak = [], 0
    thread = threading.Thread(target=lambda: counted.append(sum(b.num_rows for b in pa.ipc.open_stream(process.stdout))))
    thread.start()
    writer = pa.ipc.new_stream(process.stdin, batch.schema)
    for _ in range(n_batches):
        writer.write_batch(batch)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
    writer.close()
    process.stdin.close()
    thread.join()
    assert process.wait() == 2 and counted == [4 * n_batches]  # no batch has an image
    return peak


def memory():
    """Memory depends on the batches being worked on, not on the stream: 1.2 GB pass through less than 250 MiB."""
    if pathlib.Path("/proc/self/status").exists():
        few, many = peak_kib(30) / 1024, peak_kib(300) / 1024
        assert many < 250, (few, many)
        print(f"peak memory: {few:.0f} MiB for 30 batches of 4 MiB, {many:.0f} MiB for 300")


def shards():
    """A folder of shards can be read as one table, with the rows of a single output file."""
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / "photos").mkdir()
        for i in range(30):
            (work / "photos" / f"{i:02}.jpg").write_bytes(BYTES[i % 3] if i != 7 else b"broken")
        command = [LONGCLIP, "classify", "photos", *MODEL, "--threads", "1", "--labels", *LABELS]
        assert subprocess.run([*command, "--output", "whole.parquet"], cwd=work, stderr=subprocess.DEVNULL).returncode == 1
        processes = [subprocess.Popen([*command, "--shard", f"{i}/4", "--output", "out/"], cwd=work, stderr=subprocess.DEVNULL) for i in range(4)]
        assert sorted(process.wait() for process in processes) == [0, 0, 0, 1]
        assert (work / "out/_SUCCESS").exists()
        together = pa.dataset.dataset(work / "out", format="parquet").to_table().sort_by("path")
        whole = pq.read_table(work / "whole.parquet").sort_by("path")
        assert together.num_rows == 30 and together.to_pylist() == whole.to_pylist()


if __name__ == "__main__":
    lock_step()
    numbers(plain())
    failures()
    vectors()
    pairs()
    memory()
    shards()
    print(f"pyarrow {pa.__version__}: lock-step, numbers, failures, vectors, pairs, memory and shards work as documented")
