"""The chat with the shop: each customer has one at a time."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from django_durable.client import client

from .. import services
from ..forms import QuestionForm
from ..watching import status_of

MESSAGES_SHOWN = 50


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def chat(request: HttpRequest) -> HttpResponse:
    """Show a customer's conversation with the shop, or add a question to it."""
    form = QuestionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        services.ask(request.user, form.cleaned_data["text"])
        return redirect("shop:chat")
    conversation = services.conversation_of(request.user)
    status = status_of(conversation.instance_id) if conversation else None
    context = {
        "form": form,
        "conversation": conversation,
        "lines": conversation and reversed(conversation.messages.order_by("-pk")[:MESSAGES_SHOWN]),
        "answered": status and client.get_kv_value(conversation.instance_id, "answered"),
        "status": status,
    }
    return render(request, "shop/chat.html", context)
