//! Items with a function that is still being typed: its body cannot be read yet, and only the compiler need
//! report that.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{Block, Expr, ImplItem, Item, Stmt, TraitItem};

/// Reads an item. If it cannot be parsed, reads it with the bodies of its functions left unparsed.
pub(crate) fn read_item(tokens: TokenStream) -> syn::Result<Item> {
    let error = match syn::parse2::<Item>(tokens.clone()) {
        Ok(item) => return Ok(item),
        Err(error) => error,
    };
    let mut bodies = Vec::new();
    let Ok(mut item) = syn::parse2::<Item>(without_bodies(tokens, &mut bodies)) else {
        // The error is not in a body.
        return Err(error);
    };
    let (count, mut bodies) = (bodies.len(), bodies.into_iter());
    let (mut filled, mut are_theirs) = (0, true);
    for_each_body(&mut item, |block| {
        // Otherwise braces in a type or before the item were mistaken for a body.
        are_theirs &= block.stmts.is_empty();
        filled += 1;
        block.stmts = bodies.next().into_iter().map(|body| Stmt::Expr(Expr::Verbatim(body), None)).collect();
    });
    if are_theirs && filled == count { Ok(item) } else { Err(error) }
}

fn for_each_body(item: &mut Item, mut visit: impl FnMut(&mut Block)) {
    match item {
        Item::Trait(item) => {
            for item in &mut item.items {
                if let TraitItem::Fn(function) = item
                    && let Some(body) = &mut function.default
                {
                    visit(body);
                }
            }
        }
        Item::Impl(item) => {
            for item in &mut item.items {
                if let ImplItem::Fn(function) = item {
                    visit(&mut function.block);
                }
            }
        }
        Item::Mod(item) => {
            for item in item.content.iter_mut().flat_map(|(_, items)| items) {
                if let Item::Fn(function) = item {
                    visit(&mut function.block);
                }
            }
        }
        Item::Fn(function) => visit(&mut function.block),
        _ => {}
    }
}

/// The tokens with `{}` in place of the body of the item, or of the functions directly inside the item.
fn without_bodies(tokens: TokenStream, bodies: &mut Vec<TokenStream>) -> TokenStream {
    if tokens.clone().into_iter().any(|token| is_fn(&token)) {
        return emptied(tokens, bodies);
    }
    let mut tokens: Vec<TokenTree> = tokens.into_iter().collect();
    if let Some(TokenTree::Group(inside)) = tokens.last_mut() {
        let span = inside.span();
        *inside = Group::new(inside.delimiter(), emptied(inside.stream(), bodies));
        inside.set_span(span);
    }
    tokens.into_iter().collect()
}

/// The tokens of functions with `{}` in place of their bodies.
fn emptied(tokens: TokenStream, bodies: &mut Vec<TokenStream>) -> TokenStream {
    let mut in_function = false;
    let each = |token: TokenTree| match token {
        token if is_fn(&token) => {
            in_function = true;
            token
        }
        TokenTree::Group(body) if in_function && body.delimiter() == Delimiter::Brace => {
            in_function = false;
            bodies.push(body.stream());
            let mut empty = Group::new(Delimiter::Brace, TokenStream::new());
            empty.set_span(body.span());
            TokenTree::Group(empty)
        }
        token => {
            // A function without a body ends here.
            in_function &= !matches!(&token, TokenTree::Punct(end) if end.as_char() == ';');
            token
        }
    };
    tokens.into_iter().map(each).collect()
}

fn is_fn(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(name) if name == "fn")
}
