//! From the model to code: one function for each item that is generated.
//!
//! - [`registry`]: the subscription, the handlers, and their registration
//! - [`contract`]: a contract's trait, and the impl of one
//! - [`client`]: the client trait
//! - [`lints`]: the lints that generated code allows
//! - [`outside`]: what the subscription and the client repeat of an impl block, without its `Self`
//! - [`stand_in`]: what is expanded in place of an item with mistakes
//! - [`assert`]: where the user's types meet the traits they must implement, so that errors point at them

mod assert;
mod client;
mod contract;
mod lints;
mod outside;
mod registry;
mod stand_in;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{Expr, Visibility, parse_quote, spanned::Spanned};

use crate::{
    attr::{Destination, HandlerOptions},
    errors::Errors,
    model::{Form, Handler, Item, Style},
    parse,
    position::Position,
    types, validate,
};

/// Expands `#[kafka_handler]`.
pub(crate) fn kafka_handler(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let (mut errors, mut of_options) = (Errors::default(), Errors::default());
    let Some(item) = parse::item(options, tokens.clone(), &mut errors, &mut of_options) else {
        let errors = errors.into_tokens();
        return quote!(#errors #tokens);
    };
    validate::item(&item, &mut errors);
    validate::options(&item, &mut of_options);
    let (of_options, errors) = (of_options.into_tokens(), errors.into_tokens());
    if of_options.is_none() && errors.is_none() {
        return expand(item);
    }
    let rest = match stand_in::of(item, errors.is_none()) {
        Ok(stand_in) => expand(stand_in),
        Err(form) => stand_in::as_written(*form),
    };
    quote!(#of_options #errors #rest)
}

fn expand(mut item: Item) -> TokenStream {
    lints::allow_what_a_handler_must_do(&mut item);
    let registration = item.registers().then(|| registry::registration(&item));
    match &item.form {
        Form::Contract(_) => {
            let subscription = registry::subscription(&item);
            let contract = contract::contract(&item);
            let client = client::client(&item);
            quote!(#subscription #contract #client)
        }
        Form::ContractImpl(block) => {
            let functions = contract::functions(block);
            let implementation = contract::implementation(&item);
            quote!(#functions #implementation #registration)
        }
        Form::Inherent(block) => {
            let subscription = registry::subscription(&item);
            let handlers = registry::handlers_of_service(&item);
            let client = client::client(&item);
            quote!(#block #subscription #handlers #registration #client)
        }
        Form::Module(module) => {
            let subscription = registry::subscription(&item);
            let handlers = registry::handlers_of_functions(&item);
            let client = client::client(&item);
            // Inside the module, so that names mean what they mean to its functions.
            let mut module = module.clone();
            let (inside, beside) =
                if is_inside(&item) { (Some(subscription), None) } else { (None, Some(subscription)) };
            if let Some((_, items)) = &mut module.content {
                items.push(syn::Item::Verbatim(quote!(#inside #handlers #registration #client)));
            }
            quote!(#beside #module)
        }
        Form::Function(function) => {
            let subscription = registry::subscription(&item);
            let handlers = registry::handlers_of_functions(&item);
            let client = client::client(&item);
            let probe = dead_letters(&item);
            quote!(#function #subscription #handlers #registration #client #probe)
        }
    }
}

/// Asserts that a function takes `DeadLetter` if it has `dead_letters_of`, and only then.
fn dead_letters(item: &Item) -> Option<TokenStream> {
    if item.position() != Position::EveryRecord {
        return None;
    }
    // The type decides, whatever its name is at this place.
    let payload = &item.handlers.first()?.read_payload()?.ty;
    let probe = if item.options.dead_letters_of.is_some() {
        assert::is_dead_letter(item, payload)
    } else {
        assert::is_no_dead_letter(item, payload)
    };
    let deprecated = lints::allow_deprecated(item);
    Some(quote!(#deprecated #probe))
}

/// A variable of generated code, which the user's code neither sees nor shadows.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The same variable, located so that errors point at `place`.
fn local_at(name: &str, place: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(place))
}

/// The path of the module that generated code names, located so that errors point at `span`.
fn private_at(item: &Item, span: Span) -> TokenStream {
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
fn subscription_name(item: &Item) -> Ident {
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
fn subscription_path(item: &Item) -> TokenStream {
    let name = subscription_name(item);
    let is_above = matches!(item.form, Form::Module(_)) && !is_inside(item);
    if is_above { quote!(super::#name) } else { quote!(#name) }
}

/// Whether the subscription constant of a module is inside it. Paths in the attribute are valid beside the
/// module, so the constant is beside it if there are any. With literals only it is inside, since in the body
/// of a function `super` does not reach that body.
fn is_inside(item: &Item) -> bool {
    let HandlerOptions { topic, group, replies, dead_letter, retry_topic, concurrency, failure, .. } =
        &item.options;
    let named = [replies, dead_letter].map(|to| to.as_ref().and_then(Destination::topic));
    let mut values = [topic, group, retry_topic, concurrency].map(Option::as_ref).into_iter().chain(named);
    let is_literal = |value: Option<&Expr>| value.is_none_or(|value| matches!(value, Expr::Lit(_)));
    failure.own_policy().is_none() && values.all(is_literal)
}

/// The visibility of an item's client.
fn visibility(item: &Item) -> Visibility {
    match &item.form {
        Form::Contract(item) => item.vis.clone(),
        Form::ContractImpl(_) | Form::Inherent(_) => item
            .handlers
            .iter()
            .map(|handler| handler.vis.clone())
            .max_by_key(width)
            .unwrap_or(Visibility::Inherited),
        Form::Module(item) => from_inside(&item.vis),
        Form::Function(item) => item.vis.clone(),
    }
}

fn width(vis: &Visibility) -> u8 {
    match vis {
        Visibility::Public(_) => 3,
        Visibility::Restricted(vis) if vis.path.is_ident("crate") => 2,
        Visibility::Restricted(vis) if vis.path.is_ident("self") => 0,
        Visibility::Restricted(_) => 1,
        Visibility::Inherited => 0,
    }
}

/// The visibility of a module, as an item inside it writes it.
fn from_inside(vis: &Visibility) -> Visibility {
    match vis {
        Visibility::Public(_) => vis.clone(),
        Visibility::Inherited => parse_quote!(pub(super)),
        Visibility::Restricted(restricted) => {
            let path = &restricted.path;
            match path.segments.first() {
                // The compiler refuses a path from the root, and reports it at the module itself.
                Some(first) if first.ident == "crate" || path.leading_colon.is_some() => vis.clone(),
                Some(first) if first.ident == "self" => parse_quote!(pub(super)),
                _ => parse_quote!(pub(in super::#path)),
            }
        }
    }
}

/// The arguments of a handler, in generated code.
struct Arguments {
    /// The `let` statements that make the arguments.
    lets: Vec<TokenStream>,
    /// The names of the arguments.
    names: Vec<TokenStream>,
}

/// The payload of a handler, read from the context.
fn payload(item: &Item, handler: &Handler) -> Arguments {
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
fn extractors(item: &Item, handler: &Handler) -> Arguments {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visibility_of_a_module_is_the_same_inside_of_it() {
        let inside = |vis: &str| {
            let vis = syn::parse_str(vis).expect("a visibility");
            from_inside(&vis).into_token_stream().to_string()
        };
        let cases =
            ["", "pub", "pub(crate)", "pub(self)", "pub(super)", "pub(in super::super)", "pub(in ::a)"];
        assert_eq!(
            cases.map(inside),
            [
                "pub (super)",
                "pub",
                "pub (crate)",
                "pub (super)",
                "pub (in super :: super)",
                "pub (in super :: super :: super)",
                "pub (in :: a)",
            ]
        );
    }
}
