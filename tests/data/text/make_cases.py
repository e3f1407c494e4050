"""Makes texts that are hard to clean and to split into words, with the ids from upstream's tokenizer.

    pip install ftfy==6.3.1 regex==2026.11.19 && pip install --no-deps clip-anytorch==2.6.0
    python tests/data/text/make_cases.py few > tests/data/text/hard.json
    python tests/data/text/make_cases.py many 40000 7 > many.json     # count, seed
    python tests/data/text/make_cases.py unicode > unicode.json       # every assigned code point
    LONGCLIP_TEXT_CASES=$PWD/many.json cargo test --lib text -- --ignored upstreams_on_many
"""
import html.entities, importlib.util, json, pathlib, random, sys, unicodedata

import ftfy.bad_codecs  # registers the sloppy code pages
from ftfy import badness, chardata

CONTEXT = 248
SPECIAL = {"<|startoftext|>": 49406, "<|endoftext|>": 49407}


def upstream():
    """Loads only clip/simple_tokenizer.py, because its package needs torch."""
    package = pathlib.Path(importlib.util.find_spec("clip").origin).parent
    spec = importlib.util.spec_from_file_location("simple_tokenizer", package / "simple_tokenizer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()


# ---------------------------------------------------------------- material

SENTENCES = """A cat sleeping on a wooden windowsill.
Ein kleines Mädchen mit Größe, süß & übermütig – „schön“!
Čeština je jazyk; žluťoučký kůň úpěl ďábelské ódy…
Łódź, Kraków i Gdańsk: zażółć gęślą jaźń
Tiếng Việt rất đẹp và khó
Ο σκύλος τρέχει στο δρόμο. ΌΛΟΣ Ο ΚΌΣΜΟΣ
Кошка спит на подоконнике, а собака — нет
Їжак, ґанок і сім'я
سيارة حمراء في الشارع ١٢٣
חתול ישן על אדן החלון
हिन्दी में एक बिल्ली
தமிழ் மொழி
ภาษาไทยสวยงาม
猫が窓辺で寝ている。ネコ
窗台上的猫，很可爱！
고양이가 창가에서 잔다
Lietuvių kalba – ąčęėįšųūž
Türkçe: İstanbul'da ığdır, şişe, çağ
Română: țară și școală
L’été, à la plage – « ça va » œuvre Œuvre
voilà le travail, à côté, às vezes, àquele
São Paulo, coração, não, 50 € £20 ¥300 ¢5
Ångström Øre Þingvellir ðe æther ÆON
🐱😀👨‍👩‍👧‍👦🏳️‍🌈 🇺🇸 ❤️ ✔ ♥ ™ © ®
“curly” ‘quotes’ it’s – dash — ellipsis… • bullet
½ cup, x² + y³ ≤ ∞, 10°C ± 2µm ÷ ×
ＦＵＬＬ　ｗｉｄｔｈ ﾊﾝｶｸ ﬁne ﬂuﬀ oﬃce
┌─┐│ ║ ▓░ █ (╯°□°)╯︵ ┻━┻ ¯\\_(ツ)_/¯
don't won't I'd I'm you're we've he'll she's 'Twas rock'n'roll
e\u0301 a\u0308\u0323 \u1100\u1161\u11a8 \u0958 \u212b \u2126 \ufb1d""".split("\n")

PAGES = chardata.CHARMAP_ENCODINGS
CLUES = sorted({c for c in map(chr, range(0x10000)) for r in [chardata.UTF8_DETECTOR_RE] if r.match(c + "\x80\x80\x80")})
ALPHABET = sorted(
    set(bytes(range(0x80, 0x100)).decode(page)[i] for page in PAGES for i in range(128)) | set("\ufffd\x1a"))
PLAIN = list("abcdefghijklmnopqrstuvwxyzABCDEFGHSTXYZ0123456789") + list("  ..,;:!?'\"-()<>&#/\\|_\n\t\r")
LITERALS = list("ÂÃÎÐØÙŒœàв×√≈‚βāĂГВРСΒΓΞΟ°²³€™š\xa0\xad®©·»«¿¡–—´`'’ ¬¦¤ ÄâóìîѓЂў±∂†≠¥µøŸŠ ab")
NAMES = sorted(html.entities.html5)
ODD = list("\x00\x07\x08\x0b\x0c\x0e\x1b\x1c\x1f\x7f\x80\x85\x8d\x99\x9d\u00ad\u0130\u017f\u0345\u1e9e\u2028\u2029\u200b\u200d"
           "\u202e\u206a\u212a\u2c00\ufeff\ufff9\ufffc\ufffd\ufffe\U0001d173\U000e0067\U0010ffff\u03a3\u03c2\u0149\u01c5\u0587"
           "\u3000\u1680\u180e\u2003\uff07\uff02\uffe3\uffa0\u0660\u0969\u2167\u24b6\u0e33\ua64a\u02bc\u201b\u201f")


def garble(r, text):
    """Decodes a text with wrong code pages and damages it in other common ways."""
    for _ in range(r.choice([1, 1, 1, 2, 2, 3])):
        page = r.choice(PAGES)
        try:
            data = text.encode("utf-8") if r.random() < 0.9 else cesu(text)
            text = data.decode(page)
        except UnicodeError:
            text = text.encode("utf-8").decode("sloppy-windows-1252")
    damage = r.random()
    if damage < 0.15:
        text = text.replace("\xa0", " ")
    elif damage < 0.3:
        text = "".join("\ufffd" if "\x80" <= c <= "\x9f" or (ord(c) > 127 and r.random() < 0.1) else c for c in text)
    elif damage < 0.4:
        text = "".join("?" if ord(c) > 127 and r.random() < 0.1 else c for c in text)
    elif damage < 0.5:
        text = "".join(c for c in text if r.random() < 0.93)
    elif damage < 0.55:
        text = r.choice([str.upper, str.lower, str.title])(text)
    elif damage < 0.6:
        text = "".join(f"&#{ord(c)};" if ord(c) > 127 else c for c in text)
    return text


def cesu(text):
    out = b""
    for c in text:
        if ord(c) > 0xFFFF:
            rest = ord(c) - 0x10000
            out += chr(0xD800 + (rest >> 10)).encode("utf-8", "surrogatepass")
            out += chr(0xDC00 + (rest & 0x3FF)).encode("utf-8", "surrogatepass")
        else:
            out += b"\xc0\x80" if c == "\0" else c.encode()
    return out


def part(r):
    sentence = r.choice(SENTENCES)
    start = r.randrange(len(sentence))
    return sentence[start : start + r.randint(1, 24)]


def entity(r):
    name = r.choice(NAMES)
    kind = r.randrange(9)
    if kind == 0:
        name = name.upper()
    elif kind == 1:
        name = name.rstrip(";")
    elif kind == 2:
        name = name.rstrip(";") + r.choice(["x", "1", " ", "&", "é", "=", "ß;"])
    elif kind == 3:
        number = r.choice([r.randrange(0x180), r.randrange(0x11FFFF), 0x80 + r.randrange(32), r.randrange(0x3000)])
        name = r.choice([f"#{number}", f"#x{number:x}", f"#X{number:X}", f"#0{number}"]) + r.choice([";", ";", "", "x;"])
    elif kind == 4:
        name = r.choice(["amp;", "AMP;", "#38;", "#x26;", "amp"]) * r.randint(1, 4) + name
    elif kind == 5:
        name = "".join(r.choice("abcdeltgampquot#;x123 <") for _ in range(r.randint(0, 30)))
    return "&" + name


def surrogate_bytes(r):
    pieces = [b"\xed", b"\xa0", b"\x80", b"\xbd", b"\xb8", b"\xed\xa0\xbd\xed\xb8\x80", b"\xc0\x80", b"\xc0", b"\x1a", b"?", b" ",
              b"\xe2\x80\x99", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\n", b"a", b"\xe2\x80", b"\xc3"]
    data = b"".join(r.choice(pieces) for _ in range(r.randint(1, 8)))
    return data.decode(r.choice(["latin-1", "sloppy-windows-1252", "cp437", "iso-8859-2", "sloppy-windows-1251"]))


def any_char(r):
    while True:
        c = chr(r.choice([r.randrange(0x250), r.randrange(0x3000), r.randrange(0x10000), r.randrange(0x20000)]))
        if unicodedata.category(c) not in ("Cs", "Cn"):
            return c


def pick(r, alphabet, longest):
    return "".join(r.choice(alphabet) for _ in range(r.randint(1, longest)))


MAKERS = [
    lambda r: pick(r, ALPHABET, 8),
    lambda r: pick(r, ALPHABET + PLAIN * 4, 16),
    lambda r: pick(r, LITERALS, 8),
    lambda r: part(r) + pick(r, LITERALS, 5) + part(r),
    lambda r: garble(r, part(r)),
    lambda r: garble(r, part(r)),
    lambda r: garble(r, r.choice(SENTENCES)),
    lambda r: part(r) + " " + garble(r, part(r)) + r.choice(["", " ", "\n", "\r\n"]) + part(r),
    lambda r: garble(r, part(r)) + garble(r, part(r)),
    lambda r: pick(r, CLUES, 3) + pick(r, ALPHABET, 4),
    lambda r: "".join(r.choice([entity, entity, part])(r) for _ in range(r.randint(1, 4))),
    lambda r: r.choice(["<b>", "\n<", "a < b\n", "", "\n"]) + entity(r) + r.choice(["\n", " ", ""]) + entity(r),
    surrogate_bytes,
    lambda r: part(r) + surrogate_bytes(r),
    lambda r: "".join(any_char(r) for _ in range(r.randint(1, 12))),
    lambda r: "".join(r.choice([any_char, lambda r: r.choice(PLAIN)])(r) for _ in range(r.randint(1, 20))),
    lambda r: pick(r, ODD + PLAIN, 10),
    lambda r: pick(r, list("ΣσςΑα.'\u0301\u00ad Ii\u0130\u0307sſ-1"), 8),
    lambda r: pick(r, ["'s", "'ſ", "'T", "’re", "'ll", "'", "a", "s", "1", " ", "!", "<|startoftext|>", "<|ENDOFTEXT|>", "<|",
                       "|>", "<|ſtartoftext|>", "&lt;|endoftext|&gt;", "ﬅ", "<|ﬅartoftext|>", "<|endofteXt|>"], 6),
    lambda r: pick(r, ["\x1b[", "1", ";", "m", "\x1b", "[", "a", "\u0663", "31mred", "\x9b", " "], 8),
    lambda r: pick(r, ["e", "\u0301", "\u0323", "\u0327", "\u0345", "\u1100", "\u1161", "\u11a8", "ạ", "Å", "\u0f71", "\u0f72", "ﾊ", "ﾟ",
                       "か", "\u3099", "ế", "\u093c", "क"], 8),
    lambda r: part(r) * r.randint(1, 60),
]

FEW = ["", " \n", "\u0345", "À\n", "Ã\n", "\x99", "é\x99", "ÃÂ ", "Â ", "a Â b", "voilÃ le travail", "Ã s vezes", "&amp;amp;amp;lt;",
       "&" + "amp;" * 40 + "eacute;", "&#x3b;", "&#128;&#129;", "&EACUTE;&FILIG;&NGE;", "<&eacute;", "&CounterClockwiseContourIntegral;"]


def cases(texts):
    tokenizer = upstream()
    for text in texts:
        ids = [SPECIAL["<|startoftext|>"], *tokenizer.encode(text), SPECIAL["<|endoftext|>"]]
        tokenizer.cache = dict(zip(SPECIAL, SPECIAL))  # otherwise the cache grows without bound
        cut = ids if len(ids) <= CONTEXT else [*ids[: CONTEXT - 1], SPECIAL["<|endoftext|>"]]
        yield {"text": text, "count": len(ids), "truncated": len(ids) > CONTEXT, "ids": cut}


def texts():
    mode = sys.argv[1]
    if mode == "unicode":
        chars = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cs", "Cn", "Co")]
        for at in range(0, len(chars), 16):
            yield " ".join(chars[at : at + 16])
            yield "a".join(chars[at : at + 16])
            yield "!".join(chars[at : at + 16]) + "\n" + "".join(chars[at : at + 16])
        return
    count, seed = (15 * len(MAKERS), 3) if mode == "few" else (int(sys.argv[2]), int(sys.argv[3]))
    r = random.Random(seed)
    if mode == "few":
        yield from FEW
    for i in range(count):
        yield MAKERS[i % len(MAKERS)](r)


rows = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases(texts()))
sys.stdout.write('{"cases":[\n' + rows + "\n]}\n")
