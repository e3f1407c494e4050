#!/usr/bin/env python3
"""Runs the sessions in README.md and docs/, and says which print something else than shown, or writes it.

    docs/scripts/sessions.py [--binary target/release/longclip] [--write] [FILE...]

A session is a ```console block: `$ COMMAND`, then what it prints. A line `...` stands for any lines. tests/stories/documents.rs
checks the same sessions; run this with --write after a change of nano or of the output.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ANY = "...\n"


def working_folder():
    """A folder with the images of the repository, as the test makes it."""
    folder = Path(tempfile.mkdtemp(prefix="longclip-sessions-"))
    for name in ("img", "photos"):
        (folder / name).mkdir()
        for image in ("cat.jpg", "coffee.jpg", "astronaut.jpg"):
            shutil.copy(ROOT / "img" / image, folder / name / image)
    return folder


def output_of(command, folder, binary):
    command = command.replace("cargo run --release --", "longclip")
    variables = {"HOME": str(folder), "HF_HUB_OFFLINE": "1", "PATH": f"{binary.parent}:/usr/local/bin:/usr/bin:/bin"}
    run = subprocess.run(["bash", "-c", f"{{ {command}\n}} 2>&1"], cwd=folder, env=variables, capture_output=True, text=True)
    return without_rate(run.stdout)


def without_rate(text):
    return re.sub(r"\S+ images/s", "[RATE] images/s", text)


def comparable(text):
    """Without digits that depend on the instruction set."""
    return re.sub(r"(\d\.\d{5})\d+", r"\1", without_rate(text))


def commands(block):
    """[(command, shown)] of a session; a command may continue on the next line after a backslash."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif not found[-1][1] and found[-1][0].endswith("\\"):
            found[-1][0] += "\n" + line
        else:
            found[-1][1] += line + "\n"
    return found


def renewed(shown, printed):
    """What to show instead. Lines that `...` stands for stay unknown, so the parts keep their numbers of lines."""
    if ANY not in shown:
        return printed
    first, *_, last = shown.split(ANY)
    lines = printed.splitlines(keepends=True)
    n_first, n_last = first.count("\n"), last.count("\n")
    if shown.count(ANY) > 1 or n_first + n_last > len(lines):
        return shown
    return "".join(lines[:n_first]) + ANY + ("".join(lines[-n_last:]) if n_last else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/longclip")
    parser.add_argument("--write", action="store_true", help="write the new output into the files")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    binary = options.binary.resolve()
    n_changed = 0
    for path in options.files or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        folder = working_folder()

        def session(match):
            nonlocal n_changed
            block = ""
            for command, shown in commands(match[1]):
                new = renewed(shown, output_of(command, folder, binary))
                if comparable(new) != comparable(shown):
                    n_changed += 1
                    print(f"{os.path.relpath(path)}: $ {command}\n--- shown\n{shown}--- printed\n{new}")
                    shown = new
                block += f"$ {command}\n{shown}"
            return f"```console\n{block}```"

        text = path.read_text()
        new = re.sub(r"```console\n(.*?)```", session, text, flags=re.S)
        shutil.rmtree(folder)
        if options.write and new != text:
            path.write_text(new)
    sys.exit(1 if n_changed and not options.write else 0)


if __name__ == "__main__":
    main()
