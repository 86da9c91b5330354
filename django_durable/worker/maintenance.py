"""What somebody has to do now and then; every worker does a little of it, and doing it twice does no harm."""

from __future__ import annotations
