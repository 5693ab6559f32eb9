//! The checks on a piece of source text.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Block, Ident, ImplItem, Item, TraitItem};

use super::tokens::{Attributed, are_among, attributed, captured, depth, flat};
use crate::{bodies, command, expand, types};

/// Deeper than anybody nests, but not too deep for the compiler's own parser.
const DEEPEST: usize = 64;

/// Expands the attribute at the start of the text on the item behind it. Other text is skipped.
///
/// An expansion is Rust, or begins with a `compile_error!`; either way it contains what the user wrote.
pub(crate) fn source(text: &str) {
    let Ok(tokens) = text.parse::<TokenStream>() else { return };
    if depth(&tokens) > DEEPEST {
        return;
    }
    match attributed(captured(tokens)) {
        Some(Attributed { name, options, item }) if name == "kafka_handler" => handler(options, &item),
        Some(Attributed { name, options, item }) if name == "command" => before_handler(&options, &item),
        _ => {}
    }
}

fn handler(options: TokenStream, item: &TokenStream) {
    let expanded = expand::kafka_handler(options, item);
    let is_error = is_error(&expanded);
    let Ok(parsed) = bodies::read_item(item.clone()) else {
        assert!(is_error && are_among(&flat(item), &flat(&expanded)), "no item of Rust");
        return;
    };
    // If only the body of a function cannot be parsed, the compiler reports it.
    if syn::parse2::<Item>(item.clone()).is_ok() {
        assert_is_rust(&expanded);
    }
    match &parsed {
        Item::Impl(block) if types::is_wrapper(&block.self_ty) => assert!(is_error),
        // Contracts and their impls keep their functions, but not as the user wrote them. If one has a
        // mistake, the contract that stands in for the user's has other bodies.
        Item::Trait(_) => assert_functions_are_there(&parsed, &expanded, !is_error),
        Item::Impl(block) if block.trait_.is_some() => assert_functions_are_there(&parsed, &expanded, true),
        _ => assert!(
            are_among(&flat(&parsed.to_token_stream()), &flat(&expanded)),
            "not as it was: {expanded}"
        ),
    }
}

fn assert_functions_are_there(item: &Item, expanded: &TokenStream, with_bodies: bool) {
    let function = |name: &Ident, body: Option<&Block>| {
        let body = body.filter(|_| with_bodies);
        quote!(fn #name #body)
    };
    let functions: TokenStream = match item {
        Item::Trait(contract) => contract
            .items
            .iter()
            .filter_map(|item| match item {
                TraitItem::Fn(each) => Some(function(&each.sig.ident, each.default.as_ref())),
                _ => None,
            })
            .collect(),
        Item::Impl(block) => block
            .items
            .iter()
            .filter_map(|item| match item {
                ImplItem::Fn(each) => Some(function(&each.sig.ident, Some(&each.block))),
                _ => None,
            })
            .collect(),
        _ => TokenStream::new(),
    };
    assert!(are_among(&flat(&functions), &flat(expanded)), "not every function is there: {expanded}");
}

/// Checks that `#[command]` on its own keeps its item, and that its order beside `#[kafka_handler]` makes no
/// difference.
fn before_handler(options: &TokenStream, item: &TokenStream) {
    let expanded = command::command(options, item);
    // Sorted, because generic parameters are not written in the order in which they were read.
    let [mut written, mut found] = [item, &expanded].map(flat);
    written.sort_unstable();
    found.sort_unstable();
    assert!(are_among(&written, &found), "not as it was: {expanded}");
    if syn::parse2::<Item>(item.clone()).is_ok() {
        assert_is_rust(&expanded);
    }
    if is_error(&expanded) {
        return;
    }
    let (Some(before), Some(after)) = (attributed(item.clone()), attributed(expanded)) else { return };
    let is_function = matches!(
        syn::parse2(before.item.clone()),
        Ok(Item::Fn(function)) if !function.attrs.iter().any(|attribute| is_command(attribute.path()))
    );
    if before.name != "kafka_handler" || !is_function {
        return;
    }
    let rest = before.item;
    let the_other_way = expand::kafka_handler(before.options, &quote!(#[command(#options)] #rest));
    let this_way = expand::kafka_handler(after.options, &after.item);
    assert_eq!(this_way.to_string(), the_other_way.to_string());
}

fn is_command(path: &syn::Path) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == "command")
}

fn is_error(expanded: &TokenStream) -> bool {
    // `::core::compile_error!`
    let beginning: TokenStream = expanded.clone().into_iter().take(7).collect();
    beginning.to_string() == ":: core :: compile_error !"
}

fn assert_is_rust(expanded: &TokenStream) {
    if let Err(error) = syn::parse2::<syn::File>(expanded.clone()) {
        unreachable!("{error}: {expanded}");
    }
}
