//! What each request means: the broker.
//!
//! A broker is a set of shards, one thread and core each, that share one commitlog. A request runs
//! on the shard that owns what it touches: the queue's for messages and progress, shard 0 ("home")
//! for the broker-wide tables. Handlers are synchronous; the answer to a send follows when the
//! store says that its promise is decided.
//!
//! This crate must not know how bytes reach the disk (that is `engine`) or the socket (`remoting`).

pub mod call;
pub mod clients;
pub mod consumption;
pub mod core;
pub mod counters;
pub mod delay;
pub mod dispatch;
pub mod env;
pub mod from_settings;
pub mod groups;
pub mod handler;
pub mod holds;
pub mod home;
pub mod locks;
pub mod master;
pub mod master_channel;
pub mod mesh;
pub mod metadata;
pub mod offload;
pub mod offsets;
pub mod options;
pub mod own_commits;
pub mod process;
pub mod registrar;
pub mod replicas;
pub mod response_code;
pub mod role;
pub mod service;
pub mod startup;
pub mod survey;
pub mod tables;
pub mod topics;

pub use options::BrokerOptions;
pub use startup::{Running, StartError, start};
