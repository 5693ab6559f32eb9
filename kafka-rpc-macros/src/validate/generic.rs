//! What a generic block cannot name in what is generated outside of it: its client, and its subscription.

use syn::{Expr, ExprPath, GenericParam, ItemImpl, Type, TypePath};

use crate::{
    attr::{ClientName, CommandName},
    errors::Errors,
    model::{Form, Item},
    types::{begins_with, mentions},
};

/// The client of a generic service has no type parameters, so its commands cannot name any.
pub(super) fn client(item: &Item, errors: &mut Errors) {
    let Form::Inherent(block) = &item.form else { return };
    if matches!(item.options.client, Some(ClientName::None)) {
        return;
    }
    let not_there = not_outside(block);
    let says = |name: &str| {
        format!("the client of this command has no `{name}`: write it without, or `client = none`")
    };
    for handler in &item.handlers {
        for ty in handler.read_payload().map(|payload| &payload.ty).into_iter().chain(handler.output()) {
            if let Some(name) = not_there.iter().find(|name| mentions(ty, name)) {
                errors.at(ty, says(name));
            }
        }
        if let Some(CommandName::Variant(path)) = handler.command.as_ref().map(|command| &command.name)
            && let Some(name) = not_there.iter().find(|name| begins_with(path, name))
        {
            errors.at(path, says(name));
        }
    }
}

/// The names that mean nothing outside a generic block: its parameters, and `Self`, whose type has them. None
/// for a block that is not generic: there the type of `Self` can be written.
fn not_outside(block: &ItemImpl) -> Vec<String> {
    let own = block.generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(parameter.ident.to_string()),
        GenericParam::Const(parameter) => Some(parameter.ident.to_string()),
        GenericParam::Lifetime(_) => None,
    });
    let mut names: Vec<String> = own.collect();
    if !names.is_empty() {
        names.push("Self".to_owned());
    }
    names
}

/// The subscription of a generic block is outside the block, where its parameters and its `Self` mean
/// nothing.
pub(super) fn subscription(item: &Item, errors: &mut Errors) {
    let Form::Inherent(block) = &item.form else { return };
    let (options, names) = (&item.options, not_outside(block));
    let others = [
        &options.topic,
        &options.group,
        &options.retry_topic,
        &options.dead_letters_of,
        &options.concurrency,
    ];
    for option in others.into_iter().flatten().chain(options.destinations()) {
        let Expr::Path(ExprPath { qself, path, .. }) = option.clone() else { continue };
        let whole = Type::Path(TypePath { attrs: Vec::new(), qself, path });
        let is_named = |name: &&String| mentions(&whole, name);
        if let Some(name) = names.iter().find(is_named) {
            errors.at(
                option,
                format!(
                    "the subscription of a generic block stands outside of it, where there is no `{name}`: write a constant \
                     beside the block, as `const TOPIC: &str = \"..\";`, and name that here"
                ),
            );
        }
    }
}
