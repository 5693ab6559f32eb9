//! The macros of kafka-rpc, expanded through ordinary functions. A proc-macro crate cannot be linked, so its
//! modules are included as source.

#![allow(dead_code, reason = "the macros themselves are elsewhere")]

#[path = "../../kafka-rpc-macros/src/attr.rs"]
mod attr;
#[path = "../../kafka-rpc-macros/src/bodies.rs"]
mod bodies;
#[path = "../../kafka-rpc-macros/src/choice.rs"]
mod choice;
#[path = "../../kafka-rpc-macros/src/command.rs"]
mod command;
#[path = "../../kafka-rpc-macros/src/errors.rs"]
mod errors;
#[path = "../../kafka-rpc-macros/src/expand/mod.rs"]
mod expand;
#[path = "../../kafka-rpc-macros/src/failure.rs"]
mod failure;
#[path = "../../kafka-rpc-macros/src/fuzzing/mod.rs"]
mod fuzzing;
#[path = "../../kafka-rpc-macros/src/key.rs"]
mod key;
#[path = "../../kafka-rpc-macros/src/model.rs"]
mod model;
#[path = "../../kafka-rpc-macros/src/parse.rs"]
mod parse;
#[path = "../../kafka-rpc-macros/src/position.rs"]
mod position;
#[path = "../../kafka-rpc-macros/src/types.rs"]
mod types;
#[path = "../../kafka-rpc-macros/src/validate/mod.rs"]
mod validate;
#[path = "../../kafka-rpc-macros/src/written.rs"]
mod written;

/// Checks the expansion of source text.
pub fn attribute_text(text: &[u8]) {
    fuzzing::source(&String::from_utf8_lossy(text));
}

/// Checks the expansion of source text made of the words that the bytes choose.
pub fn attribute_words(bytes: &[u8]) {
    fuzzing::words(bytes);
}
