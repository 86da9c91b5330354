"""What the rest of the shop (pages, admin, commands) asks of its workflows.

Each business row and the start of its orchestration commit together, or not at all.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from django.contrib.auth.models import User
from django.db import transaction

from django_durable import IllegalTransition, InstanceNotFound
from django_durable.client import client

from . import catalogue
from .models import ChatMessage, Conversation, ImportRun, Order, Poster
from .workflows import Approval, checkout, guide, import_catalogue, nightly_report, price_check, support_chat


@transaction.atomic
def start_import(source: str = catalogue.CITIES) -> ImportRun:
    """Start importing a catalogue file."""
    run = ImportRun.objects.create(source=source)
    import_catalogue.start(run_id=run.pk, instance_id=run.instance_id)
    return run


def decide_import(run: ImportRun, *, approved: bool, by: str) -> None:
    """Publish an import that waits for approval, or discard it."""
    client.raise_event(run.instance_id, "approval", Approval(approved, by))


@transaction.atomic
def place_order(customer: User, poster: Poster, quantity: int = 1) -> Order:
    """Order a poster."""
    order = Order.objects.create(customer=customer, poster=poster, quantity=quantity, total=poster.price * quantity)
    checkout.start(order_id=order.pk, instance_id=order.instance_id)
    return order


def cancel_order(order: Order) -> None:
    """Cancel an order that is not shipped yet; its workflow gives everything back."""
    client.cancel_instance(order.instance_id, "canceled by the customer")


@transaction.atomic
def open_conversation(customer: User) -> Conversation:
    """Start a chat with the shop."""
    conversation = Conversation.objects.create(customer=customer)
    support_chat.start(conversation_id=conversation.pk, instance_id=conversation.instance_id)
    return conversation


def conversation_of(customer: User) -> Conversation | None:
    """Return a customer's latest chat."""
    return Conversation.objects.filter(customer=customer).last()


@transaction.atomic
def ask(customer: User, text: str) -> None:
    """Say something in a customer's chat. One that has ended is followed by a new one."""
    conversation = conversation_of(customer)
    if conversation is not None and not conversation.closed:
        try:
            return say(conversation, text)
        except (InstanceNotFound, IllegalTransition):
            pass  # Somebody ended its workflow before it could close the conversation.
    say(open_conversation(customer), text)


@transaction.atomic
def say(conversation: Conversation, text: str) -> None:
    """Add a customer's message to a conversation and queue it for an answer."""
    ChatMessage.objects.create(conversation=conversation, from_shop=False, text=text)
    client.enqueue_event(conversation.instance_id, "messages", text)


def guide_of(customer: User, poster: Poster) -> str:
    """Return the id of the instance that tells a customer about a poster's city."""
    return f"guide-{customer.pk}-{poster.pk}"


@transaction.atomic
def tell_about(customer: User, poster: Poster) -> None:
    """Tell a customer about a poster's city, from the beginning; a story that is being told goes on."""
    instance_id = guide_of(customer, poster)
    with suppress(InstanceNotFound, IllegalTransition):
        client.delete_instance(instance_id)
    guide.start(poster_id=poster.pk, instance_id=instance_id)


def check_prices(poster: Poster) -> str:
    """Ask every printing house what a poster costs now; return the instance that does."""
    return price_check.start(poster_id=poster.pk)


def report_day(day: date) -> str:
    """Report a day's sales, once however often it is asked; return the instance that does."""
    instance_id = f"report-{day}"
    nightly_report.start(day=day, instance_id=instance_id)
    return instance_id
