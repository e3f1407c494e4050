"""The crates in the program: those that are linked on the platforms that have releases, with default features."""
import json
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def linked():
    """[package of `cargo metadata`], sorted by name and version, without build scripts and procedural macros."""
    found = {}
    for target in tomllib.loads((ROOT / "dist-workspace.toml").read_text())["dist"]["targets"]:
        command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
        metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
        packages = {package["id"]: package for package in metadata["packages"]}
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        root = next(p["id"] for p in metadata["packages"] if p["name"] == "longclip" and p["source"] is None)
        waiting, seen = [root], set()
        while waiting:
            here = waiting.pop()
            if here in seen:
                continue
            seen.add(here)
            for edge in nodes[here]["deps"]:
                is_linked = any(kind["kind"] is None for kind in edge["dep_kinds"])
                is_macro = any("proc-macro" in target["kind"] for target in packages[edge["pkg"]]["targets"])
                if is_linked and not is_macro:
                    waiting.append(edge["pkg"])
        found |= {key: packages[key] for key in seen - {root}}
    return sorted(found.values(), key=lambda package: (package["name"], package["version"]))


def licence(package):
    """As an SPDX expression; older crates write `/` for OR."""
    return package["license"].replace(" / ", "/").replace("/", " OR ")
