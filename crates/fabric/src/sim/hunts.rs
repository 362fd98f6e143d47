//! Bugs that are planted in this crate, and what finds each of them.

use super::histories::play;
use crate::{handshake, planted};

/// Enough for every bug that some histories stumble over.
const SEEDS: u64 = 200;

/// Histories, up to the first in which something is wrong.
fn everything_arrives() {
    (0..SEEDS).for_each(play);
}

#[test]
fn every_planted_bug_is_found() {
    let histories = "everything_arrives";
    planted::assert_each_is_found(&[
        ("duplicate_accepted", histories, everything_arrives),
        ("gap_accepted", histories, everything_arrives),
        ("forgets_what_it_sent", histories, everything_arrives),
        ("lost_ack", histories, everything_arrives),
        ("no_probe", histories, everything_arrives),
        ("no_resend", histories, everything_arrives),
        ("zombie_accepted", histories, everything_arrives),
        ("any_proof", "another_token_is_refused", handshake::tests::another_token_is_refused_on_both_sides),
    ]);
}
