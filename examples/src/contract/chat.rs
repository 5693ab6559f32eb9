//! The assistant that the dashboard's users talk to.

use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

/// The commands of `chat-service-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChatCommandType {
    /// Says something, and asks for an answer.
    SendMessage,
    /// Asks what was said so far.
    GetHistory,
}

/// Says something in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// The conversation.
    pub conversation: String,
    /// What is said. `/balance ACCOUNT` asks the exchange, `/sum 1 2 3` a tool.
    pub text: String,
}

/// Asks what was said in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetHistory {
    /// The conversation.
    pub conversation: String,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub text: String,
}

/// The assistant. Messages of one conversation stay in order.
#[kafka_handler(
    topic = "chat-service-commands",
    group = "chat-service-consumer",
    replies = "chat-service-responses",
    dead_letter = "chat-service-dlq"
)]
pub trait Chat {
    /// Says something, and gets the assistant's answer.
    #[command(ChatCommandType::SendMessage, key = conversation)]
    async fn send_message(&self, request: SendMessage) -> Result<Message, RpcError>;

    /// Asks what was said so far.
    #[command(ChatCommandType::GetHistory, key = conversation)]
    async fn get_history(&self, request: GetHistory) -> Result<Vec<Message>, RpcError>;
}
