//! Fuzzes an attribute on an item. Each byte chooses one word from those that mean something to the macros.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_rpc_fuzz::attribute_words(data));
