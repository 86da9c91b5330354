"""Forms: values that stay."""

from __future__ import annotations

import collections
import functools
import itertools

from ..support import note, tick
from .common import Colour, Order, Pair, form


@form("Values that stay")
async def two_names_of_one_list():
    """two names of one list"""
    a = b = []
    await tick()
    a.append(1)
    return b, a is b


@form("Values that stay")
async def a_list_that_contains_itself():
    """a list that contains itself"""
    a = [1]
    a.append(a)
    await tick()
    return a[1] is a


@form("Values that stay")
async def dataclasses_named_tuples_enums_exception():
    """dataclasses, named tuples, enums, exceptions"""
    order, pair, colour, error = Order(1, ["x"]), Pair(1, [2]), Colour.RED, ValueError("no")
    await tick()
    return order, pair, colour is Colour.RED, repr(error)


@form("Values that stay")
async def collections_deque_defaultdict_counter_or():
    """collections: deque, defaultdict, Counter, OrderedDict"""
    a = collections.deque([1], maxlen=2)
    b = collections.defaultdict(list, k=[1])
    c = collections.Counter("aab")
    await tick()
    a.extend([2, 3])
    b["new"].append(2)
    return a, b, c.most_common(1)


@form("Values that stay")
async def bound_methods_partials_classes_modules():
    """bound methods, partials, classes, modules"""
    found = []
    push, cut, kind, module = found.append, functools.partial(int, base=2), Order, itertools
    await tick()
    push(cut("101"))
    return found, kind(1), module.__name__


@form("Values that stay")
async def a_live_generator_that_is_made_again():
    """a live generator that is made again"""
    squares = (n * n for n in range(3))
    note(list(squares))
    del squares
    await tick()
