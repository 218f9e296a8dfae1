"""Write docs/performance.md from performance.md here, which has the words, and results/*.json.

python -m benchmarks.render
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TEMPLATE, RESULTS = HERE / "performance.md", HERE / "results"
PAGE = HERE.parent / "docs" / "performance.md"
NOTE = (
    "<!-- Written by `python -m benchmarks.render` from benchmarks/performance.md and "
    "benchmarks/results. Change those. -->\n\n"
)
MARK = re.compile(r"<!-- (\w+)(?:: ([\w-]+))? -->")
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
}
GPU_KINDS = {"eager": "from Python", "recorded": "recorded", "compiled": "compiled"}


def page(results: Path = RESULTS) -> str:
    """The page as Markdown; a benchmark without results is said to be without."""

    def fill(mark: re.Match[str]) -> str:
        kind, name = mark[1], mark[2] or "gpu"
        if kind == "ratios":
            return ratios(results / name)
        found = results / f"{name}.json"
        if not found.exists():
            told = f"Not measured yet: `python -m benchmarks --only {name}`."
            return told if kind == "table" else ""
        return PARTS[kind](json.loads(found.read_text()))

    filled = MARK.sub(fill, TEMPLATE.read_text())
    return NOTE + re.sub(r"\n{3,}", "\n\n", filled)


def table(found: dict[str, Any]) -> str:
    """What was measured on what, and a line for each row."""
    rows = found["rows"]
    has_share = any("share" in row["of"] for row in rows)
    titles = ["", "neuralid", "against", "times as fast", *["of the possible"] * has_share]
    lines = [_line(titles), "|---" * len(titles) + "|"]
    before = None
    for row in rows:
        cells = [row["name"] if row["name"] != before else "", *_sides(row)]
        lines.append(_line([*cells, *[_shares(row)] * has_share]))
        before = row["name"]
    return "\n\n".join(["\n".join(lines), _about(found), *_remarks(found)])


def ratios(folder: Path) -> str:
    """Benchmarks of another machine, without speeds: our fastest way against each other way."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not found:
        return "Not measured yet."
    titles = ["", "neuralid", "against", "times as fast", "of the possible"]
    lines = [_line(titles), "|---" * len(titles) + "|"]
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (row for each in found for row in each["rows"]):
        pair = row["name"], row["against"]["name"]
        best[pair] = max(best.get(pair, row), row, key=lambda each: float(each["ratio"]))
    for row in best.values():
        names = [row[side]["name"].removeprefix("neuralid, ") for side in ("of", "against")]
        shares = _shares(row) if "share" in row["of"] else ""
        lines.append(_line([row["name"], *names, f"**{_digits(row['ratio'])}**", shares]))
    return "\n".join(lines) + f"\n\n{_about(*found)}{_rates(found)}"


def profile(found: dict[str, Any]) -> str:
    """A list of where the time of each of this program's ways goes."""
    lines = []
    for each in found["profiles"]:
        shares = ", ".join(f"`{name}` {share:.0%}" for name, share in each["shares"].items())
        lines.append(f"- {each['name']}, {each['way'].removeprefix('neuralid, ')}: {shares}")
    return "\n".join(lines)


def gpu(found: dict[str, Any]) -> str:
    titles = [f"{found['device']}, torch {found['torch']}", *GPU_KINDS.values(), "memory"]
    lines = [_line(titles), "|---" * len(titles) + "|"]
    for run in found["runs"]:
        memory = f"{run['memory_mib']:,} MiB" if "memory_mib" in run else "-"
        cells = [f"{run['model']}, batch {run['batch']}"]
        cells += [_gpu_speed(run.get(kind)) for kind in GPU_KINDS]
        lines.append(_line([*cells, memory]))
    return "\n".join(lines) + f"\n\nTests of CUDA against the CPU before it: {found['checks']}."


PARTS: dict[str, Callable[[dict[str, Any]], str]] = {"table": table, "profile": profile, "gpu": gpu}


def _sides(row: dict[str, Any]) -> list[str]:
    """Both speeds and the ratio; of a single run its seconds."""
    own, other = (f"{row[side]['name']}: {_speed(row, row[side])}" for side in ("of", "against"))
    above = f"; {row['above_s']:.2f} s above" if "above_s" in row else ""
    return [own.removeprefix("neuralid, "), other, f"**{_digits(row['ratio'])}**{above}"]


def _speed(row: dict[str, Any], side: dict[str, Any]) -> str:
    low, high = side["quartiles"]
    if row["count"] == 1:
        return f"{_digits(side['median'])} s ({_digits(low)} to {_digits(high)})"
    slow, usual, fast = (_digits(row["count"] / each) for each in (high, side["median"], low))
    return f"{usual} {row['unit']}/s ({slow} to {fast})"


def _shares(row: dict[str, Any]) -> str:
    shares = [row[side].get("share") for side in ("of", "against")]
    return " against ".join("-" if share is None else f"{share:.0%}" for share in shares)


def _about(*found: dict[str, Any]) -> str:
    """The machine, its load and the versions, in a sentence each; of benchmarks on one machine."""
    machine, versions = found[-1]["machine"], found[-1]["versions"]
    before, after = (
        _range(each["machine"][when] for each in found) for when in ("load_before", "load_after")
    )
    sets = ", ".join(INSTRUCTIONS.get(name, name) for name in machine["instructions"])
    told = f"{machine['processor']} ({sets or machine['system']}), "
    told += f"{machine['cores_used']} of {machine['cores']} cores, {found[-1]['date']}. "
    told += f"Load before {before}, after {after}. "
    told += ", ".join(f"{name} {version}" for name, version in versions.items()) + ". "
    return told + f"Rounds: {_range(row['repeats'] for each in found for row in each['rows'])}."


def _range(values: Iterable[float]) -> str:
    """The least and the most.

    >>> _range([3, 1, 2]), _range([2, 2])
    ('1 to 3', '2')
    """
    known = sorted(set(values))
    return " to ".join(map(str, sorted({known[0], known[-1]})))


def _remarks(found: dict[str, Any]) -> list[str]:
    """Notes, the machine's own rates, and how near the gradients are."""
    lines = [f"- {name}: {value}" for name, value in found["notes"].items()]
    for limit in found["limits"]:
        rates = limit["operations_per_s"].items()
        each = ", ".join(f"{name} {rate / 1e9:,.0f}" for name, rate in rates)
        lines.append(f"- The machine's rates beside {limit['name']}, GFLOP/s: {each}")
    for near in found["agreement"]:
        figure = f"{near['difference']:.1e} apart, cosine {near['cosine']:.5f}"
        lines.append(f"- Gradients, {near['name']}, {near['precision']}: {figure}")
    return ["\n".join(lines)] if lines else []


def _rates(found: Sequence[dict[str, Any]]) -> str:
    """The least and the most that the machine could do beside any of the benchmarks."""
    rates: dict[str, list[float]] = {}
    for each in (limit["operations_per_s"] for one in found for limit in one["limits"]):
        for name, rate in each.items():
            rates.setdefault(name, []).append(round(rate / 1e9))
    told = ", ".join(f"{name} {_range(values)}" for name, values in rates.items())
    return f" The machine's rates, GFLOP/s: {told}." if told else ""


def _gpu_speed(side: dict[str, Any] | None) -> str:
    if side is None:
        return "-"
    ready = f", after {side['ready_after_s']} s" if "ready_after_s" in side else ""
    return f"{side['faces_per_s']:,} faces/s ({side['busy']:.0%}){ready}"


def _digits(value: float) -> str:
    """Three digits of a number, all of those before the point.

    >>> [_digits(value) for value in (0.01234, 1.234, 45.678, 1234.5)]
    ['0.0123', '1.23', '45.7', '1,234']
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
