//! Names in generated code.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::Expr;

use crate::{
    attr::{Destination, HandlerOptions},
    model::{Form, Item},
    types,
};

/// A variable of generated code, which the user's code neither sees nor shadows.
pub(super) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The same variable, located so that errors point at `place`.
pub(super) fn local_at(name: &str, place: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(place))
}

/// The path of the module that generated code names, located so that errors point at `span`.
pub(super) fn private_at(item: &Item, span: Span) -> TokenStream {
    let is_users = item.options.krate.is_some();
    item.private()
        .into_iter()
        .map(|mut token: TokenTree| {
            // Only the location changes: a `$crate` must keep the hygiene of the macro that wrote it.
            token.set_span(if is_users { token.span().located_at(span) } else { span });
            token
        })
        .collect()
}

/// The name of the constant that holds the subscription of an item: `__kafka_rpc_trait_Bybit`.
///
/// A trait, a module and a function may share a name, and names may differ only in case, so the constant's
/// name contains the form and the item's name unchanged. For a block it contains the whole type, since the
/// last segment alone may not be unique.
pub(super) fn subscription_name(item: &Item) -> Ident {
    let form = match &item.form {
        Form::Contract(_) => "trait",
        Form::ContractImpl(_) | Form::Inherent(_) => "impl",
        Form::Module(_) => "mod",
        Form::Function(_) => "fn",
    };
    let name = match &item.form {
        Form::ContractImpl(block) | Form::Inherent(block) => types::compact(&block.self_ty),
        _ => item.name().map(ToString::to_string).unwrap_or_default(),
    };
    let name = name.replace("r#", "").replace(|letter: char| !letter.is_alphanumeric() && letter != '_', "_");
    format_ident!("__kafka_rpc_{form}_{name}")
}

/// The path of the subscription constant, from the place of the handlers and the client.
pub(super) fn subscription_path(item: &Item) -> TokenStream {
    let name = subscription_name(item);
    let is_above = matches!(item.form, Form::Module(_)) && !is_inside(item);
    if is_above { quote!(super::#name) } else { quote!(#name) }
}

/// Whether the subscription constant of a module is inside it. Paths in the attribute are valid beside the
/// module, so the constant is beside it if there are any. With literals only it is inside, since in the body
/// of a function `super` does not reach that body.
pub(super) fn is_inside(item: &Item) -> bool {
    let HandlerOptions { topic, group, replies, dead_letter, retry_topic, concurrency, failure, .. } =
        &item.options;
    let named = [replies, dead_letter].map(|to| to.as_ref().and_then(Destination::topic));
    let mut values = [topic, group, retry_topic, concurrency].map(Option::as_ref).into_iter().chain(named);
    let is_literal = |value: Option<&Expr>| value.is_none_or(|value| matches!(value, Expr::Lit(_)));
    failure.own_policy().is_none() && values.all(is_literal)
}
