//! The requests a name server serves, one file each.
//!
//! A handler reads one command, changes or reads the state, and returns the answer. None does network I/O; those that
//! change a file block for it. All run on the name server's thread.

mod access;
mod add_write_perm;
mod answer;
mod delete_kv_config;
mod delete_topic;
mod dispatch;
mod get_cluster_info;
mod get_kv_config;
mod get_kv_list;
mod get_namesrv_config;
mod get_route_info;
mod get_topic_list;
mod put_kv_config;
mod query_data_version;
mod register_broker;
mod unregister_broker;
mod update_namesrv_config;
mod wipe_write_perm;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Request};
pub use dispatch::answer;
