//! The options whose value is one of a few words.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{LitStr, parse::Parse};

use crate::{position::unknown_value, written::Written};

/// The values of `ordering`.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    Key,
    Partition,
    None,
}

impl Order {
    pub(crate) fn read(written: &Written) -> syn::Result<Self> {
        let choices = [("key", Self::Key), ("partition", Self::Partition), ("none", Self::None)];
        choose(written, &choices)
    }
}

impl ToTokens for Order {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let variant = match self {
            Self::Key => "Key",
            Self::Partition => "Partition",
            Self::None => "None",
        };
        Ident::new(variant, Span::call_site()).to_tokens(tokens);
    }
}

/// The values of `dialect`.
#[derive(Clone, Copy)]
pub(crate) enum Dialect {
    Reference,
    Nest,
    Spring,
    Any,
}

impl Dialect {
    pub(crate) fn read(written: &Written) -> syn::Result<Self> {
        let choices = [
            ("reference", Self::Reference),
            ("nest", Self::Nest),
            ("spring", Self::Spring),
            ("any", Self::Any),
        ];
        choose(written, &choices)
    }
}

impl ToTokens for Dialect {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let variant = match self {
            Self::Reference => "Reference",
            Self::Nest => "Nest",
            Self::Spring => "Spring",
            Self::Any => "Any",
        };
        Ident::new(variant, Span::call_site()).to_tokens(tokens);
    }
}

fn choose<T: Copy>(written: &Written, choices: &[(&str, T)]) -> syn::Result<T> {
    let known: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let words: Vec<String> = known.iter().map(|name| format!("`\"{name}\"`")).collect();
    let what_else = match &*words {
        [_, last] => format!(" or {last}"),
        [_, between @ .., last] => format!(", {} or {last}", between.join(", ")),
        _ => String::new(),
    };
    let example = format!("\"{}\"", known.first().copied().unwrap_or_default());
    let word = written.value(&example, &what_else, <LitStr as Parse>::parse)?;
    let value = word.value();
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
        return Ok(*choice);
    }
    let message = unknown_value(&written.name.to_string(), &value, &known);
    Err(syn::Error::new(word.span(), message))
}
