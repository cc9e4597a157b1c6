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
        users_without_live_entries_never_appear,
        damaged_users_appear,
        cursor_kept_as_text_goes_on,
        scans_do_not_disturb_each_other,
    }
    lifecycle {
        passed_deadline_is_not_applied,
        calls_end_by_their_deadline,
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
}
