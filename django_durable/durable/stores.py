"""Where the states of durable programs are kept: in memory, or in files."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import quote

State = dict[str, Any]


class StateStore(ABC):
    """Keeps one state per instance: JSON-ready data, which is replaced as a whole."""

    @abstractmethod
    async def load(self, instance_id: str) -> State | None:
        """Return the state that was saved last, or None."""

    @abstractmethod
    async def save(self, instance_id: str, state: State) -> None:
        """Keep a state."""


class InMemoryStateStore(StateStore):
    """Keeps states as text in this process."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    async def load(self, instance_id: str) -> State | None:
        text = self._states.get(instance_id)
        return None if text is None else json.loads(text)

    async def save(self, instance_id: str, state: State) -> None:
        self._states[instance_id] = json.dumps(state)


class DiskStateStore(StateStore):
    """Keeps each state in a file of JSON in one directory; a file is always a whole state, the old one or the new."""

    def __init__(self, path: Path | str) -> None:
        self._directory = Path(path)

    async def load(self, instance_id: str) -> State | None:
        return await asyncio.to_thread(self._read, instance_id)

    async def save(self, instance_id: str, state: State) -> None:
        await asyncio.to_thread(self._write, instance_id, json.dumps(state))

    def _read(self, instance_id: str) -> State | None:
        try:
            text = self._file(instance_id).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        state: State = json.loads(text)
        return state

    def _write(self, instance_id: str, text: str) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._directory, suffix=".part")
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self._file(instance_id))

    def _file(self, instance_id: str) -> Path:
        # Quoted with its dots, so that no id leads out of the directory.
        return self._directory / f"{quote(instance_id, safe='').replace('.', '%2E')}.json"
