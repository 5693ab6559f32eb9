//! Fuzzes a record on a reply topic, encoded as `kafka_rpc::fuzzing` writes records.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_rpc::fuzzing::reply(data));
