//! From the model to code: one function for each item that is generated.
//!
//! - [`registry`]: the subscription, the handlers, and their registration
//! - [`contract`]: a contract's trait, and the impl of one
//! - [`client`]: the client trait
//! - [`arguments`]: the arguments of a handler, made from the context
//! - [`names`]: names in generated code
//! - [`visibility`]: the visibility of what is generated
//! - [`lints`]: the lints that generated code allows
//! - [`outside`]: what the subscription and the client repeat of an impl block, without its `Self`
//! - [`stand_in`]: what is expanded in place of an item with mistakes
//! - [`assert`]: where the user's types meet the traits they must implement, so that errors point at them

mod arguments;
mod assert;
mod client;
mod contract;
mod lints;
mod names;
mod outside;
mod registry;
mod stand_in;
mod visibility;

use proc_macro2::TokenStream;
use quote::quote;

use crate::{
    errors::Errors,
    model::{Form, Item},
    parse,
    position::Position,
    validate,
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
                if names::is_inside(&item) { (Some(subscription), None) } else { (None, Some(subscription)) };
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
