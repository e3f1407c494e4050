"""The types of the package match its code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reference import ROOT

pytest.importorskip("mypy", reason="mypy is not installed")


def check(*command: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_matches_the_compiled_part(tmp_path: Path) -> None:
    check("mypy.stubtest", "longclip._native", cwd=tmp_path)


def test_the_package_passes_its_type_check(tmp_path: Path) -> None:
    check("mypy", "--config-file", str(ROOT / "python" / "pyproject.toml"), "-p", "longclip", cwd=tmp_path)


def test_programs_are_checked_against_the_types_of_the_package(tmp_path: Path) -> None:
    right = "import longclip\nmodel, preprocess = longclip.load('nano', threads=2)\nrows: list[longclip.Record] = longclip.classify('a.jpg', ['a'], model)\n"
    (tmp_path / "right.py").write_text(right)
    check("mypy", "--strict", "right.py", cwd=tmp_path)
    (tmp_path / "wrong.py").write_text("import longclip\nlonglip = longclip.load('nano', threads='two')\n")
    with pytest.raises(AssertionError, match="arg-type"):
        check("mypy", "--strict", "wrong.py", cwd=tmp_path)
