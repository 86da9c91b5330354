"""Forms: statements one after another."""

from __future__ import annotations

from ..support import note, tick
from .common import Order, form

GLOBAL = 1


@form("Statements one after another")
async def statements_before_between_and_after_susp():
    """statements before, between and after suspensions"""
    note("a")
    await tick()
    note("b")
    await tick()
    return note("c")


@form("Statements one after another")
async def several_targets_a_b_await():
    """several targets, `a = b = await ...`"""
    a = b = await tick([1])
    await tick()
    return a is b, a


@form("Statements one after another")
async def unpacking_with_a_star():
    """unpacking with a star"""
    a, *b = await tick([1, 2, 3])
    await tick()
    return a, b


@form("Statements one after another")
async def annotated_assignment():
    """annotated assignment"""
    x: int = await tick(1)
    y: list[int]
    await tick()
    y = [x]
    return x, y


@form("Statements one after another")
async def augmented_assignment_of_a_variable():
    """augmented assignment of a variable"""
    x = 1
    x += await tick(2)
    x *= await tick(3)
    return x


@form("Statements one after another")
async def augmented_assignment_of_an_attribute():
    """augmented assignment of an attribute"""
    order = Order(1)
    order.number += await tick(2)
    return order.number


@form("Statements one after another")
async def augmented_assignment_of_an_item():
    """augmented assignment of an item"""
    items = {"a": [1]}
    items[await tick("a")] += await tick([2])
    return items


@form("Statements one after another")
async def assignment_to_an_item_and_a_slice_with_a():
    """assignment to an item and a slice with awaits in them"""
    items = [1, 2, 3, 4]
    items[await tick(0)] = await tick(9)
    items[await tick(1) : await tick(3)] = [await tick(7)]
    return items


@form("Statements one after another")
async def targets_with_awaits_in_the_order_of_pyth():
    """targets with awaits, in the order of Python"""
    items = {}
    items[note("first")], items[await tick("second")] = await tick("x"), note("y")
    return items


@form("Statements one after another")
async def the_walrus():
    """the walrus"""
    if (n := await tick(3)) > 2:
        note(n)
    return [(m := n), m]


@form("Statements one after another")
async def del_of_a_variable_an_item_an_attribute():
    """`del` of a variable, an item, an attribute"""
    x, items, order = 1, {"a": 1}, Order(1)
    del x
    await tick()
    del items[await tick("a")], order.lines
    try:
        return x
    except NameError:
        return items, hasattr(order, "lines")


@form("Statements one after another")
async def assert_with_awaits_in_test_and_message():
    """`assert`, with awaits in test and message"""
    assert await tick(True), await tick("never")
    try:
        assert await tick(0), await tick("no")
    except AssertionError as error:
        return str(error)


@form("Statements one after another")
async def global_statement():
    """`global`"""
    global GLOBAL
    GLOBAL += await tick(1)
    await tick()
    GLOBAL -= 1
    return GLOBAL


@form("Statements one after another")
async def import_inside():
    """`import` inside"""
    import json as loaded
    from itertools import chain

    await tick()
    return loaded.dumps([1]), list(chain([1], [2]))


@form("Statements one after another")
async def return_before_any_suspension():
    """`return` before any suspension"""
    if note(True):
        return 1
    await tick()


@form("Statements one after another")
async def falsy_results():
    """falsy results"""
    return [await tick(0), await tick(False), await tick(""), await tick(None), await tick(())]


@form("Statements one after another")
async def default_arguments_args_kwargs_keyword_on(a=1, b=2, *args, c=3, **kwargs):
    """default arguments, `*args`, `**kwargs`, keyword-only"""
    await tick()
    return a, b, args, c, kwargs


@form("Statements one after another")
async def a_variable_named_like_a_global():
    """a variable named like a global"""
    GLOBAL = 5  # noqa: N806
    await tick()
    return GLOBAL


@form("Statements one after another")
async def locals_called():
    """`locals()`"""
    x = 1
    await tick()
    return sorted(locals())
