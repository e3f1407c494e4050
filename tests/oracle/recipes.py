"""Records what open_clip and transformers compute for models whose configs differ from CLIP's. See README.md.

Writes tests/data/recipes/cases.json: configs, sizes, and embeddings of some images and token ids. The weights are not
stored: both sides generate them from the tensors' names (tests/recipe), in open_clip's layout."""
import argparse
import copy
import json
import os
import sys

import numpy as np
import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from transformers import CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

OUT = "tests/data/recipes/cases.json"
IMAGES = ["rgb-97x61.png", "rgb-40x130.png", "rgba-200x150.png", "grey-alpha-320x240.png", "rgb-2x3.png"]
TEXTS = [[998, 5, 7, 999], [998, 5, 7, 300, 21, 21, 4, 999], [998, 999, 3]]
CONTEXT, VOCAB = 12, 1000
GOLDEN = 0x9E3779B97F4A7C15


def uniform(name, n):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0


def generated(name, shape):
    """Norms around 1, vectors around 0, matrices so that activations have ordinary sizes."""
    n = int(np.prod(shape)) if shape else 1
    if name == "logit_scale":
        offset, scale = 4.6052, 0.0
    elif ".ln_" in "." + name and name.endswith("weight"):
        offset, scale = 1.0, 0.25
    elif len(shape) < 2:
        offset, scale = 0.0, 0.1
    else:
        fan_in = int(np.prod(shape[1:])) if name == "visual.conv1.weight" else shape[-1]
        offset, scale = 0.0, 1.7 * fan_in**-0.5
    return torch.from_numpy((offset + scale * uniform(name, n)).astype(np.float32).reshape(shape))


def sizes(**changed):
    base = dict(image=32, patch=8, vision_width=64, vision_layers=2, vision_mlp=256, text_width=48, text_layers=2, text_mlp=192, embed=16, context=CONTEXT)
    return {**base, **changed}


def shapes(s):
    """Names and shapes in open_clip's layout."""
    grid = s["image"] // s["patch"]
    v, t = s["vision_width"], s["text_width"]
    out = {
        "positional_embedding": [s["context"], t], "text_projection": [t, s["embed"]], "logit_scale": [], "visual.class_embedding": [v],
        "visual.positional_embedding": [grid * grid + 1, v], "visual.proj": [v, s["embed"]], "visual.conv1.weight": [v, 3, s["patch"], s["patch"]],
        "visual.ln_pre.weight": [v], "visual.ln_pre.bias": [v], "visual.ln_post.weight": [v], "visual.ln_post.bias": [v],
        "token_embedding.weight": [VOCAB, t], "ln_final.weight": [t], "ln_final.bias": [t],
    }
    for prefix, w, mlp, layers in [("visual.transformer", v, s["vision_mlp"], s["vision_layers"]), ("transformer", t, s["text_mlp"], s["text_layers"])]:
        for i in range(layers):
            block = {"attn.in_proj_weight": [3 * w, w], "attn.in_proj_bias": [3 * w], "attn.out_proj.weight": [w, w], "attn.out_proj.bias": [w],
                     "ln_1.weight": [w], "ln_1.bias": [w], "ln_2.weight": [w], "ln_2.bias": [w],
                     "mlp.c_fc.weight": [mlp, w], "mlp.c_fc.bias": [mlp], "mlp.c_proj.weight": [w, mlp], "mlp.c_proj.bias": [w]}
            out.update({f"{prefix}.resblocks.{i}.{name}": shape for name, shape in block.items()})
    return out


def merged(base, changes):
    out = copy.deepcopy(base)
    for key, value in changes.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def without(config, paths):
    for path in paths:
        *objects, key = path.split(".")
        inner = config
        for name in objects:
            inner = inner[name]
        inner.pop(key, None)
    return config


# --- open_clip ---------------------------------------------------------------------------------------------------------

def openclip_config(s, changes, absent):
    config = {
        "model_cfg": {
            "embed_dim": s["embed"],
            "vision_cfg": {"image_size": s["image"], "layers": s["vision_layers"], "width": s["vision_width"], "head_width": 16, "patch_size": s["patch"],
                           "mlp_ratio": s["vision_mlp"] / s["vision_width"]},
            "text_cfg": {"context_length": s["context"], "vocab_size": VOCAB, "width": s["text_width"], "heads": 4, "layers": s["text_layers"],
                         "mlp_ratio": s["text_mlp"] / s["text_width"]},
        },
        "preprocess_cfg": {},
    }
    return without(merged(config, changes), absent)


def run_openclip(config, s):
    model_cfg = copy.deepcopy(config["model_cfg"])
    model = open_clip.model.CLIP(**{k: v for k, v in model_cfg.items() if k != "custom_text"}).eval().double()
    state = {name: generated(name, shape).double() for name, shape in shapes(s).items()}
    model.load_state_dict(state, strict=True)
    cfg = PreprocessCfg(**merge_preprocess_dict(merge_preprocess_dict(PreprocessCfg(), config["preprocess_cfg"]), {"size": s["image"]}))
    transform = image_transform_v2(cfg, is_train=False)
    pixels = torch.stack([transform(open_image(name)) for name in IMAGES])
    ids = torch.tensor([row + [0] * (s["context"] - len(row)) for row in TEXTS])
    with torch.no_grad():
        return model.encode_image(pixels.double()), model.encode_text(ids)


# --- transformers ------------------------------------------------------------------------------------------------------

def transformers_config(s, changes, absent):
    config = {
        "model_type": "clip", "projection_dim": s["embed"],
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": s["vision_width"], "intermediate_size": s["vision_mlp"], "num_hidden_layers": s["vision_layers"],
                          "num_attention_heads": 4, "image_size": s["image"], "patch_size": s["patch"]},
        "text_config": {"model_type": "clip_text_model", "hidden_size": s["text_width"], "intermediate_size": s["text_mlp"], "num_hidden_layers": s["text_layers"],
                        "num_attention_heads": 4, "max_position_embeddings": s["context"], "vocab_size": VOCAB, "eos_token_id": VOCAB - 1, "bos_token_id": VOCAB - 2},
    }
    return without(merged(config, changes), absent)


def renamed(state):
    """From open_clip's names to transformers'."""
    out = {}
    top = {"visual.class_embedding": "vision_model.embeddings.class_embedding", "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
           "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight", "positional_embedding": "text_model.embeddings.position_embedding.weight",
           "token_embedding.weight": "text_model.embeddings.token_embedding.weight", "logit_scale": "logit_scale"}
    for name, value in state.items():
        if name in top:
            out[top[name]] = value
        elif name in ("visual.proj", "text_projection"):
            out[{"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}[name]] = value.T.contiguous()
        else:
            tower = "vision_model" if name.startswith("visual.") else "text_model"
            rest = name.removeprefix("visual.")
            for old, new in [("transformer.resblocks", "encoder.layers"), ("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm"), ("ln_final", "final_layer_norm"),
                             ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2"), ("attn.out_proj", "self_attn.out_proj")]:
                rest = rest.replace(old, new)
            if "attn.in_proj_" in rest:
                for part, chunk in zip("qkv", value.chunk(3)):
                    out[f"{tower}.{rest.replace('attn.in_proj_', f'self_attn.{part}_proj.')}"] = chunk.contiguous()
            else:
                out[f"{tower}.{rest}"] = value
    return out


def run_transformers(config, images, s):
    model = CLIPModel(CLIPConfig(**copy.deepcopy(config))).eval().double()
    state = renamed({name: generated(name, shape).double() for name, shape in shapes(s).items()})
    model.load_state_dict(state, strict=True)
    processor = CLIPImageProcessorPil(**{key: value for key, value in images.items() if key != "image_processor_type"})
    pixels = processor([open_image(name) for name in IMAGES], return_tensors="pt")["pixel_values"]
    ids = torch.tensor([row + [0] * (s["context"] - len(row)) for row in TEXTS])
    with torch.no_grad():
        return model.get_image_features(pixels.double()).pooler_output, model.get_text_features(ids).pooler_output


def open_image(name):
    return Image.open(os.path.join("tests/data/preprocess", name))


def normalised(rows):
    rows = rows / rows.norm(dim=-1, keepdim=True)
    return [[float(f"{x:.7g}") for x in row] for row in rows.tolist()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=OUT)
    opt = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    cases = []
    with open(os.path.join(here, "recipe_cases.json")) as file:
        asked = json.load(file)
    for case in asked["open_clip"]:
        s = sizes(**case.get("sizes", {}))
        config = openclip_config(s, case.get("config", {}), case.get("absent", []))
        image, text = run_openclip(config, s)
        cases.append({"name": case["name"], "sizes": s, "files": {"open_clip_config.json": config}, "images": normalised(image), "texts": normalised(text)})
    for case in asked["transformers"]:
        s = sizes(**case.get("sizes", {}))
        config = transformers_config(s, case.get("config", {}), case.get("absent", []))
        images = merged({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": s["image"]}, "crop_size": {"height": s["image"], "width": s["image"]}}, {})
        for key, value in case.get("images", {}).items():
            images[key] = value
        image, text = run_transformers(config, images, s)
        name = case.get("file", "preprocessor_config.json")
        files = {"config.json": config, name: {"image_processor": images} if name == "processor_config.json" else images}
        cases.append({"name": case["name"], "sizes": s, "files": files, "images": normalised(image), "texts": normalised(text)})
    about = f"open_clip {open_clip.__version__}, transformers {__import__('transformers').__version__}, torch {torch.__version__}, Pillow {__import__('PIL').__version__}: tests/oracle/recipes.py"
    with open(opt.out, "w") as out:
        json.dump({"about": about, "images": IMAGES, "texts": TEXTS, "cases": cases}, out, separators=(",", ":"))
        out.write("\n")
    print(f"{len(cases)} cases in {opt.out}, {os.path.getsize(opt.out)} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
