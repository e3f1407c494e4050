"""Writes weights of the real size with made-up values: speed does not depend on them.

    python weights.py B longclip-B-made-up.safetensors        # or L

Values are uniform with the variances of a fresh CLIP, so that no activation overflows in any number type.
"""
import sys

import numpy as np
from safetensors.numpy import save_file

SIZES = {
    "B": dict(patch=16, vision=768, vision_layers=12, text=512, text_layers=12, embed=512),
    "L": dict(patch=14, vision=1024, vision_layers=24, text=768, text_layers=12, embed=768),
}


def tensors(size):
    rng = np.random.default_rng(1)
    uniform = lambda shape, deviation: ((rng.random(shape, dtype=np.float32) * 2 - 1) * np.float32(3**0.5 * deviation))
    norm = lambda out, name, width: out.update({f"{name}.weight": 1 + uniform((width,), 0.1), f"{name}.bias": uniform((width,), 0.05)})
    out = {"logit_scale": np.full((), 4.6052, np.float32)}

    def tower(prefix, width, layers):
        for i in range(layers):
            p = f"{prefix}transformer.resblocks.{i}"
            for name, shape, deviation in (
                ("attn.in_proj_weight", (3 * width, width), width**-0.5),
                ("attn.in_proj_bias", (3 * width,), 0.02),
                ("attn.out_proj.weight", (width, width), width**-0.5 * (2 * layers) ** -0.5),
                ("attn.out_proj.bias", (width,), 0.02),
                ("mlp.c_fc.weight", (4 * width, width), (2 * width) ** -0.5),
                ("mlp.c_fc.bias", (4 * width,), 0.02),
                ("mlp.c_proj.weight", (width, 4 * width), width**-0.5 * (2 * layers) ** -0.5),
                ("mlp.c_proj.bias", (width,), 0.02),
            ):
                out[f"{p}.{name}"] = uniform(shape, deviation)
            norm(out, f"{p}.ln_1", width)
            norm(out, f"{p}.ln_2", width)

    s = SIZES[size]
    grid = 224 // s["patch"]
    out["visual.conv1.weight"] = uniform((s["vision"], 3, s["patch"], s["patch"]), (3 * s["patch"] ** 2) ** -0.5)
    out["visual.class_embedding"] = uniform((s["vision"],), s["vision"] ** -0.5)
    out["visual.positional_embedding"] = uniform((grid * grid + 1, s["vision"]), s["vision"] ** -0.5)
    out["visual.proj"] = uniform((s["vision"], s["embed"]), s["vision"] ** -0.5)
    norm(out, "visual.ln_pre", s["vision"])
    norm(out, "visual.ln_post", s["vision"])
    tower("visual.", s["vision"], s["vision_layers"])
    out["token_embedding.weight"] = uniform((49408, s["text"]), 0.02)
    out["positional_embedding"] = uniform((248, s["text"]), 0.01)
    out["positional_embedding_res"] = uniform((248, s["text"]), 0.01)
    out["text_projection"] = uniform((s["text"], s["embed"]), s["text"] ** -0.5)
    norm(out, "ln_final", s["text"])
    tower("", s["text"], s["text_layers"])
    return out


if __name__ == "__main__":
    save_file(tensors(sys.argv[1]), sys.argv[2])
