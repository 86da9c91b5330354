"""Programs whose code is compiled, so that where it stands is data: loaded from a checkpoint, never replayed for it.

`program` is the program, `parts` the table of everything of it that code can hold, `futures`, `tasks` and `asyncio`
how each kind of those is written and made again, `coroutines` what its tasks run.
"""

from .program import CheckpointedProgram as CheckpointedProgram
