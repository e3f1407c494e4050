"""Long-CLIP's own example with changed imports prints the reference's probabilities, with PyTorch and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from programs import needs_torch, run_python
from reference import SHARED, golden

# As in upstream's README, except for the imports, the file format, and the texts, some of which are too long.
ARTICLE = """
{imports}
from PIL import Image

device = "cuda" if torch.cuda.is_available() else "cpu"
model, preprocess = longclip.load("./checkpoints/longclip-B.safetensors", device=device)

text = longclip.tokenize({texts!r}, truncate=True).to(device)
image = preprocess(Image.open("./img/demo.png")).unsqueeze(0).to(device)

with torch.no_grad():
    image_features = model.encode_image(image)
    text_features = model.encode_text(text)

    logits_per_image = image_features @ text_features.T
    probs = logits_per_image.softmax(dim=-1).cpu().numpy()

print("Label probs:", probs.tolist())
"""

IMPORTS = {
    "torch": "import longclip\nimport torch",
    "torch through longclip": "import longclip\nfrom longclip import torch",
    # As on a machine without torch.
    "no torch": "import sys\nsys.modules['torch'] = None\nimport longclip\nfrom longclip import torch",
}


@pytest.mark.parametrize("imports", [pytest.param(name, marks=needs_torch if name != "no torch" else ()) for name in IMPORTS])
def test_upstreams_example_prints_the_reference_probabilities(imports: str, b_file: Path, tmp_path: Path) -> None:
    theirs = golden("model-B.json")
    if "chelsea" not in theirs["images"]:
        pytest.skip("needs ../shared/reference for the probabilities of photos")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "longclip-B.safetensors").symlink_to(b_file)
    (tmp_path / "img").mkdir()
    photo = SHARED / "img" / "chelsea.png"
    (tmp_path / "img" / "demo.png").symlink_to(photo)
    printed = run_python(ARTICLE.format(imports=IMPORTS[imports], texts=theirs["texts"]), cwd=tmp_path)
    probabilities = np.array(eval(printed.removeprefix("Label probs:")))
    row = theirs["images"].index("chelsea")
    assert np.abs(probabilities - theirs["raw_dot_probabilities"][row]).max() < 1e-4


def test_other_torch_functions_raise_an_error_that_suggests_pytorch() -> None:
    program = "import sys; sys.modules['torch'] = None\nfrom longclip import torch\ntry: torch.cat\nexcept AttributeError as e: print(e)"
    assert run_python(program) == "`torch.cat` needs PyTorch: `pip install torch`\n"
