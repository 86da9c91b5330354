"""The project's rules in the admin: they take away, and open nothing."""

from __future__ import annotations

import pytest

from django_durable.permissions import DurablePermissions, Right

from .pages import LIST, START, do, key, page, said, status, text

EVERYTHING = {right.codename for right in Right}


class Discreet(DurablePermissions):
    """Nobody sees what is secret, cancels what is kept, sees payloads of what is private, or starts parents."""

    def can_view(self, user, instance):
        return instance.instance_id not in ("secret-1", "family-0") and super().can_view(user, instance)

    def can_inspect(self, user, instance):
        return "closed" not in instance.instance_id and super().can_inspect(user, instance)

    def can_view_payload(self, user, instance):
        return "private" not in instance.instance_id and super().can_view_payload(user, instance)

    def can_change(self, user, instance, right):
        return "kept" not in instance.instance_id and super().can_change(user, instance, right)

    def can_start(self, user, orchestration):
        return orchestration != "shop.parent" and super().can_start(user, orchestration)


class Open(DurablePermissions):
    """Everybody may everything."""

    def has(self, user, right):
        return True


@pytest.fixture
def staff(shop, person, settings):
    """Whoever has every permission, under the rules."""
    for instance_id in ("secret-1", "kept-1", "private-1", "closed-1"):
        shop.client.start_orchestration(instance_id, "shop.waits", {"note": f"note of {instance_id}"})
    shop.run()
    settings.DJANGO_DURABLE = {"PERMISSIONS": f"{__name__}.Discreet"}
    return person(*EVERYTHING)


def test_what_may_not_be_seen_is_not_there(staff):
    assert "kept-1" in text(staff.get(LIST))
    assert "secret-1" not in text(staff.get(LIST))
    for address in (page("secret-1"), do("secret-1", "cancel"), f"{LIST}{key('secret-1')}/history/"):
        assert "note of secret" not in staff.get(address, follow=True).content.decode()
        assert staff.get(address).status_code in (302, 403)


def test_what_may_not_be_seen_is_not_in_the_tree_of_another(shop, staff):
    shop.client.start_orchestration("family", "shop.parent", {"children": 2})
    shop.run()

    body = staff.get(page("family")).content.decode()
    assert page("family-1") in body
    assert page("family-0") not in body


def test_an_operation_that_the_rules_refuse_is_not_offered_and_not_done(staff):
    assert do("kept-1", "cancel") not in staff.get(page("kept-1")).content.decode()
    assert do("private-1", "cancel") in staff.get(page("private-1")).content.decode()

    told = said(staff.post(do("kept-1", "terminate"), {"reason": ""}, follow=True))
    assert told == ["You may not do this to “kept-1”."]
    assert status("kept-1") == "Running"


def test_an_action_on_many_leaves_out_what_the_rules_refuse(staff):
    chosen = [key(each) for each in ("kept-1", "secret-1", "private-1")]
    told = said(staff.post(LIST, {"action": "suspend_instances", "_selected_action": chosen}, follow=True))

    assert [status(each) for each in ("kept-1", "secret-1", "private-1")] == ["Running", "Running", "Suspended"]
    assert len(told) == 3
    assert any(each.startswith("There is no instance 'secret-1'.") for each in told)


def test_payloads_and_histories_need_the_rules_as_well(staff):
    assert "note of kept-1" in text(staff.get(page("kept-1")))
    assert "ActivityScheduled" in text(staff.get(page("private-1")))
    assert '"note"' not in text(staff.get(page("private-1")))
    assert staff.get(page("closed-1")).status_code == 403


def test_an_orchestration_that_may_not_be_started_is_not_offered_or_started(staff):
    assert "shop.parent" not in text(staff.get(START))
    assert staff.get(f"{START}?orchestration=shop.parent").status_code == 403
    assert staff.post(f"{START}?orchestration=shop.parent", {"children": "1"}).status_code == 403


def test_rules_that_open_everything_open_nothing_in_the_admin(staff, person, settings):
    settings.DJANGO_DURABLE = {"PERMISSIONS": f"{__name__}.Open"}
    somebody = person()

    for address in (LIST, START, page("kept-1"), do("kept-1", "cancel")):
        assert somebody.get(address).status_code == 403


def test_a_live_instance_is_deleted_only_by_whoever_may_end_it(shop, person):
    shop.client.start_orchestration("order-1", "shop.waits")
    shop.run()
    somebody = person("view_instance", "delete_instance")

    assert "force" not in somebody.get(do("order-1", "delete")).content.decode()
    somebody.post(do("order-1", "delete"), {"force": "on"})
    assert status("order-1") == "Running"
