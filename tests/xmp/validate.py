"""Checks XMP files against the schemas of the properties that longclip writes.

Each list must be one property of the one resource, of the type that its schema says ("XMP Specification Part 1", 8.2.1 for
dc:subject; Exiv2's table of properties for lr and digiKam), with plain, unique texts, numbered without gaps.
Usage: validate.py FILE...
"""

import re
import sys

from rdflib import RDF, Graph, Literal, URIRef

DC = "http://purl.org/dc/elements/1.1/"
LIGHTROOM = "http://ns.adobe.com/lightroom/1.0/"
DIGIKAM = "http://www.digikam.org/ns/1.0/"
OURS = "https://github.com/longclip/longclip/ns/1.0/"
LISTS = {
    DC + "subject": RDF.Bag,
    LIGHTROOM + "hierarchicalSubject": RDF.Bag,
    DIGIKAM + "TagsList": RDF.Seq,
    OURS + "subject": RDF.Bag,
    OURS + "hierarchicalSubject": RDF.Bag,
    OURS + "TagsList": RDF.Seq,
}
BASE = "file:///photo"


def read(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    rdf = re.search(r"<rdf:RDF.*</rdf:RDF>", text, re.DOTALL)
    assert rdf, "there is no rdf:RDF"
    return Graph().parse(data=rdf[0], format="xml", publicID=BASE)


def items(graph, name, kind):
    values = list(graph.subject_objects(URIRef(name)))
    assert len(values) == 1, f"{name} is there {len(values)} times"
    [(subject, node)] = values
    assert str(subject) in ("", BASE), f"{name} is of {subject}, not of the photo"
    types = list(graph.objects(node, RDF.type))
    assert types == [kind], f"{name} is of type {types}, not {kind}"
    members = {}
    for predicate, value in graph.predicate_objects(node):
        number = re.fullmatch(re.escape(str(RDF)) + r"_([1-9]\d*)", str(predicate))
        if number:
            members[int(number[1])] = value
        else:
            assert predicate == RDF.type, f"{name} has {predicate}"
    assert sorted(members) == list(range(1, len(members) + 1)), f"{name} is numbered {sorted(members)}"
    texts = [members[i] for i in sorted(members)]
    for text in texts:
        assert isinstance(text, Literal) and text.datatype is None and text.language is None, f"{name}: {text!r}"
        assert str(text).strip(), f"{name} has an empty text"
    assert len(set(texts)) == len(texts), f"{name} repeats a text: {texts}"
    return [str(text) for text in texts]


def check(path):
    graph = read(path)
    lists = {name: items(graph, name, kind) for name, kind in LISTS.items()}
    names = set(lists[DC + "subject"])
    for name, separator in [(LIGHTROOM + "hierarchicalSubject", "|"), (DIGIKAM + "TagsList", "/")]:
        lowest = {path.split(separator)[-1] for path in lists[name]}
        missing = lowest - names
        assert not missing, f"{missing} of {name} are not in dc:subject"
    for name in ("subject", "hierarchicalSubject", "TagsList"):
        [whole] = [other for other in LISTS if other.endswith("/" + name) and not other.startswith(OURS)]
        assert set(lists[OURS + name]) <= set(lists[whole]), f"ours of {name} are not among all"


for path in sys.argv[1:]:
    try:
        check(path)
    except AssertionError as problem:
        sys.exit(f"{path}: {problem}")
