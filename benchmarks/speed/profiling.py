"""Where the time of a run goes, by kind of operation."""

from __future__ import annotations

from collections.abc import Sequence

from torch.profiler import ProfilerActivity
from torch.profiler import profile as watch

from .timing import Report, Way

MOST = 7  # kinds of operation that are named


def profile(report: Report, name: str, ways: Sequence[Way]) -> None:
    """Add to the report the share of the time that each kind of operation takes, most first."""
    for way in ways:
        with watch(activities=[ProfilerActivity.CPU]) as seen:
            way.run()
        times = {e.key.removeprefix("aten::"): e.self_cpu_time_total for e in seen.key_averages()}
        whole = sum(times.values()) or 1.0
        most = sorted(times, key=lambda key: -times[key])[:MOST]
        shares = {key: round(times[key] / whole, 3) for key in most}
        report.profiles.append({"name": name, "way": way.name, "shares": shares})
