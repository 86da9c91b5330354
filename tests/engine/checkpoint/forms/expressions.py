"""Forms: expressions."""

from __future__ import annotations

from ..support import note, tick
from .common import Countdown, form


@form("Expressions")
async def awaits_in_arithmetic_left_to_right():
    """awaits in arithmetic, left to right"""
    return note(1) + await tick(2) * note(3) - await tick(4)


@form("Expressions")
async def and_or_not_only_what_is_needed():
    """`and`, `or`, `not`: only what is needed"""
    return (await tick(0) or await tick(2)) and not (await tick(1) and await tick(0) and note("never"))


@form("Expressions")
async def conditional_expressions():
    """conditional expressions"""
    return (await tick(1) if await tick(False) else await tick(2)), (note(3) if await tick(1) else note(4))


@form("Expressions")
async def chained_comparisons_only_what_is_needed():
    """chained comparisons: only what is needed"""
    return 1 < await tick(2) < await tick(3) < 1 < note("never"), 1 == await tick(1)  # noqa: SIM300


@form("Expressions")
async def calls_function_arguments_stars_keywords():
    """calls: function, arguments, stars, keywords, in order"""

    def shown(*args, **kwargs):
        return args, kwargs

    return shown(note(1), *await tick([2]), await tick(3), k=await tick(4), **await tick({"z": note(5)}))


@form("Expressions")
async def chained_calls_and_attributes():
    """chained calls and attributes"""
    return (await tick("a,b")).upper().split(await tick(","))


@form("Expressions")
async def methods_bound_before_an_await():
    """methods bound before an await"""
    found = []
    found.append(await tick(1))
    ", ".join([await tick("a"), "b"])
    return found


@form("Expressions")
async def tuples_lists_sets_dicts_with_stars():
    """tuples, lists, sets, dicts, with stars"""
    return (
        [note(1), *await tick([2]), await tick(3)],
        {await tick(1), 2},
        {note("k"): await tick(1), **await tick({"l": 2}), await tick("m"): 3},
    )


@form("Expressions")
async def f_strings_with_conversions_and_formats():
    """f-strings, with conversions and formats"""
    return f"{note('a')}{await tick('b')!r:>{await tick(6)}}{await tick(1.5):.2f}"


@form("Expressions")
async def subscripts_and_slices():
    """subscripts and slices"""
    text = "abcdef"
    return text[await tick(1)], text[await tick(1) : await tick(4) : 2]


@form("Expressions")
async def list_set_and_dict_comprehensions_that_aw():
    """list, set and dict comprehensions that await"""
    return (
        [await tick(n) for n in range(3) if await tick(n != 1)],
        {await tick(n) for n in (1, 1)},
        {n: await tick(n) for n in "ab"},
    )


@form("Expressions")
async def nested_comprehensions_and_one_over_what():
    """nested comprehensions, and one over what is awaited"""
    return [[await tick(a + b) for a in range(2)] for b in range(2)], [n + 1 for n in await tick([1, 2])]


@form("Expressions")
async def asynchronous_comprehensions():
    """asynchronous comprehensions"""
    return [n async for n in Countdown(2)], [await tick(n) async for n in Countdown(2) if n]


@form("Expressions")
async def a_walrus_and_closures_inside_a_comprehen():
    """a walrus and closures inside a comprehension"""
    found = [(last := await tick(n)) for n in range(2)]
    functions = [lambda: n for n in range(2)]  # noqa: B023
    await tick()
    return found, last, [function() for function in functions]
