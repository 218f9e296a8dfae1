"""``report.html``: one offline file that shows how a run is going, made from the run's folder.

The page, its style and its script are in ``assets/report/``; the figures go into it as JSON.
"""

from __future__ import annotations

import base64
import html
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...core.errors import ImageError, TrainingError
from ...core.files import read_at_most, write_atomically
from ...core.jsontext import parse_object, take
from ...core.webpage import as_json, fill_page, read_asset
from ...pictures import images
from ..metrics import table as metrics
from .folder import Run, labelled_kimg
from .history import History, TimedTick, in_words
from .records import Event, number

NAME = "report.html"
POINTS = 1000  # per curve, at most; those of a long run are averaged
MOST_PAGE = 100_000_000  # bytes of a report that is read again for its pictures
GRIDS = 60  # sample grids in the page, at most
CURVES = ("loss_d", "loss_g", "d_real", "d_fake", "augment_p", "real_sign", "images_per_second")
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def write_report(folder: Path, history: History) -> Path:
    """Write the report of the run in ``folder``, whose log is ``history``; returns its path.

    What is missing or damaged in the folder is left out. Raises `OutputError`.
    """
    path = folder / NAME
    data = gather(folder, history)
    write_atomically(path, _page(data).encode())
    return path


def gather(folder: Path, history: History) -> dict[str, Any]:
    """All that the page shows, ready for JSON; numbers that are not finite become null."""
    options = _options(folder)
    total = number(_inside(options, "train").get("kimg"))
    left = history.seconds_left(total) if total else None
    tick = history.ticks[-1] if history.ticks else None
    return {
        "title": folder.resolve().name,
        "written": round(time.time()),
        "kimg": history.kimg,
        "total": total,
        "used": in_words(history.seconds) if tick else None,
        "left": in_words(left) if left else None,
        "device": (tick.device if tick else None) or "",
        "memory": tick.memory_mb if tick else None,
        "curves": _curves(history.ticks),
        "metrics": list(_metrics(history)),
        "events": [_event(event) for event in history.events],
        "skipped": history.skipped,
        "grids": list(_grids(folder)),
        "options": list(_tables("run", options)),
    }


def _page(data: dict[str, Any]) -> str:
    """The page with its script and the data put in."""
    title = html.escape(f"{data['title']} · neuralid")
    return fill_page("page.html", title=title, script=read_asset("script.js"), data=as_json(data))


def _curves(ticks: list[TimedTick]) -> dict[str, list[float | None]]:
    """Each curve's values, and the thousands of pictures they belong to under "kimg"."""
    size = -(-len(ticks) // POINTS) or 1
    buckets = [ticks[i : i + size] for i in range(0, len(ticks), size)]
    curves = {key: [_mean(bucket, key) for bucket in buckets] for key in CURVES}
    return {"kimg": [bucket[-1].kimg for bucket in buckets], **curves}


def _mean(ticks: list[TimedTick], key: str) -> float | None:
    values = [value for tick in ticks if (value := getattr(tick, key)) is not None]
    return float(f"{sum(values) / len(values):.5g}") if values else None


def _metrics(history: History) -> Iterator[dict[str, Any]]:
    """Each metric that was ever measured: its name, direction, floor and curve."""
    measured = history.measured
    for name in dict.fromkeys(name for each in measured for name in each.metrics):
        info = metrics.METRICS.get(name)
        yield {
            "label": info.label if info else name,
            "better": info.better if info else None,  # "lower" or "higher"
            "floor": history.floors.get(name),
            "kimg": [each.kimg for each in measured],
            "values": [each.metrics.get(name) for each in measured],
        }


def _event(event: Event) -> dict[str, Any]:
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in event.facts.items())
    return {"kimg": event.kimg, "name": event.name, "facts": told}


def _grids(folder: Path) -> Iterator[dict[str, Any]]:
    """The sample grids, oldest first, as data URIs; each is compressed only once per run."""
    before = _read_grids(folder / NAME)
    for path in _thin(sorted(folder.glob("fakes*.png"))):
        if not path.is_file():  # a pipe would be waited for
            continue
        try:
            stat = path.stat()
            stamp = f"{path.name} {stat.st_size} {stat.st_mtime_ns}"
            source = before.get(stamp) or _data_uri(path)
        except (ImageError, OSError):
            continue  # damaged or gone: the report does without it
        yield {"kimg": labelled_kimg(path.stem[5:]), "stamp": stamp, "source": source}


def _thin(paths: list[Path]) -> list[Path]:
    """Every path, or every second, fourth, ...: all of them were taken before; always the last."""
    paths = [path for path in paths if labelled_kimg(path.stem[5:]) is not None]
    step = 1
    while -(-len(paths) // step) >= GRIDS:
        step *= 2
    return [path for i, path in enumerate(paths) if i % step == 0 or i == len(paths) - 1]


def _data_uri(path: Path) -> str:
    small = images.compress(images.load_rgb(path))
    return "data:image/webp;base64," + base64.b64encode(small).decode()


def _read_grids(report: Path) -> dict[str, str]:
    """The pictures in the existing report, by stamp; none if it is missing or damaged."""
    try:
        page = read_at_most(report, MOST_PAGE).decode("utf-8")
        (text,) = _DATA.findall(page)
        grids = take(parse_object(text).get("grids"), list[dict[str, Any]])
        return {take(g.get("stamp"), str): take(g.get("source"), str) for g in grids}
    except (OSError, ValueError):
        return {}


def _options(folder: Path) -> dict[str, Any]:
    try:
        return Run(folder).read_options()
    except TrainingError:
        return {}


def _inside(options: dict[str, Any], part: str) -> dict[str, Any]:
    inner = options.get(part)
    return inner if isinstance(inner, dict) else {}


def _tables(title: str, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A table of the options, and one for each group in them: rows of name and value."""
    plain = {key: value for key, value in options.items() if not isinstance(value, dict)}
    rows = [[key.replace("_", " "), _shown(value)] for key, value in plain.items()]
    if rows:
        yield {"title": title.replace("_", " ").capitalize(), "rows": rows}
    for key, value in options.items():
        if isinstance(value, dict):
            yield from _tables(key, value)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
