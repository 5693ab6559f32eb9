//! The impl of a contract by a service that calls other services.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use kafka_rpc::{CallError, Client, RpcError, kafka_handler};

use super::mcp_tools::tools::ToolsClient as _;
use crate::contract::{
    bybit::{BybitClient as _, GetBalance},
    chat::{Chat, GetHistory, Message, SendMessage},
    mcp_tools::CallTool,
};

/// An assistant that asks other services.
///
/// Its client comes from `.provide_with(ChatService::new)`. A handler can also take a `Client` as an
/// argument, as [`alerts`](super::alerts) does. Which of the two to use is a matter of taste.
#[derive(Debug)]
pub struct ChatService {
    client: Client,
    conversations: Mutex<HashMap<String, Vec<Message>>>,
}

#[kafka_handler]
impl Chat for ChatService {
    async fn send_message(&self, request: SendMessage) -> Result<Message, RpcError> {
        let text = self.answer(&request.text).await?;
        let answer = Message { role: "assistant".to_owned(), text };
        let asked = Message { role: "user".to_owned(), text: request.text };
        self.remember(request.conversation, [asked, answer.clone()]);
        Ok(answer)
    }

    async fn get_history(&self, request: GetHistory) -> Result<Vec<Message>, RpcError> {
        let conversations = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
        match conversations.get(&request.conversation) {
            Some(messages) => Ok(messages.clone()),
            None => Err(RpcError::not_found(format!("no conversation `{}`", request.conversation))),
        }
    }
}

impl ChatService {
    /// Creates an assistant that asks other services through this client.
    pub fn new(client: Client) -> Self {
        Self { client, conversations: Mutex::default() }
    }

    /// Answers a message. Calls made here inherit the deadline of the command being handled, so no service
    /// keeps working once the caller has stopped waiting.
    async fn answer(&self, text: &str) -> Result<String, RpcError> {
        if let Some(account) = text.strip_prefix("/balance ") {
            let request = GetBalance { account: account.to_owned() };
            // `propagate` passes the error on unchanged: asking for an unknown account yields the exchange's
            // own 404.
            let balance = self.client.get_balance(request).await.map_err(CallError::propagate)?;
            return Ok(format!("{} holds {} cents", balance.account, balance.cents));
        }
        if let Some(numbers) = text.strip_prefix("/sum ") {
            let numbers: Vec<&str> = numbers.split_whitespace().collect();
            let request = CallTool { name: "sum".to_owned(), arguments: numbers.into() };
            // A bare `?` turns an error of the tools into a 502, because it is not the fault of the chat's
            // caller.
            let sum = self.client.call_tool(request).await?;
            return Ok(format!("that makes {}", sum.content));
        }
        Ok(format!("you said: {text}"))
    }

    fn remember(&self, conversation: String, messages: [Message; 2]) {
        let mut conversations = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
        conversations.entry(conversation).or_default().extend(messages);
    }
}

#[cfg(test)]
mod tests {
    use kafka_rpc::Stub;

    use super::*;
    use crate::contract::bybit::{Balance, BybitCommandType};

    fn said(text: &str) -> SendMessage {
        SendMessage { conversation: "c".to_owned(), text: text.to_owned() }
    }

    /// A [`Stub`] stands in for the services that this one calls, with canned replies.
    #[tokio::test]
    async fn a_balance_is_asked_for_at_the_exchange() {
        let exchange = Stub::new()
            .answer(BybitCommandType::GetBalance, Balance { account: "main".to_owned(), cents: 7 });
        let chat = ChatService::new(exchange.client());
        let answer = chat.send_message(said("/balance main")).await.expect("the exchange has answered");
        assert_eq!(answer.text, "main holds 7 cents");
        assert_eq!(exchange.calls(), ["GET_BALANCE"]);
    }

    #[tokio::test]
    async fn an_unknown_account_is_the_callers_fault_not_a_bad_gateway() {
        let exchange = Stub::new().fail(BybitCommandType::GetBalance, RpcError::not_found("no account"));
        let chat = ChatService::new(exchange.client());
        let error = chat.send_message(said("/balance x")).await.expect_err("there is none");
        assert_eq!(error.status(), 404);
    }
}
