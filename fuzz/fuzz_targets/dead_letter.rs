//! A record on a dead-letter topic, as `kafka_rpc::fuzzing` writes records.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_rpc::fuzzing::dead_letter(data));
