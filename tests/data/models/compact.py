"""Copies the parts of the reference's goldens that tests need, with seven digits: python compact.py REFERENCE_FOLDER"""
import json
import sys
from pathlib import Path

KEEP = ("config", "ids", "texts", "weights_check", "text_features", "text_hidden_ids.1", "text_hidden_0", "stretched_from_77",
        "unstretched_77", "unrounded")
BY_IMAGE = ("images", "image_features", "logits", "probabilities", "raw_dot", "raw_dot_probabilities")


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


for size in ("tiny", "B", "L"):
    golden = json.loads((Path(sys.argv[1]) / f"model-{size}.json").read_text())
    # For the real sizes, keep only the images that the recipe generates.
    n_images = 4 if size == "tiny" else 2
    out = {k: rounded(golden[k]) for k in KEEP if k in golden}
    out |= {k: rounded(golden[k][:n_images]) for k in BY_IMAGE if k in golden}
    for check in out.get("weights_check", {}):
        out["weights_check"][check] = golden["weights_check"][check]
    path = Path(__file__).parent / f"model-{size}.json"
    path.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
