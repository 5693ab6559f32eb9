//! What crosses the wire: commands, payloads, replies, and the contracts that tie them to topics.
//!
//! | service | commands | replies | dead letters |
//! | --- | --- | --- | --- |
//! | [`bybit`] | `dashboard-bybit-commands` | `dashboard-bybit-responses` | `dashboard-bybit-dlq` |
//! | [`alerts`] | `dashboard-alerts-commands`, `dashboard-alerts-events` | `dashboard-alerts-responses` | `dashboard-alerts-dlq` |
//! | [`settings`] | `dashboard-settings-commands` | `dashboard-settings-responses` | `dashboard-settings-dlq` |
//! | [`chat`] | `chat-service-commands` | `chat-service-responses` | `chat-service-dlq` |
//! | [`mcp_tools`] | `mcp-tools-commands` | `mcp-tools-responses` | `mcp-tools-dlq` |
//!
//! Commands have the names that serde gives the variants of their enum, in `SCREAMING_SNAKE_CASE`, and fields
//! are in `camelCase`, which peers in other languages are used to.
//!
//! Three of the services have a contract in this module: a trait that the service implements. The other two
//! are described by their handlers alone ([`services::settings`](crate::services::settings) and
//! [`services::mcp_tools`](crate::services::mcp_tools)), so only their commands and payloads are in this
//! module.

pub mod alerts;
pub mod bybit;
pub mod chat;
pub mod mcp_tools;
pub mod settings;
