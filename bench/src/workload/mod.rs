//! The workloads: one file each, named like its subcommand.
//!
//! Each owns what is measured and which figures are the main ones; how it is measured is in the modules above.

pub mod drain;
pub mod end_to_end;
pub mod fan_out;
pub mod fill;
pub mod first_ack;
pub mod mixed;
pub mod produce;
