//! `#[command]` on its own: expanded only if no `#[kafka_handler]` has removed it before.

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

/// Expands `#[command]`, which is right only in `#[command(..)] #[kafka_handler(..)] fn`: the compiler
/// expands the first attribute first. There `command` moves itself behind all other attributes, so that
/// `kafka_handler`, under whatever name it was imported, sees the whole function. If `command` is expanded a
/// second time, there was no `kafka_handler`.
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
    let krate = krate(&attrs);
    quote! {
        #(#attrs)*
        #[#krate::command(#options #comma #last)]
        #vis #sig #body
    }
}

/// The path of kafka-rpc: that of a `#[kafka_handler(crate = ..)]` among the attributes, if there is one.
fn krate(attrs: &[Attribute]) -> TokenStream {
    let stated = attrs.iter().find_map(|attribute| {
        let options = attribute.meta.require_list().ok()?;
        let is_handler = options.path.segments.last()?.ident == "kafka_handler";
        is_handler.then(|| attr::stated_crate(options.tokens.clone()))?
    });
    stated.map_or_else(|| quote!(::kafka_rpc), ToTokens::into_token_stream)
}

fn error(message: &str, item: &TokenStream) -> TokenStream {
    let mut tokens = syn::Error::new(Span::call_site(), message).to_compile_error();
    item.to_tokens(&mut tokens);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path of the attribute once it has moved behind the others.
    fn behind(handler: &TokenStream) -> String {
        let function = quote!(#[#handler] async fn pay(invoice: u64) -> u64 { invoice });
        let expanded = command(&quote!("PAY"), &function).to_string();
        let (before, _options) = expanded.split_once("command (").unwrap_or_default();
        before.rsplit('[').next().unwrap_or_default().trim().to_owned()
    }

    #[test]
    fn it_finds_kafka_rpc_where_the_attribute_behind_it_says() {
        assert_eq!(behind(&quote!(kafka_handler(topic = "a", group = "a"))), ":: kafka_rpc ::");
        assert_eq!(behind(&quote!(renamed::kafka_handler(topic = "a", crate = renamed))), "renamed ::");
        assert_eq!(behind(&quote!(other(crate = renamed))), ":: kafka_rpc ::");
    }
}
