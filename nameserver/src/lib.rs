//! The name server: brokers register here, clients ask it for routes.
//!
//! Owns the route table, the key-value configuration and their requests. Must not see the store. Runs on one executor
//! thread of its own; everything is soft state except the key-value file.

#![forbid(unsafe_code)]

mod durable;
pub mod handler;
pub mod kv_config;
pub mod namesrv;
pub mod options;
pub mod register_body;
pub mod route_table;
pub mod server;
pub mod time;

#[cfg(test)]
mod testing;

pub use options::NamesrvOptions;
pub use server::{Running, StartError, start};
