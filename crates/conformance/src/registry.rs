//! The list of cases: the one place that names them all, for the suite and for the macro.

use futures::future::BoxFuture;

use crate::cases;
use crate::context::{CaseResult, Context};

/// One named claim about every store.
#[derive(Clone, Copy)]
pub struct Case {
    /// The group, as in CONFORMANCE: a module of `cases`.
    pub group: &'static str,
    /// The claim.
    pub name: &'static str,
    pub(crate) run: fn(Context) -> BoxFuture<'static, CaseResult>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.group, self.name)
    }
}

/// Writes the list down twice: as data, and as the tests that [`conformance_tests!`](crate::conformance_tests) makes.
macro_rules! registry {
    ($dollar:tt $($group:ident { $($name:ident,)* })*) => {
        /// Every case, by groups.
        pub static CASES: &[Case] = &[
            $($(Case {
                group: stringify!($group),
                name: stringify!($name),
                run: |cx| Box::pin(cases::$group::$name(cx)),
            },)*)*
        ];

        /// Makes a `#[test]` of every case: a module, and the function in the calling module that gives the
        /// [`Harness`](crate::Harness).
        ///
        /// ```
        /// # fn main() {}
        /// use stickystore_conformance::{Harness, Opened, conformance_tests};
        /// use stickystore_core::memory::MemoryStore;
        ///
        /// fn harness() -> Harness {
        ///     Harness::blocking("memory", || Ok(Opened::blocking(MemoryStore::new())))
        /// }
        ///
        /// conformance_tests!(memory_blocking, harness);
        /// ```
        #[macro_export]
        macro_rules! conformance_tests {
            ($dollar module:ident, $dollar harness:ident) => {
                mod $dollar module {
                    $(mod $group {
                        $(#[test]
                        fn $name() {
                            $crate::test(&super::super::$dollar harness(), stringify!($group), stringify!($name));
                        })*
                    })*
                }
            };
        }
    };
}

registry! {$
    basic {
        absent_user_is_an_empty_profile,
        reading_makes_nothing,
        user_without_entries_is_as_if_absent,
        entries_are_independent,
        load_returns_exactly_what_was_written,
        every_way_of_writing_stores_the_same,
        get_load_and_read_agree,
        read_of_some_keys_gives_only_those,
        read_of_no_keys_gives_none,
        read_of_some_keys_gives_the_epoch,
        put_is_seen_by_every_read_at_once,
        retried_insert_answers_inserted,
        removed_entry_can_be_inserted_again,
        insert_after_erase_inserts,
        replace_notices_equal_value_written_anew,
        remove_if_notices_equal_value_written_anew,
        late_duplicate_replace_undoes_nothing,
        late_duplicate_remove_if_removes_nothing_newer,
        values_are_owned,
        clone_shares_state,
        two_handles_see_each_other_at_once,
        debug_shows_nothing_stored,
    }
    table {
        insert_where_nothing_stands_inserts,
        insert_over_expired_inserts,
        insert_over_expired_of_equal_value_inserts,
        insert_over_live_is_kept,
        insert_over_live_in_its_last_millisecond_is_kept,
        insert_over_equal_is_kept,
        insert_again_finds_itself,
        insert_again_after_its_end_inserts,
        insert_again_over_another_is_kept,
        insert_over_damaged_is_corrupt,
        put_where_nothing_stands_writes,
        put_over_expired_writes,
        put_over_live_writes,
        put_over_equal_writes_revision_and_expiry,
        put_again_writes,
        put_over_damaged_writes,
        replace_where_nothing_stands_is_gone,
        replace_of_expired_is_gone,
        replace_of_the_named_replaces,
        replace_in_the_last_millisecond_replaces,
        replace_of_another_is_kept,
        replace_of_another_of_equal_value_is_kept,
        replace_of_another_by_equal_is_kept,
        replace_again_finds_itself,
        replace_again_over_another_is_kept,
        replace_by_equal_is_unchanged,
        replace_by_another_text_of_one_meaning_replaces,
        replace_of_damaged_is_corrupt,
        remove_where_nothing_stands_was_absent,
        remove_of_expired_was_absent,
        remove_of_live_removes,
        remove_in_the_last_millisecond_removes,
        remove_of_damaged_removes,
        remove_if_where_nothing_stands_was_absent,
        remove_if_of_expired_was_absent,
        remove_if_of_the_named_removes,
        remove_if_of_another_is_kept,
        remove_if_of_damaged_is_corrupt,
        no_check_passes_without_a_mark,
        no_check_passes_under_a_mark,
        blind_check_passes_without_a_mark,
        blind_check_under_a_mark_is_erased,
        blind_check_in_the_marks_last_millisecond_is_erased,
        blind_check_passes_once_the_mark_ended,
        check_of_the_marks_epoch_passes,
        check_of_another_epoch_is_erased,
        check_of_an_ended_mark_is_erased,
        check_of_an_epoch_that_never_was_is_erased,
        put_over_live_with_failed_epoch_is_erased,
        insert_over_live_with_failed_epoch_is_kept,
        insert_again_with_failed_epoch_finds_itself,
        insert_and_put_over_expired_with_failed_epoch_are_erased,
        replace_ignores_the_epoch,
        replace_where_nothing_stands_is_gone_whatever_the_epoch,
        remove_ignores_the_epoch,
        remove_if_ignores_the_epoch,
        removing_the_last_entry_leaves_the_mark,
        expired_change_does_nothing,
        expired_change_does_nothing_where_nothing_stands,
        expired_retry_is_expired,
        expired_equal_is_expired,
        change_with_a_millisecond_left_is_done,
        expired_comes_before_the_epoch,
        expired_comes_before_damage,
        epoch_comes_before_damage,
        foreign_comes_before_the_epoch,
        expired_comes_before_foreign,
        change_is_judged_by_its_own_now,
    }
    identifiers {
        lengths_up_to_the_limit,
        long_ids_that_differ_in_one_byte,
        characters_of_many_bytes,
        case_and_unicode_forms_are_not_folded,
        white_space_and_controls_are_not_trimmed,
        commands_reach_no_other_key,
        separators_separate_nothing,
        names_with_a_meaning_elsewhere_have_none,
        hash_tags_are_literal,
        globs_are_literal,
        percent_signs_and_escapes_are_literal,
        numbers_and_booleans_stay_strings,
        queries_and_documents_stay_strings,
        prefixes_are_others,
        arbitrary_strings_never_meet,
        border_of_user_and_key_is_kept,
        border_of_namespace_and_user_is_kept,
        border_of_namespace_and_key_is_kept,
        lengths_written_into_ids_move_no_border,
        all_three_at_the_limit,
        erasing_a_user_leaves_longer_ones,
        erasing_a_glob_leaves_what_it_matches,
        removing_a_glob_leaves_what_it_matches,
        absent_look_alikes_are_absent,
        scan_gives_ids_verbatim,
    }
    values {
        empty_values_are_not_absent,
        false_zero_and_null_survive,
        quotes_and_escapes_survive,
        unicode_survives_as_it_was_written,
        lone_surrogates_survive_as_text,
        numbers_survive_to_the_last_digit,
        spaces_order_and_duplicates_survive,
        deep_values_survive,
        large_entry_survives,
        value_at_the_limit_is_kept,
        limit_counts_bytes,
        too_large_changes_nothing,
        what_a_newer_version_wrote_counts_too,
        too_large_stops_no_other_change,
        user_of_a_thousand_entries_loads_whole,
        was_survives,
        unknown_members_survive,
    }
    expiry {
        lives_until_its_last_millisecond,
        every_millisecond_counts,
        short_lives_are_neither_shorter_nor_endless,
        long_lives_are_kept,
        last_time_there_is_can_be_an_end,
        without_a_ttl_it_never_ends,
        one_ends_while_another_stays,
        each_ends_at_its_own_millisecond,
        rewriting_replaces_the_ttl,
        kept_extends_nothing,
        unchanged_extends_nothing,
        retries_extend_nothing,
        reading_extends_nothing,
        insert_over_expired_lives_its_own_time,
        hidden_from_every_read,
        hidden_from_a_scan,
        user_of_expired_entries_is_as_if_absent,
        callers_clock_decides_also_when_it_is_wrong,
        one_write_holds_many_lives,
        value_and_end_change_together,
        real_clock_ends_an_entry,
        short_life_after_long_shortens_nothing,
        short_life_after_a_mark_shortens_nothing,
        sweep_keeps_what_lives,
    }
    damage {
        damaged_entry_is_reported_beside_the_others,
        get_of_a_damaged_entry_is_corrupt,
        user_of_a_damaged_entry_is_not_absent,
        insert_replace_and_remove_if_leave_it,
        put_and_remove_mend_it,
        changes_of_others_leave_it,
        changes_beside_a_refused_one_are_made,
        damaged_entry_ends_by_no_clock,
        erase_counts_damaged_entries_as_there,
        scan_reports_what_is_damaged_or_foreign,
        foreign_user_is_corrupt,
        foreign_user_refuses_every_change,
        foreign_user_refuses_each_change_of_a_write,
        expired_change_of_a_foreign_user_is_expired,
        erase_removes_foreign_data,
        foreign_data_in_the_place_of_entries_is_corrupt,
    }
    concurrency {
        one_insert_wins,
        one_insert_wins_every_time,
        one_condition_wins_every_time,
        different_keys_all_stay,
        insert_races_remove,
        insert_races_erase,
        replace_counts_to_two_hundred,
        writer_between_read_and_write_is_noticed,
        readers_see_old_or_new,
        first_use_by_many_at_once,
        histories_are_linearizable,
    }
    erasure {
        removes_everything_and_says_so,
        absent_user_gets_a_mark,
        every_read_gives_the_epoch,
        stale_epoch_writes_nothing,
        blind_write_waits_for_the_mark,
        known_epoch_writes,
        what_creates_nothing_ignores_the_epoch,
        writes_leave_the_mark,
        emptied_user_keeps_the_mark,
        mark_ends_by_itself,
        retry_removes_nothing_newer,
        later_erase_takes_the_mark_over,
        ended_mark_is_refused,
        refused_erase_names_itself,
        expired_entries_are_nothing_that_stood,
        damaged_entry_stood,
        damage_leaves_the_mark,
        others_stay,
        long_ids_are_erased,
        erase_races_a_batch_of_inserts,
    }
    batch {
        empty_in_empty_out,
        order_is_kept,
        duplicates_are_answered_each,
        present_and_absent_mix,
        one_bad_item_names_itself,
        corrupt_user_fails_alone,
        each_change_has_its_own_outcome,
        writes_of_one_user_take_effect_in_order,
        ten_thousand_users_in_one_call,
        largest_write_is_applied_whole,
        each_user_of_a_write_has_its_own_answers,
    }
    scan {
        without_the_ability_is_unsupported,
        empty_namespace_has_no_users,
        users_come_whole,
        pages_give_each_user_once,
        smallest_pages_give_each_user_once,
        untouched_users_are_met_while_others_write,
        ids_come_back_verbatim,
        other_namespaces_never_appear,
        namespace_that_looks_like_a_pattern_is_literal,
        users_without_live_entries_never_appear,
        damaged_users_appear,
        cursor_kept_as_text_goes_on,
        scans_do_not_disturb_each_other,
    }
    lifecycle {
        passed_deadline_is_not_applied,
        calls_end_by_their_deadline,
        given_up_calls_disturb_no_other,
        closed_is_closed,
        closing_a_clone_closes_the_handle,
        closing_leaves_second_handles_open,
        ping_answers,
        handles_and_futures_cross_threads,
        runtime_may_end_before_the_handle,
        info_is_constant,
        debug_shows_no_content,
        errors_show_no_content,
        diagnose_answers,
    }
    namespaces {
        same_user_in_two_is_independent,
        erase_and_its_mark_stay_in_theirs,
        one_call_keeps_them_apart,
        scan_gives_each_its_own,
        boundary_to_the_user_is_exact,
    }
    model {
        random_operations_match_the_model,
    }
    at_hand {
        shows_what_was_written,
        shows_that_a_user_was_erased,
        forgets_what_a_write_overtook,
        keeps_up_with_a_writer,
        leaves_out_what_has_expired,
        has_only_the_keys_that_are_asked_for,
        nothing_after_close,
        nothing_after_the_deadline,
        waits_for_no_call_under_way,
    }
}
