"""Storages by Duron's names."""

from ..storage import FileLogStorage, MemoryLogStorage

__all__ = ["FileLogStorage", "MemoryLogStorage"]
