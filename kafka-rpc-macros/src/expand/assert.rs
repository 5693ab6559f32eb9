//! Where the user's types meet the traits they must implement.
//!
//! Each piece of code has the span of the user's type, so that the compiler's error points there, in the
//! words that kafka-rpc gives the trait. If the argument of a call does not fit, it must come from the user
//! as much as the call does, or the error would point at the whole attribute: so `result` and `reply` are
//! ordinary variables, not hygienic ones. Anything that they could shadow has been used by the time they are
//! made.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{Type, spanned::Spanned};

use super::names::{local_at, private_at};
use crate::{attr::CommandName, model::Item};

/// The service of a record, whose methods are the handlers.
pub(crate) fn service(item: &Item, ty: Span) -> TokenStream {
    let (private, context) = (private_at(item, ty), local_at("context", ty));
    quote_spanned!(ty=> #private::Context::service::<Self>(&#context)?)
}

/// The payload of the record.
pub(crate) fn read(item: &Item, ty: &Type) -> TokenStream {
    let span = ty.span();
    let (private, context) = (private_at(item, span), local_at("context", span));
    quote_spanned!(span=> #private::Context::read::<#ty>(&#context)?)
}

/// Asserts that a type can be a payload. The error has the same words at the same place as that of [`read`],
/// so the compiler reports it once.
pub(crate) fn is_payload(item: &Item, ty: &Type) -> TokenStream {
    let span = ty.span();
    let private = private_at(item, span);
    quote_spanned!(span=> let _ = #private::Context::read::<#ty>;)
}

/// Asserts that a type is not kafka-rpc's `DeadLetter`, of which the macro knows only the name.
///
/// A constant of the type itself takes precedence over one of a trait, so only `DeadLetter` finds the former.
/// The user's type is named beside these items, so they have names that it cannot have.
pub(crate) fn is_no_dead_letter(item: &Item, ty: &Type) -> TokenStream {
    let span = ty.span();
    let private = private_at(item, span);
    quote_spanned! {span=>
        const _: () = {
            #[allow(dead_code)]
            struct __KafkaRpcPayload<T>(#private::Option<T>);
            #[allow(dead_code)]
            impl __KafkaRpcPayload<#private::DeadLetter> {
                const IS_DEAD_LETTER: bool = true;
            }
            #[allow(dead_code)]
            trait __KafkaRpcOther {
                const IS_DEAD_LETTER: bool = false;
            }
            impl<T> __KafkaRpcOther for __KafkaRpcPayload<T> {}
            #private::assert!(
                !__KafkaRpcPayload::<#ty>::IS_DEAD_LETTER,
                "a `DeadLetter` is handled by a function with `dead_letters_of`: write \
                 `#[kafka_handler(dead_letters_of = \"..\", group = \"..\")]` with the topic whose records failed"
            );
        };
    }
}

/// Asserts that a type is kafka-rpc's `DeadLetter`.
pub(crate) fn is_dead_letter(item: &Item, ty: &Type) -> TokenStream {
    let span = ty.span();
    let private = private_at(item, span);
    quote_spanned!(span=> const _: () = #private::takes_dead_letters::<#ty>();)
}

/// The value that an extractor makes of the record. `context` is an expression of type `&Context`.
pub(crate) fn extract(item: &Item, ty: &Type, context: &TokenStream) -> TokenStream {
    let span = ty.span();
    let private = private_at(item, span);
    quote_spanned!(span=> #private::Context::extract::<#ty>(#context).await?)
}

/// States what an extractor needs from `.provide(..)`.
pub(crate) fn requires(item: &Item, ty: &Type) -> TokenStream {
    let span = ty.span();
    let (private, requirements) = (private_at(item, span), local_at("requirements", span));
    quote_spanned!(span=> <#ty as #private::FromRecord>::requires(#requirements);)
}

/// States that the service must have been provided, which asserts that it can be shared.
pub(crate) fn provided(ty: Span) -> TokenStream {
    let requirements = local_at("requirements", ty);
    quote_spanned!(ty=> #requirements.state::<Self>();)
}

/// The reply that the caller of a function that returns `output` gets.
pub(crate) fn reply_of(item: &Item, output: &Type) -> TokenStream {
    let private = private_at(item, output.span());
    quote_spanned!(output.span()=> #private::ReplyOf<#output>)
}

/// `Result<Connected, RpcError>`: the outcome of a contract's method.
pub(crate) fn outcome_of(item: &Item, output: &Type) -> TokenStream {
    let (private, reply) = (private_at(item, output.span()), reply_of(item, output));
    quote_spanned!(output.span()=> #private::Result<#reply, #private::RpcError>)
}

/// `impl Future<Output = ..> + Send`: the return type of a contract's method.
pub(crate) fn future_of(item: &Item, output: &Type) -> TokenStream {
    let (private, outcome) = (private_at(item, output.span()), outcome_of(item, output));
    quote_spanned!(output.span()=> impl #private::Future<Output = #outcome> + #private::Send)
}

/// `Call<Connected>`: the return type of a client's method.
pub(crate) fn call_of(item: &Item, output: &Type) -> TokenStream {
    let (private, reply) = (private_at(item, output.span()), reply_of(item, output));
    quote_spanned!(output.span()=> #private::Call<#reply>)
}

/// Converts the variable `result` to the types of kafka-rpc.
pub(crate) fn into_result(item: &Item, output: &Type) -> TokenStream {
    let span = output.span();
    let (private, result) = (private_at(item, span), Ident::new("result", span));
    quote_spanned!(span=> #private::HandlerReturn::into_result(#result).map_err(#private::rpc_error))
}

/// The variable `reply`, encoded.
pub(crate) fn into_reply(item: &Item, output: &Type) -> TokenStream {
    let span = output.span();
    let (private, reply) = (private_at(item, span), Ident::new("reply", span));
    quote_spanned!(span=> #private::IntoReply::into_reply(#reply))
}

/// The future of a handler, which must be `Send`.
pub(crate) fn boxed(item: &Item, handler: &Ident, body: &TokenStream) -> TokenStream {
    let private = private_at(item, handler.span());
    quote_spanned!(handler.span()=> #private::Box::pin(async move { #body }))
}

/// The function that names a command.
pub(crate) fn name(item: &Item, name: &CommandName, expression: &TokenStream) -> TokenStream {
    let span = name.span();
    let private = private_at(item, span);
    quote_spanned!(span=> || #private::command_name(&#expression))
}

/// The location of a line of the user's code.
pub(crate) fn location(item: &Item, place: Span) -> TokenStream {
    let private = private_at(item, place);
    quote_spanned!(place=> #private::Location { file: #private::file!(), line: #private::line!() })
}
