//! Fuzzes the value of a command, given as its bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_rpc::fuzzing::envelope(data));
