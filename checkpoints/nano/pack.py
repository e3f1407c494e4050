#!/usr/bin/env python3
"""Packs trained weights of nano into the file that is compiled into the binary.

    python3 -m venv venv && venv/bin/pip install numpy safetensors
    venv/bin/python checkpoints/nano/pack.py nano-work/best.safetensors checkpoints/nano/base-77.safetensors
    venv/bin/python checkpoints/nano/pack.py run/best.safetensors checkpoints/nano.safetensors --table checkpoints/nano/base-77.safetensors \
        --image nano-work/blend.safetensors

Input: the tensors of a CLIP under upstream's names, with a factorised token table: `token_embedding.A` (49408, 64) times
`token_embedding.B` (64, 192), or a packed file. `train/train.py` trains such a file. The input may also be a Long-CLIP from
`longclip train`, whose token table is a single tensor. That table must be the one of the packed file named by `--table`, so it must
have been frozen.
`--image` takes the image tower from another file, for trainings that froze it.
Output: the same names in f16, except `token_embedding.A`, which becomes int8 rows with one f16 `token_embedding.scale` each (row =
int8 row * scale), and `logit_scale`, which stays f32. The result is read back and compared with the input before it is renamed.

The output is deliberately not compressed: `zstd -b19 checkpoints/nano.safetensors` shows how little that would save (half of
the bytes are the low bytes of f16 numbers) and what it would cost at each start.
"""
import argparse
import os
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

LIMIT = 16_000_000  # bytes of the packed file, at most
TABLE, SCALE, TO_WIDTH = "token_embedding.A", "token_embedding.scale", "token_embedding.B"
WHOLE = "token_embedding.weight"


def quantised(table):
    """(rows, columns) of floats -> int8 of the same shape, and one f16 scale per row, (rows,)."""
    largest = np.abs(table).max(axis=1)
    scale = (largest / 127).astype(np.float16)
    # A row of (nearly) zeros would have a scale of 0. The smallest f16 keeps its zeros and can be divided by.
    scale = np.maximum(scale, np.finfo(np.float16).smallest_subnormal)
    rows = np.rint(table / scale.astype(np.float32)[:, None])
    return np.clip(rows, -127, 127).astype(np.int8), scale


def factorised(tensors, packed_path):
    """The tensors, with the token table replaced by the two factors of a packed file."""
    parts = load_file(packed_path)
    table, to_width = parts[TABLE] * parts[SCALE].astype(np.float32)[:, None], parts[TO_WIDTH].astype(np.float32)
    whole = table @ to_width
    found = tensors.pop(WHOLE).astype(np.float32)
    if np.abs(found - whole).max() > 1e-5 * np.abs(whole).max():
        sys.exit(f"{WHOLE} differs from the table of {packed_path}: train with `--freeze token_embedding`")
    return {**tensors, TABLE: table, TO_WIDTH: to_width}


def packed(tensors):
    """The tensors to store, by name."""
    out = {}
    for name, tensor in tensors.items():
        tensor = tensor.astype(np.float32)
        if not np.isfinite(tensor).all():
            sys.exit(f"{name} has numbers that are not finite: the training failed")
        if name == TABLE:
            out[TABLE], out[SCALE] = quantised(tensor)
        else:
            out[name] = tensor if name == "logit_scale" else tensor.astype(np.float16)
    return out


def check(path, tensors):
    """Checks that a packed file has the tensors of its input, each within half a step of its number type."""
    stored = load_file(path)
    if stored.keys() - {SCALE} != tensors.keys():
        sys.exit(f"{path} does not have the tensors of the input: {sorted(stored.keys() ^ tensors.keys())}")
    for name, tensor in tensors.items():
        tensor, found = tensor.astype(np.float32), stored[name].astype(np.float32)
        allowed = np.abs(tensor) * 2**-11 + 2**-24
        if name == TABLE:
            scale = stored[SCALE].astype(np.float32)[:, None]
            # Half a step, plus what the rounding of the scale cuts off from the largest numbers of a row.
            found, allowed = found * scale, 0.5 * scale + 127 * scale * 2**-10
        worst = np.abs(found - tensor) - allowed
        if worst.max() > 0:
            sys.exit(f"{name}: a number differs by {worst.max():.2e} more than rounding explains")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("weights", help="a file from train.py or `longclip train`")
    arguments.add_argument("packed", help="the file to write, such as checkpoints/nano.safetensors")
    arguments.add_argument("--table", metavar="PACKED", help="the packed file with the same token table, for weights from `longclip train`")
    arguments.add_argument("--image", metavar="WEIGHTS", help="take the image tower from this file")
    arguments = arguments.parse_args()

    tensors = load_file(arguments.weights)
    if arguments.image:
        tower = {name: tensor for name, tensor in load_file(arguments.image).items() if name.startswith("visual.")}
        tensors = {name: tower.get(name, tensor) for name, tensor in tensors.items()}
    if SCALE in tensors:
        tensors[TABLE] = tensors[TABLE] * tensors.pop(SCALE).astype(np.float32)[:, None]
    if (WHOLE in tensors) != bool(arguments.table):
        sys.exit(f"`--table` is required for weights with a {WHOLE}, and not allowed for others")
    if arguments.table:
        tensors = factorised(tensors, arguments.table)
    unfinished = arguments.packed + ".part"
    save_file(packed(tensors), unfinished, metadata={"format": "longclip-nano"})
    check(unfinished, tensors)
    size = os.path.getsize(unfinished)
    if size > LIMIT:
        sys.exit(f"{unfinished} has {size:,} bytes; at most {LIMIT:,} are allowed")
    os.replace(unfinished, arguments.packed)
    print(f"{arguments.packed}: {len(tensors) + 1} tensors, {size:,} bytes")


if __name__ == "__main__":
    main()
