"""The import of the real catalogue."""

from __future__ import annotations

import pytest
from django.db import transaction

from django_durable import InstanceNotFound
from django_durable.engine.events import CustomStatusUpdated
from example_project.shop import services, workflows
from example_project.shop.activities import Catalogue, import_chunk
from example_project.shop.models import ImportRun, Poster, RejectedRow

ROWS = 4028


def statuses(durable, run):
    history = durable.client.read_execution_history(run.instance_id, 1)
    return [durable.registry.codec.decode(e.fact.value) for e in history if isinstance(e.fact, CustomStatusUpdated)]


def test_the_catalogue_is_imported_approved_and_published(durable, ended):
    run = services.start_import()
    durable.run()
    run.refresh_from_db()
    rejected = RejectedRow.objects.filter(run=run).count()
    assert run.status == ImportRun.Status.WAITING
    assert (run.imported, run.rejected) == (ROWS - rejected, rejected)
    assert not Poster.objects.filter(published=True).exists()

    services.decide_import(run, approved=True, by="tests")
    durable.run()
    assert ended(run.instance_id).output == Catalogue(published=ROWS - rejected, rejected=rejected)
    run.refresh_from_db()
    assert (run.status, run.decided_by) == (ImportRun.Status.PUBLISHED, "tests")
    assert Poster.objects.filter(published=True).count() == ROWS - rejected
    assert str(Poster.objects.first()) == "Shanghai, CN"


def test_rows_that_do_not_fit_are_kept_with_the_reason(durable):
    run = services.start_import()
    durable.run()
    found = {rejected.row["city"]: rejected.reason for rejected in run.rejected_rows.all()}
    assert "San Martin Texmelucan de Labastida" in found
    assert all("at most 30 characters" in reason for reason in found.values())


def test_progress_only_grows_and_ends_at_the_whole_file(durable):
    run = services.start_import()
    durable.run()
    found = statuses(durable, run)
    assert [each["done"] for each in found] == sorted(each["done"] for each in found)
    assert found[0]["done"] == workflows.ROWS_PER_CHUNK
    assert found[-1] == {"progress": 1.0, "done": ROWS, "total": ROWS, "text": "Waiting for approval"}


def test_the_row_and_the_start_roll_back_together(durable):
    with transaction.atomic():
        run = services.start_import()
        transaction.set_rollback(True)
    assert not ImportRun.objects.exists()
    with pytest.raises(InstanceNotFound):
        durable.client.get_status(run.instance_id)
    assert durable.run() == 0


def test_a_refused_import_leaves_no_posters(durable, ended):
    run = services.start_import()
    durable.run()
    services.decide_import(run, approved=False, by="tests")
    durable.run()
    run.refresh_from_db()
    assert ended(run.instance_id).output.published == 0
    assert (run.status, Poster.objects.count()) == (ImportRun.Status.DISCARDED, 0)


def test_an_import_that_nobody_decides_on_is_discarded_after_the_deadline(durable, ended):
    run = services.start_import()
    durable.run()
    durable.advance(workflows.APPROVAL_DEADLINE)
    run.refresh_from_db()
    assert ended(run.instance_id).custom_status["text"] == "Discarded"
    assert (run.status, Poster.objects.count()) == (ImportRun.Status.DISCARDED, 0)


def test_a_canceled_import_takes_its_drafts_back(durable, ended):
    run = services.start_import()
    durable.run()
    durable.client.cancel_instance(run.instance_id, "wrong file")
    durable.run()
    run.refresh_from_db()
    ended(run.instance_id, "Canceled")
    assert (run.status, Poster.objects.count()) == (ImportRun.Status.DISCARDED, 0)


def test_an_import_canceled_while_its_chunks_run_leaves_no_drafts(durable, ended, monkeypatch):
    import_rows = import_chunk.function

    def import_and_cancel(run_id: int, first: int, count: int) -> int:
        if first == 5 * workflows.ROWS_PER_CHUNK:
            durable.client.cancel_instance(run.instance_id)
        return import_rows(run_id, first, count)

    monkeypatch.setattr(import_chunk, "function", import_and_cancel)
    run = services.start_import()
    durable.run()
    run.refresh_from_db()
    ended(run.instance_id, "Canceled")
    assert (run.status, Poster.objects.count()) == (ImportRun.Status.DISCARDED, 0)


def test_a_missing_file_fails_the_import_and_says_so(durable, ended):
    run = services.start_import("missing.csv")
    durable.run()
    run.refresh_from_db()
    assert ended(run.instance_id, "Failed").error.error_type == "FileNotFoundError"
    assert run.status == ImportRun.Status.DISCARDED


def test_a_new_catalogue_replaces_the_old_one_but_not_what_was_ordered_of_it(durable, poster, customer):
    order = services.place_order(customer, poster)
    run = services.start_import()
    durable.run()
    services.decide_import(run, approved=True, by="tests")
    durable.run()
    poster.refresh_from_db()
    order.refresh_from_db()
    assert (poster.published, order.status) == (False, "shipped")
    assert not Poster.objects.filter(published=True).exclude(run=run).exists()


def test_publishing_one_import_leaves_the_drafts_of_another_alone(durable):
    first, second = services.start_import(), services.start_import()
    durable.run()
    services.decide_import(second, approved=True, by="tests")
    durable.run()
    assert Poster.objects.filter(run=first, published=False).count() == first.posters.count() > 0

    services.decide_import(first, approved=True, by="tests")
    durable.run()
    assert not Poster.objects.filter(run=second, published=True).exists()
    assert Poster.objects.filter(run=first, published=True).count() == first.posters.count() > 0


def test_what_an_import_took_off_sale_is_removed_by_the_next_one_but_not_what_was_ordered(durable, poster, customer):
    """Between the two, who saw it on sale can finish the order: nothing that may be ordered right now is deleted."""
    services.place_order(customer, poster)
    first, second, third = [services.start_import() for _ in range(3)]
    durable.run()
    for run in (first, second):
        services.decide_import(run, approved=True, by="tests")
        durable.run()
    assert Poster.objects.filter(run=first, published=False).count() == first.posters.count() > 0

    services.decide_import(third, approved=True, by="tests")
    durable.run()
    assert not Poster.objects.filter(run=first).exists()
    assert Poster.objects.filter(run=second, published=False).exists()
    assert Poster.objects.filter(pk=poster.pk).exists()
