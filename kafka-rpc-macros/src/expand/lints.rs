//! The lints that generated code allows.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, Meta, parse_quote, spanned::Spanned};

use crate::model::{Form, Item, outer};

/// Turns off the lints that object to handlers: they are async and take `&self` and their payload by value,
/// whether or not they need to.
pub(super) fn allow_what_a_handler_must_do(item: &mut Item) {
    if matches!(item.form, Form::Contract(_)) {
        return;
    }
    let handlers: Vec<Ident> = item.handlers.iter().map(|handler| handler.ident().clone()).collect();
    item.form.for_each_function(|name, attrs| {
        if handlers.contains(name) {
            attrs.push(parse_quote!(
                #[allow(clippy::ignored_unit_patterns, clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
            ));
        }
    });
}

/// Allows deprecated items in generated code, if the user's item is deprecated or allows them.
pub(super) fn allow_deprecated(item: &Item) -> Option<TokenStream> {
    item.may_be_deprecated().then(|| quote!(#[allow(deprecated)]))
}

/// The lints that the user allows, for generated code with the same names and types.
pub(super) fn levels(attrs: &[Attribute]) -> impl Iterator<Item = Attribute> {
    let is_level =
        |attribute: &&Attribute| ["allow", "expect"].iter().any(|level| attribute.path().is_ident(level));
    attrs.iter().filter(is_level).map(of_generated)
}

/// An attribute of the user's block for a generated one. `expect` becomes `allow`, since the lint is expected
/// in the user's code.
pub(super) fn of_generated(attribute: &Attribute) -> Attribute {
    let mut attribute = outer(attribute);
    if let Meta::List(list) = &mut attribute.meta
        && list.path.is_ident("expect")
    {
        list.path = Ident::new("allow", list.path.span()).into();
    }
    attribute
}
