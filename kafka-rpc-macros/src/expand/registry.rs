//! The server side: what generated code gives the runtime.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Expr, Path, Type, ext::IdentExt as _, spanned::Spanned};

use super::{
    arguments::{extractors, payload},
    assert,
    lints::{allow_deprecated, levels},
    names::{local, subscription_name, subscription_path},
    outside::expression_outside,
    visibility::{from_inside, visibility},
};
use crate::{
    attr::Destination,
    failure::Failure,
    model::{Form, Handler, Item, Style},
};

/// `const __kafka_rpc_trait_Bybit: Subscription = ..`
pub(crate) fn subscription(item: &Item) -> TokenStream {
    let private = item.private();
    let name = subscription_name(item);
    let (options, deprecated) = (&item.options, allow_deprecated(item));
    let outside = |expression: &Expr| expression_outside(item, expression);
    let [topic, group] = [&options.topic, &options.group].map(|name| name.as_ref().map(outside));
    let location = assert::location(item, item.name().map_or_else(|| item.form.span(), Ident::span));
    let destination = |destination: &Destination| match destination {
        Destination::Topic(topic) => {
            let topic = outside(topic);
            quote!(#private::Destination::Topic(#topic))
        }
        Destination::None => quote!(#private::Destination::None),
    };
    let replies = options.replies.as_ref().map(destination).map(|replies| quote!(.replies(#replies)));
    let dead_letter = options.dead_letter.as_ref().map(destination).map(|topic| quote!(.dead_letter(#topic)));
    let ordering = options.ordering.map(|ordering| quote!(.ordering(#private::Ordering::#ordering)));
    let dialect = options.dialect.map(|dialect| quote!(.dialect(#private::Dialect::#dialect)));
    let concurrency = options.concurrency.as_ref().map(outside).map(|count| quote!(.concurrency(#count)));
    let retry_topic = options.retry_topic.as_ref().map(outside).map(|topic| quote!(.retry_topic(#topic)));
    let new = if let Some(of) = &options.dead_letters_of {
        quote!(of_dead_letters(#of, #group, #location))
    } else {
        quote!(new(#topic, #group, #location))
    };
    let retry = module_retry(item).map(|(name, path)| {
        quote_spanned! {path.span()=>
            #[allow(dead_code, non_upper_case_globals)]
            #deprecated
            static #name: &dyn #private::RetryPolicy = &#path;
        }
    });
    quote! {
        #[allow(non_upper_case_globals)]
        #deprecated
        const #name: #private::Subscription =
            #private::Subscription::#new #replies #dead_letter #retry_topic #dialect #ordering #concurrency;
        #retry
    }
}

/// The retry policy in the attribute of a module, and the name of a static that holds it beside the module:
/// inside, the policy's path would mean something else.
fn module_retry(item: &Item) -> Option<(Ident, &Path)> {
    let path = item.options.failure.own_policy()?;
    matches!(item.form, Form::Module(_)).then(|| (format_ident!("{}_retry", subscription_name(item)), path))
}

/// `Service::handlers()`, beside the user's own block.
pub(crate) fn handlers_of_service(item: &Item) -> TokenStream {
    let Form::Inherent(block) = &item.form else {
        return TokenStream::new();
    };
    let private = item.private();
    let (generics, _, condition) = block.generics.split_for_impl();
    let ty = &block.self_ty;
    let (body, deprecated) = (handlers(item), allow_deprecated(item));
    let vis = visibility(item);
    quote! {
        #deprecated
        impl #generics #ty #condition {
            /// The commands of this service, for `.handlers(..)` on the runtime's builder.
            #[must_use]
            #[allow(dead_code, unreachable_pub)]
            #vis fn handlers() -> #private::Handlers {
                #body
            }
        }
    }
}

/// `handlers()` inside a module, or `on_alert_handlers()` beside a function.
pub(crate) fn handlers_of_functions(item: &Item) -> TokenStream {
    let private = item.private();
    let (vis, name, doc) = match &item.form {
        Form::Function(function) => {
            let ident = &function.sig.ident;
            let doc = format!("The handler [`{ident}`], for `.handlers(..)` on the runtime's builder.");
            (function.vis.clone(), format_ident!("{ident}_handlers"), doc)
        }
        Form::Module(module) => {
            let doc = "The commands of this module, for `.handlers(..)` on the runtime's builder.".to_owned();
            (from_inside(&module.vis), format_ident!("handlers"), doc)
        }
        _ => return TokenStream::new(),
    };
    let (body, deprecated) = (handlers(item), allow_deprecated(item));
    // The lints that the user allows for the function's name are allowed for this name too, which is made
    // from it.
    let levels = levels(item.attrs());
    quote! {
        #(#levels)*
        #[doc = #doc]
        #[must_use]
        #deprecated
        #vis fn #name() -> #private::Handlers {
            #body
        }
    }
}

/// The body of the functions above: every handler of the item.
pub(crate) fn handlers(item: &Item) -> TokenStream {
    let private = item.private();
    let subscription = subscription_path(item);
    let (optional, always): (Vec<_>, Vec<_>) =
        item.handlers.iter().partition(|handler| handler.cfgs().next().is_some());
    let always = always.into_iter().map(|each| handler(item, each));
    let chain = quote!(#private::Handlers::new(#subscription) #(.with(#always))*);
    if optional.is_empty() {
        return chain;
    }
    let handlers = local("handlers");
    let optional = optional.into_iter().map(|each| {
        let cfgs = each.cfgs();
        let each = handler(item, each);
        quote!(#(#cfgs)* let #handlers = #handlers.with(#each);)
    });
    quote! {
        let #handlers = #chain;
        #(#optional)*
        #handlers
    }
}

/// `Handler::command(name, function, location, requires, run)`
fn handler(item: &Item, handler: &Handler) -> TokenStream {
    let private = item.private();
    let function = handler.ident().unraw().to_string();
    let mut location = assert::location(item, handler.ident().span());
    if let Form::Contract(_) = item.form {
        let name = handler.ident().to_string();
        location = quote!(Self::__kafka_rpc_location(#name, #location));
    }
    let requires = requires(item, handler);
    let run = run(item, handler);
    if let Some(command) = &handler.command {
        let name = assert::name(item, &command.name, &command.name.to_token_stream());
        let elsewhere = module_retry(item).map(|(name, _)| quote!(super::#name));
        let failure = command.failure.calls(&item.options.failure, elsewhere, &private);
        quote!(#private::Handler::command(#name, #function, #location, #requires, #run) #failure)
    } else {
        let source = payload_source(item);
        let failure = item.options.failure.calls(&Failure::default(), None, &private);
        quote!(#private::Handler::every_record(#source, #function, #location, #requires, #run) #failure)
    }
}

/// The source of the payload for a function without a command.
pub(crate) fn payload_source(item: &Item) -> TokenStream {
    let private = item.private();
    if item.options.dead_letters_of.is_some() {
        quote!(#private::PayloadSource::Record)
    } else if item.options.envelope {
        quote!(#private::PayloadSource::Envelope)
    } else {
        quote!(#private::PayloadSource::Value)
    }
}

/// The function that states what a handler needs from `.provide(..)`.
fn requires(item: &Item, handler: &Handler) -> TokenStream {
    let requirements = local("requirements");
    let service = match &item.form {
        Form::Contract(_) => Some(quote!(#requirements.state::<Self>(); Self::requirements(#requirements);)),
        Form::Inherent(block) => Some(assert::provided(block.self_ty.span())),
        Form::ContractImpl(_) | Form::Module(_) | Form::Function(_) => None,
    };
    let extractors = handler.extractors.iter().map(|extractor| assert::requires(item, &extractor.ty));
    if service.is_none() && handler.extractors.is_empty() {
        return quote!(|_| {});
    }
    // The payload comes first, so that the error about an extractor in its place precedes the errors that
    // follow from it.
    let payload = handler.read_payload().filter(|_| !handler.extractors.is_empty());
    let payload = payload.map(|payload| assert::is_payload(item, &payload.ty));
    quote!(|#requirements| { #payload #service #(#extractors)* })
}

/// The function that runs a handler.
fn run(item: &Item, handler: &Handler) -> TokenStream {
    let [context, service] = ["context", "service"].map(local);
    let style = item.style();
    let name = handler.ident();
    let payload = payload(item, handler);
    let extractors = extractors(item, handler);
    let lets: Vec<_> = payload.lets.into_iter().chain(extractors.lets).collect();
    let names: Vec<_> = payload.names.into_iter().chain(extractors.names).collect();
    let unit: Type = syn::parse_quote!(());
    let output = handler.output().unwrap_or(&unit);
    let [result, reply] = ["result", "reply"].map(|name| Ident::new(name, output.span()));
    let find_service = (style != Style::Function).then(|| {
        let place = match &item.form {
            Form::Inherent(block) => block.self_ty.span(),
            _ => name.span(),
        };
        let found = assert::service(item, place);
        quote!(let #service = #found;)
    });
    let into_reply = assert::into_reply(item, output);
    let answer = match style {
        Style::Contract => {
            let call = quote_spanned!(output.span()=> Self::#name(#service, #(#names,)* &#context).await?);
            quote!(let #reply = #call;)
        }
        Style::Method | Style::Function => {
            let callee = if style == Style::Method { quote!(Self::#name) } else { quote!(#name) };
            let service = (style == Style::Method).then(|| quote!(#service,));
            let into_result = assert::into_result(item, output);
            quote! {
                let #result = #callee(#service #(#names),*).await;
                let #reply = #into_result?;
            }
        }
    };
    // The context is bound only if something uses it.
    let argument = if find_service.is_none() && lets.is_empty() { quote!(_) } else { quote!(#context) };
    let boxed = assert::boxed(item, name, &quote!(#find_service #(#lets)* #answer #into_reply));
    quote!(|#argument| #boxed)
}

/// The item's entry in the inventory.
pub(crate) fn registration(item: &Item) -> TokenStream {
    let private = item.private();
    let handlers = match &item.form {
        Form::Contract(_) => return TokenStream::new(),
        Form::ContractImpl(block) => {
            let ty = &block.self_ty;
            let contract = item.form.contract().map(|(contract, _)| contract);
            quote!(<#ty as #contract>::handlers)
        }
        Form::Inherent(block) => {
            let ty = &block.self_ty;
            quote!(<#ty>::handlers)
        }
        Form::Module(_) => quote!(handlers),
        Form::Function(function) => format_ident!("{}_handlers", function.sig.ident).into_token_stream(),
    };
    let deprecated = allow_deprecated(item);
    quote! {
        #deprecated
        const _: () = {
            #private::inventory::submit! { #private::Registration { handlers: #handlers } }
        };
    }
}
