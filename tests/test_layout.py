"""The import table of docs/architecture.md, as a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "neuralid"
ROW = re.compile(r"^\| `([\w/.]+)` \|.*\| ([^|]*) \|$", re.MULTILINE)


def rooms() -> dict[str, set[str]]:
    """Room -> rooms it may import, from the table in the documentation."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = {room.removesuffix(".py").rstrip("/"): words for room, words in ROW.findall(text)}
    may: dict[str, set[str]] = {}
    for room, words in table.items():
        named = set(re.findall(r"`(\w+)`", words))
        may[room] = set(table) - named if words.startswith("all but") else named
    return may


def room_of(path: Path) -> str:
    parts = path.relative_to(SRC).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The rooms a file imports, at its top or inside its functions."""
    found: set[str] = set()
    depth = len(path.relative_to(SRC).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module.split(".")[0]] if node.module else [a.name for a in node.names]
            found |= {name for name in names if not name.startswith("__")}
    return found


FILES = [path for path in SRC.rglob("*.py") if path.parent != SRC or path.stem[:2] != "__"]


MODULES = {
    ".".join(path.relative_to(SRC.parent).with_suffix("").parts) for path in SRC.rglob("*.py")
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_imports_point_one_way(path: Path) -> None:
    room = room_of(path)
    assert imports(path) <= rooms()[room] | {room}


def test_the_command_line_reads_settings_only() -> None:
    for path in (SRC / "cli").glob("*.py"):
        for name in imported_files(path):
            hall, _, file = name.removeprefix("neuralid.").partition(".")
            whole = ("api", "bars", "cli", "console", "core", "pictures", "streams")
            assert hall in whole or file in ("config", "recipe", "options"), name


def test_every_room_is_in_the_table() -> None:
    assert {room_of(path) for path in FILES} == set(rooms())


def test_there_are_no_circles_between_halls() -> None:
    uses = {room: {i for p in FILES if room_of(p) == room for i in imports(p)} for room in rooms()}
    assert circle(uses) == set()


def test_there_are_no_circles_between_files() -> None:
    assert circle({module_of(path): imported_files(path) for path in SRC.rglob("*.py")}) == set()


def circle(uses: dict[str, set[str]]) -> set[str]:
    """Those that import each other, or something that does."""
    done: set[str] = set()
    while True:
        ready = {name for name, needs in uses.items() if needs - {name} <= done} - done
        if not ready:
            return set(uses) - done
        done |= ready


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_files(path: Path) -> set[str]:
    """The files of the package that a file names in its imports, those in its functions too."""
    package = ["neuralid", *path.relative_to(SRC).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            start = ".".join(filter(None, base))
            for name in node.names:
                inner = f"{start}.{name.name}"
                found.add(inner if inner in MODULES else start)
    return found - {"neuralid"}  # its version


def test_files_and_functions_stay_readable() -> None:
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) <= 310, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore
                assert length <= 45, f"{path.name}: {node.name} has {length} lines"


def test_what_an_architecture_is_made_of_is_known_in_its_own_file_alone() -> None:
    """Nobody imports it (it is found by name), nor says the names of its layers and sizes."""
    inside = r"\.dense\b|dense_norm|conv_norm|\.to_rgb\b|[\"']norm[\"'] in"
    inside += r"|\bSIZES\b|\bSTEM|\bdoublings\b|FoldedGenerator|LATENT_STD"
    inside += r"|import (dcgan|style)|models\.(dcgan|style)|from \.+(dcgan|style)"
    own = {"dcgan.py", "convolution.py", "style.py", "modulation.py"}
    knowing = {p.name for p in FILES if p.name not in own and re.search(inside, p.read_text())}
    assert knowing <= {"encoder.py"}  # which has a last layer called dense, too
    assert not re.search(inside.partition("|")[2], (SRC / "models" / "encoder.py").read_text())


def test_few_files_use_pillow_and_one_scales_pixels() -> None:
    users = {p.name for p in FILES if re.search(r"^(import|from) PIL", p.read_text(), re.M)}
    assert users == {
        "images.py",
        "photo.py",
        "canvas.py",
        "jpeg.py",
        "jpeg_parts.py",
        "plain_jpeg.py",
        "colour.py",
        "depth.py",
        "formats.py",
        "crop.py",
        "animation.py",
        "results.py",
        "_people.py",
    }
    scalers = {p.name for p in FILES if re.search(r"/ 255|\* 255|mul\(255\)", p.read_text())}
    assert scalers == {"images.py"}
