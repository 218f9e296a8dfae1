"""``neighbours.html``: the nearest training faces of drawn ones, in one offline file.

It shows training pictures, so it is only for those who may see them.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...core.files import write_atomically
from ...core.webpage import fill_page
from ...pictures import images
from ..metrics.neighbours import (
    FEWEST,
    Comparison,
    Nearest,
    Study,
)

NAME = "neighbours.html"
PAIRS = 24  # shown of each kind
BINS = 40
WIDTH, HEIGHT, LEFT, BOTTOM = 440, 180, 10, 22  # of a histogram


def write_neighbours(
    folder: Path, found: Study, pictures: np.ndarray, names: Sequence[str], kimg: float
) -> Path:
    """Write the page into ``folder``; returns its path. Raises `OutputError`.

    ``pictures`` is uint8 ``(N, S, S, 3)``, all that were searched, and ``names`` are theirs.
    """
    pixels = found.comparisons[0]
    shown = [*((each, found.drawn, each.drawn) for each in found.comparisons)]
    blocks = [_pairs(f"By {c.name}", faces, near, pictures, names) for c, faces, near in shown]
    blocks.append(
        _pairs(
            "For comparison: held-out faces, by pixels", found.real, pixels.real, pictures, names
        )
    )
    parts = {
        "title": f"Nearest training faces · {html.escape(folder.resolve().name)}",
        "name": html.escape(folder.resolve().name),
        "kimg": f"{kimg:g}",
        "summary": _summary(found),
        "table": _table(found),
        "notes": _notes(found),
        "charts": "\n".join(_chart(each) for each in found.comparisons),
        "pairs": "\n".join(blocks),
    }
    path = folder / NAME
    write_atomically(path, fill_page("neighbours.html", **parts).encode())
    return path


def _summary(found: Study) -> str:
    shares = [share for each in found.comparisons for share in (each.near(), each.alone())]
    if found.held_out < FEWEST:
        verdict = (
            "Too few photographs were held out to tell whether faces are copied: look at the pairs."
        )
    elif max(shares) <= _by_chance(found):
        verdict = "Nothing here looks like copying."
    else:
        verdict = "More drawn faces than photographs are near a training face: look at the pairs."
    return (
        f"{len(found.drawn)} drawn faces, and {len(found.real)} photographs kept for comparison, "
        f"were looked for among {found.comparisons[0].searched:,} training faces. {verdict}"
    )


def _by_chance(found: Study) -> float:
    """The largest share that is not a sign of copying: four standard errors above 0.01."""
    return 0.01 + 4 * (0.01 / len(found.drawn) + 0.01 / len(found.real)) ** 0.5


def _table(found: Study) -> str:
    heads = (
        *("", "drawn, median", "held out, median"),
        *("drawn, too near", "drawn, too alone"),
    )
    rows = [
        (
            f"by {each.name}",
            f"{float(each.drawn.nearest.median()):.3g}",
            f"{float(each.real.nearest.median()):.3g}",
            f"{each.near():.1%}",
            f"{each.alone():.1%}",
        )
        for each in found.comparisons
    ]
    lines = [_row(heads, "th"), *(_row(row, "td") for row in rows)]
    return f"<table><thead>{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table>"


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _notes(found: Study) -> str:
    lines = [
        "Pixels: root mean square difference of faces shrunk to 28 pixels and slightly blurred, "
        "where pixels range from 0 to 1. Random features: those of FD-random, whitened."
    ]
    lines += [
        f"By {each.name}, only {each.searched:,} random training faces were searched."
        for each in found.comparisons
        if each.searched < found.comparisons[0].searched
    ]
    if found.held_out < len(found.real):
        lines.append(
            f"Only {found.held_out} faces were held out. Training faces, each left out of its own "
            f"search, make up the rest of the {len(found.real)}. "
            "With so few, the shares mean little."
        )
    return " ".join(lines)


def _chart(each: Comparison) -> str:
    """Two overlaid histograms, as SVG."""
    both = (each.drawn.nearest, each.real.nearest)
    top = max(float(torch.cat(both).quantile(0.995)), 1e-9) * 1.05
    counts = [_shares(values, top) for values in both]
    scale = (HEIGHT - BOTTOM) / max(float(torch.stack(counts).max()), 1e-9)
    bars = "".join(
        bar
        for colour, shares in zip(("first", "second"), counts, strict=True)
        for bar in _bars(shares.tolist(), scale, colour)
    )
    ends = "".join(
        f'<text x="{LEFT + at * (WIDTH - 2 * LEFT)}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{at * top:.2g}</text>"
        for at in (0.25, 0.5, 0.75)
    )
    legend = "".join(
        f'<span><span class="key {colour}"></span>{name}</span>'
        for colour, name in (("first", "drawn faces"), ("second", "held-out faces"))
    )
    return (
        f'<div class="chart"><h3>By {each.name}</h3><div class="legend">{legend}</div>'
        f'<svg class="bars" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Distances to the '
        f'nearest training face, by {each.name}">{bars}{ends}</svg></div>'
    )


def _shares(values: Tensor, top: float) -> Tensor:
    return torch.histc(values.float().clamp_max(top), BINS, 0, top) / len(values)


def _bars(shares: list[float], scale: float, colour: str) -> Iterator[str]:
    wide = (WIDTH - 2 * LEFT) / BINS
    for i, share in enumerate(shares):
        high = share * scale
        x = LEFT + i * wide + (wide / 2 if colour == "second" else 0)
        yield (
            f'<rect class="{colour}" x="{x:.1f}" y="{HEIGHT - BOTTOM - high:.1f}" '
            f'width="{wide / 2:.1f}" height="{high:.1f}"/>'
        )


def _pairs(
    title: str, faces: Tensor, near: Nearest, pictures: np.ndarray, names: Sequence[str]
) -> str:
    order = near.nearest.argsort()[:PAIRS].tolist()
    left = images.to_uint8(faces[order])
    items = []
    for face, i in zip(left, order, strict=True):
        place, mirrored = int(near.places[i]), bool(near.mirrored[i])
        other = np.asarray(pictures[place])
        pair = images.hstack([face, other[:, ::-1] if mirrored else other])
        source = base64.b64encode(images.compress(pair, quality=90)).decode()
        said = f"{html.escape(names[place])}{', mirrored' if mirrored else ''}"
        items.append(
            f'<li><img src="data:image/webp;base64,{source}" alt="A face and its nearest">'
            f"<p><b>{float(near.nearest[i]):.3g}</b> {said}</p></li>"
        )
    return f'<h3>{title}</h3><ol class="pairs">{"".join(items)}</ol>'
