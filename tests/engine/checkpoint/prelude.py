"""What every random program begins with: what its statements are about."""

from __future__ import annotations

PRELUDE = '''
import functools
from tests.engine.checkpoint.support import Tick, broken, note, tick

class Quiet:
    """Has no address in its text."""
    def __repr__(self):
        return type(self).__name__

class Manager(Quiet):
    """Notes when it is entered and left; swallows errors if told so."""
    def __init__(self, name, swallows):
        self.name, self.swallows = name, swallows
    def __enter__(self):
        note(("enter", self.name))
        return self
    def __exit__(self, kind, error, traceback):
        note(("exit", self.name, repr(error)))
        return self.swallows and error is not None

class AsyncManager(Quiet):
    def __init__(self, name, swallows):
        self.name, self.swallows = name, swallows
    def __aenter__(self):
        return tick(("aenter", self.name))
    def __aexit__(self, kind, error, traceback):
        note(("aexit", self.name, repr(error)))
        return tick(self.swallows and error is not None)

class Countdown(Quiet):
    """Iterates asynchronously."""
    def __init__(self, left):
        self.left = left
    def __aiter__(self):
        return self
    def __anext__(self):
        self.left -= 1
        return broken(StopAsyncIteration()) if self.left < 0 else tick(self.left)

class Box(Quiet):
    def __init__(self, value=0):
        self.value = value
        self.items = {}

class Failed(Exception):
    """Carries more than its arguments."""
    def __init__(self, code, what=None):
        super().__init__(code)
        self.what = what

class Keeper(Quiet):
    """Has methods that wait, and an error in its exit that hides the one inside."""
    async def __aenter__(self):
        note("enter")
        return self
    async def __aexit__(self, kind, error, traceback):
        note(("left", repr(error)))
        if isinstance(error, Failed):
            raise LookupError("left") from error

def called_twice(function, *args):
    return [function(*args), function(*args)]

def twice(function):
    """A decorator: calls the function two times."""
    return functools.partial(called_twice, function)

def note_in(value, *rest, **named):
    note(("in", value, rest, sorted(named.items())))
    return value
'''
