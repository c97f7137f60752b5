//! What coordination promises, kept by both of its implementations: the one in memory, and ZooKeeper.
//!
//! ZooKeeper is an embedded server of each test, or, with `ZOOKEEPER_CONNECT=host:port`, the
//! servers there; and Apache ZooKeeper, with `ONYX_TEST_ZOOKEEPER`: with an ensemble the sessions of a
//! test are at different servers of it, and whoever is to see what another has written syncs first.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says where, and one that measures says what"
)]

mod apache;
mod blobs;
mod ground;
mod log;
mod nodes;
mod origins;
mod outages;
mod pulses;
mod secured;
mod sessions;
mod zookeeper;

#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/zookeeper_server.rs"]
mod zookeeper_server;

/// Every contract, as a test of each implementation.
macro_rules! contracts {
    ($($module:ident: $($contract:ident),+;)+) => {
        mod in_memory {
            $($(#[test]
            fn $contract() {
                onyx::run(crate::$module::$contract(crate::ground::Ground::memory()));
            })+)+
        }

        mod in_zookeeper {
            $($(#[test]
            fn $contract() {
                onyx::run(async {
                    crate::$module::$contract(crate::ground::Ground::zookeeper().await).await;
                });
            })+)+
        }

        mod in_apache_zookeeper {
            use crate::zookeeper_server::{Need, is_wanted};

            $($(#[test]
            fn $contract() {
                if !is_wanted(Need::OneServer) {
                    return;
                }
                onyx::run(async {
                    crate::$module::$contract(crate::ground::Ground::apache().await).await;
                });
            })+)+
        }
    };
}

contracts! {
    log: entries_stand_in_the_order_of_the_calls, a_read_is_a_range_of_the_log,
        whoever_waits_for_an_entry_hears_of_it, an_entry_that_is_too_large_is_not_sent,
        an_entry_that_is_too_large_costs_no_other;
    nodes: a_node_is_kept_or_written_over, a_missing_node_is_none_and_an_empty_one_is_not,
        data_that_is_too_large_is_not_sent, a_job_is_read_back_as_it_was_written;
    blobs: data_of_any_size_is_kept_or_written_over, of_several_that_write_at_once_one_is_kept,
        a_reader_never_sees_half_of_one_and_half_of_another;
    origins: an_origin_of_any_size_is_read_back, an_older_origin_does_not_replace_a_newer_one,
        entries_before_the_origin_are_deleted_and_their_positions_not_used_again,
        collectors_may_work_at_once, a_collector_that_died_is_cleaned_up_after,
        who_waits_for_an_entry_that_is_collected_already_gets_the_origin,
        the_data_of_collected_jobs_is_deleted, an_entry_of_any_size_is_read_whole_and_collected;
    pulses: a_pulse_is_there_until_it_is_deleted, a_pulse_ends_with_its_session,
        a_pulse_that_was_never_there_is_absent, all_pulses_are_listed;
    sessions: a_session_that_was_closed_is_over, a_session_that_is_not_used_any_more_ends,
        an_expired_session_knows_it, only_a_session_that_lives_can_be_proved_alive;
}
