//! An attribute on an item, each word of it chosen by a byte from those that mean something.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_rpc_fuzz::attribute_words(data));
