#!/usr/bin/env python3
"""Makes the pictures of README.md from what the program prints: docs/pictures/table.svg and gallery.png.

    docs/scripts/pictures.py table [--binary target/release/longclip]      a terminal, as SVG
    docs/scripts/pictures.py gallery [--binary target/release/longclip]    the html page; needs chromium

Run it again after a change of nano, of the table or of the page.
"""
import argparse
import html
import shlex
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs/pictures"
LABELS = ["a cat", "a cup of coffee", "a portrait of a woman"]
COMMAND = ["classify", "img/cat.jpg", "img/coffee.jpg", "--labels", *LABELS]

# Pixels of the drawn terminal.
FONT, CHARACTER, LINE, MARGIN, BAR = 15, 9.03, 22, 20, 34


def run(binary, arguments):
    quiet = [str(binary), *arguments, "--quiet", "--model", "nano"]
    return subprocess.run(quiet, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def table(binary):
    command = "longclip " + " ".join(shlex.quote(word).replace("'", '"') for word in COMMAND)
    first, rest = command.split(" --labels ")
    lines = [("prompt", f"$ {first} \\"), ("prompt", f"    --labels {rest}")]
    for line in run(binary, COMMAND).splitlines():
        is_best = line.startswith(" ") and lines[-1][0] == "path"
        lines.append(("best" if is_best else "label" if line.startswith(" ") else "path", line))
    width = round(max(len(text) for _, text in lines) * CHARACTER + 2 * MARGIN)
    height = BAR + len(lines) * LINE + MARGIN
    rows = "".join(
        f'<text class="{kind}" x="{MARGIN}" y="{BAR + LINE * (i + 0.75):.0f}">{html.escape(text)}</text>\n'
        for i, (kind, text) in enumerate(lines)
        if text
    )
    dots = "".join(f'<circle cx="{MARGIN + 18 * i}" cy="17" r="6" fill="{c}"/>' for i, c in enumerate(("#ff5f57", "#febc2e", "#28c840")))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>longclip classify, with its output</title>
<style>
text {{ font: {FONT}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #c9d1d9; white-space: pre; }}
.prompt {{ fill: #8b949e; }}
.path {{ fill: #79c0ff; }}
.best {{ fill: #7ee787; font-weight: bold; }}
</style>
<rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>
{dots}
{rows}</svg>
"""


def gallery(binary, picture):
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        run(binary, [*COMMAND, "--output", str(page)])
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
             "--window-size=1100,520", f"--screenshot={picture}", f"file://{page}"],
            check=True, capture_output=True, timeout=120,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", choices=["table", "gallery"])
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/longclip")
    options = parser.parse_args()
    binary = options.binary.resolve()
    PICTURES.mkdir(exist_ok=True)
    if options.picture == "table":
        (PICTURES / "table.svg").write_text(table(binary))
    else:
        gallery(binary, PICTURES / "gallery.png")


if __name__ == "__main__":
    main()
