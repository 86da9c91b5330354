"""The nightly report: a child for each continent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from example_project.shop import services
from example_project.shop.activities import Sales
from example_project.shop.models import Continent, DailyReport


def test_sales_are_counted_by_a_child_for_each_continent(durable, ended, poster, customer):
    order = services.place_order(customer, poster, quantity=2)
    durable.run()
    day = order.created_at.date()
    report = services.report_day(day)
    durable.run()

    assert ended(report).output == Sales(posters=1, shipped_orders=1, revenue=Decimal("48.00"))
    assert DailyReport.objects.count() == len(Continent)
    europe = DailyReport.objects.get(continent=Continent.EUROPE)
    assert (europe.posters, europe.shipped_orders, europe.revenue) == (1, 1, 48)
    ended(f"{report}-EU")


def test_asking_twice_for_a_day_reports_it_once(durable):
    first = services.report_day(date(2026, 1, 1))
    durable.run()
    assert services.report_day(date(2026, 1, 1)) == first
    assert durable.run() == 0
