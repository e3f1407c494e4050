"""One case: a model made by a library, and what `longclip` must do with it."""

import json
import math
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np

# Embeddings may differ by this share of their length, probabilities by this much.
TOLERANCE = 1e-4
TEXTS = [
    "a cat",
    "A photo of two dogs & a ball, on the beach.",
    "Café, naïve; 12 °C and \U0001f642 in an unusual sentence",
]
LONG_TEXT = " ".join(["a wooden table with a red cup, two plates and some flowers in the morning light"] * 6)


@dataclass
class Oracle:
    """What the library itself computes: raw embeddings, and the temperature if it has one."""

    images: np.ndarray | None
    texts: np.ndarray | None
    logit_scale: float | None = None


@dataclass
class Case:
    """`make(folder)` writes a model below `folder` and returns what to name as `--model`, and an Oracle or None.

    `expect` is "equal" (the library's numbers), "refused" (exit code 2 and a message with one of `says`), or "either".
    """

    name: str
    make: Callable[[Path], tuple[Path, Oracle | None]]
    expect: str = "equal"
    says: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    # Called with the program, the model and the images; returns an Oracle, or the exit code and stderr of a refusal.
    then: Callable | None = None
    texts: tuple[str, ...] = field(default_factory=lambda: (*TEXTS, LONG_TEXT))
    tolerance: float = TOLERANCE


def run(binary, arguments):
    """Exit code, stdout and stderr of a run without the machine's models and without the network."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LONGCLIP_CPU") if name in os.environ}
    done = subprocess.run(
        [binary, *map(str, arguments)], capture_output=True, text=True, env={**kept, "HF_HUB_OFFLINE": "1"}, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


def embeddings(binary, case, model, images, texts):
    """Texts' and images' embeddings by `longclip embed`, or the refusal."""
    named = [argument for text in texts for argument in ("--text", text)]
    code, out, err = run(binary, ["embed", *images, *named, "--model", model, *case.flags])
    if code != 0:
        return None, (code, err)
    records = [json.loads(line) for line in out.splitlines()]
    vectors = {record.get("text", record.get("path")): record["embedding"] for record in records}
    return vectors, None


def distance(found, expected):
    """The largest difference of any element, as a share of the row's length."""
    expected, found = np.asarray(expected, dtype=np.float64), np.asarray(found, dtype=np.float64)
    if expected.shape != found.shape:
        return math.inf
    lengths = np.linalg.norm(expected, axis=-1, keepdims=True)
    return float(np.max(np.abs(found - expected) / np.maximum(lengths, 1e-12)))


def probabilities(oracle):
    """Softmax over the texts, a row for each image."""
    unit = lambda rows: rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    logits = oracle.logit_scale * unit(oracle.images) @ unit(oracle.texts).T
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def compare(binary, case, model, oracle, images):
    """Empty if all numbers are equal, else the differences; or the refusal."""
    image_paths = images if oracle.images is not None else []
    texts = case.texts if oracle.texts is not None else ()
    vectors, refusal = embeddings(binary, case, model, image_paths, texts)
    if refusal:
        return [], refusal
    problems = []
    for what, keys, expected in [("images", image_paths, oracle.images), ("texts", texts, oracle.texts)]:
        if expected is None:
            continue
        apart = distance([vectors[str(key)] for key in keys], expected)
        if not apart <= case.tolerance:
            problems.append(f"{what} {apart:.2g} apart")
    if oracle.logit_scale is not None and oracle.images is not None and oracle.texts is not None:
        problems += compare_probabilities(binary, case, model, oracle, images)
    return problems, None


def compare_probabilities(binary, case, model, oracle, images):
    labels = [argument for text in case.texts for argument in ("--label", text)]
    arguments = [
        "classify",
        *images,
        *labels,
        "--format",
        "ndjson",
        "--long-text",
        "truncate",
        "--model",
        model,
        *case.flags,
    ]
    code, out, err = run(binary, arguments)
    if code != 0:
        return [f"classify: exit code {code}: {err.strip()}"]
    expected = probabilities(oracle)
    worst = 0.0
    for line, row in zip(out.splitlines(), expected, strict=True):
        found = {label["label"]: label["probability"] for label in json.loads(line)["labels"]}
        worst = max(worst, max(abs(found[text] - p) for text, p in zip(case.texts, row, strict=True)))
    return [] if worst <= case.tolerance else [f"probabilities {worst:.2g} apart"]


def judge(binary, case, folder, images):
    """The verdict, one of "equal", "refused", "WRONG", and why."""
    model, oracle = case.make(folder)
    if case.then:
        oracle = case.then(binary, model, images)
        if isinstance(oracle, tuple):
            return judge_refusal(case, *oracle)
    if oracle is None:
        code, out, err = run(binary, ["embed", *images, "--text", "a cat", "--model", model, *case.flags])
        problems, refusal = ["accepted"], None if code == 0 else (code, err)
    else:
        problems, refusal = compare(binary, case, model, oracle, images)
    if refusal:
        return judge_refusal(case, *refusal)
    if problems:
        return "WRONG", "; ".join(problems)
    return ("WRONG", "equal, but a refusal is expected") if case.expect == "refused" else ("equal", "")


def judge_refusal(case, code, err):
    said = " ".join(err.split())
    if code != 2 or not err.startswith(("error: ", "note: ", "warning: ")):
        return "WRONG", f"exit code {code}: {said}"
    if case.expect == "equal":
        return "WRONG", f"refused: {said}"
    if case.says and not any(word.lower() in said.lower() for word in case.says):
        return "WRONG", f"the refusal names none of {', '.join(case.says)}: {said}"
    return "refused", said
