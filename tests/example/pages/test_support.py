"""The chat: each customer sees her own conversation."""

from __future__ import annotations

import pytest
from django.urls import reverse

from example_project.shop import services
from example_project.shop.models import ChatMessage, Conversation
from example_project.shop.workflows import CHAT_PATIENCE

CHAT = "/support/"
ANSWER = "A map of Lisbon, PT is 24.00 €, 10 are in stock."


def test_questions_are_answered_on_the_page(shopper, durable, poster, shown):
    assert shopper.post(CHAT, {"text": "Lisbon?"}).url == reverse("shop:chat")
    assert "Lisbon?" in shown(shopper, CHAT)
    durable.run()
    page = shown(shopper, CHAT)
    assert ANSWER in page
    assert "1 message answered." in page


def test_a_chat_is_seen_by_its_customer_only(shopper, stranger, anonymous, durable, poster, shown):
    shopper.post(CHAT, {"text": "Lisbon?"})
    assert "Lisbon?" not in shown(stranger, CHAT)
    assert anonymous.get(CHAT).url.startswith(reverse("login"))


def test_after_a_closed_chat_comes_another(shopper, durable, poster, shown):
    shopper.post(CHAT, {"text": "Lisbon?"})
    durable.run()
    durable.advance(CHAT_PATIENCE)
    assert "This conversation is closed." in shown(shopper, CHAT)
    shopper.post(CHAT, {"text": "Hello again"})
    assert Conversation.objects.count() == 2
    assert "Hello again" in shown(shopper, CHAT)


@pytest.mark.parametrize("end", ["terminate_instance", "delete_instance"])
def test_a_chat_whose_workflow_was_ended_is_followed_by_another(shopper, durable, customer, poster, shown, end):
    services.ask(customer, "Lisbon?")
    durable.client.terminate_instance(services.conversation_of(customer).instance_id, "no more chats")
    if end == "delete_instance":
        durable.client.delete_instance(services.conversation_of(customer).instance_id)
    shopper.post(CHAT, {"text": "Lisbon?"})
    durable.run()
    assert ANSWER in shown(shopper, CHAT)


@pytest.mark.parametrize("text", ["", "   ", "x" * 501, "a\x00b"])
def test_what_is_no_message_is_not_sent(shopper, text):
    assert shopper.post(CHAT, {"text": text}).context["form"].errors
    assert not ChatMessage.objects.exists()


def test_markup_is_shown_as_text(shopper, durable, poster):
    shopper.post(CHAT, {"text": "<script>alert(1)</script>"})
    page = shopper.get(CHAT).content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
