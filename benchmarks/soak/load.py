"""What customers and staff do to the shop, and what must have come of it: every start accounted for, nothing twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from django_durable import IllegalTransition
from django_durable.client import client
from django_durable.conf import settings
from django_durable.models import ActivityTask, InboxMessage, Instance, QueuedEvent
from example_project.shop import services
from example_project.shop.models import ChatMessage, Conversation, ImportRun, Order, Outage, Payment, Poster
from example_project.shop.outside import PAYMENTS

from .pulse import Pulse

STOCK = 25
MESSAGES = 23
"""Of each conversation: more than one execution answers."""

STUCK_SECONDS = 60.0
HELD_UP_SECONDS = 10.0
"""So long, no statement and no lock may take."""

AT_ONCE_SECONDS = 1.0
"""For how long work is started before what was started is looked at again."""

LIVE = ("Pending", "Running", "Suspended", "Blocked")
ENDS = {
    "order": {"Completed", "Failed", "Canceled"},  # Out of stock, or canceled by the customer.
    "chat": {"Canceled"},
    "price": {"Completed"},
    "report": {"Completed"},
    "import": {"Completed"},
}


@dataclass(slots=True)
class Open:
    """An instance that was started and not yet seen to end."""

    kind: str
    since: float
    row: object = None


class Load:
    """Starts work at a rate, follows it, and keeps account.

    Attributes:
        ended: How many instances ended, by kind and status; `failures` are those that should not have, with the reason.
        latencies: Seconds since the beginning and from start to end, of each order.
        lost, stuck: Ids of instances that vanished before their end, and that had not ended after a minute.
        held_up: Seconds for which the load itself came to nothing while the machine ran: the database, or whoever had
            it locked, held it up.
        excused: Activities that timed out while the machine stood still.
        unseen: How many instances may have ended, and been deleted by retention, while it stood still.

    Args:
        pulse: Tells when the machine stood still. On a machine that is shared, that happens; then nothing ran, and for
            that time nobody is late.
    """

    def __init__(self, rate: float, chance: random.Random, pulse: Pulse) -> None:
        self._rate = rate
        self._pulse = pulse
        self._chance = chance
        self._customer = User.objects.create_user("soak")
        self._open: dict[str, Open] = {}
        self._posters: list[int] = []
        self._begun = time.monotonic()
        self._due = self._begun
        self._next_import = self._begun
        self._reports = 0
        self.started = 0
        self.ended: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[tuple[str, str]] = Counter()
        self.excused = 0
        self.latencies: list[tuple[float, float]] = []
        self.lost: list[str] = []
        self.stuck: set[str] = set()
        self.held_up: list[float] = []
        self.unseen = 0
        self._looked = self._begun

    @property
    def open(self) -> int:
        """How many instances have not ended."""
        return len(self._open)

    def add(self) -> None:
        """Start what is due by now."""
        if time.monotonic() >= self._next_import:
            self._next_import = time.monotonic() + 60
            run = services.start_import()
            self._note(run.instance_id, "import", run)
        if not self._posters:
            self._posters = list(Poster.objects.filter(published=True).values_list("pk", flat=True))
            self._due = time.monotonic()
            return
        begun = time.monotonic()
        self._due = max(self._due, begun - AT_ONCE_SECONDS)  # A machine that is too slow for the rate gets less.
        while self._posters and self._due <= time.monotonic() < begun + AT_ONCE_SECONDS:
            self._due += self._chance.expovariate(self._rate)
            kinds = (self._order, self._price, self._chat, self._report)
            self._chance.choices(kinds, weights=(70, 20, 5, 5))[0]()

    def follow(self) -> None:
        """See what has ended, and answer what waits for an answer."""
        before, self._looked = self._looked, self._pulse.look()
        now, stood_still = self._looked, self._pulse.within(before, self._looked)
        if now - before - stood_still > HELD_UP_SECONDS:
            self.held_up.append(now - before - stood_still)
        for each in self._open.values():
            each.since += self._pulse.within(max(each.since, before), now)
        fields = ("instance_id", "runtime_status", "created_at", "completed_at")
        found = {row[0]: row for row in Instance.objects.filter(instance_id__in=list(self._open)).values_list(*fields)}
        for instance_id, each in list(self._open.items()):
            if instance_id not in found:
                if stood_still < settings.RETENTION.total_seconds():
                    self.lost.append(instance_id)
                else:
                    self.unseen += 1
                del self._open[instance_id]
                continue
            _, status, created_at, completed_at = found[instance_id]
            if status not in LIVE:
                del self._open[instance_id]
                self.ended[each.kind, status] += 1
                if status not in ENDS[each.kind]:
                    self._note_failure(each.kind, _reason(instance_id), created_at, completed_at)
                if each.kind == "order":
                    self.latencies.append((now - self._begun, (completed_at - created_at).total_seconds()))
            elif now - each.since > STUCK_SECONDS:
                self.stuck.add(instance_id)
        for instance_id, each in list(self._open.items()):
            self._attend(instance_id, each)

    def unexpected(self) -> list[str]:
        """Return what ended as it never should, and every business fact that is wrong. Empty: all is well."""
        found = [f"{count} {kind}: {reason}" for (kind, reason), count in self.failures.items()]
        if self.held_up:
            longest = max(self.held_up)
            found.append(f"the load was held up {len(self.held_up)} times, {longest:.0f} s at most; the machine ran")
        return [*found, *_wrong_orders(), *_wrong_stock(), *_wrong_chats(), *_left_over()]

    def _note_failure(self, kind: str, reason: str, created_at: datetime, completed_at: datetime) -> None:
        if "TimeoutError" in reason and self._pulse.touched(created_at.timestamp(), completed_at.timestamp()):
            self.excused += 1  # An activity that had ten seconds, and got none of them.
        else:
            self.failures[kind, reason] += 1

    def _order(self) -> None:
        poster = Poster.objects.filter(pk=self._chance.choice(self._posters), published=True).first()
        if poster is None:
            self._posters = []
            return
        if self._chance.random() < 0.1:
            Outage.objects.update_or_create(service=PAYMENTS, defaults={"failures_left": 2})
        order = services.place_order(self._customer, poster, self._chance.randint(1, 3))
        self._note(order.instance_id, "order", order)
        if self._chance.random() < 0.1:
            with suppress(IllegalTransition):  # It is shipped already.
                services.cancel_order(order)

    def _price(self) -> None:
        poster = Poster.objects.filter(pk=self._chance.choice(self._posters)).first()
        if poster is None or not poster.published:
            self._posters = []
            return
        self._note(services.check_prices(poster), "price")

    def _chat(self) -> None:
        with transaction.atomic():
            conversation = services.open_conversation(self._customer)
            for number in range(MESSAGES):
                services.say(conversation, f"Do you have Lisbon? ({number})")
        self._note(conversation.instance_id, "chat", conversation)

    def _report(self) -> None:
        self._reports += 1
        day = timezone.now().date() - timedelta(days=self._reports)
        self._note(services.report_day(day), "report")

    def _note(self, instance_id: str, kind: str, row: object = None) -> None:
        self.started += 1
        self._open[instance_id] = Open(kind, time.monotonic(), row)

    def _attend(self, instance_id: str, each: Open) -> None:
        """Decide an import that waits, and end a conversation that has been answered."""
        row = each.row
        if isinstance(row, ImportRun):
            row.refresh_from_db()
            if row.status == ImportRun.Status.WAITING:
                services.decide_import(row, approved=row.pk % 2 == 1, by="soak")
                each.row, self._posters = None, []
        elif isinstance(row, Conversation) and _answers(row) >= MESSAGES:
            client.cancel_instance(instance_id, "the customer has left")
            each.row = None


def _reason(instance_id: str) -> str:
    status = client.get_status(instance_id)
    return f"{status.runtime_status} {status.error or status.blocked_reason}"


def _wrong_orders() -> Iterator[str]:
    """Each order is shipped and charged once, or canceled and not charged."""
    for order in Order.objects.select_related("payment"):
        payment = getattr(order, "payment", None)
        charged = payment is not None and payment.status == Payment.Status.CHARGED
        if order.status not in (Order.Status.SHIPPED, Order.Status.CANCELED) or charged != (
            order.status == Order.Status.SHIPPED
        ):
            yield f"{order} is {order.status}, its payment {payment.status if payment else 'missing'}"


def _wrong_stock() -> Iterator[str]:
    """What is missing from the stock is what was shipped: nothing was reserved twice, or given back twice."""
    shipped = Order.objects.filter(status=Order.Status.SHIPPED).values("poster").annotate(sum=Sum("quantity"))
    gone = dict(shipped.values_list("poster", "sum"))
    for pk, stock in Poster.objects.values_list("pk", "stock"):
        if stock != STOCK - gone.get(pk, 0):
            yield f"poster {pk} has a stock of {stock}, and {gone.get(pk, 0)} of {STOCK} were shipped"


def _wrong_chats() -> Iterator[str]:
    for conversation in Conversation.objects.all():
        if (answers := _answers(conversation)) != MESSAGES:
            yield f"{conversation} has {answers} answers to {MESSAGES} messages"


def _answers(conversation: Conversation) -> int:
    return ChatMessage.objects.filter(conversation=conversation, from_shop=True).count()


def _left_over() -> Iterator[str]:
    for model in (ActivityTask, InboxMessage, QueuedEvent):
        if count := model.objects.count():
            yield f"{count} rows of {model.__name__} are left"
    if count := Instance.objects.filter(lease_owner__isnull=False).count():
        yield f"{count} instances are leased"
