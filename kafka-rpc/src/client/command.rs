//! Commands of a subscription, as callers see them.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    CallError,
    handler::{NameError, PayloadSource, Subscription},
    wire::{Peer, codec},
};

/// A command as its callers see it: a `static` in each method of a generated client trait.
#[derive(Debug)]
pub struct Command {
    subscription: Subscription,
    name: Name,
    resolved: OnceLock<Result<Resolved, NameError>>,
}

#[derive(Debug)]
enum Name {
    Of(fn() -> Result<String, NameError>),
    EveryRecord(PayloadSource),
}

/// A command with its names resolved, once for all calls of it.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) topic: &'static str,
    pub(crate) reply_topic: Option<String>,
    pub(crate) callee: Peer,
    pub(crate) body: Body,
}

/// The form of a request's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// An envelope with this command.
    Command(String),
    /// An envelope without a command.
    Envelope,
    /// The payload itself.
    Payload,
}

impl Body {
    /// Whether the payload is in an envelope, which also has room for a user id.
    pub(crate) fn has_envelope(&self) -> bool {
        match self {
            Self::Command(_) | Self::Envelope => true,
            Self::Payload => false,
        }
    }
}

impl Command {
    /// Creates a command. `name` returns its name on the wire.
    pub const fn new(subscription: Subscription, name: fn() -> Result<String, NameError>) -> Self {
        Self { subscription, name: Name::Of(name), resolved: OnceLock::new() }
    }

    /// Creates the command of a handler that takes every record of its topic.
    pub const fn every_record(subscription: Subscription, source: PayloadSource) -> Self {
        Self { subscription, name: Name::EveryRecord(source), resolved: OnceLock::new() }
    }

    pub(crate) fn resolve(&'static self) -> Result<&'static Resolved, CallError> {
        let resolved = self.resolved.get_or_init(|| {
            let body = match self.name {
                Name::Of(name) => Body::Command(name()?),
                Name::EveryRecord(PayloadSource::Envelope) => Body::Envelope,
                Name::EveryRecord(PayloadSource::Value | PayloadSource::Record) => Body::Payload,
            };
            let Subscription { topic, dialect, .. } = self.subscription;
            Ok(Resolved {
                topic,
                reply_topic: self.subscription.reply_topic(),
                callee: dialect.callee(),
                body,
            })
        });
        resolved.as_ref().map_err(|error| CallError::Invalid {
            reason: format!("{error} ({})", self.subscription.location),
        })
    }
}

/// A type that can be the payload of a call: anything that serde can serialise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as the payload of a command",
    label = "this cannot be serialised",
    note = "derive `serde::Serialize` for it"
)]
pub trait Encode {
    #[doc(hidden)]
    fn encode(&self) -> Result<Bytes, CallError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode for T {
    fn encode(&self) -> Result<Bytes, CallError> {
        codec::encode(self).map_err(|error| CallError::Invalid {
            reason: format!("the payload cannot be serialised: {error}"),
        })
    }
}
