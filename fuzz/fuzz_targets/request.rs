//! A record on a topic of commands, as `kafka_rpc::fuzzing` writes records.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_rpc::fuzzing::request(data));
