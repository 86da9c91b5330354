"""Duron's logs: each is the name of one instance in the database."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Protocol


class LogStorage(Protocol):
    """What names an instance. `directory` is where a script without Django settings keeps its database, if anywhere."""

    directory: Path | None

    def instance_id(self) -> str:
        """Return the id of the instance: the same one as long as the log is there."""


class MemoryLogStorage:
    """Names an instance as long as it lives."""

    directory: Path | None = None

    def __init__(self) -> None:
        self._id = f"duron-{uuid.uuid4().hex}"

    def instance_id(self) -> str:
        return self._id


class FileLogStorage:
    """Names the instance that the file says; one that is not there is written, for a new instance.

    So deleting the file makes the next run start anew, as it does in Duron. The history is in the database.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.directory: Path | None = self.path.parent

    def instance_id(self) -> str:
        try:
            named: str = json.loads(self.path.read_text(encoding="utf-8"))["instance_id"]
        except FileNotFoundError:
            named = f"duron-{self.path.stem}-{uuid.uuid4().hex}"
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps({"instance_id": named}) + "\n", encoding="utf-8")
        return named
