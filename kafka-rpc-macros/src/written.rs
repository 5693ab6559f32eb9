//! Options as they are written, before they are interpreted: split at their commas, each with its name.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Ident,
    parse::{ParseStream, Parser},
};

use crate::{errors::Errors, position::unknown};

/// One option before it is interpreted: `name`, `name = value`, or `name(parts)`.
pub(crate) struct Written {
    pub(crate) name: Ident,
    pub(crate) value: Option<TokenStream>,
    pub(crate) parts: Option<TokenStream>,
}

impl Written {
    /// Parses the value. The error says what to write: `example`, and `what_else` the value can be.
    pub(crate) fn value<T>(
        &self,
        example: &str,
        what_else: &str,
        parser: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
    ) -> syn::Result<T> {
        let name = &self.name;
        let error = |place: TokenStream| {
            syn::Error::new_spanned(place, format!("write `{name} = {example}`{what_else}"))
        };
        match &self.value {
            Some(value) if !value.is_empty() => parser.parse2(value.clone()).map_err(|_| {
                // `"a" group = "b"`: a comma is missing, since no value contains another option.
                let tokens: Vec<TokenTree> = value.clone().into_iter().collect();
                let next = tokens.windows(2).skip(1).find(|pair| {
                    matches!(pair, [TokenTree::Ident(_), TokenTree::Punct(equals)] if equals.as_char() == '=' && equals.spacing() == Spacing::Alone)
                });
                match next {
                    Some(next) => syn::Error::new_spanned(&next[0], "write a comma between two options"),
                    None => error(value.clone()),
                }
            }),
            _ => Err(error(name.to_token_stream())),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value.to_string() == "none")
    }
}

/// Splits at the commas outside of all brackets, so that a mistake in one option hides none in the others.
pub(crate) fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = Vec::new();
    let mut part = TokenStream::new();
    for token in tokens {
        match token {
            TokenTree::Punct(comma) if comma.as_char() == ',' => parts.push(std::mem::take(&mut part)),
            // A `macro_rules!` wraps the fragments it captured in groups that have no brackets.
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => part.extend(group.stream()),
            token => part.extend([token]),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Reads one option.
pub(crate) fn written(part: &TokenStream) -> syn::Result<Written> {
    let mut tokens = part.clone().into_iter();
    let error =
        || syn::Error::new_spanned(part, "expected an option, as `name = value`: write which option this is");
    let Some(TokenTree::Ident(name)) = tokens.next() else {
        return Err(error());
    };
    match tokens.next() {
        None => Ok(Written { name, value: None, parts: None }),
        Some(TokenTree::Punct(equals)) if equals.as_char() == '=' => {
            Ok(Written { name, value: Some(tokens.collect()), parts: None })
        }
        Some(TokenTree::Group(parts)) if parts.delimiter() == Delimiter::Parenthesis => {
            let rest: TokenStream = tokens.collect();
            if !rest.is_empty() {
                return Err(syn::Error::new_spanned(rest, "write a comma between two options"));
            }
            Ok(Written { name, value: None, parts: Some(parts.stream()) })
        }
        Some(_) => Err(error()),
    }
}

/// Whether the option occurs for the first time; reports an error if not.
pub(crate) fn is_first(name: &Ident, seen: &mut Vec<Ident>, errors: &mut Errors) -> bool {
    let first = !seen.contains(name);
    if first {
        seen.push(name.clone());
    } else {
        errors.at(name, format!("`{name}` is stated twice: remove one of the two"));
    }
    first
}

/// Reads options inside an option. All mistakes become one error.
pub(crate) fn each_option(
    tokens: TokenStream,
    known: &[&str],
    noun: &str,
    mut set: impl FnMut(&Written) -> syn::Result<()>,
) -> syn::Result<()> {
    let mut errors = Errors::default();
    let mut seen = Vec::new();
    for part in split(tokens) {
        let Some(written) = errors.take(written(&part)) else { continue };
        let name = written.name.to_string();
        if !known.contains(&name.as_str()) {
            errors.at(&written.name, unknown(&name, noun, known));
        } else if is_first(&written.name, &mut seen, &mut errors) {
            errors.take(set(&written));
        }
    }
    errors.into_result()
}
