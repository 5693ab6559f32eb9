//! Handlers as functions of a module, which take all of their state as arguments.

use std::{sync::Arc, time::Duration};

use kafka_rpc::{RpcError, kafka_handler};
use serde_json::Value;

use crate::contract::mcp_tools::Tool;

/// The handlers. Their generated client is [`tools::ToolsClient`].
#[kafka_handler(
    topic = "mcp-tools-commands",
    group = "mcp-tools-consumer",
    replies = "mcp-tools-responses",
    dead_letter = "mcp-tools-dlq",
    ordering = "none",
    concurrency = 1_024
)]
pub mod tools {
    use kafka_rpc::{RpcError, State};

    use super::{ToolError, Toolbox};
    use crate::contract::mcp_tools::{CallTool, McpToolsCommandType, Tool, ToolResult};

    /// Lists the tools.
    #[command(McpToolsCommandType::ListTools)]
    pub async fn list_tools(_: (), State(toolbox): State<Toolbox>) -> Result<Vec<Tool>, RpcError> {
        Ok(toolbox.tools().to_vec())
    }

    /// Uses a tool.
    #[command(McpToolsCommandType::CallTool)]
    pub async fn call_tool(
        request: CallTool,
        State(toolbox): State<Toolbox>,
    ) -> Result<ToolResult, ToolError> {
        let content = toolbox.call(&request.name, request.arguments).await?;
        Ok(ToolResult { name: request.name, content })
    }
}

/// The available tools. Handlers get a clone of their state for each record, so state should be cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Toolbox {
    tools: Arc<[Tool]>,
}

/// Why a tool produced nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolError {
    /// There is no tool of this name.
    NoSuchTool(String),
    /// The tool cannot use these arguments.
    Arguments {
        /// What the tool takes instead.
        expected: &'static str,
    },
}

impl From<ToolError> for RpcError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::NoSuchTool(name) => {
                Self::not_found(format!("no tool `{name}`")).with_name("NoSuchTool")
            }
            ToolError::Arguments { expected } => Self::bad_request(format!("`arguments` must be {expected}")),
        }
    }
}

impl Default for Toolbox {
    fn default() -> Self {
        let tool = |name: &str, description: &str| Tool {
            name: name.to_owned(),
            description: description.to_owned(),
        };
        Self {
            tools: Arc::new([
                tool("echo", "Gives back what it was given."),
                tool("sum", "Adds numbers."),
                tool("sleep", "Takes as many milliseconds as it is told to."),
            ]),
        }
    }
}

impl Toolbox {
    /// Returns all tools.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<Value, ToolError> {
        match name {
            "echo" => Ok(arguments),
            "sum" => sum(&arguments).map(Value::from),
            "sleep" => {
                let expected = "a number of milliseconds";
                let millis = arguments.as_u64().ok_or(ToolError::Arguments { expected })?;
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(arguments)
            }
            unknown => Err(ToolError::NoSuchTool(unknown.to_owned())),
        }
    }
}

/// Adds whole numbers, which may be written as text.
fn sum(arguments: &Value) -> Result<i64, ToolError> {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let numbers: Option<Vec<i64>> =
        arguments.as_array().and_then(|values| values.iter().map(number).collect());
    numbers
        .and_then(|numbers| numbers.into_iter().try_fold(0, i64::checked_add))
        .ok_or(ToolError::Arguments { expected: "a list of whole numbers" })
}
