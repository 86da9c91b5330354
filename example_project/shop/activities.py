"""What touches the world: the database, files, services. Plain Django code; orchestrations schedule it.

`@activity(atomic=True)` commits its writes and its completion in one transaction, so they happen exactly once. The
others happen at least once and are written so that a second time does no harm.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Count, F, Sum, Value

from django_durable import ActivityContext, Provided, RetryPolicy, StreamWriter, activity

from . import catalogue, outside
from .guide import story_of
from .models import ChatMessage, Conversation, DailyReport, ImportRun, Order, Poster, RejectedRow, SupplierQuote

# The import.


@activity
def count_rows(run_id: int) -> int:
    """Return how many rows the file of an import has."""
    run = ImportRun.objects.get(pk=run_id)
    return sum(1 for _ in catalogue.rows(run.source))


@activity(atomic=True)
def import_chunk(run_id: int, first: int, count: int) -> int:
    """Make draft posters of some rows of the file, note the rows that are none, and return how many rows it read."""
    run = ImportRun.objects.get(pk=run_id)
    posters, rejected = [], []
    for row in catalogue.rows(run.source, first, count):
        try:
            posters.append(poster_from(row, run))
        except ValidationError as error:
            rejected.append(RejectedRow(run=run, row=row, reason=" ".join(error.messages)))
    Poster.objects.bulk_create(posters)
    RejectedRow.objects.bulk_create(rejected)
    ImportRun.objects.filter(pk=run_id).update(
        imported=F("imported") + len(posters), rejected=F("rejected") + len(rejected)
    )
    return len(posters) + len(rejected)


def poster_from(row: dict[str, str], run: ImportRun) -> Poster:
    """Return the poster that a row describes, not saved. Raises: ValidationError."""
    poster = Poster(**row, run=run)
    poster.clean_fields(exclude=["run", "price"])
    poster.price = Poster.price_for(poster.population)
    return poster


@activity(atomic=True)
def ask_for_approval(run_id: int) -> None:
    """Show the import as waiting for somebody's decision."""
    ImportRun.objects.filter(pk=run_id).update(status=ImportRun.Status.WAITING)


@dataclass(frozen=True)
class Catalogue:
    """What an import left in the shop."""

    published: int
    rejected: int


@activity(atomic=True)
def publish_import(run_id: int, by: str) -> Catalogue:
    """Replace the posters on sale by those of an import.

    What was replaced is off sale, and removed by the import after this one: by then nobody orders it any more. What was
    ordered stays.
    """
    earlier = Poster.objects.filter(run__status=ImportRun.Status.PUBLISHED).exclude(run=run_id)
    earlier.filter(published=False, orders=None).delete()
    earlier.update(published=False)
    published = Poster.objects.filter(run=run_id).update(published=True)
    ImportRun.objects.filter(pk=run_id).update(status=ImportRun.Status.PUBLISHED, decided_by=by)
    return Catalogue(published, rejected=RejectedRow.objects.filter(run=run_id).count())


@activity(atomic=True)
def discard_import(run_id: int, by: str) -> Catalogue:
    """Remove the drafts of an import; what is published stays."""
    Poster.objects.filter(run=run_id, published=False).delete()
    run = ImportRun.objects.filter(pk=run_id).exclude(status=ImportRun.Status.PUBLISHED)
    run.update(status=ImportRun.Status.DISCARDED, decided_by=by, imported=0)
    return Catalogue(published=0, rejected=RejectedRow.objects.filter(run=run_id).count())


# Orders.


class OutOfStock(Exception):
    """Fewer posters are left than were ordered."""


@activity(atomic=True)
def reserve_stock(order_id: int) -> None:
    """Take an order's posters off the stock."""
    order = Order.objects.get(pk=order_id)
    in_stock = Poster.objects.filter(pk=order.poster_id, stock__gte=order.quantity)
    if not in_stock.update(stock=F("stock") - order.quantity):
        raise OutOfStock(f"There are not {order.quantity} of {order.poster} left.")
    Order.objects.filter(pk=order_id).update(status=Order.Status.RESERVED)


@activity(
    retry=RetryPolicy(max_attempts=5, initial=timedelta(milliseconds=100), non_retryable=(outside.PaymentDeclined,)),
    timeout=timedelta(seconds=10),
)
def charge(ctx: ActivityContext, order_id: int) -> str:
    """Charge the customer. The key that every attempt shares keeps a second attempt from charging twice."""
    return outside.charge_order(Order.objects.get(pk=order_id), reference=ctx.idempotency_key)


@activity(atomic=True)
def ship(order_id: int) -> str:
    """Hand the parcel over and return its number."""
    order = Order.objects.select_for_update().get(pk=order_id)
    order.status = Order.Status.SHIPPED
    order.parcel = f"{order.poster.country}-{order.pk:08d}"
    order.save()
    return order.parcel


@activity(atomic=True)
def cancel_order(order_id: int) -> bool:
    """Give an order's posters back to the stock and tell whether it is canceled; what is shipped stays shipped."""
    order = Order.objects.select_for_update().get(pk=order_id)
    if order.status == Order.Status.RESERVED:
        Poster.objects.filter(pk=order.poster_id).update(stock=F("stock") + order.quantity)
    if order.status != Order.Status.SHIPPED:
        order.status = Order.Status.CANCELED
        order.save()
    return order.status == Order.Status.CANCELED


@activity(retry=RetryPolicy(max_attempts=10))
def refund(order_id: int) -> None:
    """Give the customer's money back, or keep a charge that is still on its way from taking it."""
    outside.refund_order(Order.objects.get(pk=order_id))


# Support.


@activity(atomic=True)
def answer(conversation_id: int, question: str) -> str:
    """Answer with the price of the largest city on sale that the question names."""
    on_sale = Poster.objects.filter(published=True).alias(question=Value(question))
    poster = on_sale.filter(question__icontains=F("city")).first()
    text = (
        f"A map of {poster} is {poster.price} €, {poster.stock} are in stock."
        if poster
        else "Which city would you like a map of?"
    )
    ChatMessage.objects.create(conversation_id=conversation_id, from_shop=True, text=text)
    return text


# The guide.


@activity
def compose_story(poster_id: int) -> list[str]:
    """Return the words of what there is to tell about a city."""
    return story_of(Poster.objects.get(pk=poster_id)).split()


@activity
def tell_story(words: list[str], story: StreamWriter[str] = Provided) -> int:
    """Tell the words one by one, going on where an attempt was cut off, and return how many there were."""
    for word in words[story.sent() :]:
        story.send(f"{word} ")
        time.sleep(settings.WORD_SECONDS)
    return len(words)


@activity(atomic=True)
def close_conversation(conversation_id: int) -> None:
    """Close a conversation."""
    Conversation.objects.filter(pk=conversation_id).update(closed=True)


# Prices.


@dataclass(frozen=True)
class Quote:
    """What a printing house asks for one poster."""

    supplier: str
    cost: Decimal


@activity(retry=RetryPolicy(max_attempts=5, initial=timedelta(seconds=1)))
async def quote(supplier: str, poster_id: int) -> Quote:
    """Ask a printing house for its price. Its retries outlast the orchestration's patience, which then ends them."""
    poster = await Poster.objects.aget(pk=poster_id)
    return Quote(supplier, await sync_to_async(outside.ask_for_quote)(supplier, poster))


@activity(atomic=True)
def record_quote(poster_id: int, given: Quote) -> None:
    """Keep a printing house's latest price."""
    SupplierQuote.objects.update_or_create(poster_id=poster_id, supplier=given.supplier, defaults={"cost": given.cost})


# Reports.


@dataclass(frozen=True)
class Sales:
    """What one continent had on sale and sold."""

    posters: int
    shipped_orders: int
    revenue: Decimal

    def __add__(self, other: Sales) -> Sales:
        return Sales(
            self.posters + other.posters, self.shipped_orders + other.shipped_orders, self.revenue + other.revenue
        )


@activity(atomic=True)
def report_sales(day: date, continent: str) -> Sales:
    """Count a day's sales on one continent and keep them."""
    shipped = Order.objects.filter(
        created_at__date=day, poster__continent=continent, status=Order.Status.SHIPPED
    ).aggregate(orders=Count("pk"), revenue=Sum("total", default=0))
    sales = Sales(
        posters=Poster.objects.filter(published=True, continent=continent).count(),
        shipped_orders=shipped["orders"],
        revenue=Decimal(shipped["revenue"]).quantize(Decimal("0.01")),
    )
    DailyReport.objects.update_or_create(day=day, continent=continent, defaults=asdict(sales))
    return sales
