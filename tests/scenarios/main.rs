//! Whole clusters as they are run in the field: one file a topology, one a row of the table "what happens when …".
//!
//! Each case starts real processes, loads them with producers and consumers that record what they see, and lets the
//! checker judge. Interruptions are measured as clients see them and printed.

mod all_masters_stop;
mod all_nameservers_stop;
mod all_slaves_stop;
mod common;
mod m1_s2;
mod m2_noslave;
mod m2_s2_async;
mod m2_s2_sync;
mod master_comes_back;
mod one_master_stops;
mod one_nameserver_stops;
mod one_slave_of_two_stops;
mod single;
mod three_nameservers;

use tests::Case;

fn main() {
    tests::suite::run(&[
        Case { name: "topology_single_master", run: single::run },
        Case { name: "topology_2m_noslave", run: m2_noslave::run },
        Case { name: "topology_2m_2s_async", run: m2_s2_async::run },
        Case { name: "topology_2m_2s_sync", run: m2_s2_sync::run },
        Case { name: "topology_1m_2s", run: m1_s2::run },
        Case { name: "topology_three_nameservers", run: three_nameservers::run },
        Case { name: "one_nameserver_stops", run: one_nameserver_stops::run },
        Case { name: "all_nameservers_stop", run: all_nameservers_stop::run },
        Case { name: "one_master_stops", run: one_master_stops::run },
        Case { name: "all_masters_stop", run: all_masters_stop::run },
        Case { name: "all_slaves_stop_async", run: || all_slaves_stop::run(false) },
        Case { name: "all_slaves_stop_sync", run: || all_slaves_stop::run(true) },
        Case { name: "one_slave_of_two_stops", run: one_slave_of_two_stops::run },
        Case { name: "a_master_comes_back", run: master_comes_back::run },
    ]);
}
