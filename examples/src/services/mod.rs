//! The five services, each written in a different form.
//!
//! | service | form | state |
//! | --- | --- | --- |
//! | [`bybit`] | the impl of a contract, with extractors and its own error type | `&self` |
//! | [`alerts`] | the impl of a contract, and a free function that handles every record of an event topic | `&self`, `State` |
//! | [`settings`] | an inherent `impl` block, and a free function with `#[command]` | `&self`, `State` |
//! | [`chat`] | the impl of a contract, by a service that calls other services | `&self`, which holds a client |
//! | [`mcp_tools`] | an inline module of free functions | `State` |
//!
//! Handlers register themselves in every binary that links this crate, and Rust only links a crate that is
//! named. So a binary that serves them names it: by `use examples::services as _;`, or by calling
//! [`provide`].

pub mod alerts;
pub mod bybit;
pub mod chat;
pub mod mcp_tools;
pub mod settings;

use kafka_rpc::RuntimeBuilder;

use self::{
    alerts::{AlertFeed, AlertsService},
    bybit::BybitService,
    chat::ChatService,
    mcp_tools::Toolbox,
    settings::SettingsService,
};

/// Provides the state that the handlers of all five services take. Leave one value out, and `build()` names
/// the handlers that lack it.
#[must_use]
pub fn provide(runtime: RuntimeBuilder, feed: AlertFeed) -> RuntimeBuilder {
    runtime
        .provide(BybitService::default())
        .provide(AlertsService::default())
        .provide(feed)
        .provide(SettingsService::default())
        .provide(Toolbox::default())
        // The chat needs a client, and a client exists only once the runtime has started.
        .provide_with(ChatService::new)
}
