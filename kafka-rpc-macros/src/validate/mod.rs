//! All rules. Each reports a mistake at its place, in words that say what to write instead.

mod generic;
mod options;

use syn::{
    Attribute, FnArg, ImplItem, Receiver, ReceiverKind, Safety, Signature, TraitItem, Type, spanned::Spanned,
};

use crate::{
    attr::{ClientName, CommandName},
    choice::Dialect,
    errors::Errors,
    model::{Argument, Form, Handler, Item, Style},
    parse,
    position::Position,
    types::{bare, borrows, compact, finds, is_unit, is_wrapper, mentions},
};

pub(crate) use self::options::options;

/// The method that an impl of a contract gets from its attribute. If the attribute is missing, the compiler
/// names this method, beside errors about parameters that the user has not written.
pub(crate) const MARK: &str = "put_kafka_handler_on_this_impl";

/// Names that a command cannot have: those of the methods of `Client` (`raw` is reserved for a future one), its
/// own and those that every type gets from a trait of the prelude, and those of generated functions.
const RESERVED: &[&str] = &[
    "raw",
    "clone",
    "clone_into",
    "into",
    "to_owned",
    "try_into",
    "client",
    "handlers",
    "requirements",
    "__kafka_rpc_location",
    MARK,
];

pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Checks a parsed item.
pub(crate) fn item(item: &Item, errors: &mut Errors) {
    if let Some(receiver) = method(item) {
        // All other rules depend on the block around the method, which the attribute does not see.
        errors.at(
            by_value(receiver),
            "a method is a handler of its service: put `#[kafka_handler(..)]` on the trait or impl block around it, \
             and `#[command(..)]` here",
        );
        return;
    }
    form(item, errors);
    for handler in &item.handlers {
        function(handler, item, errors);
    }
    once(&item.handlers, errors);
    generic::client(item, errors);
}

/// The receiver of a method that was parsed as a free function, since the attribute sees nothing of its
/// block.
fn method(item: &Item) -> Option<&Receiver> {
    match &item.form {
        Form::Function(function) => function.sig.receiver(),
        _ => None,
    }
}

fn form(item: &Item, errors: &mut Errors) {
    for attribute in item.attrs() {
        if is_async_trait(attribute) {
            errors
                .at(attribute, "`#[kafka_handler]` makes the methods async by itself: remove this attribute");
        }
        if parse::is_kafka_handler(attribute) {
            errors.at(attribute, "an item has one `#[kafka_handler]`: remove one");
        }
    }
    match &item.form {
        Form::Contract(contract) => {
            if !contract.generics.params.is_empty() {
                errors.at(
                    &contract.generics,
                    "a contract has no generic parameters: its commands are one fixed list",
                );
            }
            if let Some(unsafety) = contract.unsafety {
                errors.at(unsafety, "a contract is a safe trait: remove `unsafe`");
            }
            for other in contract.items.iter().filter(|item| !matches!(item, TraitItem::Fn(_))) {
                errors.at(other, "a contract has commands only: put this into another trait");
            }
        }
        Form::ContractImpl(implementation) => {
            service(item, errors);
            for other in implementation.items.iter().filter(|item| !matches!(item, ImplItem::Fn(_))) {
                errors.at(
                    other,
                    "the impl of a contract has commands only: put this into another `impl` block of the service",
                );
            }
        }
        Form::Inherent(_) => service(item, errors),
        Form::Module(module) if module.content.is_none() => errors.at(
            module,
            "`#[kafka_handler]` cannot see into a module in another file: write the module inline as \
             `mod name { .. }`, or put `#[kafka_handler(..)]` on each function in that file",
        ),
        Form::Module(_) | Form::Function(_) => {}
    }
    let is_empty = item.handlers.is_empty() && !matches!(item.form, Form::ContractImpl(_));
    if is_empty && !matches!(&item.form, Form::Module(module) if module.content.is_none()) {
        errors.push(syn::Error::new(
            place(item),
            "there is no command in here: put `#[command(Enum::Variant)]` on each function that handles one",
        ));
    }
}

/// Whether an attribute is `#[async_trait]`, which would remove the `async` that the rules require.
pub(crate) fn is_async_trait(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "async_trait")
}

/// The rules of an `impl` block.
fn service(item: &Item, errors: &mut Errors) {
    let (Form::ContractImpl(block) | Form::Inherent(block)) = &item.form else {
        return;
    };
    let ty = &*block.self_ty;
    if is_wrapper(ty) {
        errors.at(
            ty,
            "implement it for the service type itself: the runtime shares it behind an `Arc` already",
        );
    } else if item.name().is_none() {
        errors.at(ty, "implement it for a struct or an enum of your own, by its name");
    }
    if block.generics.type_params().next().is_some() || block.generics.const_params().next().is_some() {
        if item.registers() {
            errors.at(&block.generics, generic(item));
        }
    } else if let Some(lifetime) = block.generics.lifetimes().next() {
        errors.at(lifetime, "a service lives as long as the runtime and cannot borrow: remove the lifetime");
    }
}

fn generic(item: &Item) -> String {
    let (service, handlers) = match (item.name(), item.form.contract()) {
        (Some(service), Some((contract, _))) => {
            let contract =
                contract.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            (service.to_string(), format!("<{service}<..> as {contract}>::handlers()"))
        }
        (Some(service), None) => (service.to_string(), format!("{service}::<..>::handlers()")),
        (None, _) => return "a generic impl needs `register = false`".to_owned(),
    };
    let option = if item.form.contract().is_some() { "(register = false)" } else { "(.., register = false)" };
    format!(
        "a generic impl cannot register by itself, since nothing says which `{service}<..>` is meant: write \
         `#[kafka_handler{option}]`, and `.handlers({handlers})` on the runtime's builder"
    )
}

/// The rules of one handler.
fn function(handler: &Handler, item: &Item, errors: &mut Errors) {
    command(handler, item, errors);
    signature(&handler.sig, item.position(), errors);
    receiver(&handler.sig, item.style(), errors);
    arguments(handler, item, errors);
    let name = handler.ident().to_string();
    if is_reserved(&name) && item.position() != Position::ContractImpl {
        errors.at(
            handler.ident(),
            format!(
                "`{name}` cannot be the name of a command: clients and services have a function of that name"
            ),
        );
    }
    match handler.output() {
        None => errors.at(
            &handler.sig,
            format!("a handler returns a `Result`: write `async fn {name}(..) -> Result<(), RpcError>` to answer without data"),
        ),
        Some(ty) if finds(ty, |ty| matches!(ty, Type::ImplTrait(_))) => {
            errors.at(ty, "a handler returns a `Result` with a type that has a name: the client returns it too");
        }
        Some(ty) if borrows(ty) => {
            errors.at(
                ty,
                "a reply owns what it holds, it outlives what it would borrow from: write a type that does not borrow, as \
                 `String` for `&str`",
            );
        }
        Some(ty) if item.style() == Style::Contract && mentions(ty, "Self") => {
            errors.at(ty, "the client returns this too, and has no `Self`: write the type");
        }
        Some(_) => {}
    }
}

fn command(handler: &Handler, item: &Item, errors: &mut Errors) {
    if let (Form::ContractImpl(_), Some(attribute)) = (&item.form, handler.attribute) {
        errors.push(syn::Error::new(
            attribute,
            "the contract names the commands, not its impl: remove `#[command]` here",
        ));
        return;
    }
    match (&item.form, &handler.command) {
        (Form::Contract(_), None) if handler.attribute.is_none() => {
            let is_alone = item.handlers.len() == 1;
            match item.options.dialect {
                // In these dialects only the topic names the request.
                Some(Dialect::Nest | Dialect::Spring) if is_alone => {}
                Some(Dialect::Nest | Dialect::Spring) => errors.at(
                    handler.ident(),
                    "a method without `#[command(..)]` takes every record of the topic, so it is the only one of its \
                     contract: put `#[command(Enum::Variant)]` on it, or move it to another trait with a topic of its own",
                ),
                Some(Dialect::Reference | Dialect::Any) | None => errors.at(
                    handler.ident(),
                    "every method of a contract is a command: put `#[command(Enum::Variant)]` on it, or move it to another trait",
                ),
            }
        }
        (_, Some(command)) => {
            if let (Some(key), None) = (&command.key, handler.read_payload()) {
                errors.at(&key.0, "`key` is a field of the payload, but this command has none");
            }
        }
        _ => {}
    }
}

fn signature(sig: &Signature, position: Position, errors: &mut Errors) {
    if let Some(constness) = sig.constness {
        errors.at(constness, "a handler is an `async fn`, and that cannot be `const`: remove it");
    }
    if let Safety::Unsafe(unsafety) = sig.safety {
        errors.at(
            unsafety,
            "a handler is called by the runtime, which cannot uphold what `unsafe` asks: remove it",
        );
    }
    if let Some(abi) = &sig.abi {
        errors.at(abi, "a handler has no foreign callers: remove this");
    }
    if sig.asyncness.is_none() {
        let or_elsewhere = match position {
            Position::ContractImpl => {
                ", or put it into another `impl` block of the service if it is no command"
            }
            _ => "",
        };
        errors.at(sig.fn_token, format!("a handler is async: write `async fn {}`{or_elsewhere}", sig.ident));
    }
    if !sig.generics.params.is_empty() {
        errors.at(
            &sig.generics,
            "a handler has no generic parameters: the runtime calls it with what is read from the record",
        );
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(variadic, "a handler has a fixed number of arguments");
    }
}

fn receiver(sig: &Signature, style: Style, errors: &mut Errors) {
    match (style, sig.receiver()) {
        (Style::Function, _) => {}
        (Style::Contract | Style::Method, None) => errors.at(
            &sig.ident,
            format!("a command is a method of the service: write `async fn {}(&self, ..)`", sig.ident),
        ),
        (Style::Contract | Style::Method, Some(receiver)) => match &receiver.kind {
            ReceiverKind::Reference(_, _, None) => {}
            ReceiverKind::Reference(_, _, Some(_)) => errors.at(
                receiver,
                "handlers run at the same time and share the service: take `&self`, and put what changes behind a lock",
            ),
            _ => errors.at(by_value(receiver), "handlers share the service: take `&self`"),
        },
    }
}

/// The receiver as an argument, so that errors span all of `self: Arc<Self>`.
fn by_value(receiver: &Receiver) -> FnArg {
    FnArg::Receiver(receiver.clone())
}

fn arguments(handler: &Handler, item: &Item, errors: &mut Errors) {
    if item.style() == Style::Contract {
        for extractor in &handler.extractors {
            errors.at(
                &extractor.ty,
                "a method of a contract has its payload only, since callers do not pass extractors: write this \
                 argument in the impl of the contract; if callers send it, put it into the payload, which is one type",
            );
        }
    }
    // Without a client only serde makes the payload, and serde can make an owned value of a type that may
    // borrow.
    let has_client = !matches!(item.options.client, Some(ClientName::None));
    let payload = handler.payload.iter().map(|payload| (payload, true));
    let extractors = handler.extractors.iter().map(|extractor| (extractor, false));
    for (Argument { ty, cfg, .. }, is_payload) in payload.chain(extractors) {
        if let Some(cfg) = cfg {
            errors.at(
                cfg,
                "a handler has the same arguments in every build: put this on the function, and write a second one for \
                 the other builds",
            );
        }
        if finds(ty, |ty| matches!(ty, Type::ImplTrait(_))) {
            errors.at(ty, "a handler has no generic parameters: write the type");
        } else if let Type::Reference(reference) = bare(ty) {
            let owned = match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
                Type::Slice(slice) => format!("Vec<{}>", compact(&slice.elem)),
                elem => compact(elem),
            };
            errors.at(
                ty,
                format!("a handler owns its arguments, they are made from the record: write `{owned}`"),
            );
        } else if is_payload && has_client && borrows(ty) {
            errors.at(
                ty,
                "a payload owns what it holds, it is read from the record: write a type that does not borrow, as `String` \
                 for `&str`",
            );
        } else if item.style() == Style::Contract && mentions(ty, "Self") {
            errors.at(ty, "the client has this argument too, and no `Self`: write the type");
        }
    }
    if let Some(second) = handler.extractors.iter().find(|extractor| is_unit(&extractor.ty)) {
        errors.at(&second.ty, "`()` stands for no payload and comes first");
    }
}

/// A command has one handler.
fn once(handlers: &[Handler], errors: &mut Errors) {
    let mut seen: Vec<&CommandName> = Vec::new();
    // Handlers with a `cfg` are left out: a build may have only one of two.
    for handler in handlers.iter().filter(|handler| handler.cfgs().next().is_none()) {
        let Some(command) = &handler.command else {
            continue;
        };
        if matches!(&command.name, CommandName::Literal(name) if name.value().is_empty()) {
            continue;
        }
        if seen.iter().any(|name| compact(name) == compact(&command.name)) {
            errors.at(
                &command.name,
                format!("`{}` has a handler in here already: a command has one", compact(&command.name)),
            );
        } else {
            seen.push(&command.name);
        }
    }
}

/// The place of errors about the whole item.
fn place(item: &Item) -> proc_macro2::Span {
    match &item.form {
        Form::ContractImpl(block) | Form::Inherent(block) => block.self_ty.span(),
        form => item.name().map_or_else(|| form.span(), proc_macro2::Ident::span),
    }
}
