"""Models of the hub with random weights: the names, shapes, number types and recipes of the published files, with one
layer in each tower.

What the files hold is from their repositories' cards and code, and from open_clip's `pretrained.py`.
"""

import functools
import json

import torch
from open_clip import get_model_config
from open_clip.pretrained import get_pretrained_cfg
from safetensors.torch import load_file, save_file

from . import from_open_clip, from_transformers
from .case import Case

# Names of open_clip's configs and tags, which give the recipe: QuickGELU or GELU, squashed images or not.
OPEN_CLIP = [
    ("ViT-B-16-quickgelu", "dfn2b"),
    ("ViT-L-14-quickgelu", "dfn2b"),
    ("ViT-L-14", "dfn2b_s39b"),
    ("ViT-H-14-quickgelu", "dfn5b"),
    ("ViT-H-14-378-quickgelu", "dfn5b"),
    ("ViT-B-32", "datacomp_xl_s13b_b90k"),
    ("ViT-B-32-256", "datacomp_s34b_b86k"),
    ("ViT-B-16", "datacomp_xl_s13b_b90k"),
    ("ViT-L-14", "datacomp_xl_s13b_b90k"),
]
# `CLIPModel`s with 248 positions in one table: the base text config of a ViT-L/14, and its image sizes.
TEXT_L = dict(
    hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=1, max_position_embeddings=248
)
VISION_L = dict(
    hidden_size=1024, intermediate_size=4096, num_attention_heads=16, num_hidden_layers=1, patch_size=14
)


def cases(images):
    yield from (of_open_clip(images, model, tag) for model, tag in OPEN_CLIP)
    # Without its config, QuickGELU is assumed, which a note says.
    yield of_open_clip(images, "ViT-B-16-quickgelu", "dfn2b", from_open_clip.bare)
    gelu = ("--no-stretch", "--activation", "gelu")
    yield of_open_clip(images, "ViT-B-16", "datacomp_xl_s13b_b90k", from_open_clip.bare, gelu)
    long_clip = functools.partial(with_two_tables, images)
    yield long_clip("HiMo-CLIP L/14", "ViT-L-14-quickgelu", "himo-clip_L.pt")
    yield long_clip("SmartCLIP L/14", "ViT-L-14-quickgelu", "smartclip_l.pt", from_open_clip.with_mask_net)
    yield long_clip("Long-CLIP L/14 at 336 px", "ViT-L-14-336-quickgelu", "longclip-L@336px.pt")
    yield long_clip("zer0int's GmP L/14", "ViT-L-14-quickgelu", "ft-state_dict.pt", from_open_clip.with_gmp)
    converted = functools.partial(of_transformers, images)
    yield converted("zer0int's GmP L/14 for transformers", 224)
    yield converted("zer0int's SAE L/14 for transformers", 224, with_position_ids)
    yield converted("Felldude's L/14 at 336 px for transformers", 336)


def of_open_clip(images, model, tag, change=None, flags=("--no-stretch",)):
    def make(folder):
        pretrained = get_pretrained_cfg(model, tag)
        recipe = {key: pretrained[key] for key in ("mean", "std", "interpolation", "resize_mode")}
        write(folder, model, recipe)
        oracle = from_open_clip.compute(folder, images)
        if change:
            change(folder)
        return folder, oracle

    return Case(f"published: {model} {tag}" + (", without its config" if change else ""), make, flags=flags)


def write(folder, model, recipe, dtype=torch.float16, **text):
    """One of open_clip's models as a repository of the hub holds it; returns its tensors."""
    folder.mkdir(parents=True)
    config = get_model_config(model)
    config["vision_cfg"]["layers"] = config["text_cfg"]["layers"] = 1
    config["text_cfg"].update(text)
    tensors = {name: tensor.to(dtype) for name, tensor in from_open_clip.build(config).state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    whole = {"model_cfg": config, "preprocess_cfg": recipe}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    return tensors


def with_two_tables(images, name, model, file, change=lambda tensors: tensors):
    """A file of `torch.save` with Long-CLIP's two tables of positions; open_clip reads them joined after 20 rows."""

    def make(folder):
        # Directions of GmP are not exact in f16.
        dtype = torch.float32 if change is from_open_clip.with_gmp else torch.float16
        tensors = write(folder, model, from_open_clip.PREPROCESS, dtype, context_length=248)
        first = tensors["positional_embedding"]
        second = (torch.randn(first.shape, generator=torch.Generator().manual_seed(3)) * 0.7).to(dtype)
        stored = folder / "open_clip_model.safetensors"
        save_file({**tensors, "positional_embedding": torch.cat([first[:20], second[20:]])}, stored)
        oracle = from_open_clip.compute(folder, images)
        stored.unlink()
        from_open_clip.bare(folder)
        torch.save(change({**tensors, "positional_embedding_res": second}), folder / file)
        return folder / file, oracle

    return Case(f"published: {name}", make)


def of_transformers(images, name, size, change=lambda tensors: tensors):
    def make(folder):
        sides = {"height": size, "width": size}
        from_transformers.write(
            folder,
            TEXT_L,
            {**VISION_L, "image_size": size},
            dict(size={"shortest_edge": size}, crop_size=sides),
            projection_dim=768,
        )
        oracle = from_transformers.compute(folder, images)
        from_transformers.rewrite(folder, change)
        return folder, oracle

    return Case(f"published: {name}", make)


def with_position_ids(tensors):
    """Versions of transformers before 4.31 also wrote the numbers of the positions."""
    ids = {"text_model": 248, "vision_model": tensors["vision_model.embeddings.position_embedding.weight"].shape[0]}
    numbers = {f"{tower}.embeddings.position_ids": torch.arange(n).unsqueeze(0) for tower, n in ids.items()}
    return {**tensors, **numbers}
