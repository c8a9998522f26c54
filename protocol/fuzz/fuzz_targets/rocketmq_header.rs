//! Feeds what the fuzzer makes up to the target of this name.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| protocol::fuzz_targets::rocketmq_header(data));
