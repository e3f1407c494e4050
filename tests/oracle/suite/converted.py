"""Models that `longclip model convert` writes: the other library must read them and compute what `longclip` computes of
the converted model, and `longclip` must compute the same of it as of the original.
"""

import functools
import json

import numpy as np
from open_clip.constants import OPENAI_DATASET_MEAN
from open_clip.transform import image_transform
from transformers import CLIPImageProcessorPil

from . import from_open_clip, from_transformers
from .case import TOLERANCE, Case, distance, embeddings, run

TARGETS = ("safetensors", "hf", "openclip")


def cases(images):
    of_open_clip = functools.partial(of, "open_clip", from_open_clip.write)
    of_transformers = functools.partial(of, "transformers", from_transformers.write)
    yield from of_open_clip("as it is")
    yield from of_open_clip("QuickGELU", top={"quick_gelu": True})
    yield from of_open_clip("a custom text tower", top={"custom_text": True})
    yield from of_open_clip("48 px", vision={"image_size": 48, "patch_size": 16})
    yield from of_open_clip("heads of 48", vision={"head_width": 48}, text={"heads": 2})
    yield from of_open_clip("MLPs of other widths", vision={"mlp_ratio": 3.0}, text={"mlp_ratio": 1.5})
    yield from of_open_clip("248 positions", text={"context_length": 248})
    yield from of_open_clip("eps 0.1 and tanh", vision={"norm_kwargs": {"eps": 0.1}}, text={"act_kwargs": TANH})
    yield from of_open_clip("averaged patches", without=("hf",), vision={"pool_type": "avg"})
    yield from of_open_clip("no first norm", without=("hf",), vision={"no_ln_pre": True})
    yield from of_open_clip("no causal mask", without=("hf",), text={"no_causal_mask": True, "pool_type": "last"})
    yield from of_open_clip("squashed and bilinear", preprocess={"resize_mode": "squash", "interpolation": "bilinear"})
    yield from of_open_clip("longest edge", without=("hf",), preprocess={"resize_mode": "longest", "fill_color": 9})
    yield from of_open_clip("mean of a half", preprocess={"mean": [0.5] * 3, "std": [0.25] * 3})
    timm = {**from_open_clip.SMALL_VIT, "timm_pool": "token"}
    yield from of_open_clip(
        "an image tower of timm", replaced_vision={**timm, "timm_proj": "linear"}, top={"custom_text": True}
    )
    yield from of_open_clip(
        "an image tower of timm with a biased projection",
        without=("hf", "openclip"),
        replaced_vision={**timm, "timm_proj": None},
        top={"custom_text": True},
    )
    yield from of_transformers("as it is")
    yield from of_transformers("GELU", text={"hidden_act": "gelu"}, vision={"hidden_act": "gelu"})
    yield from of_transformers("GELU in one tower", without=("openclip",), vision={"hidden_act": "gelu"})
    yield from of_transformers("eps 0.1", text={"layer_norm_eps": 0.1})
    yield from of_transformers("another end token", text={"eos_token_id": 320})
    yield from of_transformers("resized to more", without=("openclip",), preprocess={"size": {"shortest_edge": 40}})
    yield from of_transformers("rescaled by 1/127.5", preprocess={"rescale_factor": 1 / 127.5})
    yield from (converted(f"nano to {target}", lambda folder: "nano", target) for target in TARGETS)


TANH = {"approximate": "tanh"}


def of(library, write, name, without=(), **changes):
    """The model of this library in every target; those that have no word for it must be refused."""

    def make(folder):
        write(folder, **changes)
        return folder

    for target in TARGETS:
        yield converted(f"{library}'s {name} to {target}", make, target, target in without)


def converted(name, make, target, is_refused=False):
    def then(binary, model, images):
        folder = images[0].parent / "model"
        folder.mkdir(exist_ok=True)
        path = folder / ("converted.safetensors" if target == "safetensors" else "converted")
        code, _, err = run(binary, ["model", "convert", model, "--to", target, "-o", path])
        if code != 0:
            return code, err
        case = Case(name, make)
        original, refusal = embeddings(binary, case, model, images, case.texts)
        assert not refusal, refusal
        again, refusal = embeddings(binary, case, path, images, case.texts)
        assert not refusal, refusal
        worst = max(distance([again[key]], [vector]) for key, vector in original.items())
        assert worst <= TOLERANCE, f"the converted model is {worst:.2g} apart"
        oracle = {"safetensors": itself, "hf": by_transformers, "openclip": by_open_clip}[target]
        return oracle(path, images, original)

    expect = "refused" if is_refused else "equal"
    return Case(f"converted: {name}", lambda folder: (make(folder), None), expect, ("has no word for",), then=then)


def itself(path, images, original):
    """No other program reads Long-CLIP's names: the embeddings of the original, which have been compared."""
    keys = [str(path) for path in images]
    texts = [key for key in original if key not in keys]
    rows = lambda keys: np.array([original[key] for key in keys])
    return from_open_clip.Oracle(rows(keys), rows(texts))


def by_transformers(path, images, original):
    """transformers has no word for how OpenAI's CLIP rounds the place of its crop: of a model that is prepared so, its own
    processor must only open the folder."""
    processor = CLIPImageProcessorPil.from_pretrained(path)
    own = json.loads((path / "config.json").read_text()).get("longclip", {}).get("recipe", {}).get("pixels", {})
    as_clip = {"centre": "torchvision", "resize": "shortest", "filter": "bicubic", "rescale": "by255"}
    if as_clip.items() <= own.items() and tuple(processor.image_mean) == OPENAI_DATASET_MEAN:
        prepare = image_transform(processor.crop_size["height"], is_train=False)
        processor = lambda image, **options: {"pixel_values": prepare(image).unsqueeze(0)}
    return from_transformers.compute(path, images, processor=processor)


def by_open_clip(path, images, original):
    return from_open_clip.compute(path, images)
