//! What is expanded in the place of an item with mistakes: whoever implements, serves or calls it has none, and is told of none.

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

/// The item as if it were right; what the user wrote where that cannot be, or where more than its options is wrong and it is no
/// contract.
pub(super) fn of(item: Item, only_options: bool) -> Result<Item, Box<Form>> {
    // What is wrong may be just that.
    let knows_its_crate = item.options.krate.is_some() || item.options.stated("crate").is_none();
    if knows_its_crate && only_options {
        Ok(with_some_options(item))
    } else if knows_its_crate && may_be_a_contract(&item) {
        Ok(with_methods(with_some_options(item)))
    } else {
        Err(Box::new(item.form))
    }
}

/// The item with such options as it can be expanded with.
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

/// Whether a contract can be expanded once its methods are such as a contract has: what stays of them are their types.
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

/// The contract with methods such as an impl of it can have, whatever is wrong with them.
fn with_methods(mut item: Item) -> Item {
    let private = item.private();
    let output: ReturnType = parse_quote!(-> #private::Result<(), #private::RpcError>);
    item.form.attrs_mut().retain(is_left);
    for handler in &mut item.handlers {
        handler.extractors.clear();
        handler.command.get_or_insert_with(|| unread(handler.sig.ident.span()));
        handler.sig.inputs = parse_quote!(&self);
        // It uses what is not there.
        handler.default = handler.default.take().map(|_body| parse_quote!({ loop {} }));
        if handler.output().is_none() {
            handler.sig.output = output.clone();
        }
    }
    item
}

/// What stays on the item: not what would be told of its mistakes once more.
fn is_left(attribute: &Attribute) -> bool {
    !validate::is_async_trait(attribute) && !is_kafka_handler(attribute)
}

/// The user's item, so that there are no errors but those about the mistakes.
pub(super) fn as_written(mut form: Form) -> TokenStream {
    form.attrs_mut().retain(is_left);
    let form = match form {
        Form::ContractImpl(block) | Form::Inherent(block) if types::is_wrapper(&block.self_ty) => {
            return TokenStream::new();
        }
        // The contract's methods are not as the user writes them here.
        Form::ContractImpl(mut block) => {
            block.trait_ = None;
            // A block of the service's own cannot have them.
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
