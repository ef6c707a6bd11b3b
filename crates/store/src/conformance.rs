//! What every implementation of the two seams must hold: one test per rule.
//!
//! A test file names the function that makes its stores, `edge_ledger_store::conformance!(stores)`,
//! where `stores` is an `async fn() -> Stores`.
//!
//! Every rule works on identities and sessions of its own, so many may share one server. Times
//! are arguments: a store that also lets rows expire by its own clock must keep them for at least
//! a minute.

#![expect(
    clippy::unwrap_used,
    reason = "a suite panics where a rule does not hold"
)]

pub mod appending;
pub mod cuts;
pub mod feed;
pub mod fixtures;
pub mod links;
pub mod logs;
pub mod model;
pub mod pages;
pub mod passes;
pub mod signals;
pub mod terms;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::{IdentityStore, LedgerStore, OperatorStore};

/// The seams of one store.
pub struct Stores {
    /// The identity service's.
    pub identity: Arc<dyn IdentityStore>,
    /// The ledger service's.
    pub ledger: Arc<dyn LedgerStore>,
    /// The operator's.
    pub operator: Arc<dyn OperatorStore>,
    /// What must live as long: a folder, a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stores")
    }
}

/// Writes one test per rule; takes the path of an `async fn() -> Stores`.
#[macro_export]
macro_rules! conformance {
    ($make:path) => {
        $crate::conformance!(@rules $make, appending: [
            a_run_is_kept_with_its_signature
            what_is_kept_stays_as_it_is
            a_run_whose_parent_is_not_kept_waits
            runs_of_a_batch_build_on_each_other
            a_fork_is_kept_until_there_are_eight_tips
            a_cut_lifts_the_limit_on_tips
            an_append_under_another_log_version_changes_nothing
            identities_do_not_touch_each_other
            concurrent_appends_of_one_place_fork_and_lose_nothing
        ]);
        $crate::conformance!(@rules $make, pages: [
            a_page_stops_at_its_budget
            a_page_holds_no_more_runs_than_a_frame
            a_run_crosses_formats
            an_unknown_tip_is_answered_with_a_locator
            a_run_larger_than_the_budget_is_sent_alone
        ]);
        $crate::conformance!(@rules $make, model: [
            any_sequence_does_what_the_rules_of_core_do
        ]);
        $crate::conformance!(@rules $make, logs: [
            an_unknown_identity_has_no_log_and_version_zero
            a_statement_opens_a_log_and_another_follows
            a_statement_that_follows_another_head_is_a_conflict
            of_concurrent_statements_one_is_appended
            a_log_is_read_after_a_position
            receipted_statements_are_adopted_verbatim
        ]);
        $crate::conformance!(@rules $make, cuts: [
            a_statement_records_the_tips_of_the_devices_that_it_ends
            tips_and_version_are_recorded_in_one_step
            an_adoption_drops_what_is_outside_its_cuts
            a_cut_signs_the_tip_that_it_leaves
            an_adoption_that_conflicts_drops_nothing
        ]);
        $crate::conformance!(@rules $make, passes: [
            a_nonce_is_redeemed_once
            an_expired_nonce_is_not_redeemed
            of_concurrent_redemptions_one_succeeds
            a_session_is_there_until_it_ends
        ]);
        $crate::conformance!(@rules $make, links: [
            messages_reach_the_other_side_in_order
            a_link_session_is_joined_once
            a_link_session_ends
            a_side_leaves_only_so_many_messages
            a_name_in_use_is_not_opened_again
        ]);
        $crate::conformance!(@rules $make, feed: [
            what_is_announced_is_committed
            announcements_come_in_the_order_of_commits
            what_changes_nothing_is_not_announced
            a_store_that_commits_says_so
            logs_and_links_are_announced
            streams_are_announced_in_their_order
        ]);
        $crate::conformance!(@rules $make, signals: [
            what_a_device_says_is_heard_once_and_in_order
            what_is_too_large_is_not_passed_on
            streams_are_numbered_in_the_order_of_their_opening
        ]);
        $crate::conformance!(@rules $make, terms: [
            an_identity_without_a_log_has_no_terms
            terms_are_compared_and_raise_the_version
            a_blocked_identity_takes_statements_and_no_entries
            a_quota_counts_the_places_of_all_journals
            a_block_and_appends_never_cross
            appends_at_once_never_pass_a_quota
            a_walk_meets_every_identity_that_has_a_log
        ]);
    };
    (@rules $make:path, $room:ident: [$($rule:ident)+]) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $rule() {
            $crate::conformance::$room::$rule(&$make().await).await;
        }
    )+};
}
