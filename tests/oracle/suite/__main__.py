"""Makes models with transformers and open_clip, and compares what `longclip` computes with what they compute.

    python -m suite LONGCLIP [--only WORD] [--list]

A case is right if all numbers are equal, or if the model is refused with a message that fits. If one is wrong, the exit
code is 1.
"""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
from PIL import Image

import transformers

from . import converted, families, files, from_open_clip, from_transformers, multilingual, published
from .case import judge


PARTS = (from_transformers, from_open_clip, published, multilingual, converted, files, families)


def draw_images(folder):
    """Three images: wide, tall and small, so that every way to resize and crop differs."""
    rng = np.random.default_rng(5)
    paths = []
    for name, (width, height) in {"wide": (97, 61), "tall": (50, 90), "small": (21, 24)}.items():
        coarse = rng.integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC), dtype=np.int16)
        image = np.clip(image + rng.integers(-30, 30, image.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{name}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--list", action="store_true", help="print the names of all cases")
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    work = Path(tempfile.mkdtemp(prefix="longclip-oracle-"))
    images = draw_images(work)
    cases = [case for part in PARTS for case in part.cases(images)]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases have the same name"
    chosen = [case for case in cases if arguments.only in case.name]
    if arguments.list:
        print("\n".join(case.name for case in chosen))
        return 0
    counts = {"equal": 0, "refused": 0, "WRONG": 0}
    started = time.monotonic()
    for case in chosen:
        folder = work / "model"
        try:
            verdict, why = judge(arguments.binary, case, folder, images)
        except Exception:  # a library that can't make the model: the case itself is wrong
            verdict, why = "WRONG", "the case failed: " + traceback.format_exc(limit=-3).replace("\n", " ")
        shutil.rmtree(folder, ignore_errors=True)
        counts[verdict] += 1
        print(f"{verdict:8}{case.name}" + (f": {why}" if why else ""), flush=True)
    shutil.rmtree(work)
    seconds = time.monotonic() - started
    print(f"{len(chosen)} cases in {seconds:.0f} s: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    return 1 if counts["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
