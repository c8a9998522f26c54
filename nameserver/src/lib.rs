//! The name server: brokers register here, clients ask it for routes.
//!
//! Owns the route table, the key-value configuration and their requests. Must not see the store. Runs on one executor
//! thread of its own; everything is soft state except the key-value file.

#![forbid(unsafe_code)]

pub mod route_table;
pub mod time;
