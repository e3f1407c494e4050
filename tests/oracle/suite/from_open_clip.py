"""CLIPs as open_clip writes and computes them: `open_clip_config.json` with `model_cfg` and `preprocess_cfg`.

Each case changes one thing of a tiny CLIP, writes the folder, reads it back with open_clip's factory, and takes the
numbers of `encode_image` and `encode_text`.
"""

import copy
import functools
import json
import re

import open_clip
import torch
from open_clip.model import CLIP, CustomTextCLIP
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.layers import LayerNorm
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer

from .case import LONG_TEXT, TEXTS, Case, Oracle
from .random_weights import fill

MODEL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 96, "head_width": 32, "patch_size": 8, "mlp_ratio": 2.0},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 2, "mlp_ratio": 2.0},
}
PREPROCESS = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def merged(vision, text, top, replaced_vision):
    config = copy.deepcopy(MODEL)
    if replaced_vision:
        config["vision_cfg"] = dict(replaced_vision)
    config["vision_cfg"].update(vision or {})
    config["text_cfg"].update(text or {})
    config.update(top or {})
    return config


def build(config):
    config = copy.deepcopy(config)
    is_custom = config.pop("custom_text", False)
    model = CustomTextCLIP(**config) if is_custom else CLIP(**config)
    return fill(model)


def write(folder, vision=None, text=None, preprocess=None, top=None, replaced_vision=None):
    folder.mkdir(parents=True)
    config = merged(vision, text, top, replaced_vision)
    save_file(build(config).state_dict(), folder / "open_clip_model.safetensors")
    whole = {"model_cfg": config, "preprocess_cfg": {**PREPROCESS, **(preprocess or {})}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole, indent=2))
    return folder


@torch.no_grad()
def compute(folder, images, texts=(*TEXTS, LONG_TEXT)):
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    model = model.eval().float()
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(list(texts))
    pixels = torch.stack([preprocess(Image.open(path)) for path in images])
    return Oracle(model.encode_image(pixels).numpy(), model.encode_text(tokens).numpy(), float(model.logit_scale.exp()))


def oc(images, name, expect="equal", says=(), flags=("--no-stretch",), change=None, **changes):
    def make(folder):
        write(folder, **changes)
        if change:
            change(folder)
        return folder, None if expect == "refused" else compute(folder, images)

    return Case(f"open_clip: {name}", make, expect, says, flags)


def cases(images):
    case = functools.partial(oc, images)
    return [
        case("as it is"),
        case("with a custom text tower", top={"custom_text": True}),
        *towers(case),
        *blocks(case),
        *pooling(case),
        *preprocessing(case),
        *files(images),
        *two_tables(images),
        *timm(case),
    ]


def towers(case):
    yield case("QuickGELU", top={"quick_gelu": True})
    yield case("QuickGELU in a custom text tower", top={"quick_gelu": True, "custom_text": True})
    for width in (16, 48, 96):
        yield case(f"image heads {width} wide", vision={"head_width": width})
    for heads in (1, 2, 8):
        yield case(f"{heads} text heads", text={"heads": heads})
    yield case("MLPs three times as wide", vision={"mlp_ratio": 3.0}, text={"mlp_ratio": 1.5})
    yield case("48 px in patches of 16", vision={"image_size": 48, "patch_size": 16})
    yield case("33 px in patches of 8", "either", ("33", "size", "multiple"), vision={"image_size": 33})
    yield case("39 px in patches of 13", vision={"image_size": 39, "patch_size": 13})
    yield case("an image of 32 by 48 px", "either", ("square", "image_size"), vision={"image_size": [32, 48]})
    for length in (16, 64, 248):
        yield case(f"{length} positions", text={"context_length": length})
    yield case("a patch dropout", vision={"patch_dropout": 0.5})
    for heads in ("vision_cfg", "text_cfg"):
        yield case(f"tanh GELU in {heads}", **{heads[:-4]: {"act_kwargs": {"approximate": "tanh"}}})
        yield case(f"eps 0.1 in {heads}", **{heads[:-4]: {"norm_kwargs": {"eps": 0.1}}})
    yield case("vocabulary of 49409", "refused", ("vocabulary", "49408", "tokenizer"), text={"vocab_size": 49409})
    yield case("a bias of the logits", "either", ("logit_bias",), top={"init_logit_bias": -10.0})


def blocks(case):
    for cfg, other in (("vision", "image"), ("text", "text")):
        for key, value in {
            "ls_init_value": 0.3,
            "qk_norm": True,
            "scaled_cosine_attn": True,
            "scale_heads": True,
            "scale_attn_inner": True,
            "scale_attn": True,
            "scale_fc": True,
        }.items():
            says = (key, "layer scale", "ls_1", "attn.ln_", "attn.logit_scale", "attn.head_scale", "ln_attn", "mlp.ln")
            # open_clip 3.3 can't compute this one itself.
            expect = "refused" if key == "scaled_cosine_attn" else "either"
            yield case(f"{key} in the {other} tower", expect, says, **{cfg: {key: value}})
        yield case(f"custom blocks in the {other} tower", **{cfg: {"block_type": "custom"}})


def pooling(case):
    yield case("averaged patches", vision={"pool_type": "avg"})
    yield case("norm after the average", vision={"pool_type": "avg", "final_ln_after_pool": True})
    yield case("norm after the class token", vision={"final_ln_after_pool": True})
    yield case("no pooling", "refused", ("pool",), vision={"pool_type": "none"})
    yield case("no first norm", vision={"no_ln_pre": True})
    yield case(
        "no first norm, averaged afterwards",
        vision={"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True},
        text={"no_causal_mask": True, "pool_type": "last", "act_kwargs": {"approximate": "tanh"}},
    )
    yield case("sine positions", "either", ("pos_embed_type", "sin_cos"), vision={"pos_embed_type": "sin_cos_2d"})
    yield case(
        "pooling by attention",
        "either",
        ("attentional_pool", "attention", "attn_pool", "CoCa"),
        vision={"attentional_pool": True, "attn_pooler_heads": 4, "attn_pooler_queries": 8},
    )
    yield case("text pooling last", text={"pool_type": "last"})
    yield case("text pooling first", text={"pool_type": "first", "no_causal_mask": True})
    yield case("text pooling by the end token", text={"pool_type": "eos", "eos_id": 49407})
    yield case("text pooling by another end token", "either", ("eos_id",), text={"pool_type": "eos", "eos_id": 320})
    yield case("no causal mask", text={"no_causal_mask": True})
    yield case("no causal mask in a custom text tower", text={"no_causal_mask": True}, top={"custom_text": True})
    yield case(
        "a class embedding of texts",
        "either",
        ("embed_cls", "cls_emb", "class"),
        text={"embed_cls": True},
        top={"custom_text": True},
    )
    yield case("a bias of the text projection", text={"proj_bias": True})
    yield case("a bias of the text projection, custom text", text={"proj_bias": True}, top={"custom_text": True})
    yield case(
        "no text projection",
        "either",
        ("proj_type", "text_projection"),
        text={"proj_type": "none", "width": 32},
        top={"custom_text": True},
    )


def preprocessing(case):
    pre = lambda name, expect="equal", says=(), **values: case(name, expect, says, preprocess=values)
    yield pre("mean of a half", mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
    yield pre("bilinear resize", interpolation="bilinear")
    yield pre("squashed", resize_mode="squash")
    yield pre("squashed and bilinear", resize_mode="squash", interpolation="bilinear")
    yield pre("longest edge", resize_mode="longest")
    yield pre("longest edge, filled with grey", resize_mode="longest", fill_color=114)
    yield pre("longest edge and bilinear", resize_mode="longest", interpolation="bilinear", fill_color=255)
    yield case("39 px, where the crop is off by half a pixel", vision={"image_size": 39, "patch_size": 13})
    yield case("40 px, where the crop is off by half a pixel", vision={"image_size": 40})
    yield case("44 px, where the crop is off by half a pixel", vision={"image_size": 44, "patch_size": 11})


def files(images):
    """The same model in other files; without its config it can only be right if what was assumed is true."""

    def whole(name, change, expect="equal", says=(), **changes):
        def make(folder):
            write(folder, **changes)
            oracle = compute(folder, images)
            return change(folder) or folder, oracle

        return Case(f"open_clip: {name}", make, expect, says, ("--no-stretch",))

    def torch_file(hold, name):
        def change(folder):
            torch.save(hold(load_file(folder / "open_clip_model.safetensors")), folder / name)
            (folder / "open_clip_model.safetensors").unlink()
            return folder / name

        return change

    named = lambda prefix: lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()}
    yield whole("as open_clip_pytorch_model.bin", torch_file(lambda tensors: tensors, "open_clip_pytorch_model.bin"))
    yield whole(
        "a training checkpoint",
        torch_file(lambda tensors: {"epoch": 1, "name": "x", "state_dict": named("module.")(tensors)}, "epoch_1.pt"),
    )
    yield whole(
        "a training checkpoint, custom text",
        torch_file(lambda tensors: {"epoch": 1, "state_dict": named("module.")(tensors)}, "epoch_1.pt"),
        top={"custom_text": True},
    )
    for prefix in ("clip.", "net.", "model.", "student.", "base_model.model."):
        yield whole(f"with the prefix {prefix}", torch_file(named(prefix), "model.pt"))
    yield whole("bare, as OpenAI's", bare, **OPENAI)
    yield whole("GmP", gmp, **OPENAI)
    yield whole("SmartCLIP", smart_clip, **OPENAI)


# A model that is read rightly without its config.
OPENAI = dict(
    top={"quick_gelu": True},
    vision={"width": 128, "head_width": 64},
    text={"width": 128, "heads": 2},
)


def bare(folder):
    (folder / "open_clip_config.json").unlink()


def change_weights(folder, change):
    path = folder / "open_clip_model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor.contiguous() for name, tensor in change(tensors).items()}, path)


def gmp(folder):
    bare(folder)
    change_weights(folder, with_gmp)


def with_gmp(tensors):
    """Linear layers of the MLPs as length and direction of each row, as zer0int's fine-tunes store them."""
    changed = {}
    for name, tensor in tensors.items():
        if re.search(r"mlp\.c_(fc|proj)\.weight$", name):
            layer = name.removesuffix(".weight")
            changed[f"{layer}.r"] = tensor.norm(dim=1, keepdim=True)
            changed[f"{layer}.theta"] = tensor * 3.0
        else:
            changed[name] = tensor
    return changed


def smart_clip(folder):
    bare(folder)
    change_weights(folder, with_mask_net)


def with_mask_net(tensors):
    """The network of SmartCLIP that its training uses alone."""
    mask = {
        "mask_net.resblocks.0.ln_1.weight": torch.ones(4),
        "mask_net.attn_pool.attention.weight": torch.ones(4, 4),
        "mask_net.attn_pool.attention.bias": torch.ones(4),
    }
    return {**tensors, **mask}


def two_tables(images):
    """Files with two tables of text positions: Long-CLIP's are joined after 20 rows, DeBias-CLIP uses the first."""

    def case(name, joined, custom_text, config, flags):
        def make(folder):
            text = {"context_length": 248, **OPENAI["text"]}
            top = {"quick_gelu": True, "custom_text": custom_text}
            write(folder, text=text, vision=OPENAI["vision"], top=top)
            key = "text.positional_embedding" if custom_text else "positional_embedding"
            first = load_file(folder / "open_clip_model.safetensors")[key]
            second = torch.randn(first.shape, generator=torch.Generator().manual_seed(3)) * 0.7
            if joined:
                change_weights(folder, lambda tensors: {**tensors, key: torch.cat([first[:20], second[20:]])})
            oracle = compute(folder, images)
            change_weights(folder, lambda tensors: {**tensors, key: first, key + "_res": second})
            if not config:
                bare(folder)
            return folder, oracle

        return Case(f"open_clip: {name}", make, flags=flags)

    yield case("Long-CLIP's two tables", True, False, False, ())
    yield case("Long-CLIP's two tables with a config", True, False, True, ())
    yield case("Long-CLIP's first table", False, False, False, ("--positions", "first"))
    yield case("DeBias-CLIP", False, True, True, ())
    yield case("DeBias-CLIP without a config", False, True, False, ())
    yield case("DeBias-CLIP, joined", True, True, True, ("--positions", "joined"))


def small_vit(pretrained=False, pretrained_cfg=None, pretrained_cfg_overlay=None, cache_dir=None, **options):
    """As timm's `vit_base_patch16_clip_224`, with fewer and narrower layers."""
    model = VisionTransformer(
        img_size=32,
        patch_size=8,
        embed_dim=128,
        depth=2,
        num_heads=2,
        pre_norm=True,
        norm_layer=functools.partial(LayerNorm, eps=1e-5),
        **options,
    )
    model.default_cfg = {}
    return model


SMALL_VIT = {"timm_model_name": "vit_small_patch8_clip_32", "image_size": 32}


@register_model
def vit_small_patch8_clip_32(**options):
    return small_vit(**options)


@register_model
def vit_small_patch8_clip_quickgelu_32(**options):
    return small_vit(act_layer="quick_gelu", **options)


def timm(case):
    def vit(name, expect="equal", says=(), custom=True, text=None, preprocess=None, change=None, **keys):
        vision = {**SMALL_VIT, "timm_proj": None, "timm_pool": "token", **keys}
        changes = dict(text=text, preprocess=preprocess, replaced_vision=vision, top={"custom_text": custom})
        return case(f"timm: {name}", expect, says, change=change, **changes)

    yield vit("a plain ViT")
    yield vit("a plain ViT without a custom text tower", custom=False)
    yield vit("QuickGELU in the image tower", timm_model_name="vit_small_patch8_clip_quickgelu_32")
    yield vit("averaged by timm", timm_pool="avg")
    yield vit("a linear projection", timm_proj="linear")
    yield vit("a linear projection with a bias", timm_proj="linear", timm_proj_bias=True)
    yield vit("a linear projection after an average", timm_proj="linear", timm_pool="avg")
    yield vit("a linear projection and timm's own pooling", timm_proj="linear", timm_pool="")
    yield vit("dropped paths", timm_drop_path=0.1, timm_drop=0.0)
    mobile = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "interpolation": "bicubic"}
    yield vit("as MobileCLIP2-L/14", text={"no_causal_mask": True}, preprocess=mobile)
    yield vit("an MLP as projection", "refused", ("timm_proj",), timm_proj="mlp")
    yield vit("the largest of all patches", "refused", ("timm_pool",), timm_pool="max")
    yield vit("without its config", "refused", ("timm",), change=bare)
    other = dict(timm_model_name="vit_tiny_patch16_224", timm_proj="linear", image_size=224)
    yield vit("a ViT that is not CLIP's", "refused", ("timm",), **other)
