"""`python -m longclip` runs the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from programs import command_line
from reference import ROOT


def run(*arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "longclip", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_command_line_gets_all_arguments_and_gives_its_exit_code() -> None:
    found = command_line()
    if found is None:
        pytest.skip("the command line is not built")
    folder = str(Path(found).parent)
    done = run("classify", "img/cat.jpg", "--model", "nano", "-q", "--labels", "a cat", "a cup of coffee", path=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a cup of coffee" in done.stdout
    assert run("classify", "missing.jpg", "--label", "a cat", path=folder).returncode == 2


def test_without_the_command_line_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    from longclip.__main__ import program

    done = run("--version", path=str(tmp_path))
    if program() is not None and done.returncode == 0:
        pytest.skip("the command line is installed")
    assert done.returncode == 2
    assert "hint: run `cargo install" in done.stderr
