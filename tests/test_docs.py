"""The documentation names what there is: commands, options, versions, links, README blocks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import EXAMPLES
from PIL import Image
from typer.main import get_command

import neuralid
from neuralid.cli import app
from neuralid.pictures.images import load_rgb

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
RAW = "https://raw.githubusercontent.com/neuralid/neuralid/main/"
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


def links_of(page: Path) -> list[str]:
    """Where a page's links and images lead, without the part after ``#``.

    The README's images have whole addresses, so that a package's page shows them.
    """
    text = page.read_text().replace(RAW, f"{ROOT}/")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    return [target.split("#")[0] for target in targets if not target.startswith("#")]


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def options_of(command: str) -> set[str]:
    return {flag for p in COMMANDS[command].params for flag in [*p.opts, *p.secondary_opts]}


def test_there_are_exactly_five_commands() -> None:
    assert list(COMMANDS) == ["train", "sample", "invert", "mix", "upscale"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_the_reference(command: str) -> None:
    text = (DOCS / "reference" / "cli.md").read_text()
    section = text.split(f"\n## {command}\n")[1].split("\n## ")[0]
    common = text.split("\n## ")[0]
    flags = {flag for flag in options_of(command) if flag.startswith("-")}
    missing = {flag for flag in flags if f"`{flag}`" not in section + common}
    assert not {flag for flag in missing if f"`{flag} " not in section + common}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_line_shown_would_be_understood(page: Path) -> None:
    for line in re.findall(
        r"neuralid ((?:train|sample|invert|mix|upscale) [^#\n`|]*)", page.read_text()
    ):
        words = line.split()
        flags = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
        assert flags <= options_of(words[0]) | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links_of(page):
        place = (page.parent / target).resolve()
        assert target.startswith("https://") or place.exists(), target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_into_a_page_name_one_of_its_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^):]*)#([^)]+)\)", page.read_text()):
        other = page.parent / target if target else page
        assert anchor in anchors_of(other), f"{target}#{anchor}"


def test_every_page_is_reachable_from_the_index() -> None:
    found, left = set(), [DOCS / "README.md"]
    while left:
        page = left.pop()
        found.add(page)
        pages = [(page.parent / link).resolve() for link in links_of(page) if link.endswith(".md")]
        left += [each for each in pages if each in PAGES and each not in found]
    assert set(DOCS.rglob("*.md")) - found == set()


def test_every_image_is_shown() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in links_of(page)}
    assert set((DOCS / "images").iterdir()) - shown == set()


def test_the_scripts_named_are_there_and_every_benchmark_has_its_page() -> None:
    for page in PAGES:
        for name in re.findall(r"(?:benchmarks|tools)/\w+\.py", page.read_text()):
            assert (ROOT / name).is_file(), f"{page.name}: {name}"
    evaluation = "".join(page.read_text() for page in (DOCS / "evaluation").glob("*.md"))
    scripts = [path for path in sources("benchmarks") if "__main__" in path.read_text()]
    assert [path for path in scripts if f"benchmarks/{path.name}" not in evaluation] == []


def test_long_tables_are_in_the_evaluation() -> None:
    for page in PAGES:
        tables = re.findall(r"(?:^\|.*\n)+", page.read_text(), re.MULTILINE)
        longest = max((table.count("\n") - 2 for table in tables), default=0)
        assert longest <= 25 or page.parent.name == "evaluation", f"{page.name}: {longest} rows"


def test_how_to_pages_are_short() -> None:
    for page in (DOCS / "how-to").glob("*.md"):
        assert len(page.read_text().splitlines()) <= 80, page.name


def test_the_code_names_pages_that_are_there() -> None:
    for path in sources("src", "tests", "tools", "benchmarks"):
        for name in re.findall(r"docs/[\w/-]+\.md", path.read_text()):
            assert (ROOT / name).is_file(), f"{path.name}: {name}"


def test_the_readmes_python_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for name, face in (("a.jpg", "ada"), ("b.jpg", "bruno")):
        Image.open(EXAMPLES / f"{face}.png").convert("RGB").save(name)
    scope: dict[str, Any] = {}
    exec(block, scope)
    assert scope["faces"].images.shape == (16, 112, 112, 3)
    assert scope["a"].psnr > 25
    assert load_rgb(Path("out.png")).shape == (448, 448, 3)


def test_ci_runs_the_readmes_commands() -> None:
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for marker in ("first-command", "second-command"):
        assert f"<!-- {marker} -->\n```sh\npython3 -m venv" in readme
        assert f"command_after {marker}" in ci


def test_there_is_one_version() -> None:
    assert 'path = "src/neuralid/core/version.py"' in (ROOT / "pyproject.toml").read_text()
    asked = [sys.executable, "-m", "neuralid", "--version"]
    printed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert printed.strip() == neuralid.__version__


def test_the_verbs_are_functions_with_docstrings() -> None:
    for verb in COMMANDS:
        assert callable(getattr(neuralid, verb)) and getattr(neuralid, verb).__doc__
    with pytest.raises(AttributeError):
        neuralid.nothing  # noqa: B018


def test_the_readmes_images_are_shown_where_the_package_is_listed() -> None:
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert images and all(image.startswith(RAW) for image in images)
