"""The storage invariants of the reference system, and the tests that hold them here.

Each line is an invariant, `->`, and the tests that name it, as `module test` without `test_`. `==` stands where this
system does something else on purpose, with the reason. The test below sees to it that every test named here exists.

atomicity
    a turn's commit is all or nothing
        -> turns a_commit_writes_everything_of_a_turn
        -> turns nothing_of_a_turn_is_written_when_one_of_its_statements_fails
    history, tasks, messages and metadata go together, also with the outcomes a turn takes
        -> turns a_turn_is_lost_as_a_whole_when_a_task_it_finishes_is_no_longer_held
    the lock is released only by a commit that succeeds
        -> turns a_commit_releases_the_lease_and_keeps_it_only_when_asked
        -> turns nothing_of_a_turn_is_written_when_one_of_its_statements_fails
    two commits with the same token never both succeed
        -> turns two_commits_with_the_same_token_never_both_succeed
        == a lease that is kept serves several turns with one token; their place in the history tells them apart

bulk_deletion, deletion, prune
    filters are ANDed, limits and cut-offs hold, running is skipped, cascades
        -> retention bulk_deletion_conditions_must_all_hold
        -> retention bulk_deletion_honours_its_limit_and_goes_on_with_the_next_batch
        -> retention bulk_deletion_without_conditions_takes_every_finished_root_and_skips_the_others
        -> retention bulk_deletion_cascades_from_several_roots
    exact counts, all tables, force, unknown ids, children
        -> retention deletion_removes_a_finished_instance_from_every_table_and_counts_it
        -> retention deletion_of_an_unfinished_instance_needs_force
        -> retention deletion_of_an_unknown_instance_raises
        -> retention a_child_is_never_deleted_by_itself
        -> retention deletion_takes_descendants_of_any_depth_along
    a late commit does not bring a deleted instance back
        -> races force_delete_prevents_a_late_commit_from_bringing_the_instance_back
    a child spawned after the tree walk leaves no orphan
        -> races a_child_cannot_be_spawned_after_the_tree_walk
    a stale activity of a deleted instance does not reach a new one
        -> activities the_task_of_a_deleted_instance_is_lost_and_does_not_reach_a_new_one_with_the_same_id
    prune combinations; current and running executions stay
        -> retention prune_options_must_both_hold
        -> retention the_current_execution_is_never_pruned
        -> retention bulk_prune_includes_running_instances_and_honours_ids_and_limit

cancellation
    the activity of an orchestration in any state can be fetched and finished
        -> activities a_task_can_be_claimed_and_finished_whatever_became_of_its_orchestration
    renewing works while it runs
        -> activities renewing_past_the_original_expiry_keeps_the_task
    canceled activities' rows are deleted in the turn's commit
        -> turns canceling_deletes_the_tasks_of_earlier_turns_and_no_others
        -> turns a_bad_end_cancels_what_its_execution_started_in_this_turn_or_before
    finishing and renewing fail once the row is deleted, and that is the signal
        -> activities a_terminated_instance_takes_its_tasks_with_it_and_that_is_how_they_learn_of_it
        -> activities renewing_says_which_tasks_are_lost
    canceling what is unknown is no error
        -> turns canceling_deletes_the_tasks_of_earlier_turns_and_no_others
    scheduling and canceling in one commit leaves nothing
        -> turns scheduling_and_canceling_an_activity_in_one_turn_leaves_nothing
        -> turns a_canceled_timer_leaves_nothing_whether_set_in_the_same_turn_or_before
    a task orphaned by a deletion is harmless
        -> activities a_task_left_over_from_a_deleted_instance_is_harmless

capability_filtering
    == there is no range of versions to filter by: a worker without the code parks the instance, with the reason
        -> turns blocking_keeps_the_reason_and_holds_the_messages
    a version is pinned per execution
        -> turns continuing_as_new_starts_the_next_execution_and_keeps_the_old_ones_history
    concurrent fetches never lock twice
        -> contention workers_that_claim_at_the_same_time_get_different_instances_and_together_all
    a corrupted history or message is an error of its instance, and a commit can still append
        -> claims a_history_that_cannot_be_decoded_is_an_error
        -> claims a_message_that_cannot_be_decoded_is_delivered_as_an_error
        -> turns a_turn_can_be_appended_to_a_history_that_cannot_be_decoded

custom_status
    the version grows by one per turn that writes; absent keeps; default is none at version 0
        -> turns each_turn_that_writes_the_custom_status_moves_its_version_by_one
        -> queries custom_status_is_absent_at_version_zero_until_it_is_set
        -> queries every_read_of_an_unknown_instance_raises
    it survives continue-as-new and the end
        -> queries custom_status_survives_continue_as_new_and_the_end

error_handling
    an invalid token is refused
        -> turns a_commit_that_starts_from_something_else_is_lost
        -> turns a_commit_of_another_worker_is_lost
    a duplicate event is refused
        -> turns an_event_whose_place_is_taken_is_refused
    corrupted JSON is handled
        -> claims damaged_columns_are_an_error_of_their_message_only
    an expired lock is detected at the commit
        -> turns a_commit_after_the_lease_ran_out_is_lost_even_if_nobody_took_over

instance_creation
    == a start creates its instance at once, in the caller's transaction, so that it can be looked up and refused
        -> instances a_start_creates_a_pending_instance_with_its_execution_and_its_start_message
    a message does not create its instance
        -> instances a_message_does_not_create_its_instance
    children are created by the turn that starts them
        -> turns a_child_knows_its_parent_and_the_root_of_the_tree

instance_locking
    one dispatcher per instance, unique tokens, N fetchers get N instances, no duplicate processing
        -> claims a_leased_instance_is_not_given_to_another_worker_and_others_are
        -> contention workers_that_claim_at_the_same_time_get_different_instances_and_together_all
        -> contention every_turn_of_every_instance_is_committed_once_under_contention
    an invalid token can neither commit nor release
        -> turns a_stale_token_cannot_commit_after_another_worker_took_over
        -> claims releasing_with_a_stale_token_or_by_another_worker_changes_nothing
    messages that arrive during a lock survive the commit
        -> turns messages_that_arrive_during_a_turn_survive_its_commit
        -> contention a_message_committed_while_a_turn_is_being_committed_is_for_the_next_turn
    a lock isolates its instance only, and only what was taken is deleted
        -> turns one_turn_that_lost_its_lease_harms_only_itself
        -> turns only_what_a_turn_took_from_a_queue_is_deleted
    recovery after expiry
        -> claims an_expired_lease_is_taken_over_and_the_attempt_counted
        -> contention a_worker_that_stalled_past_its_lease_can_commit_nothing_when_it_wakes_up

kv_store
    set, overwrite, clear, clear all, missing, clear then set, isolation, empty and unicode keys
        -> turns kv_entries_are_what_the_last_write_of_the_last_turn_left
        -> queries kv_keys_and_values_are_stored_as_they_are
        -> queries a_missing_kv_entry_is_none_and_no_entries_are_an_empty_dict
    64 KB values
        -> turns values_of_the_largest_size_are_stored_as_they_are
    entries outlive executions, pruning never deletes them, deletion does
        -> queries kv_entries_are_each_instances_own_and_outlive_executions
        -> retention prune_leaves_kv_entries_messages_and_other_instances_alone
        -> retention deletion_removes_a_finished_instance_from_every_table_and_counts_it
    == no deltas to merge: the next execution starts from a snapshot in its first event, clients read what is committed
        -> queries a_kv_entry_is_read_as_last_committed_by_one_query

lock_expiration
    expiry releases; giving up releases at once or after a while; a commit releases
        -> claims an_expired_lease_is_taken_over_and_the_attempt_counted
        -> claims a_released_instance_is_free_at_once
        -> activities what_is_deferred_is_hidden_until_then_and_was_not_delivered
    renewal extends, and fails with another token, after expiry, after the end
        -> claims renewing_says_which_leases_are_lost
        -> activities renewing_says_which_tasks_are_lost
    a result after expiry is refused even if nobody claimed the task
        -> activities a_result_after_the_lease_ran_out_is_lost_even_if_nobody_took_the_task

long_polling
    at once what is there, else until the time is over, never beyond
        -> waiting a_wait_returns_at_once_what_is_there
        -> waiting a_wait_that_is_over_raises_where_the_instance_is_or_returns_none

management
    lists, infos, metrics and depths are accurate
        -> queries every_condition_of_a_filter_narrows_the_list
        -> queries an_info_has_names_places_and_payloads_by_one_query
        -> metrics system_metrics_count_what_there_is_by_two_queries
        -> metrics queue_depths_tell_what_waits_for_a_worker_and_what_does_not_yet

multi_execution
    executions are isolated, ids sequential, continue-as-new creates the next, all histories persist
        -> turns histories_of_executions_are_kept_apart
        -> turns continuing_as_new_starts_the_next_execution_and_keeps_the_old_ones_history
    reading reads the latest
        -> queries the_current_execution_is_what_is_read_by_default

poison_message
    attempts start at 1, grow with each claim and expiry, and start anew after a commit
        -> claims a_claim_leases_what_has_messages_and_brings_them_along
        -> claims an_expired_lease_is_taken_over_and_the_attempt_counted
        -> turns a_commit_starts_the_count_of_attempts_anew
        -> activities a_claimed_task_is_not_given_out_again_before_its_lease_ends
    what was not run does not count, and the count is never negative
        -> activities what_is_handed_back_is_free_at_once_and_was_not_delivered
        -> activities deliveries_are_never_negative
    == a retry is an outcome: deliveries of the next attempt count from 1, so a policy may allow many attempts
        -> activities a_retry_is_the_next_attempt_and_its_deliveries_count_anew

queue_semantics
    first in, first out
        -> activities tasks_are_given_out_by_priority_and_then_in_the_order_in_which_they_were_scheduled
        -> claims messages_of_the_same_moment_keep_the_order_in_which_they_were_sent
    a row stays until its outcome is recorded, and goes with the completion
        -> activities an_outcome_is_delivered_and_its_task_deleted_in_one_transaction
    timers and delayed items are invisible until due and skipped; new ones are visible at once
        -> turns a_timer_is_a_message_that_becomes_visible_when_it_is_due
        -> claims what_is_not_due_yet_waits_without_keeping_anything_else_waiting
    a lost token recovers by expiry
        -> activities a_stale_token_cannot_finish_a_task_that_was_taken_over
    messages for nobody are dropped and block nobody
        -> claims messages_of_finished_instances_are_deleted_when_a_claim_comes_across_them
        -> instances a_message_to_an_unknown_instance_does_not_stop_the_others

sessions
    other tasks are for anyone; the first fetch claims; affinity is kept
        -> sessions tasks_without_a_session_are_for_anyone
        -> sessions the_first_claim_takes_the_session_and_later_ones_keep_it
        -> sessions different_sessions_may_be_on_different_workers
    without session support no such task is given
        -> sessions a_worker_without_sessions_is_given_no_task_with_one
    renewal extends what is active, lets go what is idle, 0 when there is none
        -> sessions renewing_keeps_a_session_past_its_first_lease
        -> sessions a_session_with_open_activities_is_never_idle_and_one_without_is_let_go_after_a_while
        -> sessions a_session_whose_lease_ran_out_cannot_be_renewed
    clean-up, re-creation, first in first out, shared worker ids
        -> sessions expired_sessions_are_removed_and_can_be_taken_again
        -> sessions tasks_of_a_session_come_in_the_order_in_which_they_were_scheduled
        -> sessions two_processes_with_the_same_worker_id_share_its_sessions
    a concurrent claim has one winner; take-over and taking back
        -> contention a_session_that_several_workers_want_at_the_same_time_has_one_owner
        -> sessions a_session_is_taken_over_when_its_lease_has_run_out
        -> sessions a_session_without_a_lease_can_be_taken_back_by_the_worker_that_lost_it
    the task's lease and the session's run out independently
        -> sessions a_running_task_is_given_again_when_its_lease_is_over_to_whoever_may_have_the_session
        -> sessions a_dead_workers_running_task_keeps_its_own_lease_when_the_session_is_taken_over
        -> sessions who_lost_a_session_still_finishes_the_task_it_holds
    == finishing writes nothing to the session: as long as it has open tasks a renewal counts it as active

tag_filtering
    default only, tags, default and, none, any, several
        -> activities a_worker_is_given_the_tags_it_serves
    tags survive the commit, the claim and a handing back
        -> turns tasks_are_inserted_with_everything_that_running_them_takes
        -> activities tags_survive_a_claim_and_a_handing_back
    runtimes with disjoint or overlapping filters never steal
        -> activities workers_with_overlapping_tags_never_get_the_same_task
"""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent.parent
FOLDERS = ("store", "client")


def names_in(module: str) -> set[str]:
    """Return the names of the tests of a module, without `test_`."""
    paths = [TESTS / folder / f"test_{module}.py" for folder in FOLDERS]
    tree = ast.parse(next(path for path in paths if path.exists()).read_text())
    return {each.name.removeprefix("test_") for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_test_that_is_said_to_hold_an_invariant_exists():
    named = [line.split()[1:] for line in __doc__.splitlines() if line.strip().startswith("->")]
    assert len(named) > 80
    missing = [(module, name) for module, name in named if name not in names_in(module)]
    assert not missing


def test_every_invariant_names_a_test_or_says_why_there_is_none():
    lines = [line for line in __doc__.splitlines() if line.startswith("    ")]
    invariants = [place for place, line in enumerate(lines) if not line.strip().startswith("->")]
    bare = [
        lines[place].strip()
        for place in invariants
        if "==" not in lines[place] and not lines[place + 1].strip().startswith("->")
    ]
    assert not bare
