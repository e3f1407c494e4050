"""Runs programs in separate processes, as users do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reference import ROOT


def run_python(program: str, *, cwd: Path = ROOT, **environment: str) -> str:
    """Runs a Python program in a separate process and returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def command_line() -> str | None:
    """The path of the command line if it is built. The package does not need it."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for kind in ("release", "debug") if (path := target / kind / "longclip").exists()]
    return str(max(built, key=lambda path: path.stat().st_mtime)) if built else shutil.which("longclip")


has_torch = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not has_torch, reason="torch is not installed")
