"""MetaCLIP 2 (worldwide): a CLIP with the tokenizer of XLM-V. Here it has a small vocabulary, made up, in a
`tokenizer.json` that transformers writes.
"""

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, normalizers
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    MetaClip2Config,
    MetaClip2Model,
    MetaClip2TextModelWithProjection,
    MetaClip2VisionModelWithProjection,
    PreTrainedTokenizerFast,
    XLMRobertaTokenizer,
)

from . import from_transformers
from .case import LONG_TEXT, Case, Oracle
from .random_weights import fill

TEXTS = (
    "a cat",
    "A photo of TWO dogs  & a ball, on the beach.",
    "Ein Foto von zwei Hunden, die über eine Straße laufen",
    "猫の写真、ﬁne ① Ａ",
    "صورة قطة 🙂",
    "a cat</s> and what follows the end token",
    LONG_TEXT,
)
WORDS = "a cat dog s photo of two the and on with table wooden red cup Foto ein zwei Hund en die über 猫 写真 の صورة قطة".split()
EQUAL = 1e-5


def tokenizer():
    """Pieces of a word, some of them with a space before, each with the logarithm of its probability."""
    letters = sorted({letter for text in TEXTS[:4] for letter in text if not letter.isspace()})
    pieces = ["▁", *letters, *WORDS, *("▁" + word for word in WORDS)]
    pieces = list(dict.fromkeys(pieces))
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    scores = [(piece, -3.0 - i / 7 if len(piece) > 1 else -9.0 - i / 7) for i, piece in enumerate(pieces)]
    return XLMRobertaTokenizer(vocab=[*special, *scores, ("<mask>", 0.0)])


def config(tokenizer, text=None, **top):
    ids = dict(vocab_size=len(tokenizer), bos_token_id=0, pad_token_id=1, eos_token_id=2)
    return MetaClip2Config(
        text_config={**from_transformers.TEXT, **ids, **(text or {})},
        vision_config=from_transformers.VISION,
        projection_dim=32,
        **top,
    )


def write(folder, model):
    folder.mkdir(parents=True)
    fill(model).save_pretrained(folder)
    CLIPImageProcessorPil(**from_transformers.PREPROCESS).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def image_rows(folder, images, encode):
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    pixels = torch.cat([processor(Image.open(path), return_tensors="pt")["pixel_values"] for path in images])
    return from_transformers.features(encode(pixel_values=pixels.float()))


def text_rows(folder, length, encode, read=AutoTokenizer.from_pretrained):
    made = read(folder)
    ids = [made(text, truncation=True, max_length=length, return_tensors="pt")["input_ids"] for text in TEXTS]
    return np.concatenate([from_transformers.features(encode(input_ids=row)) for row in ids])


def normalised(folder):
    """Changes the file to one that normalises characters, and reads it with the class that does all that a file says."""
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.save(str(folder / "tokenizer.json"))
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


@torch.no_grad()
def compute(folder, images, read):
    model = MetaClip2Model.from_pretrained(folder).eval()
    length = model.config.text_config.max_position_embeddings
    texts = text_rows(folder, length, model.get_text_features, read)
    return Oracle(image_rows(folder, images, model.get_image_features), texts, float(model.logit_scale.exp()))


def cases(images):
    def case(name, expect="equal", says=(), change=None, is_normalised=False, **text):
        def make(folder):
            write(folder, MetaClip2Model(config(tokenizer(), text)))
            oracle = compute(folder, images, normalised if is_normalised else AutoTokenizer.from_pretrained)
            return (change(folder) if change else None) or folder, oracle

        return Case(f"MetaCLIP 2: {name}", make, expect, says, ("--no-stretch",), texts=TEXTS, tolerance=EQUAL)

    yield case("as it is")
    yield case("GELU in the text tower", hidden_act="gelu")
    yield case("16 positions", max_position_embeddings=16)
    yield case("a normalisation of characters", is_normalised=True)
    yield case("another end token", eos_token_id=7)
    yield case("the file by its name", change=lambda folder: folder / "model.safetensors")
    yield case(
        "without its tokenizer", "refused", ("tokenizer.json",), lambda folder: (folder / "tokenizer.json").unlink()
    )
    yield case(
        "a broken tokenizer",
        "refused",
        ("not a tokenizer",),
        lambda folder: (folder / "tokenizer.json").write_text('{"model": {"type": "Unigram"}}') and None,
    )
    yield Case("MetaCLIP 2: a text tower alone", text_only, flags=("--no-stretch",), texts=TEXTS)
    yield Case("MetaCLIP 2: an image tower alone", lambda folder: image_only(folder, images))


@torch.no_grad()
def text_only(folder):
    tower = MetaClip2TextModelWithProjection(config(tokenizer()).text_config)
    write(folder, tower)
    return folder, Oracle(None, text_rows(folder, 77, lambda input_ids: tower(input_ids=input_ids).text_embeds))


@torch.no_grad()
def image_only(folder, images):
    tower = MetaClip2VisionModelWithProjection(config(tokenizer()).vision_config)
    write(folder, tower)
    rows = image_rows(folder, images, lambda pixel_values: tower(pixel_values=pixel_values).image_embeds)
    return folder, Oracle(rows, None)
