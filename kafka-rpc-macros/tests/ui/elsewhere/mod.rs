//! The file of the module in `file_module.rs`.
