"""What the shop sells, to whom, and what it was told by the outside world."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class ImportRun(models.Model):
    """One import of a catalogue file. The instance of `workflows.import_catalogue` that does it is `instance_id`."""

    class Status(models.TextChoices):
        IMPORTING = "importing", _("Importing")
        WAITING = "waiting", _("Waiting for approval")
        PUBLISHED = "published", _("Published")
        DISCARDED = "discarded", _("Discarded")

    source = models.CharField(_("source"), max_length=100)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.IMPORTING)
    imported = models.PositiveIntegerField(_("imported"), default=0)
    rejected = models.PositiveIntegerField(_("rejected"), default=0)
    decided_by = models.CharField(_("decided by"), max_length=150, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.instance_id

    def get_absolute_url(self) -> str:
        return reverse("shop:import", args=[self.pk])

    @property
    def instance_id(self) -> str:
        return f"import-{self.pk}"


class Continent(models.TextChoices):
    AFRICA = "AF", _("Africa")
    ASIA = "AS", _("Asia")
    EUROPE = "EU", _("Europe")
    NORTH_AMERICA = "NA", _("North America")
    OCEANIA = "OC", _("Oceania")
    SOUTH_AMERICA = "SA", _("South America")


class Poster(models.Model):
    """A print of a city's map. A draft until the import that made it is published."""

    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="posters", verbose_name=_("import"))
    geoname_id = models.PositiveIntegerField(_("GeoNames id"))
    city = models.CharField(_("city"), max_length=30, help_text=_("What fits on the label."))
    country = models.CharField(_("country"), max_length=2)
    continent = models.CharField(_("continent"), max_length=2, choices=Continent)
    latitude = models.FloatField(_("latitude"), validators=[MinValueValidator(-90), MaxValueValidator(90)])
    longitude = models.FloatField(_("longitude"), validators=[MinValueValidator(-180), MaxValueValidator(180)])
    population = models.PositiveIntegerField(_("population"), validators=[MinValueValidator(1)])
    price = models.DecimalField(_("price"), max_digits=6, decimal_places=2)
    stock = models.PositiveIntegerField(_("stock"), default=25)
    published = models.BooleanField(_("published"), default=False)

    class Meta:
        verbose_name = _("poster")
        verbose_name_plural = _("posters")
        ordering = ["-population", "pk"]
        constraints = [models.UniqueConstraint(fields=["run", "geoname_id"], name="shop_one_poster_per_city_and_run")]

    def __str__(self) -> str:
        return f"{self.city}, {self.country}"

    @staticmethod
    def price_for(population: int) -> Decimal:
        """Return the price of a map: the larger the city, the larger the sheet."""
        if population >= 5_000_000:
            return Decimal("49.00")
        return Decimal("35.00") if population >= 1_000_000 else Decimal("24.00")


class RejectedRow(models.Model):
    """A row of the file that could not become a poster, and why."""

    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="rejected_rows", verbose_name=_("import"))
    row = models.JSONField(_("row"))
    reason = models.TextField(_("reason"))

    class Meta:
        verbose_name = _("rejected row")
        verbose_name_plural = _("rejected rows")

    def __str__(self) -> str:
        return self.reason


class Order(models.Model):
    """One customer's order of one poster. The instance of `workflows.checkout` that handles it is `instance_id`."""

    class Status(models.TextChoices):
        PLACED = "placed", _("Placed")
        RESERVED = "reserved", _("Reserved")
        SHIPPED = "shipped", _("Shipped")
        CANCELED = "canceled", _("Canceled")

    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="orders", verbose_name=_("customer")
    )
    poster = models.ForeignKey(Poster, models.PROTECT, related_name="orders", verbose_name=_("poster"))
    quantity = models.PositiveIntegerField(_("quantity"), default=1, validators=[MinValueValidator(1)])
    total = models.DecimalField(_("total"), max_digits=9, decimal_places=2)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.PLACED)
    parcel = models.CharField(_("parcel"), max_length=40, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.instance_id

    def get_absolute_url(self) -> str:
        return reverse("shop:order", args=[self.pk])

    @property
    def instance_id(self) -> str:
        """The owner is part of it, so that `permissions.py` needs no query."""
        return f"order-{self.customer_id}-{self.pk}"


class Payment(models.Model):
    """What the payment provider has in its books for an order; it never charges one reference twice."""

    class Status(models.TextChoices):
        CHARGED = "charged", _("Charged")
        REFUNDED = "refunded", _("Refunded")

    order = models.OneToOneField(Order, models.PROTECT, verbose_name=_("order"))
    reference = models.CharField(_("reference"), max_length=100, unique=True)
    amount = models.DecimalField(_("amount"), max_digits=9, decimal_places=2)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.CHARGED)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")

    def __str__(self) -> str:
        return self.reference


class Outage(models.Model):
    """How many more calls of a service of the outside world will fail. Makes the flaky world repeatable."""

    service = models.CharField(_("service"), max_length=40, primary_key=True)
    failures_left = models.PositiveIntegerField(_("failures left"))

    class Meta:
        verbose_name = _("outage")
        verbose_name_plural = _("outages")

    def __str__(self) -> str:
        return f"{self.service}: {self.failures_left}"


class SupplierQuote(models.Model):
    """What a printing house last asked for a poster."""

    poster = models.ForeignKey(Poster, models.CASCADE, related_name="quotes", verbose_name=_("poster"))
    supplier = models.CharField(_("supplier"), max_length=40)
    cost = models.DecimalField(_("cost"), max_digits=6, decimal_places=2)

    class Meta:
        verbose_name = _("supplier quote")
        verbose_name_plural = _("supplier quotes")
        constraints = [models.UniqueConstraint(fields=["poster", "supplier"], name="shop_one_quote_per_supplier")]

    def __str__(self) -> str:
        return f"{self.supplier}: {self.cost}"


class Conversation(models.Model):
    """A customer's chat with the shop. The instance of `workflows.support_chat` that answers is `instance_id`."""

    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="conversations", verbose_name=_("customer")
    )
    closed = models.BooleanField(_("closed"), default=False)

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.instance_id

    @property
    def instance_id(self) -> str:
        """The owner is part of it, so that `permissions.py` needs no query."""
        return f"chat-{self.customer_id}-{self.pk}"


class ChatMessage(models.Model):
    """One line of a conversation, the customer's or the shop's."""

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="messages", verbose_name=_("conversation")
    )
    from_shop = models.BooleanField(_("from the shop"))
    text = models.TextField(_("text"))

    class Meta:
        verbose_name = _("chat message")
        verbose_name_plural = _("chat messages")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text


class DailyReport(models.Model):
    """Sales by continent, one row each day and continent."""

    day = models.DateField(_("day"))
    continent = models.CharField(_("continent"), max_length=2, choices=Continent)
    posters = models.PositiveIntegerField(_("posters"))
    shipped_orders = models.PositiveIntegerField(_("shipped orders"))
    revenue = models.DecimalField(_("revenue"), max_digits=12, decimal_places=2)

    class Meta:
        verbose_name = _("daily report")
        verbose_name_plural = _("daily reports")
        ordering = ["-day", "continent"]
        constraints = [models.UniqueConstraint(fields=["day", "continent"], name="shop_one_report_per_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.continent}"
