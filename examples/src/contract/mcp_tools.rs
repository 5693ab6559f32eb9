//! Tools that an assistant can use.
//!
//! No trait here: the [`tools`](crate::services::mcp_tools::tools) are functions of a module, which is the whole
//! description, and their client comes from there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The commands of `mcp-tools-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum McpToolsCommandType {
    /// Asks which tools there are.
    ListTools,
    /// Uses one.
    CallTool,
}

/// A tool, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// What it is called.
    pub name: String,
    /// What it does, in a sentence.
    pub description: String,
}

/// Uses a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallTool {
    /// Which one.
    pub name: String,
    /// What it works on, of a shape that depends on the tool.
    pub arguments: Value,
}

/// What a tool has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult {
    /// Which tool it was.
    pub name: String,
    /// What it made, of a shape that depends on the tool.
    pub content: Value,
}
