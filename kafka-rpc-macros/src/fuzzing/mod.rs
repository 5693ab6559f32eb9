//! The properties of every expansion, whatever the attribute says and whatever it is on.
//!
//! - [`source`]: the checks on a piece of source text
//! - [`words`]: source text made of words that mean something to the attributes
//! - [`tokens`]: functions on tokens
//! - `random`: the checks on random input, and on the corpus of the fuzz targets
//!
//! The targets in `fuzz/` include this file as a module, since a proc-macro crate cannot be linked.

#[cfg(test)]
mod random;
mod source;
mod tokens;
mod words;

pub(crate) use source::source;
pub(crate) use words::words;
