//! What must hold of an expansion, whatever the attribute says and whatever it is on.
//!
//! - [`source`]: the checks, of a piece of source text
//! - [`words`]: source text that is made of words that mean something here
//! - [`tokens`]: what is asked of tokens
//! - `random`: both with random input, and with the corpus of the fuzz targets
//!
//! The targets in `fuzz/` have this file among their own, since a crate of macros cannot be linked.

#[cfg(test)]
mod random;
mod source;
mod tokens;
mod words;

pub(crate) use source::source;
pub(crate) use words::words;
