//! The loader: makes load as cheaply as it can, for it shares the machine with the broker it measures.
//!
//! Owns its sockets and its clock. Must not know which broker is at the other end: any that speaks the protocol will
//! do. Threads share nothing but counters; each has its own epoll instance and connections (see [`worker`]).

pub mod body_size;
pub mod cli;
pub mod conclude;
pub mod counts;
pub mod epoll;
pub mod histogram;
pub mod kernel_counts;
pub mod link;
pub mod machine;
pub mod matrix;
pub mod one_way;
pub mod open_files;
pub mod others;
pub mod outcome;
pub mod pace;
pub mod pending;
pub mod phases;
pub mod queues;
pub mod random;
pub mod ranges;
pub mod read_back;
pub mod reader;
pub mod recorder;
pub mod reply;
pub mod report;
pub mod result;
pub mod run;
pub mod sender;
pub mod series;
pub mod stamp;
pub mod stop;
pub mod template;
pub mod verify;
pub mod worker;
pub mod workload;
