//! Fuzzes an attribute on an item, as source text.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_rpc_fuzz::attribute_text(data));
