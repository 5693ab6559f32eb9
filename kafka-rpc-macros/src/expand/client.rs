//! The client trait, implemented for everything that can make calls.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Token, Type, parse_quote, spanned::Spanned};

use super::{
    assert,
    lints::{allow_deprecated, levels},
    names::{private_at, subscription_path},
    outside::type_outside,
    registry,
    visibility::visibility,
};
use crate::{
    attr::{ClientName, CommandName, Destination},
    model::{Form, Handler, Item},
    types,
};

/// `trait BybitClient` and its impl; nothing if the item has no client.
pub(crate) fn client(item: &Item) -> TokenStream {
    let Some(name) = client_name(item) else {
        return TokenStream::new();
    };
    let private = item.private();
    let vis = visibility(item);
    let (doc, deprecated) = (doc(item), allow_deprecated(item));
    let methods: Vec<_> = item.handlers.iter().map(|handler| Method::new(item, handler)).collect();
    let levels: Vec<_> = levels(item.attrs()).collect();
    let declarations = methods.iter().map(Method::declaration);
    let definitions = methods.iter().map(Method::definition);
    quote! {
        #[doc = #doc]
        #[allow(dead_code, private_bounds, private_interfaces, unreachable_pub, unused_lifetimes)]
        #(#levels)*
        #deprecated
        #vis trait #name {
            #(#declarations)*
        }

        #[allow(unused_lifetimes)]
        #(#levels)*
        #deprecated
        impl<AnyCaller: #private::Caller + ?#private::Sized> #name for AnyCaller {
            #(#definitions)*
        }
    }
}

fn client_name(item: &Item) -> Option<Ident> {
    match &item.options.client {
        Some(ClientName::None) => None,
        _ if item.options.dead_letters_of.is_some() => None,
        Some(ClientName::Named(name)) => Some(name.clone()),
        None => item.name().map(|name| format_ident!("{}Client", upper_camel(name), span = name.span())),
    }
}

fn upper_camel(name: &Ident) -> String {
    let name = name.to_string();
    let words = name.trim_start_matches("r#").split('_');
    let camel: String = words
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect();
    // The part behind an underscore may be empty, or may not be able to begin a name.
    let begins_a_name = syn::parse_str::<Ident>(&camel).is_ok();
    if begins_a_name { camel } else { format!("_{camel}") }
}

fn doc(item: &Item) -> String {
    let name = item.name().map(ToString::to_string).unwrap_or_default();
    match &item.form {
        Form::Contract(_) | Form::ContractImpl(_) => {
            format!("Calls the commands of [`{name}`]: every client of kafka-rpc has these methods.")
        }
        Form::Inherent(_) => {
            format!("Calls the commands of `{name}`: every client of kafka-rpc has these methods.")
        }
        Form::Module(_) => {
            "Calls the commands of this module: every client of kafka-rpc has these methods.".to_owned()
        }
        Form::Function(_) => format!("Calls `{name}`: every client of kafka-rpc has this method."),
    }
}

/// A method of the client, with types that are valid in the client's scope.
struct Method<'a> {
    item: &'a Item,
    handler: &'a Handler,
    /// The name and type of the payload, if there is one.
    payload: Option<(Ident, Type)>,
    call: TokenStream,
}

impl<'a> Method<'a> {
    fn new(item: &'a Item, handler: &'a Handler) -> Self {
        let private = item.private();
        let payload = handler.read_payload().map(|payload| {
            // Not a hygienic variable: see `assert`.
            let name = payload.name().cloned().unwrap_or_else(|| Ident::new("request", payload.ty.span()));
            (name, type_outside(item, &payload.ty))
        });
        let unit: Type = parse_quote!(());
        let call = if matches!(item.options.replies, Some(Destination::None)) {
            quote!(#private::Call<#private::NoReply>)
        } else {
            assert::call_of(item, &type_outside(item, handler.output().unwrap_or(&unit)))
        };
        Self { item, handler, payload, call }
    }

    /// The place of errors about the types of the method.
    fn place(&self) -> Span {
        self.handler.output().map_or_else(|| self.handler.ident().span(), Spanned::span)
    }

    /// The receiver. If a `macro_rules!` writes the item, two `self` are the same only if they share a span.
    fn this(&self) -> Token![self] {
        Token![self](self.place())
    }

    /// `fn connect(&self, request: Connect) -> Call<Connected> where ..`
    fn signature(&self) -> TokenStream {
        let (name, this) = (self.handler.ident(), self.this());
        let call = &self.call;
        let argument = self.payload.as_ref().map(|(name, ty)| quote!(, #name: #ty));
        // `for<'call>`, although there is no lifetime, defers the bound to the call: the payload of a command
        // that nobody calls from this crate need not be `Serialize`.
        let condition = self.payload.as_ref().map(|(_, ty)| {
            let private = private_at(self.item, ty.span());
            quote_spanned!(ty.span()=> where for<'call> #ty: #private::Encode)
        });
        quote_spanned!(self.place()=> fn #name(&#this #argument) -> #call #condition)
    }

    fn declaration(&self) -> TokenStream {
        let cfgs = self.handler.cfgs();
        let deprecated = self.handler.deprecated();
        let docs: Vec<_> = self.handler.docs().collect();
        let fallback = docs.is_empty().then(|| self.fallback_doc());
        let signature = self.signature();
        let end = quote_spanned!(self.place()=> ;);
        let levels = levels(&self.handler.attrs);
        quote!(#(#cfgs)* #(#docs)* #fallback #(#deprecated)* #(#levels)* #signature #end)
    }

    fn fallback_doc(&self) -> TokenStream {
        let doc = match &self.handler.command {
            Some(command) => format!("Sends `{}`.", types::compact(&command.name)),
            None => "Sends a record to the topic.".to_owned(),
        };
        quote!(#[doc = #doc])
    }

    fn definition(&self) -> TokenStream {
        let private = self.item.private();
        let cfgs = self.handler.cfgs();
        let signature = self.signature();
        let subscription = subscription_path(self.item);
        let command = if let Some(command) = &self.handler.command {
            let name = assert::name(self.item, &command.name, &expression(self.item, &command.name));
            quote!(#private::Command::new(#subscription, #name))
        } else {
            let source = registry::payload_source(self.item);
            quote!(#private::Command::every_record(#subscription, #source))
        };
        let this = self.this();
        let call = if let Some((name, _)) = &self.payload {
            quote!(#private::Call::new(#this, &__KAFKA_RPC_COMMAND, &#name))
        } else {
            quote!(#private::Call::without_payload(#this, &__KAFKA_RPC_COMMAND))
        };
        let key = self.key();
        let levels = levels(&self.handler.attrs);
        quote_spanned! {self.place()=>
            #(#cfgs)*
            #(#levels)*
            #signature {
                static __KAFKA_RPC_COMMAND: #private::Command = #command;
                #call #key
            }
        }
    }

    fn key(&self) -> Option<TokenStream> {
        let command = self.handler.command.as_ref()?;
        let path = &command.key.as_ref()?.0;
        let mut name = self.payload.as_ref()?.0.clone();
        name.set_span(name.span().located_at(path.span()));
        let private = private_at(self.item, path.span());
        Some(quote_spanned!(path.span()=> .key(#private::record_key(&#name.#path))))
    }
}

/// The expression that names a command, for a place where `Self` is not the service.
fn expression(item: &Item, name: &CommandName) -> TokenStream {
    match name {
        CommandName::Literal(literal) => literal.to_token_stream(),
        CommandName::Variant(path) => {
            let ty = type_outside(item, &parse_quote!(#path));
            quote!(#ty)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_name_whatever_the_item_is_called() {
        let names = ["on_alert", "r#type", "_1", "__", "x1y"].map(|name| {
            let name: Ident = syn::parse_str(name).expect("a name");
            format_ident!("{}Client", upper_camel(&name)).to_string()
        });
        assert_eq!(names, ["OnAlertClient", "TypeClient", "_1Client", "_Client", "X1yClient"]);
    }
}
