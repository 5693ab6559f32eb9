//! Tools that an assistant can use.
//!
//! There is no contract trait: the module [`tools`](crate::services::mcp_tools::tools) and its functions
//! describe the service completely, and the client is generated from them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The commands of `mcp-tools-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum McpToolsCommandType {
    /// Lists the tools.
    ListTools,
    /// Uses a tool.
    CallTool,
}

/// A tool, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// The name of the tool.
    pub name: String,
    /// A one-sentence description of the tool.
    pub description: String,
}

/// Uses a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallTool {
    /// The name of the tool.
    pub name: String,
    /// The arguments, whose shape depends on the tool.
    pub arguments: Value,
}

/// The result of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult {
    /// The name of the tool.
    pub name: String,
    /// The result, whose shape depends on the tool.
    pub content: Value,
}
