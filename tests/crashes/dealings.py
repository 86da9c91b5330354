"""What crashes, too: dealings with people and streams, local steps, sessions, failed families."""

from __future__ import annotations

from django_durable import PromiseExpired, Provided, Stream, StreamWriter

from .stories import MINUTE, asynchronous, registry


@registry.orchestration("promise.generator")
def promise(ctx):
    try:
        first = yield ctx.request("Too late?", str, deadline=60 * MINUTE)
    except PromiseExpired:
        first = "late"
    second = yield ctx.request("How many?", int, assignee="ada", deadline=60 * MINUTE)
    third = yield ctx.race(ctx.request("Never?"), ctx.schedule_timer(MINUTE))
    return [first, second, third["index"]]


@asynchronous("promise")
async def promise_async(ctx):
    try:
        first = await ctx.request("Too late?", str, deadline=60 * MINUTE)
    except PromiseExpired:
        first = "late"
    second = await ctx.request("How many?", int, assignee="ada", deadline=60 * MINUTE)
    third = await ctx.race(ctx.request("Never?"), ctx.schedule_timer(MINUTE))
    return [first, second, third["index"]]


@registry.activity("speak", atomic=True)
def speak(text: str, words: StreamWriter[str] = Provided) -> int:
    for word in text.split():
        words.send(word)
    return words.sent()


@registry.orchestration("stream.generator")
def stream(ctx, words: Stream[str] = Provided):
    heard = list((yield words.next()))
    writer = ctx.create_stream(str, "more")
    yield ctx.schedule_activity("speak", "one two", writer[1])
    heard += yield writer[0].next()
    yield writer[1].send("three")
    yield writer[1].close()
    return heard + list((yield writer[0].collect()))


@asynchronous("stream")
async def stream_async(ctx, words: Stream[str] = Provided):
    heard = list(await words.next())
    more, writer = ctx.create_stream(str, "more")
    await ctx.schedule_activity("speak", "one two", writer)
    heard += await more.next()
    await writer.send("three")
    await writer.close()
    return heard + list(await more.collect())


@registry.orchestration("local-step.generator")
def local(ctx):
    done = []
    for number in range(3):
        done.append((yield ctx.run(lambda number=number: number + 1)))
    return done


@asynchronous("local-step")
async def local_async(ctx):
    async def plus(number: int) -> int:
        return number + 1

    return [await ctx.run(plus, number) for number in range(3)]


@registry.orchestration("session.generator")
def session(ctx):
    first = yield ctx.schedule_activity_on_session("note", "n0", session_id="s")
    second = yield ctx.schedule_activity_on_session("note_async", "n1", session_id="s")
    return [first, second, (yield ctx.schedule_activity_on_session("write", "w0", session_id="s"))]


@asynchronous("session")
async def session_async(ctx):
    first = await ctx.schedule_activity_on_session("note", "n0", session_id="s")
    second = await ctx.schedule_activity_on_session("note_async", "n1", session_id="s")
    return [first, second, await ctx.schedule_activity_on_session("write", "w0", session_id="s")]


@registry.orchestration("rewind.generator")
def rewound(ctx):
    above = yield ctx.schedule_activity("write", "above")
    return [above, (yield ctx.schedule_sub_orchestration("retry-instance.generator"))]


@asynchronous("rewind")
async def rewound_async(ctx):
    above = await ctx.schedule_activity("write", "above")
    return [above, await ctx.schedule_sub_orchestration("retry-instance.async")]
