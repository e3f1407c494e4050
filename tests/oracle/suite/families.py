"""Other models than CLIP, made by transformers and open_clip: each must be refused by its name."""

import functools

import torch
import transformers
from open_clip import CoCa, get_model_config
from open_clip.model import CLIP, CustomTextCLIP
from safetensors.torch import save_file

from .case import Case

TEXT = dict(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=16,
    vocab_size=100,
)
VISION = dict(
    hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
)

# The name of transformers' classes, and what the refusal says.
TRANSFORMERS = {
    "AltCLIP": "AltCLIP",
    "ChineseCLIP": "Chinese-CLIP",
    "Siglip": "SigLIP",
    "Siglip2": "SigLIP",
    "Blip": "BLIP",
    "OwlViT": "OWL-ViT",
    "Owlv2": "OWL-ViT",
    "CLIPSeg": "CLIPSeg",
    "XCLIP": "X-CLIP",
    # Without its tokenizer; with it, it is one of `multilingual.py`.
    "MetaClip2": "MetaCLIP 2",
    "Aimv2": "AIMv2",
}
# Names of open_clip's configs.
OPEN_CLIP = {
    "RN50": "ResNet",
    "MobileCLIP-S1": "MobileCLIP",
    "MobileCLIP2-S0": "MobileCLIP",
    "MobileCLIP2-S3": "MobileCLIP",
    "MobileCLIP-B": "MobileCLIP B",
    "EVA02-B-16": "EVA",
    "PE-Core-T-16-384": "Perception Encoder",
    "ViT-B-16-SigLIP": "SigLIP",
    "ViTamin-S": "ViTamin",
    "convnext_tiny": "ConvNeXt",
    "swin_base_patch4_window7_224": "Swin",
    "coca_ViT-B-32": "CoCa",
    "vit_medium_patch16_gap_256": "layer scale",
    "vit_relpos_medium_patch16_cls_224": "relative positions",
    "ViT-H-14-CLIPA": "CLIPA",
}


def cases(images):
    yield from (of_transformers(name, said) for name, said in TRANSFORMERS.items())
    yield from (of_open_clip(name, said) for name, said in OPEN_CLIP.items())
    yield refused(
        "a CLIP's text tower without its projection",
        lambda: transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT)),
        "tower",
    )
    yield refused(
        "a CLIP's image tower without its projection",
        lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION)),
        "tower",
    )
    bert = lambda: transformers.BertModel(
        transformers.BertConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=100
        )
    )
    yield refused("a BERT", bert, "BERT")
    dino = lambda: transformers.Dinov2Model(
        transformers.Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    )
    yield refused("a DINOv2", dino, "DINO")


def refused(name, build, said):
    def make(folder):
        build().save_pretrained(folder)
        return folder, None

    return Case(f"family: {name}", make, "refused", (said,))


def of_transformers(name, said):
    def build():
        config = getattr(transformers, name + "Config")(text_config=dict(TEXT), vision_config=dict(VISION))
        return getattr(transformers, name + "Model")(config)

    return refused(f"transformers' {name}", build, said)


def of_open_clip(name, said):
    """Only names and shapes matter, so all numbers are zeros, and layers are as few as the config allows."""

    def make(folder):
        folder.mkdir(parents=True)
        config = get_model_config(name)
        vision, text = config["vision_cfg"], config["text_cfg"]
        if isinstance(vision.get("layers"), int):
            vision.update(layers=1, width=64, head_width=32)
        if isinstance(vision.get("layers"), list):
            vision.update(layers=[1, 1, 1, 1], width=32)
        text.update(layers=1, vocab_size=min(text.get("vocab_size", 49408), 32000) if "CLIPA" in name else 100)
        is_custom = config.pop("custom_text", False)
        if "multimodal_cfg" in config:
            config["multimodal_cfg"]["layers"] = 1
        build = CoCa if "multimodal_cfg" in config else CustomTextCLIP if is_custom else CLIP
        with torch.device("meta"):
            shapes = {key: value.shape for key, value in build(**config).state_dict().items()}
        save_file(
            {key: torch.zeros(shape, dtype=torch.float16) for key, shape in shapes.items()},
            folder / "open_clip_model.safetensors",
        )
        return folder, None

    return Case(f"family: open_clip's {name}", make, "refused", (said,))
