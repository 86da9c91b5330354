"""Forms: exceptions."""

from __future__ import annotations

from ..support import Tick, note, tick
from .common import form


@form("Exceptions")
async def suspended_in_the_body_raised_after_it():
    """suspended in the body, raised after it"""
    try:
        await tick()
        raise ValueError("no")
    except ValueError as error:
        note(str(error))
    note("on")


@form("Exceptions")
async def what_is_waited_for_fails():
    """what is waited for fails"""
    try:
        await Tick(error=KeyError("gone"))
    except LookupError as error:
        return repr(error)


@form("Exceptions")
async def suspended_in_the_handler():
    """suspended in the handler"""
    try:
        raise ValueError("no")
    except ValueError as error:
        await tick()
        note(str(error))
    return "error" in locals()


@form("Exceptions")
async def a_bare_raise_after_a_suspension_in_the_h():
    """a bare `raise` after a suspension in the handler"""
    try:
        try:
            raise ValueError("no")
        except ValueError:
            await tick()
            raise
    except ValueError as error:
        return str(error)


@form("Exceptions")
async def raise_from_after_a_suspension_with_its_c():
    """`raise ... from` after a suspension, with its context"""
    try:
        try:
            raise ValueError("inner")
        except ValueError as error:
            await tick()
            raise KeyError(await tick("outer")) from error
    except KeyError as error:
        return repr(error.__cause__), repr(error.__context__)


@form("Exceptions")
async def an_error_in_a_handler_keeps_its_context():
    """an error in a handler keeps its context"""
    try:
        raise ValueError("first")
    except ValueError:
        await tick()
        {}["second"]


@form("Exceptions")
async def else_of_a_try():
    """`else` of a `try`"""
    try:
        note("body")
    except ValueError:
        note("never")
    else:
        await tick("else")
        note("done")


@form("Exceptions")
async def finally_after_a_suspension_in_the_body():
    """`finally` after a suspension in the body"""
    try:
        await tick()
        note("body")
    finally:
        note("finally")


@form("Exceptions")
async def suspended_in_finally_after_an_end_an_err():
    """suspended in `finally`, after an end, an error, a return"""

    async def one(how):
        try:
            if how == "error":
                raise ValueError(how)
            if how == "return":
                return "returned"
        finally:
            await tick(how)
            note("cleaned")
        return "ended"

    try:
        note(await one("end"))
        note(await one("return"))
        await one("error")
    except ValueError as error:
        return str(error)


@form("Exceptions")
async def break_continue_and_return_through_a_susp():
    """`break`, `continue` and `return` through a suspending `finally`"""
    for n in range(4):
        try:
            if n == 0:
                continue
            if n == 2:
                break
            note(n)
        finally:
            await tick(n)
            note("cleaned")
    try:
        return "first"
    finally:
        await tick()
        note("last")


@form("Exceptions")
async def return_in_finally_swallows_an_error():
    """`return` in `finally` swallows an error"""
    try:
        try:
            raise ValueError
        finally:
            await tick()
            return 1  # noqa: B012
    finally:
        await tick()


@form("Exceptions")
async def nested_try_in_handlers_and_finally():
    """nested `try` in handlers and `finally`"""
    try:
        try:
            raise ValueError(1)
        except ValueError:
            try:
                await tick()
                raise KeyError(2)
            except KeyError as error:
                await tick()
                note(repr(error.__context__))
            raise
        finally:
            try:
                await tick()
                raise OSError(3)
            except OSError:
                await tick()
    except ValueError as error:
        return repr(error)


@form("Exceptions")
async def several_handlers_a_handler_s_expression():
    """several handlers; a handler's expression runs once"""

    def caught():
        note("asked")
        return KeyError

    for error in (KeyError("a"), ValueError("b"), None):
        try:
            if error:
                raise error
        except caught():
            await tick("key")
        except (ValueError, TypeError):
            await tick("value")
        else:
            await tick("none")


@form("Exceptions")
async def except_around_code_that_does_not_suspend():
    """`except*` around code that does not suspend"""
    try:
        raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
    except* ValueError as group:
        note(repr(group.exceptions))
    except* KeyError:
        note("key")
    await tick()


@form("Exceptions")
async def an_exception_group_kept_across_a_suspens():
    """an exception group kept across a suspension"""
    try:
        raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
    except ExceptionGroup as group:
        await tick()
        return repr(group.split(ValueError))
