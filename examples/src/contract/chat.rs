//! The assistant that the dashboard's users talk to.

use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

/// The commands of `chat-service-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChatCommandType {
    /// Sends a message, and returns the assistant's answer.
    SendMessage,
    /// Returns the messages of a conversation.
    GetHistory,
}

/// Sends a message in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// The conversation.
    pub conversation: String,
    /// The message. `/balance ACCOUNT` asks the exchange, `/sum 1 2 3` uses a tool.
    pub text: String,
}

/// Returns the messages of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetHistory {
    /// The conversation.
    pub conversation: String,
}

/// A message of the user or the assistant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// `user` or `assistant`.
    pub role: String,
    /// The text of the message.
    pub text: String,
}

/// The chat service. The record key is the conversation, so messages of one conversation stay in order.
#[kafka_handler(
    topic = "chat-service-commands",
    group = "chat-service-consumer",
    replies = "chat-service-responses",
    dead_letter = "chat-service-dlq"
)]
pub trait Chat {
    /// Sends a message, and returns the assistant's answer.
    #[command(ChatCommandType::SendMessage, key = conversation)]
    async fn send_message(&self, request: SendMessage) -> Result<Message, RpcError>;

    /// Returns the messages of a conversation.
    #[command(ChatCommandType::GetHistory, key = conversation)]
    async fn get_history(&self, request: GetHistory) -> Result<Vec<Message>, RpcError>;
}
