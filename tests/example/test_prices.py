"""The price check: printing houses asked at once, those that are silent left out."""

from __future__ import annotations

from decimal import Decimal

from example_project.shop import services
from example_project.shop.activities import Quote
from example_project.shop.models import Outage, SupplierQuote
from example_project.shop.outside import SUPPLIERS


def test_every_answer_is_kept_and_the_cheapest_wins(durable, ended, poster):
    check = services.check_prices(poster)
    durable.run()
    assert ended(check).output == Quote("Meridian Press", Decimal("7.20"))
    assert SupplierQuote.objects.filter(poster=poster).count() == len(SUPPLIERS)


def test_a_supplier_that_answers_at_the_second_try_is_waited_for(durable, ended, poster):
    Outage.objects.create(service="Meridian Press", failures_left=1)
    check = services.check_prices(poster)
    durable.run_to_the_end()
    assert ended(check).output.supplier == "Meridian Press"


def test_a_supplier_that_stays_silent_is_left_out_when_patience_ends(durable, ended, poster):
    Outage.objects.create(service="Meridian Press", failures_left=100)
    check = services.check_prices(poster)
    durable.run_to_the_end()
    assert ended(check).output == Quote("Atelier Nord", Decimal("8.40"))
    assert not SupplierQuote.objects.filter(supplier="Meridian Press").exists()


def test_no_answer_at_all_is_no_offer(durable, ended, poster):
    Outage.objects.bulk_create(Outage(service=supplier, failures_left=100) for supplier in SUPPLIERS)
    check = services.check_prices(poster)
    durable.run_to_the_end()
    assert ended(check).output is None
