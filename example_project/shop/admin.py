"""The shop's tables in the admin."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _, ngettext

from . import services
from .models import (
    ChatMessage,
    Conversation,
    DailyReport,
    ImportRun,
    Order,
    Outage,
    Payment,
    Poster,
    RejectedRow,
    SupplierQuote,
)


@admin.register(ImportRun)
class ImportRunAdmin(admin.ModelAdmin):
    list_display = ["instance_id", "source", "status", "imported", "rejected", "decided_by", "created_at"]
    list_filter = ["status"]


@admin.register(RejectedRow)
class RejectedRowAdmin(admin.ModelAdmin):
    list_display = ["reason", "run"]
    list_filter = ["run"]


@admin.register(Poster)
class PosterAdmin(admin.ModelAdmin):
    list_display = ["city", "country", "population", "price", "stock", "published"]
    list_filter = ["published", "continent"]
    search_fields = ["city"]
    actions = ["check_prices"]

    @admin.action(description=_("Ask the printing houses for their prices"))
    def check_prices(self, request: HttpRequest, queryset: QuerySet[Poster]) -> None:
        count = len([services.check_prices(poster) for poster in queryset])
        text = ngettext("Asked about %(count)s poster.", "Asked about %(count)s posters.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["instance_id", "poster", "quantity", "total", "status", "parcel"]
    list_filter = ["status"]
    list_select_related = ["poster"]
    autocomplete_fields = ["poster"]


@admin.register(Payment)
class PaymentAdmin(admin.ModelAdmin):
    list_display = ["reference", "order", "amount", "status"]


@admin.register(Outage)
class OutageAdmin(admin.ModelAdmin):
    list_display = ["service", "failures_left"]


@admin.register(SupplierQuote)
class SupplierQuoteAdmin(admin.ModelAdmin):
    list_display = ["poster", "supplier", "cost"]
    list_select_related = ["poster"]
    autocomplete_fields = ["poster"]


class ChatMessageInline(admin.TabularInline):
    model = ChatMessage
    extra = 0


@admin.register(Conversation)
class ConversationAdmin(admin.ModelAdmin):
    list_display = ["instance_id", "customer", "closed"]
    inlines = [ChatMessageInline]


@admin.register(DailyReport)
class DailyReportAdmin(admin.ModelAdmin):
    list_display = ["day", "continent", "posters", "shipped_orders", "revenue"]
    list_filter = ["day", "continent"]
