//! The five services, each in another form.
//!
//! | service | form | state |
//! | --- | --- | --- |
//! | [`bybit`] | the impl of a contract, with extractors and an error type of its own | `&self` |
//! | [`alerts`] | the impl of a contract, and a free function for every record of an event topic | `&self`, `State` |
//! | [`settings`] | an inherent `impl` block, and a free function with `#[command]` | `&self`, `State` |
//! | [`chat`] | the impl of a contract, by a service that calls others | `&self`, with a client inside |
//! | [`mcp_tools`] | an inline module of free functions | `State` |
//!
//! They register themselves wherever this crate is linked, so a binary that serves them has to name it:
//! `use examples::services as _;`, or a call of [`provide`], which says as much.

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

/// Provides what the handlers of all five services take. Leave one out, and `build()` names the handlers that
/// miss it.
#[must_use]
pub fn provide(runtime: RuntimeBuilder, feed: AlertFeed) -> RuntimeBuilder {
    runtime
        .provide(BybitService::default())
        .provide(AlertsService::default())
        .provide(feed)
        .provide(SettingsService::default())
        .provide(Toolbox::default())
        // It calls others, and there is no client before the runtime has started.
        .provide_with(ChatService::new)
}
