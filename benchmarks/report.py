"""`python -m benchmarks.report`: write what was kept last into `docs/explanation/performance.md`, between its markers.

Each section is a plot or a table and, under it, what it says. A section whose measurement was not kept is left out.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .environments import python_of
from .results import ROOT, kept, kept_peers
from .targets import DATABASES, HEAD, targets

PAGE = ROOT / "docs" / "explanation" / "performance.md"
MARKED = re.compile(r"(<!-- measured -->\n).*(<!-- end of measured -->)", re.DOTALL)
NAMES = {"durable": "django_durable", "duroxide": "Duroxide", "dbos": "DBOS", "absurd": "Absurd"}
WORKLOADS = {
    "chain": "200 instances of 5 activities in sequence, activities/s",
    "fan_out": "one instance of {size:,} activities at once, activities/s",
    "latency": "one activity, start to output seen, p50 / p99 in ms",
    "sequence": "{size} activities in sequence in one instance, first / last hundred, ms a step",
}
OURS = "durable"
Kept = dict[str, Any]
Best = dict[tuple[str, str, str, int], dict[str, float]]
"""Figures by workload, database, contestant and size."""


def main() -> None:
    """Draw the plots and rewrite the page."""
    subprocess.run([python_of("plots"), "-m", "benchmarks.plots"], check=True, cwd=ROOT)
    text = "\n".join(part for part in (section() for section in SECTIONS) if part)
    PAGE.write_text(MARKED.sub(lambda found: found[1] + "\n" + text + "\n" + found[2], PAGE.read_text()))


def _peers() -> str:
    found = kept_peers()
    if found is None:
        return ""
    best = best_of(found)
    lines = []
    for part in found["parts"]:
        [database] = {DATABASES[each["database"]] for each in part["figures"]}
        said = f"{database}, medians of {part['rounds']} rounds; peers: {', '.join(part['peers'])}"
        lines += [_about(part, said), ""]
    del lines[-1]
    failed = _failed(found)
    for database, shown in DATABASES.items():
        names = [name for name in NAMES if any(key[1:3] == (database, name) for key in best)]
        if not names:
            continue
        lines += ["", _row("On " + shown, *(NAMES[name] for name in names), "to the best peer")]
        lines += [_row(*["---"] * (len(names) + 2))]
        for workload, size in sorted({(key[0], key[3]) for key in best if key[1] == database}, key=_order):
            cells = {name: best.get((workload, database, name, size)) for name in names}
            label = WORKLOADS[workload].format(size=size)
            shown_cells = (_shown(cells[name]) + failed.get((workload, database, name, size), "") for name in names)
            lines += [_row(label, *shown_cells, _ratio(cells))]
    plot = "![Throughput beside the peers](../images/benchmark-peers.svg)"
    return _section("Beside its peers", "\n".join(lines), plot, " ".join(_chains(best)), _settings(found))


def _failed(found: Kept) -> dict[tuple[str, str, str, int], str]:
    """Say of each contestant whose runs failed how many did."""
    return {
        (each["workload"], each["database"], each["contestant"], each["size"]): (
            f" ({len(each['failures'])} of {len(each['failures']) + len(each['runs'])} failed)"
        )
        for each in found["figures"]
        if each.get("failures")
    }


def _settings(found: Kept) -> str:
    """Say at which of its settings each peer ran, and why runs failed."""
    rows = [("Database", "workload", "peer", "chosen concurrency", "tried")]
    for each in (each for each in found["settings"] if each["contestant"] != OURS):
        figures = (
            f"{setting}: {'failed' if value is None else f'{value:,.1f}'}" for setting, value in each["tried"].items()
        )
        place = DATABASES[each["database"]], each["workload"].replace("_", "-"), NAMES[each["contestant"]]
        rows.append((*place, str(each["concurrency"]), ", ".join(figures) or "-"))
    said = ["Each peer ran at the setting that a calibration found best, in activities/s or, for latency, ms:", ""]
    said += [_table(rows)]
    reasons = sorted(
        {(NAMES[each["contestant"]], reason) for each in found["figures"] for reason in each.get("failures", ())}
    )
    if reasons:
        said += ["", "Runs that failed:", "", *(f"- {name}: `{reason}`" for name, reason in reasons)]
    return "\n".join(said)


def _chains(best: Best) -> Iterable[str]:
    """Say in a sentence for each database how the chain compares."""
    for database, shown in DATABASES.items():
        rates = {key[2]: each["activities_per_second"] for key, each in best.items() if key[:2] == ("chain", database)}
        ours = rates.pop(OURS, None)
        if ours and rates:
            times = ", ".join(f"{ours / rate:.1f} times as many as {NAMES[name]}" for name, rate in rates.items())
            yield f"On {shown} a chain runs {ours:,.0f} activities a second: {times}."


def best_of(found: Kept) -> Best:
    """Return the medians by workload, database, contestant and size; without what never worked."""
    return {
        (each["workload"], each["database"], each["contestant"], each["size"]): each["median"]
        for each in found["figures"]
        if each["median"]
    }


def _order(workload: tuple[str, int]) -> tuple[int, int]:
    return list(WORKLOADS).index(workload[0]), workload[1]


def _shown(figures: dict[str, float] | None) -> str:
    if figures is None:
        return "-"
    values = [value for name, value in figures.items() if name not in ("median_ms", "locked")]
    return " / ".join(f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" for value in values)


def _ratio(cells: dict[str, dict[str, float] | None]) -> str:
    ours = cells[OURS]
    if ours is None:
        return ""
    name, value = next(iter(ours.items()))
    others = [figures[name] for contestant, figures in cells.items() if figures and contestant != OURS]
    if not others:
        return "-"
    best = max(others) if name.endswith("per_second") else min(others)
    if name.endswith("per_second"):
        return f"{value / best:.1f} x"
    return f"{best / value:.1f} x faster" if value <= best else f"{value / best:.1f} x slower"


def _history() -> str:
    rows: list[tuple[str, ...]] = [("Database", "first hundred", "last hundred", "ratio", "resumed cold")]
    about, said = "", []
    for database, found in _on_both("history"):
        about = _about(found, f"{found['size']:,} activities in sequence in one instance, ms a step")
        rows.append(
            (
                *(DATABASES[database], f"{found['first_ms']:.2f}", f"{found['last_ms']:.2f}"),
                *(f"{found['ratio']:.2f}", f"{found['resumed_cold_in_s']:.2f} s"),
            )
        )
        said.append(
            f"On {DATABASES[database]} a step costs {found['last_ms']:.2f} ms at the end of {found['size']:,} "
            f"activities and {found['first_ms']:.2f} ms at their beginning; a worker that has nothing of it in memory "
            f"goes on after {found['resumed_cold_in_s']:.2f} s."
        )
    plot = "![Cost of a step along a long history](../images/benchmark-history.svg)"
    return _section("Long histories", about, plot, " ".join(said), _table(rows)) if about else ""


def _tables() -> str:
    parts = []
    for database, found in _on_both("tables"):
        sizes = list(found["ms_by_finished"])
        rows = [("Finished instances", *(f"{int(size):,}" for size in sizes), "ratio")]
        for name, ratio in found["ratios"].items():
            costs = (f"{found['ms_by_finished'][size][name]:.2f}" for size in sizes)
            rows.append((name.replace("_", " "), *costs, f"{ratio:.2f}"))
        worst = max(found["ratios"], key=found["ratios"].__getitem__)
        parts += [
            _about(found, f"{DATABASES[database]}, ms, medians"),
            _table(rows),
            f"With {found['size']:,} finished instances stored, what grows most is {worst.replace('_', ' ')}: it costs "
            f"{found['ratios'][worst]:.2f} times what it costs with none.",
        ]
        if database == "postgresql":
            parts += [f"```text\n{name}\n" + "\n".join(plan) + "\n```" for name, plan in found["plans"].items()]
    plot = "![Cost of an operation as tables grow](../images/benchmark-tables.svg)"
    return _section("Big tables", plot, *parts) if parts else ""


def _rest() -> str:
    told: dict[str, Callable[[Kept], str]] = {
        "waiting": _of_waiting,
        "timers": lambda found: (
            f"Of {found['size']:,} timers due in the same second the last fires {found['last_fired_after_s']} s later."
        ),
        "accuracy": lambda found: (
            f"A timer alone fires {found['median_ms']} ms after it is due (median), {found['p99_ms']} ms (p99)."
        ),
        "workers": lambda found: (
            f"One worker process runs {found['activities_per_second']['1']:,} activities/s, two "
            f"{found['activities_per_second']['2']:,}, with the client and the server on the same cores."
        ),
    }
    lines = []
    for name, tell in told.items():
        lines += [f"- {DATABASES[database]}: {tell(found)}" for database, found in _on_both(name)]
    return _section("The rest", "\n".join(lines)) if lines else ""


def _of_waiting(found: Kept) -> str:
    def idle(count: str) -> str:
        queries = found["idle"][count]["queries_per_second"]
        asked = "" if queries is None else f" and {queries} queries/s"
        return f"{found['idle'][count]['cpu_percent']} % of a core{asked}"

    memory = ", with ".join(
        f"{int(count):,} executions in memory {size} MB" if int(count) else f"{size} MB"
        for count, size in found["memory_mb"].items()
    )
    return (
        f"With {found['size']:,} instances waiting for an event and a timer an idle worker takes "
        f"{idle(str(found['size']))}; with none {idle('0')}. It takes {memory}."
    )


def _targets() -> str:
    all_of_them = targets()
    known = [each for each in all_of_them if each.reached is not None]
    said = f"{sum(each.reached is True for each in known)} of {len(all_of_them)} targets are reached"
    missing = len(all_of_them) - len(known)
    said += f", and {missing} were not measured." if missing else "."
    return _section("Targets", said, _table([HEAD, *(each.row for each in all_of_them)])) if known else ""


SECTIONS = (_targets, _peers, _history, _tables, _rest)


def _on_both(name: str) -> Iterable[tuple[str, Kept]]:
    for database in DATABASES:
        if (found := kept(f"{name}-{database}")) is not None:
            yield database, found


def _about(found: Kept, what: str) -> str:
    about = found["about"]
    return (
        f"*{about['date']}, commit {about['commit']}: {what}. Python {about['python']}, Django {about['django']}, "
        f"psycopg {about['psycopg']}, PostgreSQL {about['postgresql']}; {about['machine']}.*"
    )


def _section(title: str, *parts: str) -> str:
    return "\n\n".join((f"## {title}", *parts)) + "\n"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *rest = rows
    return "\n".join([_row(*head), _row(*["---"] * len(head)), *(_row(*row) for row in rest)])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def images() -> Path:
    """Return where the plots are kept."""
    return ROOT / "docs" / "images"


if __name__ == "__main__":
    main()
