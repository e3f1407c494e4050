"""Writes weights that are generated from the names of the tensors, like those of the tests (tests/recipe, tests/data/models/README.md).

    python weights.py B B.safetensors        # or L, or tiny

Speed does not depend on the values. The goldens of tests/data/models are valid for these weights.
"""
import sys

import numpy as np
from safetensors.numpy import save_file

SIZES = {
    "tiny": dict(
        patch=16, vision=128, vision_layers=2, text=64, text_layers=2, embed=64, resolution=64, vocabulary=1000
    ),
    "B": dict(patch=16, vision=768, vision_layers=12, text=512, text_layers=12, embed=512),
    "L": dict(patch=14, vision=1024, vision_layers=24, text=768, text_layers=12, embed=768),
}
POSITIONS = 248
# These are for the real sizes.
VOCABULARY, RESOLUTION = 49408, 224
WRAP = 2**64


def made_of(name, shape, offset, spread):
    """offset + spread * u, exact in f16; u in [-1, 1) is SplitMix64 of the name's FNV-1a hash and the index."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % WRAP
    z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(seed)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    u = (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1
    return (offset + spread * u).astype(np.float32).astype(np.float16).astype(np.float32).reshape(shape)


def shapes(size):
    """name -> (shape, offset, standard deviation as a number or spread as a string)"""
    s, out = SIZES[size], {}

    def norm(name, width):
        out[f"{name}.weight"], out[f"{name}.bias"] = ((width,), 1, "0.25"), ((width,), 0, "0.1")

    def tower(prefix, width, layers):
        narrow = width**-0.5 * (2 * layers) ** -0.5
        for i in range(layers):
            p = f"{prefix}transformer.resblocks.{i}"
            for name, shape, deviation in (
                ("attn.in_proj_weight", (3 * width, width), width**-0.5),
                ("attn.in_proj_bias", (3 * width,), "0.05"),
                ("attn.out_proj.weight", (width, width), narrow),
                ("attn.out_proj.bias", (width,), "0.05"),
                ("mlp.c_fc.weight", (4 * width, width), (2 * width) ** -0.5),
                ("mlp.c_fc.bias", (4 * width,), "0.05"),
                ("mlp.c_proj.weight", (width, 4 * width), narrow),
                ("mlp.c_proj.bias", (width,), "0.05"),
            ):
                out[f"{p}.{name}"] = (shape, 0, deviation)
            norm(f"{p}.ln_1", width)
            norm(f"{p}.ln_2", width)

    vision, text, patch, embed = s["vision"], s["text"], s["patch"], s["embed"]
    out["visual.conv1.weight"] = ((vision, 3, patch, patch), 0, (3 * patch**2) ** -0.5)
    out["visual.class_embedding"] = ((vision,), 0, vision**-0.5)
    out["visual.positional_embedding"] = (((s.get("resolution", RESOLUTION) // patch) ** 2 + 1, vision), 0, vision**-0.5)
    out["visual.proj"] = ((vision, embed), 0, vision**-0.5)
    norm("visual.ln_pre", vision)
    norm("visual.ln_post", vision)
    tower("visual.", vision, s["vision_layers"])
    out["token_embedding.weight"] = ((s.get("vocabulary", VOCABULARY), text), 0, 0.02)
    out["positional_embedding"] = out["positional_embedding_res"] = ((POSITIONS, text), 0, 0.01)
    out["text_projection"] = ((text, embed), 0, text**-0.5)
    norm("ln_final", text)
    tower("", text, s["text_layers"])
    return out


def tensors(size):
    made = {"logit_scale": np.full((), 4.6052, np.float32)}
    for name, (shape, offset, deviation) in shapes(size).items():
        spread = float(deviation) if isinstance(deviation, str) else 3**0.5 * deviation
        made[name] = made_of(name, shape, offset, spread)
    return made


if __name__ == "__main__":
    save_file(tensors(sys.argv[1]), sys.argv[2])
