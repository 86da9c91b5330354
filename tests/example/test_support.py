"""The chat: every message answered in order, a short history, an end."""

from __future__ import annotations

from example_project.shop import services
from example_project.shop.models import ChatMessage
from example_project.shop.workflows import CHAT_PATIENCE, LATE_MESSAGES, MESSAGES_PER_EXECUTION


def answers(conversation):
    return list(ChatMessage.objects.filter(conversation=conversation, from_shop=True).values_list("text", flat=True))


def test_each_message_is_answered_from_the_catalogue(durable, poster, customer):
    conversation = services.open_conversation(customer)
    services.say(conversation, "How much is a map of Lisbon?")
    services.say(conversation, "And of Atlantis?")
    durable.run()
    assert answers(conversation) == [
        "A map of Lisbon, PT is 24.00 €, 10 are in stock.",
        "Which city would you like a map of?",
    ]
    assert durable.client.get_kv_value(conversation.instance_id, "answered") == 2
    assert durable.client.get_kv_value(conversation.instance_id, "last_answer") == answers(conversation)[-1]


def test_a_message_that_is_no_text_is_left_out_and_the_chat_goes_on(durable, poster, customer):
    conversation = services.open_conversation(customer)
    for sent in ({"text": "Lisbon?"}, None, 7):
        durable.client.enqueue_event(conversation.instance_id, "messages", sent)
    services.say(conversation, "Lisbon?")
    durable.run()

    assert len(answers(conversation)) == 1
    assert durable.client.get_status(conversation.instance_id).runtime_status == "Running"


def test_a_long_conversation_goes_on_as_new_and_loses_no_message(durable, ended, poster, customer):
    conversation = services.open_conversation(customer)
    questions = 2 * MESSAGES_PER_EXECUTION + 3
    for _ in range(questions):
        services.say(conversation, "Lisbon?")
    durable.run()
    assert len(answers(conversation)) == questions
    assert len(durable.client.list_executions(conversation.instance_id)) == 3

    durable.advance(CHAT_PATIENCE + 2 * LATE_MESSAGES)
    conversation.refresh_from_db()
    assert ended(conversation.instance_id).output == {"answered": questions}
    assert conversation.closed


def test_a_message_that_comes_while_the_conversation_is_closed_is_answered(durable, ended, poster, customer):
    conversation = services.open_conversation(customer)
    durable.advance(CHAT_PATIENCE)
    services.say(conversation, "Lisbon?")
    durable.advance(LATE_MESSAGES * 2)

    assert len(answers(conversation)) == 1
    assert ended(conversation.instance_id).output == {"answered": 1}
