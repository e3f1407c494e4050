"""The reference's goldens, and the recipe that generates models and images from names."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "reference"


def recipe() -> ModuleType:
    """The module that generates weights from their names, `benches/peers/weights.py`."""
    spec = importlib.util.spec_from_file_location("weights", ROOT / "benches" / "peers" / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden(name: str) -> Any:
    """A golden file: the complete one next to the repository if it exists, otherwise the part in the repository."""
    whole = SHARED / name
    return json.loads((whole if whole.exists() else ROOT / "tests" / "data" / "models" / name).read_text())


def weights_file(size: str, folder: Path) -> Path:
    """Writes a generated model in f16. All values are exact in f16 except the temperature, which is f32."""
    from safetensors.numpy import save_file

    tensors = recipe().tensors(size)
    halved = {k: v if k == "logit_scale" else v.astype(np.float16) for k, v in tensors.items()}
    save_file(halved, folder / f"{size}.safetensors")
    return folder / f"{size}.safetensors"
