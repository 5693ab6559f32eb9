//! The answer to a caller, before and after a dialect writes it.

use bytes::Bytes;

use crate::{
    RpcError,
    error::INTERNAL_SERVER_ERROR,
    wire::{Encoded, Headers, ReceivedReply, names, reply},
};

/// The answer to a caller.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer<'a> {
    /// The encoded result.
    Data(&'a Bytes),
    /// Success without data.
    Empty,
    Failure(&'a RpcError),
}

/// An answer as a dialect writes it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Headers,
}

/// Reads a reply whose headers say whether it is a success; any value is valid.
pub(super) fn read_bare(reply: ReceivedReply) -> Result<Encoded, RpcError> {
    match failure(&reply.headers) {
        Some(error) => Err(error),
        None => Ok(Encoded::bare(reply.value)),
    }
}

/// Reads the error in the headers: as Nest writes it, as this crate writes it for Spring, or as a Spring
/// service's error handler does.
///
/// Every form is read from every peer: a service with `dialect = "any"` takes a request of ours that names no
/// partition for Spring's, even if it is written for Nest.
fn failure(headers: &Headers) -> Option<RpcError> {
    if let Some(error) = headers.get(names::NEST_ERR).or_else(|| headers.get(names::RPC_ERROR)) {
        return Some(reply::decode_error(error));
    }
    let text = |name| headers.get(name).map(|text| String::from_utf8_lossy(text).into_owned());
    let (name, message) = match (text(names::EXCEPTION_FQCN), text(names::EXCEPTION_MESSAGE)) {
        (None, None) => return None,
        said => said,
    };
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let name = said(name).unwrap_or_else(|| INTERNAL_SERVER_ERROR.to_owned());
    let message = said(message).unwrap_or_else(|| name.clone());
    Some(RpcError::internal(message).with_name(name))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Dialect, Peer,
            tests::shared::{any_of, own, soon},
        },
        *,
    };

    #[test]
    fn an_error_is_one_for_every_peer_that_a_service_of_any_dialect_may_take_it_for() {
        let error = RpcError::not_found("no account").with_name("NoAccount");
        for asks in [Peer::Nest, Peer::Spring] {
            let request = asks.request("c-1", any_of("orders.reply"), soon(), own(), 1);
            let answers = Dialect::Any.sender(&request);
            let request = answers.read_request(&request);
            let reply = answers.reply(&request, None, Answer::Failure(&error)).expect("somebody waits");
            let read = asks.read_reply(ReceivedReply { value: reply.value, headers: reply.headers });
            assert_eq!(read.expect("a reply").map(drop), Err(error.clone()), "{asks:?}");
        }
    }
}
