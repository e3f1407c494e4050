"""CLIPs as transformers writes and computes them: `config.json`, `preprocessor_config.json` and the tokenizer's files.

Each case changes one thing of a tiny CLIP, saves the folder with transformers, reads it back with transformers, and
takes the numbers of `get_image_features` and `get_text_features`.
"""

import functools
import gzip
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from .case import LONG_TEXT, TEXTS, Case, Oracle
from .random_weights import fill

TEXT = dict(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=77,
    vocab_size=49408,
    eos_token_id=49407,
    bos_token_id=49406,
    pad_token_id=49407,
)
VISION = dict(
    hidden_size=96, intermediate_size=128, num_hidden_layers=2, num_attention_heads=3, image_size=32, patch_size=8
)
PREPROCESS = dict(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


@functools.cache
def tokenizer():
    """CLIP's tokenizer from the merges that open_clip ships."""
    path = Path(open_clip.tokenizer.default_bpe())
    lines = gzip.open(path).read().decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
    merges = [tuple(line.split()) for line in lines]
    letters = list(open_clip.tokenizer.bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=merges)


@functools.cache
def tokenizer_folder():
    """The tokenizer's files, written once."""
    folder = Path(tempfile.mkdtemp(prefix="longclip-oracle-tokenizer-"))
    tokenizer().save_pretrained(folder)
    return folder


def config(text=None, vision=None, **top):
    towers = dict(text_config={**TEXT, **(text or {})}, vision_config={**VISION, **(vision or {})})
    return CLIPConfig(**{"projection_dim": 32, **towers, **top})


def edit_json(path, edit):
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values, indent=2))


def write(folder, text=None, vision=None, preprocess=None, dtype=None, edit=None, edit_preprocess=None, **top):
    """A whole folder as `save_pretrained` writes it, with edits of the JSON afterwards."""
    folder.mkdir(parents=True)
    model = fill(CLIPModel(config(text, vision, **top)))
    if dtype:
        model = model.to(dtype)
    model.save_pretrained(folder)
    CLIPImageProcessorPil(**{**PREPROCESS, **(preprocess or {})}).save_pretrained(folder)
    for file in tokenizer_folder().iterdir():
        os.link(file, folder / file.name)
    if edit:
        edit_json(folder / "config.json", edit)
    if edit_preprocess:
        edit_json(folder / "preprocessor_config.json", edit_preprocess)
    return folder


def features(output):
    return (output if isinstance(output, torch.Tensor) else output.pooler_output).float().numpy()


@torch.no_grad()
def compute(folder, images, texts=(*TEXTS, LONG_TEXT), processor=None):
    """What transformers computes with the folder."""
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = processor or CLIPImageProcessorPil.from_pretrained(folder)
    pixels = torch.cat([processor(Image.open(path), return_tensors="pt")["pixel_values"] for path in images])
    image_rows = features(model.get_image_features(pixel_values=pixels.float()))
    text_rows = text_features(model.get_text_features, model.config.text_config.max_position_embeddings, texts)
    return Oracle(image_rows, text_rows, float(model.logit_scale.exp()))


def text_features(encode, length, texts):
    rows = []
    for text in texts:
        ids = tokenizer()(text, truncation=True, max_length=length, return_tensors="pt")["input_ids"]
        rows.append(features(encode(input_ids=ids)))
    return np.concatenate(rows)


def hf(images, name, expect="equal", says=(), **changes):
    def make(folder):
        write(folder, **changes)
        return folder, None if expect == "refused" else compute(folder, images)

    return Case(f"transformers: {name}", make, expect, says, flags=("--no-stretch",))


def removed(*keys):
    """An edit that removes keys such as `text_config.hidden_act`."""

    def edit(values):
        for key in keys:
            *path, last = key.split(".")
            inside = values
            for part in path:
                inside = inside[part]
            inside.pop(last, None)

    return edit


def replaced(**new):
    return lambda values: values.update(new)


def cases(images):
    case = functools.partial(hf, images)
    return [
        case("as it is"),
        *towers(case),
        *activations(case),
        *texts_and_tokens(case),
        *configs(case),
        *preprocessing(case),
        *layouts(images),
        *fg_clip(images),
        *one_tower(images),
    ]


def towers(case):
    for heads in (1, 2, 6):
        yield case(f"{heads} image heads", vision=dict(num_attention_heads=heads))
    for heads in (1, 2, 8):
        yield case(f"{heads} text heads", text=dict(num_attention_heads=heads))
    for width, heads in ((64, 2), (128, 2), (80, 5)):
        yield case(f"image width {width}", vision=dict(hidden_size=width, num_attention_heads=heads))
    for width, heads in ((32, 4), (128, 2)):
        yield case(f"text width {width}", text=dict(hidden_size=width, num_attention_heads=heads))
    for layers in (1, 3):
        yield case(f"{layers} layers", text=dict(num_hidden_layers=layers), vision=dict(num_hidden_layers=layers))
    yield case("other MLP widths", text=dict(intermediate_size=256), vision=dict(intermediate_size=64))
    for eps in (1e-1, 1e-2):
        yield case(f"image eps {eps}", vision=dict(layer_norm_eps=eps))
        yield case(f"text eps {eps}", text=dict(layer_norm_eps=eps))
    for size, patch in ((48, 8), (32, 16), (40, 10), (44, 11)):
        yield case(
            f"{size} px in patches of {patch}",
            vision=dict(image_size=size, patch_size=patch),
            preprocess=dict(size={"shortest_edge": size}, crop_size={"height": size, "width": size}),
        )
    yield case(
        "33 px in patches of 8",
        "either",
        ("33", "multiple", "size"),
        vision=dict(image_size=33),
        preprocess=dict(size={"shortest_edge": 33}, crop_size={"height": 33, "width": 33}),
    )


def activations(case):
    for act in ("gelu", "gelu_new", "gelu_pytorch_tanh"):
        yield case(f"{act} in both towers", text=dict(hidden_act=act), vision=dict(hidden_act=act))
        yield case(f"{act} in the text tower", text=dict(hidden_act=act))
        yield case(f"{act} in the image tower", vision=dict(hidden_act=act))
    for act in ("gelu_fast", "gelu_accurate", "gelu_10", "relu", "silu", "mish", "tanh", "relu2"):
        yield case(f"{act} in the text tower", "either", (act, "hidden_act"), text=dict(hidden_act=act))
    yield case("relu in the image tower", "either", ("relu", "hidden_act"), vision=dict(hidden_act="relu"))


def texts_and_tokens(case):
    for length in (8, 16, 64, 78, 248):
        yield case(f"{length} positions", text=dict(max_position_embeddings=length))
    yield case("the end token by the largest id", text=dict(eos_token_id=2))
    for token in (0, 320, 49406):
        yield case(f"end token {token}", "either", ("eos_token_id",), text=dict(eos_token_id=token))
    yield case("padding token 0", text=dict(pad_token_id=0))
    for n_words in (49409, 30522, 250002):
        yield case(
            f"vocabulary of {n_words}", "refused", ("vocabulary", "49408", "tokenizer"), text=dict(vocab_size=n_words)
        )


def configs(case):
    yield case("no activation in the config", edit=removed("text_config.hidden_act", "vision_config.hidden_act"))
    yield case("no eps in the config", edit=removed("text_config.layer_norm_eps", "vision_config.layer_norm_eps"))
    yield case("no image heads in the config", edit=removed("vision_config.num_attention_heads"))
    yield case("no text heads in the config", edit=removed("text_config.num_attention_heads"))
    yield case("no end token in the config", edit=removed("text_config.eos_token_id"))
    yield case("no version in the config", edit=removed("transformers_version", "architectures"))
    yield case("dropout in the config", text=dict(attention_dropout=0.5), vision=dict(attention_dropout=0.5))
    yield case("an initial temperature in the config", logit_scale_init_value=5.0)
    yield case("an unknown key in the text config", edit=lambda values: values["text_config"].update(rotary_scale=2.0))
    for family in ("clipseg", "siglip", "altclip", "chinese_clip"):
        yield case(
            f"a config of {family}",
            "refused",
            (family.replace("_", " "), family, "chinese-clip"),
            edit=replaced(model_type=family),
        )


def preprocessing(case):
    pre = lambda name, expect="equal", says=(), **values: case(name, expect, says, preprocess=values)
    yield pre("mean of a half", image_mean=[0.5, 0.5, 0.5])
    yield pre("std of a half", image_std=[0.5, 0.5, 0.5])
    yield pre("ImageNet's mean and std", image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    yield pre("mean 0, std 1", image_mean=[0, 0, 0], image_std=[1, 1, 1])
    yield pre("resized to more than the crop", size={"shortest_edge": 40})
    yield pre("resized to less than the crop", "either", ("crop", "size"), size={"shortest_edge": 24})
    yield pre("squashed", size={"height": 32, "width": 32})
    yield pre("squashed without a crop", size={"height": 32, "width": 32}, do_center_crop=False)
    yield pre("squashed to more than the crop", size={"height": 40, "width": 36})
    yield pre(
        "longest edge",
        "either",
        ("longest", "size"),
        size={"shortest_edge": 32, "longest_edge": 48},
        do_center_crop=True,
    )
    for resample, name in ((2, "bilinear"), (0, "nearest"), (1, "Lanczos"), (4, "box"), (5, "Hamming")):
        yield pre(f"{name} resize", "equal" if resample == 2 else "either", ("resample", name), resample=resample)
    yield pre("rescaled by 1/127.5", rescale_factor=1 / 127.5)
    yield pre("not rescaled", "either", ("do_rescale",), do_rescale=False)
    yield pre("not normalised", "either", ("do_normalize",), do_normalize=False)
    yield case("sizes as numbers", edit_preprocess=replaced(size=32, crop_size=32))
    yield case("crop size as a number", edit_preprocess=replaced(crop_size=32))
    yield case("no mean in the config", edit_preprocess=removed("image_mean", "image_std"))
    yield case("no filter in the config", edit_preprocess=removed("resample"))
    yield case(
        "an old processor's name",
        edit_preprocess=lambda values: values.update(feature_extractor_type="CLIPFeatureExtractor"),
    )
    for name in ("ViTImageProcessor", "SiglipImageProcessor"):
        yield case(
            f"the config of {name}",
            "either",
            (name, "image_processor_type"),
            edit_preprocess=replaced(image_processor_type=name),
        )


def layouts(images):
    def whole(name, change, flags=("--no-stretch",), **options):
        """`change(folder)` rewrites the weights of a folder that transformers has read, and returns what to name."""

        def make(folder):
            write(folder, **options)
            oracle = compute(folder, images)
            return change(folder) or folder, oracle

        return Case(f"transformers: {name}", make, flags=flags)

    def named(pattern):
        def change(folder):
            rewrite(folder, lambda tensors: {pattern.format(name): tensor for name, tensor in tensors.items()})

        return change

    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        yield whole(f"stored as {str(dtype)[6:]}", lambda folder: None, dtype=dtype)
    yield whole("with a processor_config.json", with_processor_config)
    yield whole("in shards", functools.partial(shards, "safetensors"))
    yield whole("in shards of PyTorch", functools.partial(shards, "bin"))
    yield whole(
        "by the name of an index",
        lambda folder: shards("safetensors", folder) or folder / "model.safetensors.index.json",
    )
    yield whole(
        "by the name of an index of PyTorch",
        lambda folder: shards("bin", folder) or folder / "pytorch_model.bin.index.json",
    )
    yield whole("as pytorch_model.bin", lambda folder: torch_file(folder, "pytorch_model.bin", lambda tensors: tensors))
    for prefix in (
        "module.",
        "model.",
        "clip.",
        "net.",
        "base_model.model.",
        "student.",
        "_orig_mod.",
        "model.module.",
    ):
        yield whole(f"with the prefix {prefix}", named(prefix + "{}"))
    holders = ("state_dict", "model", "model_state_dict", "module", "ema", "params_ema", "net", "student")
    for holder in holders:
        yield whole(
            f"held by {holder}",
            lambda folder, holder=holder: torch_file(
                folder, "checkpoint.pt", lambda tensors: {"epoch": 3, holder: tensors, "lr": 0.1}
            ),
        )
    yield whole("averaged", lambda folder: torch_file(folder, "averaged.pt", averaged))
    yield whole(
        "half a holder, half a prefix",
        lambda folder: torch_file(
            folder,
            "checkpoint.ckpt",
            lambda tensors: {"state_dict": {"model." + name: tensor for name, tensor in tensors.items()}},
        ),
    )
    yield whole("by its file", lambda folder: folder / "model.safetensors")


def averaged(tensors):
    return {"n_averaged": torch.tensor(7), **{"module." + name: tensor for name, tensor in tensors.items()}}


def with_processor_config(folder):
    processor = CLIPProcessor(CLIPImageProcessorPil.from_pretrained(folder), CLIPTokenizer.from_pretrained(folder))
    (folder / "preprocessor_config.json").unlink()
    processor.save_pretrained(folder)


def load(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def rewrite(folder, change):
    tensors = change(load(folder))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def torch_file(folder, name, hold):
    torch.save(hold(load(folder)), folder / name)
    (folder / "model.safetensors").unlink()
    return folder / name


def shards(ending, folder):
    """Two shards and their index, as `save_pretrained` with a small `max_shard_size`, also of PyTorch's files."""
    tensors = load(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    stem = "model" if ending == "safetensors" else "pytorch_model"
    weight_map = {}
    for i, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"{stem}-{i:05}-of-00002.{ending}"
        held = {name: tensors[name] for name in part}
        save_file(held, folder / file) if ending == "safetensors" else torch.save(held, folder / file)
        weight_map |= {name: file for name in part}
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps(index))


def fg_clip(images):
    """FG-CLIP v1: a CLIP for short texts, with tables and a projection for long ones; its images are squashed first."""

    def squashed(folder):
        processor = CLIPImageProcessorPil.from_pretrained(folder)
        return lambda image, **options: processor(image.convert("RGB").resize((32, 32)), **options)

    def case(name, is_long, flags):
        def make(folder):
            write(folder)
            short, tensors = compute(folder, images, processor=squashed(folder)), load(folder)
            draw = lambda *shape: torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) * 0.5
            first, second, projection = draw(248, 64), draw(248, 65)[:, 1:].contiguous(), draw(32, 64)
            name_of = "text_model.embeddings.position_embedding{}.weight".format
            model = CLIPModel(config(text={"max_position_embeddings": 248}))
            joined = torch.cat([first[:20], second[20:]])
            model.load_state_dict(
                {**tensors, name_of(""): joined, "text_projection.weight": projection}, strict=False
            )
            with torch.no_grad():
                rows = text_features(model.eval().get_text_features, 248, (*TEXTS, LONG_TEXT))
            own = {
                name_of("_ori"): first,
                name_of("_res"): second,
                "text_filip_projection.weight": projection,
                "logit_scale_finegraind": torch.tensor(4.6),
                "logit_scale_hardneg": torch.tensor(4.6),
            }
            rewrite(folder, lambda tensors: {**tensors, **own})
            return folder, Oracle(short.images, rows, short.logit_scale) if is_long else short

        return Case(f"transformers: {name}", make, flags=flags)

    yield case("FG-CLIP", True, ())
    yield case("FG-CLIP, short texts", False, ("--positions", "short"))


def one_tower(images):
    """Files with one tower; what can't be computed without the other is refused."""

    def text_only(folder):
        write(folder)
        tower = fill(CLIPTextModelWithProjection(config().text_config), seed=1)
        tower.save_pretrained(folder)
        with torch.no_grad():
            rows = text_features(lambda input_ids: tower(input_ids=input_ids).text_embeds, 77, (*TEXTS, LONG_TEXT))
        return folder, Oracle(None, rows)

    def image_only(folder):
        write(folder)
        tower = fill(CLIPVisionModelWithProjection(config().vision_config), seed=1)
        tower.save_pretrained(folder)
        processor = CLIPImageProcessorPil.from_pretrained(folder)
        pixels = torch.cat([processor(Image.open(path), return_tensors="pt")["pixel_values"] for path in images])
        with torch.no_grad():
            rows = tower(pixel_values=pixels).image_embeds.numpy()
        return folder, Oracle(rows, None)

    says = ("tower",)
    yield Case("transformers: a text tower alone", text_only, "either", says, ("--no-stretch",))
    yield Case("transformers: an image tower alone", image_only, "either", says)
