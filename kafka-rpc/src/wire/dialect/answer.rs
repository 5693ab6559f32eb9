//! What is told to a caller, before and after it is put in the words of a dialect.

use bytes::Bytes;

use crate::{RpcError, wire::Headers};

/// What a caller is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer<'a> {
    /// The encoded result.
    Data(&'a Bytes),
    /// Success, and nothing to say.
    Empty,
    Failure(&'a RpcError),
}

/// What a dialect makes of an answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Headers,
}
