//! A contract's trait, and the impl of one.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{FnArg, ItemImpl, Pat, Type, parse_quote, parse_quote_spanned, spanned::Spanned};

use super::{
    arguments::extractors,
    assert,
    lints::{allow_deprecated, of_generated},
    names::local,
    registry,
};
use crate::{
    model::{Form, Handler, Item, outer},
    validate::MARK,
};

/// The trait. Its methods get the context, so that an implementor can take extractors from it.
pub(crate) fn contract(item: &Item) -> TokenStream {
    let Form::Contract(contract) = &item.form else {
        return TokenStream::new();
    };
    let private = item.private();
    let mut contract = contract.clone();
    // If a service in another crate implements the contract, this crate uses only the client.
    contract.attrs.push(parse_quote!(#[allow(dead_code)]));
    contract.colon_token.get_or_insert_default();
    contract.supertraits.push(parse_quote!(#private::Send));
    contract.supertraits.push(parse_quote!(#private::Sync));
    contract.supertraits.push(parse_quote!('static));
    let methods = item.handlers.iter().map(|handler| method(item, handler));
    let (requirements, deprecated) = (local("_requirements"), allow_deprecated(item));
    let handlers = registry::handlers(item);
    contract.items = methods.map(syn::TraitItem::Verbatim).collect();
    contract.items.push(parse_quote! {
        /// Every command of the contract, for `.handlers(..)` on the runtime's builder.
        #[must_use]
        #deprecated
        fn handlers() -> #private::Handlers
        where
            Self: #private::Sized,
        {
            #handlers
        }
    });
    contract.items.push(parse_quote! {
        /// What the service's own arguments need. An impl with `#[kafka_handler]` states it.
        #[doc(hidden)]
        fn requirements(#requirements: &mut #private::Requirements)
        where
            Self: #private::Sized,
        {
        }
    });
    let mark = local(MARK);
    // A contract of which every method has a body may be implemented without a word.
    let body = item.handlers.iter().all(|handler| handler.default.is_some()).then(|| quote!({}));
    let end = body.is_none().then(|| quote!(;));
    contract.items.push(syn::TraitItem::Verbatim(quote! {
        #[doc(hidden)]
        fn #mark()
        where
            Self: #private::Sized
        #body #end
    }));
    let (of, contracts) = (local("_of"), local("contracts"));
    contract.items.push(parse_quote! {
        /// Where the service's function of a command was written. An impl with `#[kafka_handler]` states it.
        #[doc(hidden)]
        fn __kafka_rpc_location(#of: &str, #contracts: #private::Location) -> #private::Location
        where
            Self: #private::Sized,
        {
            #contracts
        }
    });
    quote!(#contract)
}

/// A method of the trait.
fn method(item: &Item, handler: &Handler) -> TokenStream {
    let private = item.private();
    let Handler { attrs, sig, .. } = handler;
    let attrs = attrs.iter().map(outer);
    let (name, receiver) = (&sig.ident, sig.receiver());
    let unit: Type = parse_quote!(());
    let output = handler.output().unwrap_or(&unit);
    let future = assert::future_of(item, output);
    let body = handler.default.as_ref().map(|body| {
        // In a closure `return` and `?` mean what the user wrote, and its return type fixes the error of `?`.
        let result = Ident::new("result", output.span());
        let into_result = assert::into_result(item, output);
        quote_spanned! {name.span()=>
            {
                async move {
                    let #result = #private::once(async move || -> #output #body).await;
                    #into_result
                }
            }
        }
    });
    let (pat, ty) = match &handler.payload {
        // Only a method with a body can have a pattern.
        Some(payload) if body.is_some() => (payload.pat.clone(), &payload.ty),
        Some(payload) => (payload.name().map_or_else(|| parse_quote!(request), plain), &payload.ty),
        None => (parse_quote!(_), &unit),
    };
    let context = if body.is_some() { parse_quote!(_) } else { plain(&local("context")) };
    let body = body.unwrap_or_else(|| quote_spanned!(name.span()=> ;));
    // At the user's name, so that lints about the method point at it.
    quote_spanned! {name.span()=>
        #(#attrs)*
        fn #name(
            #receiver,
            #pat: #ty,
            #context: &#private::Context
        ) -> #future
        #body
    }
}

fn plain(name: &Ident) -> Pat {
    parse_quote!(#name)
}

/// The functions of an impl, as the user wrote them, for the impl below and for unit tests.
pub(crate) fn functions(block: &ItemImpl) -> TokenStream {
    let mut block = block.clone();
    block.trait_ = None;
    block.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
    quote!(#block)
}

/// The impl of the contract, which takes what each function asks for from the context.
pub(crate) fn implementation(item: &Item) -> TokenStream {
    let Some((contract, block)) = item.form.contract() else {
        return TokenStream::new();
    };
    let (generics, _, condition) = block.generics.split_for_impl();
    let ItemImpl { impl_token, self_ty, attrs, .. } = block;
    let attrs = attrs.iter().map(of_generated);
    let methods = item.handlers.iter().map(|handler| forward(item, handler));
    let (requirements, locations) = (requirements(item), locations(item));
    let mut tokens = quote!(#(#attrs)* #impl_token #generics #contract for #self_ty #condition);
    // With the user's own braces, so that the compiler's errors about the impl, such as a missing method,
    // point there.
    block.brace_token.surround(&mut tokens, |tokens| {
        let mark = local(MARK);
        tokens.extend(quote!(#(#methods)* #requirements #locations fn #mark() {}));
    });
    tokens
}

/// A method of the impl of the contract.
fn forward(item: &Item, handler: &Handler) -> TokenStream {
    let private = item.private();
    let [context, request] = ["context", "request"].map(local);
    let (name, cfgs) = (handler.ident(), handler.cfgs());
    let unit: Type = parse_quote_spanned!(name.span().resolved_at(proc_macro2::Span::mixed_site())=> ());
    let output = handler.output().unwrap_or(&unit);
    let outcome = assert::outcome_of(item, output);
    // The contract's method always takes the payload, the function only if it asks for it.
    let payload = handler.payload.as_ref();
    let ty = payload.map_or(&unit, |payload| &payload.ty);
    let (pat, argument): (Pat, _) = match (handler.read_payload(), payload) {
        (Some(_), _) => (parse_quote!(#request), Some(quote!(#request))),
        (None, Some(_)) => (parse_quote!(()), Some(quote!(()))),
        (None, None) => (parse_quote!(()), None),
    };
    // The compiler also reports that the contract has another type here, but not what to write.
    let is_payload = handler.read_payload().map(|payload| assert::is_payload(item, &payload.ty));
    let arguments = extractors(item, handler);
    let (lets, names) = (arguments.lets, argument.into_iter().chain(arguments.names));
    let context: Pat = if lets.is_empty() { parse_quote!(_) } else { parse_quote!(#context) };
    // With the span of the `self` that is passed on: see the receiver of a client's method.
    let receiver: FnArg = parse_quote_spanned!(name.span()=> &self);
    let (result, into_result) = (Ident::new("result", output.span()), assert::into_result(item, output));
    let deprecated = allow_deprecated(item);
    quote_spanned! {name.span()=>
        #(#cfgs)*
        #deprecated
        async fn #name(
            #receiver,
            #pat: #ty,
            #context: &#private::Context
        ) -> #outcome {
            #is_payload
            #(#lets)*
            let #result = Self::#name(self, #(#names),*).await;
            #into_result
        }
    }
}

/// The locations of the functions: the contract knows only its own.
fn locations(item: &Item) -> TokenStream {
    let private = item.private();
    let (of, contracts) = (local("of"), local("contracts"));
    let functions = item.handlers.iter().map(|handler| {
        let (cfgs, name) = (handler.cfgs(), handler.ident());
        let (text, location) = (name.to_string(), assert::location(item, name.span()));
        quote!(#(#cfgs)* #text => #location,)
    });
    quote! {
        fn __kafka_rpc_location(#of: &str, #contracts: #private::Location) -> #private::Location {
            match #of {
                #(#functions)*
                _ => #contracts,
            }
        }
    }
}

/// The function that states what the functions' extractors need from `.provide(..)`; none without extractors.
fn requirements(item: &Item) -> Option<TokenStream> {
    if item.handlers.iter().all(|handler| handler.extractors.is_empty()) {
        return None;
    }
    let private = item.private();
    let requirements = local("requirements");
    let requires = item.handlers.iter().flat_map(|handler| {
        handler.extractors.iter().map(|extractor| {
            let cfgs = handler.cfgs();
            let requires = assert::requires(item, &extractor.ty);
            quote!(#(#cfgs)* #requires)
        })
    });
    let deprecated = allow_deprecated(item);
    Some(quote! {
        #deprecated
        fn requirements(#requirements: &mut #private::Requirements) {
            #(#requires)*
        }
    })
}
