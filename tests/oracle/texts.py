"""Compares the token ids of random texts from `longclip tokens` with ftfy and CLIP's byte-pair encoding. See README.md."""
import argparse
import html
import json
import random
import subprocess
import sys

import ftfy
import regex
from open_clip.tokenizer import SimpleTokenizer

START, END, CONTEXT = 49406, 49407, 248
# open_clip spells special tokens differently from CLIP, so these texts contain none.
PIECES = """cat Dog CAFÉ naïve don't it's WE'LL l'été &amp; &lt;b&gt; &eacute; &#233; &#x1F600; &nbsp; Ã© â€™ ï»¿ ﬁ ﬀ 😀 👨‍👩‍👧 🇩🇪 日本語
한국어 Привет مرحبا שלום हिन्दी ß ẞ İ ı Σς １２３ ½ ² № … — ‘x’ “y” !!! ??? ... a_b foo@bar.com http://x.y/z?q=1&copy=2 3.14 1,000 #tag $5 100% C++
ﾊﾝ Ａ &ampamp; &notit; &acE; &ThickSpace; &#128; &#0; &#xD800; &#1234567890; Â£ â‚¬ schÃ¶n 's 'S ''re 've'm""".split()
PIECES += ["\t", "\n", "\r\n", "\x07", "\x1b[31mred\x1b[0m", "\u200b", "\u00ad", "\ufeff", "\u2028", "\u3000", "\x85", "\x92", "e\u0301", "\u0130\u0307", "voilÃ\xa0", "â€œhelloâ€\x9d"]
RANGES = [(32, 127), (160, 0x250), (0x250, 0xD7FF), (0xE000, 0x1FFFF)]


def clean(text):
    """Cleans a text as CLIP's tokenizer does."""
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return regex.sub(r"\s+", " ", text).strip().lower()


def draw(rnd):
    out = ""
    for _ in range(rnd.choice([1, 2, 3, 5, 8, 13, 30, 120])):
        kind = rnd.random()
        if kind < 0.6:
            out += rnd.choice(PIECES)
        elif kind < 0.75:
            out += chr(rnd.randrange(*rnd.choice(RANGES)))
        elif kind < 0.85:
            out += "".join(chr(rnd.randrange(97, 123)) for _ in range(rnd.randrange(1, 12)))
        else:
            out += chr(rnd.randrange(0x80, 0x100))
        out += rnd.choice(["", "", "", " ", "  ", "\n"])
    return out


def expected(tokenizer, text):
    ids = [START, *tokenizer.encode(text), END]
    return (ids if len(ids) <= CONTEXT else [*ids[: CONTEXT - 1], END]), len(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/longclip")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    opt = parser.parse_args()
    tokenizer, rnd, n_wrong = SimpleTokenizer(), random.Random(opt.seed), 0
    tokenizer.clean_fn = clean
    texts = [draw(rnd) for _ in range(opt.count)]
    for first in range(0, len(texts), 100):
        some = texts[first : first + 100]
        said = subprocess.run([opt.binary, "tokens", "-q", "--format", "json", "--", *some], check=True, capture_output=True).stdout
        for text, found in zip(some, json.loads(said), strict=True):
            ids, count = expected(tokenizer, text)
            if (found["ids"], found["count"]) != (ids, count):
                n_wrong += 1
                print(f"{text!r}\n  cleaned  {clean(text)!r}\n  expected {count} {ids}\n  found    {found['count']} {found['ids']}")
    print(f"{len(texts) - n_wrong} of {len(texts)} texts give the same ids")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
