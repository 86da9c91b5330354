"""Kills a worker process at every boundary of a scenario, and checks what the next worker makes of it.

Theory of operation. A *boundary* is the moment before or after a statement or a commit of the worker. `Boundaries`
counts them in the worker's process, which is a fork of the test's: Django is loaded, and a start costs milliseconds.
The scenario is played once with a worker that lives, for the number of boundaries and for what the outcome should be;
then once for each boundary, with a worker that is killed there (`SIGKILL`) and another one that goes on after it.
Workers run without threads, so the same number is the same boundary each time; by a clock that the scenario moves, so
neither a timer nor the lease of the dead is waited for.

    play.py       plays it: tells a worker to go on, starts the next one where it died
    mortal.py     the worker's process, and the pipes to it
    boundaries.py counts, and dies
    traces.py     what is left in the database, and what is compared
"""

from .crashes import CrashReport, assert_survives_every_crash

__all__ = ["CrashReport", "assert_survives_every_crash"]
