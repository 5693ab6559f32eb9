//! Copies the headers of replies out of librdkafka's messages.

use std::{borrow::Cow, ops::Range};

use bytes::{Bytes, BytesMut};
use rdkafka::message::BorrowedMessage;

use crate::{
    Headers, kafka,
    wire::{names, received::UnreadableHeaders},
};

/// The size of the allocations for the headers of replies. Keeping the headers of one reply keeps the whole
/// allocation alive.
const CHUNK: usize = 16 << 10;

/// The most bytes that the headers of one reply may take of an allocation. Larger headers get one to
/// themselves.
const LARGE: usize = CHUNK / 4;

/// The number of headers that room is kept for: a stranger's record may have had any number.
const USUAL_HEADERS: usize = 64;

/// Copies the headers of records, those of many into one allocation. No message may be held instead, because
/// a consumer does not close while one is.
#[derive(Debug, Default)]
pub(super) struct Copier {
    chunk: BytesMut,
    values: Vec<u8>,
    headers: Vec<(Cow<'static, str>, Option<Range<usize>>)>,
}

impl Copier {
    /// Copies the headers of a record.
    pub(super) fn copy_headers(
        &mut self,
        message: &BorrowedMessage<'_>,
    ) -> Result<Headers, UnreadableHeaders> {
        let Self { chunk, values, headers } = self;
        let read = kafka::read_headers(message, |name, value| {
            let usual = names::Usual::of(name).map(|usual| Cow::Borrowed(usual.name()));
            let name = usual.unwrap_or_else(|| Cow::Owned(name.to_owned()));
            let value = value.map(|value| {
                let start = values.len();
                values.extend_from_slice(value);
                start..values.len()
            });
            headers.push((name, value));
        });
        let copied = if values.len() > LARGE {
            Bytes::copy_from_slice(values)
        } else {
            if chunk.capacity() - chunk.len() < values.len() {
                *chunk = BytesMut::with_capacity(CHUNK);
            }
            chunk.extend_from_slice(values);
            chunk.split().freeze()
        };
        let read = read.map(|()| Headers::received(copied, headers.drain(..)));
        values.clear();
        values.shrink_to(CHUNK);
        headers.clear();
        headers.shrink_to(USUAL_HEADERS);
        read
    }
}
