"""Draws what was kept last, as SVG that is readable on light and on dark pages. Run by `benchmarks.report`."""

from __future__ import annotations

from itertools import product
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from .report import NAMES, best_of, images
from .results import kept, kept_peers
from .targets import DATABASES

INK = "#808890"
COLORS = {"durable": "#0c8f6b", "duroxide": "#8a63c7", "dbos": "#d08a1c", "absurd": "#4a86c9"}
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.figsize": (8, 3.6),
    "font.size": 11,
    "legend.frameon": False,
    "savefig.transparent": True,
    "svg.hashsalt": "benchmarks",
}
STYLES = {"postgresql": "-", "sqlite": "--"}


def main() -> None:
    pyplot.rcParams.update(STYLE)
    for draw in (peers, history, tables):
        draw()


def peers() -> None:
    found = kept_peers()
    if found is None:
        return
    best = best_of(found)
    measured = {key[:2] for key in best}
    places = [place for place in product(("chain", "fan_out"), DATABASES) if place in measured]
    figure, axes = pyplot.subplots()
    for place, (workload, database) in enumerate(places):
        size = 5 if workload == "chain" else 500
        shown = [name for name in NAMES if (workload, database, name, size) in best]
        for offset, name in enumerate(shown):
            value = best[workload, database, name, size]["activities_per_second"]
            x = place + (offset - (len(shown) - 1) / 2) * 0.2
            axes.bar(x, value, 0.19, color=COLORS[name])
            axes.annotate(f"{value:,.0f}", (x, value), ha="center", va="bottom", fontsize=8, color=INK)
    axes.set_xticks(
        range(len(places)), [f"{workload.replace('_', '-')}, {DATABASES[each]}" for workload, each in places]
    )
    axes.set_ylabel("activities/s")
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=COLORS[name]) for name in NAMES]
    axes.legend(handles, NAMES.values())
    _save(figure, "peers")


def history() -> None:
    figure, axes = pyplot.subplots()
    for database, name in DATABASES.items():
        if (found := kept(f"history-{database}")) is not None:
            hundreds = found["median_ms_by_hundreds"]
            places = [100 * each for each in range(1, len(hundreds) + 1)]
            axes.plot(places, hundreds, STYLES[database], color="#0c8f6b", label=name)
    if axes.lines:
        axes.set(xlabel="activities in the history", ylabel="ms a step", ylim=(0, None))
        axes.legend()
        _save(figure, "history")


def tables() -> None:
    figure, axes = pyplot.subplots()
    for database, style in STYLES.items():
        if (found := kept(f"tables-{database}")) is None:
            continue
        sizes = list(found["ms_by_finished"])
        for color, name in zip(COLORS.values(), ("claim", "start", "status", "admin_list"), strict=True):
            axes.plot(
                [max(int(size), 1_000) for size in sizes],
                [found["ms_by_finished"][size][name] for size in sizes],
                style,
                marker="o",
                color=color,
                label=f"{name.replace('_', ' ')}, {DATABASES[database]}",
            )
    if axes.lines:
        axes.set(xscale="log", yscale="log", xlabel="finished instances (leftmost: none)", ylabel="ms")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        _save(figure, "tables")


def _save(figure: Any, name: str) -> None:
    figure.tight_layout()
    figure.savefig(images() / f"benchmark-{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
