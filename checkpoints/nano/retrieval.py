#!/usr/bin/env python3
"""Measures what stretching and training gain on long captions, for nano's base with 77 tokens, the same stretched to 248, and nano.

    cargo build --release
    checkpoints/nano/train/prepare.py --out nano-data --scenes 60000 --jobs 2      # see train/README.md; makes the same images each time
    checkpoints/nano/retrieval.py --data nano-data --base nano-work/base-77.safetensors --out retrieval --longclip target/release/longclip

Runs `longclip eval retrieval` on scenes that were not used for training or for any choice, with their long and their short captions,
and prints the tables of docs/evaluate.md. Every number was printed by the program. The embeddings are kept in the folder of --out, so
another run resumes from there.
"""
import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CHOSEN_BY = 1000  # the first scenes of the validation set are not used here: the weights were chosen by them
LENGTHS = "5,10,20,40,77,120,160,248"
WAYS = {"text to image": "image_retrieval_recall@", "image to text": "text_retrieval_recall@"}


def scenes(opt):
    path = os.path.join(opt.out, "scenes.ndjson")
    with open(os.path.join(opt.data, "val.ndjson")) as lines:
        records = [record for record in map(json.loads, lines) if record["source"] == "scenes"][CHOSEN_BY : CHOSEN_BY + opt.scenes]
    with open(path, "w") as file:
        file.writelines(json.dumps(dict(record, path=os.path.abspath(os.path.join(opt.data, record["path"])))) + "\n" for record in records)
    return path


def evaluate(opt, data, field, model, kept, *more):
    """Compares a model with the base for 77 tokens, on the same scenes."""
    command = [opt.longclip, "eval", "retrieval", "--data", data, "--text-field", field, "--model", model, "--compare", opt.base, "--compare-no-stretch",
               "--embeddings", os.path.join(opt.out, kept), "--format", "json", *more]
    print("$", " ".join(command), file=sys.stderr, flush=True)
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def percent(value):
    return f"{100 * value:.1f}%"


def cell(result, key):
    """A value with its difference to 77 tokens, in bold if that is real."""
    difference = result["compare"]["differences"][key]
    low, high = difference["interval_95"]
    text = f"{percent(result['metrics'][key])} ({100 * difference['value']:+.1f}; {100 * low:+.1f} to {100 * high:+.1f})"
    return f"**{text}**" if difference["real"] else text


def main(opt):
    os.makedirs(opt.out, exist_ok=True)
    data, models = scenes(opt), {"stretched": opt.base, "trained": opt.trained}
    found = {(field, name): evaluate(opt, data, field, model, f"{field}-{name}", "--sweep-length", LENGTHS, "--monotone")
             for field in ("long", "short") for name, model in models.items()}
    print("| captions | | 77 tokens | stretched | stretched and trained |\n| --- | --- | ---: | ---: | ---: |")
    for field in ("long", "short"):
        results = [found[field, name] for name in models]
        for way, key in WAYS.items():
            for k in (1, 5, 10):
                print(f"| {field} | {way} R@{k} | {percent(results[0]['compare']['metrics'][key + str(k)])} | {' | '.join(cell(r, key + str(k)) for r in results)} |")
    print(f"\n| tokens kept of {results[0]['protocol']['n_captions']} long captions | captions cut | 77 tokens | stretched | stretched and trained |\n| ---: | ---: | ---: | ---: | ---: |")
    results = [found["long", name] for name in models]
    for i, at in enumerate(results[0]["lengths"]):
        key = f"image_retrieval_recall@1/tokens={at['tokens']}"
        values = [results[0]["compare"]["metrics"][key], *(r["lengths"][i]["metrics"]["image_retrieval_recall@1"] for r in results)]
        print(f"| {at['tokens']} | {at['n_cut']} | {' | '.join(map(percent, values))} |")
    print("\n| more true sentences | 77 tokens | stretched | stretched and trained |\n| --- | ---: | ---: | ---: |")
    for name, key in [("captions whose cosine always rises", "captions"), ("sentences that raise it", "sentences"), ("mean rank correlation", "spearman")]:
        shown = (lambda value: f"{value:+.3f}") if key == "spearman" else percent
        values = [results[0]["compare"]["metrics"][f"monotone_{key}"], *(r["monotonicity"][key] for r in results)]
        print(f"| {name} | {' | '.join(map(shown, values))} |")
    protocol = results[0]["protocol"]
    print(f"\n{protocol['n_images']} scenes; of their long captions, {results[0]['compare']['protocol']['n_cut']} are cut at 77 tokens, {protocol['n_cut']} at 248")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder that prepare.py made")
    parser.add_argument("--out", required=True)
    parser.add_argument("--longclip", default="target/release/longclip")
    parser.add_argument("--base", required=True, help="the weights with 77 positions; train/train.py writes them to base-77.safetensors in its work folder")
    parser.add_argument("--trained", default=os.path.join(HERE, "../nano.safetensors"))
    parser.add_argument("--scenes", type=int, default=2000)
    main(parser.parse_args())
