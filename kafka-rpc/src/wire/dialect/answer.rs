//! What is told to a caller, before and after it is put in the words of a dialect.

use bytes::Bytes;

use crate::{
    RpcError,
    error::INTERNAL_SERVER_ERROR,
    wire::{Encoded, Headers, ReceivedReply, names, reply},
};

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

/// Reads a reply whose headers say whether it is a success: any value is one.
pub(super) fn read_bare(reply: ReceivedReply) -> Result<Encoded, RpcError> {
    match failure(&reply.headers) {
        Some(error) => Err(error),
        None => Ok(Encoded::bare(reply.value)),
    }
}

/// The error that headers say: as Nest does, as we say it to Spring, or as an error handler of Spring's own does.
///
/// In whatever words, whoever is asked: a service with `dialect = "any"` takes a request of ours that names no partition for
/// Spring's, also where it is Nest's.
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
