//! Functions on tokens.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// An attribute and the item behind it.
pub(super) struct Attributed {
    /// The last segment of its path.
    pub(super) name: String,
    pub(super) options: TokenStream,
    pub(super) item: TokenStream,
}

/// Splits off the first attribute.
pub(super) fn attributed(tokens: TokenStream) -> Option<Attributed> {
    let mut tokens = tokens.into_iter();
    let (TokenTree::Punct(hash), TokenTree::Group(brackets)) = (tokens.next()?, tokens.next()?) else {
        return None;
    };
    let (name, options) = named(&hash.into(), &brackets)?;
    Some(Attributed { name, options, item: tokens.collect() })
}

/// The name and the options of an attribute.
fn named(hash: &TokenTree, brackets: &Group) -> Option<(String, TokenStream)> {
    if hash.to_string() != "#" || brackets.delimiter() != Delimiter::Bracket {
        return None;
    }
    let mut name = None;
    for token in brackets.stream() {
        match token {
            TokenTree::Ident(segment) => name = Some(segment.to_string()),
            TokenTree::Punct(colon) if colon.as_char() == ':' => {}
            TokenTree::Group(options) => return Some((name?, options.stream())),
            TokenTree::Punct(equals) if equals.as_char() == '=' => break,
            _ => return None,
        }
    }
    Some((name?, TokenStream::new()))
}

/// How deep groups are nested.
pub(super) fn depth(tokens: &TokenStream) -> usize {
    let inside = tokens.clone().into_iter().map(|token| match token {
        TokenTree::Group(group) => 1 + depth(&group.stream()),
        _ => 0,
    });
    inside.max().unwrap_or(0)
}

/// The tokens with each `$(..)` replaced by a group without brackets, which is what a `macro_rules!`
/// captures.
pub(super) fn captured(tokens: TokenStream) -> TokenStream {
    let mut found = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_dollar = token.to_string() == "$";
        match (token, tokens.peek()) {
            (_, Some(TokenTree::Group(group))) if is_dollar => {
                let group = Group::new(Delimiter::None, captured(group.stream()));
                tokens.next();
                found.extend([TokenTree::Group(group)]);
            }
            (TokenTree::Group(group), _) => {
                found.extend([TokenTree::Group(Group::new(group.delimiter(), captured(group.stream())))]);
            }
            (token, _) => found.extend([token]),
        }
    }
    found
}

/// All tokens in order, including those in groups, without the attributes that an expansion may remove.
pub(super) fn flat(tokens: &TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    flatten(tokens.clone(), &mut found);
    found
}

fn flatten(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let Some(TokenTree::Group(next)) = tokens.peek()
            && named(&token, next).is_some_and(|(name, _)| name == "command" || name == "async_trait")
        {
            tokens.next();
            continue;
        }
        let TokenTree::Group(group) = token else {
            found.push(token.to_string());
            continue;
        };
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            // The group itself is no token, and a parser may leave out an empty one.
            Delimiter::None => {
                flatten(group.stream(), found);
                continue;
            }
        };
        found.push(open.to_owned());
        flatten(group.stream(), found);
        found.push(close.to_owned());
    }
}

/// Whether `tokens` are among `others`, in the same order.
pub(super) fn are_among(tokens: &[String], others: &[String]) -> bool {
    let mut others = others.iter();
    tokens.iter().all(|token| others.any(|other| other == token))
}
