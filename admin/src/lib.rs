//! mqadmin's commands, one a file, with Java's names, options and columns.
//!
//! Owns what a command asks and how the answer is printed. Sees the wire only. Ordinary thread.
