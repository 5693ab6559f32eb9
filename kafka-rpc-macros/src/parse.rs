//! From the user's item to the model.

use proc_macro2::{Span, TokenStream};
use syn::{Attribute, ImplItem, Item as AnyItem, Meta, TraitItem, spanned::Spanned};

use crate::{
    attr::{self, CommandOptions, HandlerOptions},
    errors::Errors,
    model::{Form, Handler, Item},
};

/// A function's `#[command]`, taken off it.
struct Command {
    span: Span,
    /// None if it does not name a command, which has been reported.
    options: Option<CommandOptions>,
}

/// Reads an item and its options. None if it is nothing that `#[kafka_handler]` can be on.
pub(crate) fn item(options: TokenStream, item: TokenStream, errors: &mut Errors) -> Option<Item> {
    let form = form(item, errors)?;
    let mut item = Item { form, options: HandlerOptions::default(), handlers: Vec::new() };
    let commands = take_commands(&mut item.form, errors);
    item.handlers = handlers(&item.form, commands);
    item.options = attr::handler_options(options, item.position(), errors);
    Some(item)
}

fn form(tokens: TokenStream, errors: &mut Errors) -> Option<Form> {
    match errors.take(syn::parse2::<AnyItem>(tokens))? {
        AnyItem::Trait(item) => Some(Form::Contract(item)),
        AnyItem::Impl(item) if item.trait_.is_some() => Some(Form::ContractImpl(item)),
        AnyItem::Impl(item) => Some(Form::Inherent(item)),
        AnyItem::Mod(item) => Some(Form::Module(item)),
        AnyItem::Fn(item) => Some(Form::Function(item)),
        other => {
            errors.push(syn::Error::new(
                other.span(),
                "`#[kafka_handler]` goes on a trait (a contract), an impl block, an inline module or an async fn",
            ));
            None
        }
    }
}

/// Takes the `#[command]` off each function: one entry for every function of the item, in order.
fn take_commands(form: &mut Form, errors: &mut Errors) -> Vec<Option<Command>> {
    let mut commands = Vec::new();
    form.for_each_function(|_, attrs| {
        let mut found = None;
        attrs.retain(|attribute| {
            if !is_command(attribute) {
                return true;
            }
            if found.is_some() {
                errors.at(
                    attribute,
                    "a function handles one command: remove one `#[command]`, or write a second function",
                );
            } else {
                found = Some(command(attribute, errors));
            }
            false
        });
        commands.push(found);
    });
    commands
}

/// By the last segment: it may be written `#[kafka_rpc::command]`, or come from the user's own re-exports.
fn is_command(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "command")
}

fn command(attribute: &Attribute, errors: &mut Errors) -> Command {
    let span = attribute.path().span();
    let tokens = match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        Meta::Path(_) => TokenStream::new(),
        Meta::NameValue(pair) => {
            errors.at(pair, "write `#[command(Enum::Variant)]`");
            return Command { span, options: None };
        }
    };
    Command { span, options: attr::command_options(tokens, span, errors) }
}

fn handlers(form: &Form, commands: Vec<Option<Command>>) -> Vec<Handler> {
    let functions: Vec<Handler> = match form {
        Form::Contract(item) => item
            .items
            .iter()
            .filter_map(|item| match item {
                TraitItem::Fn(function) => {
                    let mut handler = Handler::new(&function.attrs, &item_vis(), &function.sig);
                    handler.default.clone_from(&function.default);
                    Some(handler)
                }
                _ => None,
            })
            .collect(),
        Form::ContractImpl(item) | Form::Inherent(item) => item
            .items
            .iter()
            .filter_map(|item| match item {
                ImplItem::Fn(function) => Some(Handler::new(&function.attrs, &function.vis, &function.sig)),
                _ => None,
            })
            .collect(),
        Form::Module(item) => item
            .content
            .iter()
            .flat_map(|(_, items)| items)
            .filter_map(|item| match item {
                AnyItem::Fn(function) => Some(Handler::new(&function.attrs, &function.vis, &function.sig)),
                _ => None,
            })
            .collect(),
        Form::Function(item) => vec![Handler::new(&item.attrs, &item.vis, &item.sig)],
    };
    // In an inherent impl and in a module, what has no command is none of ours.
    let only_commands = matches!(form, Form::Inherent(_) | Form::Module(_));
    functions
        .into_iter()
        .zip(commands)
        .filter(|(_, command)| command.is_some() || !only_commands)
        .map(|(mut handler, command)| {
            if let Some(command) = command {
                handler.attribute = Some(command.span);
                handler.command = command.options;
            }
            handler
        })
        .collect()
}

/// Methods of a trait are as visible as the trait.
fn item_vis() -> syn::Visibility {
    syn::Visibility::Inherited
}
