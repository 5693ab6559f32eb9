//! Programs of other languages on the other side, with the published packages that their services use.
//!
//! - [`program`]: a running program, which takes questions and answers in lines of JSON
//! - [`project`]: a folder of `tests/interop`, prepared once in the target folder

pub mod program;
pub mod project;

pub use self::{
    program::Program,
    project::{maven_project, node_project},
};
