"""What the shop does that takes longer than a request. Deterministic code; everything else is in `activities.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django_durable import (
    ActivityError,
    CancelledError,
    OrchestrationContext,
    PromiseExpired,
    Provided,
    StreamWriter,
    orchestration,
)

from .activities import (
    Catalogue,
    Quote,
    Sales,
    answer,
    ask_for_approval,
    cancel_order,
    charge,
    close_conversation,
    compose_story,
    count_rows,
    discard_import,
    import_chunk,
    publish_import,
    quote,
    record_quote,
    refund,
    report_sales,
    reserve_stock,
    ship,
    tell_story,
)
from .models import Continent
from .outside import SUPPLIERS

T = TypeVar("T")
Steps = Generator[Any, Any, T]
"""What a generator orchestration is; `T` is its output."""

ROWS_PER_CHUNK = 100
WAITING = "Waiting for approval"
APPROVAL_DEADLINE = timedelta(days=2)
MESSAGES_PER_EXECUTION = 20
CHAT_PATIENCE = timedelta(minutes=30)
LATE_MESSAGES = timedelta(seconds=10)
"""How long a message may be on its way to a conversation that was closed meanwhile."""
SUPPLIER_PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True)
class Approval:
    """The event `approval`: somebody's decision on an import."""

    approved: bool
    by: str


@dataclass(frozen=True)
class Goodwill:
    """What somebody decides about a customer's complaint."""

    voucher: int
    reason: str
    apologize: bool = True


@orchestration
def complaint(ctx: OrchestrationContext, customer: str, text: str) -> Steps[str]:
    """Ask somebody of the staff what a complaint is worth. Shows: a question to a human with a deadline."""
    question = {"customer": customer, "complaint": text}
    try:
        decision = yield ctx.request(question, Goodwill, name="complaint", assignee="staff", deadline=APPROVAL_DEADLINE)
    except PromiseExpired:
        return "Nobody had the time."
    return f"A voucher of {decision.voucher} for {customer}: {decision.reason}"


@orchestration
def import_catalogue(ctx: OrchestrationContext, run_id: int) -> Steps[Catalogue]:
    """Import a catalogue in parallel chunks, ask somebody, then publish it or take it back.

    Shows: fan-out over real data, progress in the custom status, an event raced against a timer, and compensation
    when a step fails or the import is canceled.
    """
    chunks = []
    try:
        total = yield ctx.schedule_activity(count_rows, run_id)
        chunks = [
            ctx.schedule_activity(import_chunk, run_id, first, ROWS_PER_CHUNK)
            for first in range(0, total, ROWS_PER_CHUNK)
        ]
        done = 0
        for chunk in asyncio.as_completed(chunks):
            done += yield chunk
            report_progress(ctx, done, total, "Importing")

        yield ctx.schedule_activity(ask_for_approval, run_id)
        report_progress(ctx, done, total, WAITING)
        first = yield ctx.race(ctx.wait_for_event("approval", Approval), ctx.schedule_timer(APPROVAL_DEADLINE))
        decision = first["value"] if first["index"] == 0 else Approval(approved=False, by="nobody in time")
        finish = publish_import if decision.approved else discard_import
        outcome = yield ctx.schedule_activity(finish, run_id, decision.by)
        report_progress(ctx, done, total, "Published" if decision.approved else "Discarded")
        return outcome
    except (ActivityError, CancelledError):
        # A chunk that is still running could add drafts after they were removed.
        for chunk in chunks:
            chunk.cancel()
        yield ctx.schedule_activity(discard_import, run_id, "the shop")
        ctx.set_custom_status({"text": "Discarded"})
        raise


def report_progress(ctx: OrchestrationContext, done: int, total: int, text: str) -> None:
    """Publish how far an import is."""
    progress = round(done / total, 2) if total else 1.0
    ctx.set_custom_status({"progress": progress, "done": done, "total": total, "text": text})


@orchestration
def checkout(ctx: OrchestrationContext, order_id: int) -> Steps[dict[str, str]]:
    """Reserve, charge and ship an order; give everything back when a step fails or the customer cancels.

    Shows: a chain of steps, retries of a flaky service (declared on `charge`), a saga.
    """
    try:
        ctx.set_custom_status({"step": "reserving"})
        yield ctx.schedule_activity(reserve_stock, order_id)
        ctx.set_custom_status({"step": "charging"})
        receipt = yield ctx.schedule_activity(charge, order_id)
        ctx.set_custom_status({"step": "shipping"})
        parcel = yield ctx.schedule_activity(ship, order_id)
        ctx.set_custom_status({"step": "shipped"})
        return {"receipt": receipt, "parcel": parcel}
    except (ActivityError, CancelledError):
        ctx.set_custom_status({"step": "giving back"})
        if (yield ctx.schedule_activity(cancel_order, order_id)):
            yield ctx.schedule_activity(refund, order_id)
            ctx.set_custom_status({"step": "canceled"})
        else:
            # The parcel was on its way before the order could be called back.
            ctx.set_custom_status({"step": "shipped"})
        raise


@orchestration
def support_chat(ctx: OrchestrationContext, conversation_id: int) -> Steps[dict[str, int]]:
    """Answer a customer's messages one by one, for as long as they keep coming.

    Shows: an event queue, KV entries that clients can read, and continue-as-new, which keeps the history short however
    long the conversation lasts.
    """
    for _ in range(MESSAGES_PER_EXECUTION):
        first = yield ctx.race(ctx.dequeue_event("messages"), ctx.schedule_timer(CHAT_PATIENCE))
        if first["index"] == 1:
            yield ctx.schedule_activity(close_conversation, conversation_id)
            break
        yield from answer_message(ctx, conversation_id, first["value"])
    else:
        yield ctx.continue_as_new(conversation_id)
    # What the customer wrote while the conversation was being closed is answered, too.
    while True:
        late = yield ctx.race(ctx.dequeue_event("messages"), ctx.schedule_timer(LATE_MESSAGES))
        if late["index"] == 1:
            break
        yield from answer_message(ctx, conversation_id, late["value"])
    return {"answered": ctx.get_kv_value("answered") or 0}


def answer_message(ctx: OrchestrationContext, conversation_id: int, question: object) -> Steps[None]:
    """Answer one message, and show how many were. Operators can send anything; what is no text is left out."""
    if not isinstance(question, str):
        ctx.logger.warning("The chat was sent %r, expected text. It is left out.", question)
        return
    ctx.set_kv_value("last_answer", (yield ctx.schedule_activity(answer, conversation_id, question)))
    ctx.set_kv_value("answered", (ctx.get_kv_value("answered") or 0) + 1)


@orchestration
def guide(ctx: OrchestrationContext, poster_id: int, story: StreamWriter[str] = Provided) -> Steps[int]:
    """Tell a customer about a city, word by word.

    Shows: a stream that a page follows. The words are composed once and recorded; a worker that dies while it tells
    them leaves off at a word, and the next one goes on with the one after it.
    """
    words = yield ctx.schedule_activity(compose_story, poster_id)
    told = yield ctx.schedule_activity(tell_story, words)
    yield story.close()
    return told


@orchestration
async def price_check(ctx: OrchestrationContext, poster_id: int) -> Quote | None:
    """Ask every printing house at once, keep what they answer in time, and return the best offer.

    Shows: plain asyncio in an orchestration: `gather`, `timeout`, `TaskGroup`.
    """

    async def ask(supplier: str) -> Quote | None:
        try:
            async with asyncio.timeout(SUPPLIER_PATIENCE.total_seconds()):
                return await ctx.run(quote, supplier, poster_id)
        except (ActivityError, TimeoutError):
            ctx.logger.warning("%s gave no price for poster %s.", supplier, poster_id)
            return None

    async def record(given: Quote) -> None:
        await ctx.run(record_quote, poster_id, given)

    answers = await asyncio.gather(*(ask(supplier) for supplier in sorted(SUPPLIERS)))
    quotes = [given for given in answers if given is not None]
    async with asyncio.TaskGroup() as group:
        for given in quotes:
            group.create_task(record(given))
    return min(quotes, key=lambda given: given.cost, default=None)


@orchestration
def nightly_report(ctx: OrchestrationContext, day: date) -> Steps[Sales]:
    """Report a day's sales, each continent by an instance of its own.

    Shows: sub-orchestrations with ids of one's own, and `ctx.all`, which waits for all and tells which failed.
    """
    outcomes = yield ctx.all(
        ctx.schedule_sub_orchestration_with_id(continent_report, f"{ctx.instance_id}-{continent}", day, continent.value)
        for continent in Continent
    )
    total = Sales(posters=0, shipped_orders=0, revenue=Decimal("0.00"))
    for continent, outcome in zip(Continent, outcomes, strict=True):
        if "ok" in outcome:
            total += outcome["ok"]
        else:
            ctx.logger.error("There is no report of %s: %s", continent.value, outcome["err"])
    return total


@orchestration
def continent_report(ctx: OrchestrationContext, day: date, continent: str) -> Steps[Sales]:
    """Report a day's sales on one continent. A child of `nightly_report`."""
    return (yield ctx.schedule_activity(report_sales, day, continent))
