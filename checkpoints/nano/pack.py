#!/usr/bin/env python3
"""Packs trained weights of nano into the file that is compiled into the binary.

    python3 -m venv venv && venv/bin/pip install numpy safetensors
    venv/bin/python checkpoints/nano/pack.py nano-work/image-averaged.safetensors checkpoints/nano.safetensors
    venv/bin/python checkpoints/nano/pack.py run/best.safetensors checkpoints/nano.safetensors --table nano-work/base-77.safetensors --image image.safetensors

Input: the tensors of a CLIP under upstream's names, with a factorised token table: `token_embedding.A` (49408, 64) times
`token_embedding.B` (64, 192), or a packed file. `train/train.py` trains such a file. The input may also be a Long-CLIP from
`longclip train`, whose token table is a single tensor. That table must be the one of the packed file named by `--table`, so it must
have been frozen.
`--image` takes the image tower from another file, for trainings that froze it.
Output: the same names in f16, except
  linear layers and the patches' convolution: int8 with one f16 scale per output channel, `NAME` and `NAME.scale` (row = int8 row * scale)
  token_embedding.A: integers of 4 bits with one f16 `token_embedding.scale` per row, as bytes (49408, 32) of two integers each, the
    first in the lower half, stored as 0 to 15 for -8 to 7
  logit_scale: f32
The result is read back and compared with the input before it is renamed. It is not compressed: numbers of 8 and 4 bits hardly
compress (`zstd -b19 checkpoints/nano.safetensors`).
"""
import argparse
import os
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

LIMIT = 7_000_000  # bytes of the packed file, at most
TABLE, SCALE, TO_WIDTH = "token_embedding.A", "token_embedding.scale", "token_embedding.B"
LINEAR = ("attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight", "visual.conv1.weight")
CLIPS = np.linspace(0.5, 1, 21)  # shares of a row's largest number that become the largest integer, to choose from
WHOLE = "token_embedding.weight"


def whole(rows, largest, most):
    """(n, width) floats -> integers from -most to most, and one f16 scale per row, with which a row's `largest` becomes `most`."""
    # A row of (nearly) zeros would have a scale of 0. The smallest f16 keeps its zeros and can be divided by.
    scale = np.maximum((largest / most).astype(np.float16), np.finfo(np.float16).smallest_subnormal)
    return np.clip(np.rint(rows / scale.astype(np.float32)[:, None]), -most, most).astype(np.int8), scale


def int8(tensor):
    rows = tensor.reshape(len(tensor), -1)
    numbers, scale = whole(rows, np.abs(rows).max(axis=1), 127)
    return numbers.reshape(tensor.shape), scale


def int4(table):
    """(rows, columns) of floats -> bytes (rows, columns / 2), and the scale of each row with the smallest squared error."""
    largest, best = np.abs(table).max(axis=1), None
    for clip in CLIPS:
        numbers, scale = whole(table, largest * clip, 7)
        error = ((numbers * scale.astype(np.float32)[:, None] - table) ** 2).sum(axis=1)
        if best is None:
            best = numbers, scale, error
        better = error < best[2]
        for kept, new in zip(best, (numbers, scale, error)):
            kept[better] = new[better]
    halves = (best[0] + 8).astype(np.uint8)
    return halves[:, 0::2] | halves[:, 1::2] << 4, best[1]


def unpacked(tensors):
    """The tensors of a file, packed or not, as floats."""
    out = {}
    for name, tensor in tensors.items():
        if name == SCALE or name.endswith(".scale"):
            continue
        scale = tensors.get(SCALE if name == TABLE else name + ".scale")
        if tensor.dtype == np.uint8:
            tensor = np.stack([tensor & 15, tensor >> 4], axis=-1).reshape(len(tensor), -1).astype(np.int8) - 8
        tensor = tensor.astype(np.float32)
        out[name] = tensor if scale is None else tensor * scale.astype(np.float32).reshape(-1, *[1] * (tensor.ndim - 1))
    return out


def factorised(tensors, packed_path):
    """The tensors, with the token table replaced by the two factors of a packed file."""
    parts = unpacked(load_file(packed_path))
    table, to_width = parts[TABLE], parts[TO_WIDTH]
    product = table @ to_width
    found = tensors.pop(WHOLE).astype(np.float32)
    if np.abs(found - product).max() > 1e-5 * np.abs(product).max():
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
            out[TABLE], out[SCALE] = int4(tensor)
        elif name.endswith(LINEAR):
            out[name], out[name + ".scale"] = int8(tensor)
        else:
            out[name] = tensor if name == "logit_scale" else tensor.astype(np.float16)
    return out


def check(path, tensors):
    """Checks that a packed file has the tensors of its input, each within half a step of its number type."""
    stored = load_file(path)
    read = unpacked(stored)
    if read.keys() != tensors.keys():
        sys.exit(f"{path} does not have the tensors of the input: {sorted(read.keys() ^ tensors.keys())}")
    for name, tensor in tensors.items():
        tensor, found = tensor.astype(np.float32), read[name]
        allowed = np.abs(tensor) * 2**-11 + 2**-24
        if name == TABLE:
            # Half a step; numbers beyond the last step are cut off, by at most half of the row's largest.
            scale = stored[SCALE].astype(np.float32)[:, None]
            allowed = np.maximum(0.51 * scale, np.abs(tensor) - 7 * scale + 0.01 * scale)
        elif name + ".scale" in stored:
            # Half a step, plus what the rounding of the scale cuts off from the largest numbers of a row.
            scale = stored[name + ".scale"].astype(np.float32).reshape(-1, *[1] * (tensor.ndim - 1))
            allowed = 0.5 * scale + 127 * scale * 2**-10
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

    tensors = unpacked(load_file(arguments.weights))
    if arguments.image:
        tower = {name: tensor for name, tensor in unpacked(load_file(arguments.image)).items() if name.startswith("visual.")}
        tensors = {name: tower.get(name, tensor) for name, tensor in tensors.items()}
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
    print(f"{arguments.packed}: {len(tensors)} tensors, {size:,} bytes")


if __name__ == "__main__":
    main()
