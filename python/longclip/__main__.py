"""`python -m longclip`: runs the command line, which wheels of releases contain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path


def program() -> str | None:
    """The path of the command line: the one of this installation, or else the one on PATH."""
    name = "longclip" + (sysconfig.get_config_var("EXE") or "")
    scripts = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", f"{os.name}_user")]
    # `pip install --target FOLDER` puts it next to the package.
    folders = [*map(Path, scripts), Path(__file__).resolve().parents[1] / "bin"]
    found = [folder / name for folder in folders if (folder / name).is_file()]
    return str(found[0]) if found else shutil.which("longclip")


def main() -> None:
    path = program()
    if path is None:
        print("error: the command line is not installed with this package", file=sys.stderr)
        print("hint: run `cargo install --locked --path .` in a checkout, or install a wheel of a release", file=sys.stderr)
        sys.exit(2)
    command = [path, *sys.argv[1:]]
    if os.name == "nt":
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(path, command)


if __name__ == "__main__":
    main()
