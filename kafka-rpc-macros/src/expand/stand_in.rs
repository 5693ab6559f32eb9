//! What is expanded in place of an item with mistakes, so that code that implements, serves or calls the item
//! gets no errors that follow from them.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, ImplItem, ReturnType, Type, parse_quote};

use crate::{
    attr::{ClientName, unread},
    model::{Form, Item},
    parse::is_kafka_handler,
    position::Position,
    types, validate,
};

/// The item with its mistakes corrected. `Err` holds what the user wrote if that is impossible: if the path
/// of kafka-rpc could not be read, or if more than the options is wrong and the item cannot be made a valid
/// contract.
pub(super) fn of(item: Item, only_options: bool) -> Result<Item, Box<Form>> {
    // The mistake may be in the path itself.
    let knows_its_crate = item.options.krate.is_some() || item.options.stated("crate").is_none();
    if knows_its_crate && only_options {
        Ok(with_some_options(item))
    } else if knows_its_crate && may_be_a_contract(&item) {
        Ok(with_methods(with_some_options(item)))
    } else {
        Err(Box::new(item.form))
    }
}

/// The item with options that allow it to be expanded.
fn with_some_options(mut item: Item) -> Item {
    let takes_letters = item.position() == Position::EveryRecord
        && item.options.topic.is_none()
        && item.handlers.iter().any(|handler| handler.dead_letter().is_some());
    let is_taken =
        matches!(&item.options.client, Some(ClientName::Named(client)) if item.name() == Some(client));
    let options = &mut item.options;
    for name in [&mut options.topic, &mut options.group] {
        name.get_or_insert_with(|| parse_quote!(""));
    }
    if takes_letters {
        options.dead_letters_of.get_or_insert_with(|| parse_quote!(""));
    }
    if is_taken {
        options.client = None;
    }
    item
}

/// Whether the item is a contract that can be expanded once [`with_methods`] has replaced all but the types
/// of its methods.
fn may_be_a_contract(item: &Item) -> bool {
    let Form::Contract(contract) = &item.form else { return false };
    let has_none = |ty: &Type| {
        let is_odd = |ty: &Type| matches!(ty, Type::ImplTrait(_) | Type::Reference(_));
        !types::borrows(ty) && !types::mentions(ty, "Self") && !types::finds(ty, is_odd)
    };
    contract.generics.params.is_empty()
        && contract.unsafety.is_none()
        && !item.handlers.is_empty()
        && item.handlers.iter().all(|handler| {
            let types = handler.payload.iter().map(|payload| &payload.ty).chain(handler.output());
            let name = handler.ident().to_string();
            handler.sig.generics.params.is_empty()
                && !validate::is_reserved(&name)
                && types.into_iter().all(has_none)
        })
}

/// The contract with methods that an impl of it can have, whatever is wrong with the user's.
fn with_methods(mut item: Item) -> Item {
    let private = item.private();
    let output: ReturnType = parse_quote!(-> #private::Result<(), #private::RpcError>);
    item.form.attrs_mut().retain(is_left);
    for handler in &mut item.handlers {
        handler.extractors.clear();
        handler.command.get_or_insert_with(|| unread(handler.sig.ident.span()));
        handler.sig.inputs = parse_quote!(&self);
        // The body may use arguments that are gone.
        handler.default = handler.default.take().map(|_body| parse_quote!({ loop {} }));
        if handler.output().is_none() {
            handler.sig.output = output.clone();
        }
    }
    item
}

/// Whether an attribute stays on the item: one that would report its mistakes again does not.
fn is_left(attribute: &Attribute) -> bool {
    !validate::is_async_trait(attribute) && !is_kafka_handler(attribute)
}

/// The user's item as written, so that the only errors are those about the mistakes.
pub(super) fn as_written(mut form: Form) -> TokenStream {
    form.attrs_mut().retain(is_left);
    let form = match form {
        Form::ContractImpl(block) | Form::Inherent(block) if types::is_wrapper(&block.self_ty) => {
            return TokenStream::new();
        }
        // The contract's methods do not have the signatures that the user writes in its impl.
        Form::ContractImpl(mut block) => {
            block.trait_ = None;
            // An inherent block cannot have associated types.
            block.items.retain(|item| !matches!(item, ImplItem::Type(_)));
            Form::Inherent(block)
        }
        form => form,
    };
    quote! {
        #[allow(dead_code, async_fn_in_trait)]
        #form
    }
}
