//! The arguments of a handler, made from the context.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::spanned::Spanned;

use super::{
    assert,
    names::{local, local_at},
};
use crate::model::{Form, Handler, Item, Style};

/// The arguments of a handler, in generated code.
pub(super) struct Arguments {
    /// The `let` statements that make the arguments.
    pub(super) lets: Vec<TokenStream>,
    /// The names of the arguments.
    pub(super) names: Vec<TokenStream>,
}

/// The payload of a handler, read from the context.
pub(super) fn payload(item: &Item, handler: &Handler) -> Arguments {
    let request = local("request");
    if let Some(payload) = handler.read_payload() {
        let read = assert::read(item, &payload.ty);
        return Arguments {
            lets: vec![quote!(let #request = #read;)],
            names: vec![request.into_token_stream()],
        };
    }
    // The payload may be anything, but the value that holds it must be valid.
    let context = local("context");
    // A contract's methods always take a payload, so that its impl need not know whether there is one.
    let has_name = handler.payload.is_some() || item.style() == Style::Contract;
    Arguments {
        lets: vec![quote!(#context.read_nothing()?;)],
        names: has_name.then(|| quote!(())).into_iter().collect(),
    }
}

/// The arguments after the payload, made from the context.
pub(super) fn extractors(item: &Item, handler: &Handler) -> Arguments {
    let is_reference = matches!(item.form, Form::ContractImpl(_));
    let mut taken: Vec<Ident> = ["context", "service", "request", "result", "reply"].map(local).into();
    let mut arguments = Arguments { lets: Vec::new(), names: Vec::new() };
    for (i, extractor) in handler.extractors.iter().enumerate() {
        let name = extractor
            .name()
            .map(|name| Ident::new(&name.to_string().replace("r#", "raw_"), Span::mixed_site()))
            .filter(|name| !taken.contains(name))
            // A name that user code cannot write.
            .unwrap_or_else(|| format_ident!("__argument_{}", i + 2, span = Span::mixed_site()));
        let context = local_at("context", extractor.ty.span());
        let context = if is_reference { quote!(#context) } else { quote!(&#context) };
        let extract = assert::extract(item, &extractor.ty, &context);
        arguments.lets.push(quote!(let #name = #extract;));
        arguments.names.push(name.to_token_stream());
        taken.push(name);
    }
    arguments
}
