//! Bugs that are planted in this crate, and what finds each of them.

use super::{play, speed};
use crate::{planted, tests};

/// Enough for every bug that most worlds, or some, stumble over.
const SEEDS: u64 = 1_500;

/// Worlds, up to the first in which something is wrong.
fn whatever_happens() {
    (0..SEEDS).for_each(|seed| drop(play(seed)));
}

#[test]
fn every_planted_bug_is_found() {
    let worlds = "whatever_happens";
    planted::assert_each_is_found(&[
        ("late_result_accepted", worlds, whatever_happens),
        ("run_taken_twice", worlds, whatever_happens),
        ("lost_reply", worlds, whatever_happens),
        ("lost_not_rerun", "a_lost_worker_costs", speed::a_lost_worker_costs_its_share_and_no_more),
        ("scope_ignored", worlds, whatever_happens),
        (
            "hungry_forgotten",
            "who_asked_in_vain",
            tests::who_asked_in_vain_is_served_when_there_is_work_and_never_asks_again,
        ),
        ("surviving_result_remade", worlds, whatever_happens),
        (
            "killer_never_blamed",
            "who_kills_three_workers",
            tests::who_kills_three_workers_fails_with_their_signals_and_others_do_not,
        ),
        ("parts_early", worlds, whatever_happens),
        (
            "perished_blamed",
            "who_is_ended_for_one_task",
            tests::who_is_ended_for_one_task_is_held_against_none_of_the_others,
        ),
        ("idle_reordered", "an_old_word_of_work", tests::an_old_word_of_work_does_not_end_a_newer_wish),
    ]);
}
