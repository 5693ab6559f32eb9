//! `#[command]` by itself: expanded only where no `#[kafka_handler]` has taken it off before.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Signature, Visibility,
    parse::{Parse, ParseStream},
};

use crate::attr;

/// A function of any kind: with or without a body.
struct AnyFunction {
    attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    body: TokenStream,
}

impl Parse for AnyFunction {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            attrs: input.call(Attribute::parse_outer)?,
            vis: input.parse()?,
            sig: input.parse()?,
            body: input.parse()?,
        })
    }
}

/// `#[command(..)] #[kafka_handler(..)] fn` is the only case where there is something to do: the compiler expands
/// the first attribute first. It puts itself last, behind all other attributes, and so whatever name
/// `kafka_handler` was imported under sees the function whole. The second time there was no such attribute.
pub(crate) fn command(options: &TokenStream, item: &TokenStream) -> TokenStream {
    let Ok(function) = syn::parse2::<AnyFunction>(item.clone()) else {
        return error("`#[command]` goes on an async fn inside an item with `#[kafka_handler(..)]`", item);
    };
    if function.sig.receiver().is_some() {
        return error("`#[command]` needs `#[kafka_handler(..)]` on the trait or impl block around it", item);
    }
    if function.attrs.is_empty() || attr::has_marker(options) {
        return error(
            "`#[command]` needs `#[kafka_handler(..)]` beside it, or on the module or impl block around it",
            item,
        );
    }
    let AnyFunction { attrs, vis, sig, body } = function;
    let comma = (!options.is_empty()).then(|| quote!(,));
    let last = Ident::new(attr::LAST, Span::call_site());
    quote! {
        #(#attrs)*
        #[::kafka_rpc::command(#options #comma #last)]
        #vis #sig #body
    }
}

fn error(message: &str, item: &TokenStream) -> TokenStream {
    let mut tokens = syn::Error::new(Span::call_site(), message).to_compile_error();
    item.to_tokens(&mut tokens);
    tokens
}
