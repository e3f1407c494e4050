"""Makes short texts for each rule of ftfy's heuristic, and variants with one character changed, each with ftfy's verdict.

    pip install ftfy==6.3.1
    python tests/data/text/make_badness.py 12 > tests/data/text/badness.json     # texts per rule
"""
import functools, json, random, re, sys
from re import _parser

from ftfy import badness

r = random.Random(5)
CHARS = [chr(c) for c in range(0x2700) if not 0xD800 <= c < 0xE000] + ["\uf8ff", "\ufffd", "\ufb01", "\ufb02"]


def sample(item):
    """A random text that matches one element of the parsed expression."""
    op, value = item
    name = str(op)
    if name == "LITERAL":
        return chr(value)
    if name == "IN":
        return r.choice(members(tuple(value)))
    if name == "ANY":
        return r.choice("aé\n €")
    if name == "MAX_REPEAT":
        low, high, what = value
        return "".join(sample(one) for _ in range(r.randint(low, high)) for one in what)
    if name == "AT":
        return ""
    if name == "SUBPATTERN":
        return "".join(map(sample, value[3]))
    if name == "BRANCH":
        return "".join(map(sample, r.choice(value[1])))
    raise ValueError(name)


@functools.cache
def members(value):
    return [c for c in CHARS if any(matches(one, c) for one in value) != (str(value[0][0]) == "NEGATE")]


def matches(one, c):
    op, value = one
    name = str(op)
    if name == "LITERAL":
        return ord(c) == value
    if name == "RANGE":
        return value[0] <= ord(c) <= value[1]
    if name == "CATEGORY":
        return bool(re.match({"CATEGORY_SPACE": r"\s", "CATEGORY_WORD": r"\w"}[str(value)], c))
    return False


(branch,) = _parser.parse(badness.BADNESS_RE.pattern, re.VERBOSE)
rows = []
for rule in branch[1][1]:
    for _ in range(int(sys.argv[1])):
        text = "".join(map(sample, rule))
        at = r.randrange(len(text))
        near = r.choice([chr(max(1, ord(text[at]) + r.choice([-1, 1]))), r.choice(CHARS), "", " a", "a "])
        for text in (text, text[:at] + near + text[at + 1 :], "b" + text + "c"):
            rows.append([text, badness.is_bad(text)])
sys.stdout.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
