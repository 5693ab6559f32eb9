//! From the user's item to the model.

use proc_macro2::{Span, TokenStream};
use syn::{Attribute, ImplItem, Item as AnyItem, Meta, Path, TraitItem, spanned::Spanned};

use crate::{
    attr::{self, CommandOptions, HandlerOptions},
    bodies,
    errors::Errors,
    model::{Form, Handler, Item, conditional},
};

/// The `#[command]` that was removed from a function.
struct Command {
    span: Span,
    options: CommandOptions,
}

/// Reads an item and the options of its attributes, whose mistakes go to `of_options`. `None` if
/// `#[kafka_handler]` does not go on such an item.
pub(crate) fn item(
    options: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
    of_options: &mut Errors,
) -> Option<Item> {
    let form = form(item, errors)?;
    let mut item = Item { form, options: HandlerOptions::default(), handlers: Vec::new() };
    let mut of_commands = Errors::default();
    let commands = take_commands(&mut item.form, errors, &mut of_commands);
    item.handlers = handlers(&item.form, commands);
    item.options = attr::handler_options(options, item.position(), of_options);
    of_options.take(of_commands.into_result());
    Some(item)
}

fn form(tokens: TokenStream, errors: &mut Errors) -> Option<Form> {
    match errors.take(bodies::read_item(tokens))? {
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

/// Removes the `#[command]` of each function. Returns one entry for every function of the item, in order.
fn take_commands(form: &mut Form, errors: &mut Errors, of_options: &mut Errors) -> Vec<Option<Command>> {
    let mut commands = Vec::new();
    let is_module = matches!(form, Form::Module(_));
    form.for_each_function(|_, attrs| {
        // A function of a module with its own `#[kafka_handler]` is not a handler of the module.
        if is_module && attrs.iter().any(is_kafka_handler) {
            commands.push(None);
            return;
        }
        take_undecided(attrs, errors);
        let mut found = None;
        attrs.retain(|attribute| {
            if !is_command(attribute) {
                return true;
            }
            if found.is_some() {
                of_options.at(
                    attribute,
                    "a function handles one command: remove one `#[command]`, or write a second function",
                );
            } else {
                found = Some(command(attribute, of_options));
            }
            false
        });
        commands.push(found);
    });
    commands
}

/// Whether an attribute is `#[command]`, judged by its last segment: it may be written
/// `#[kafka_rpc::command]`, or come from a re-export of the user's.
fn is_command(attribute: &Attribute) -> bool {
    is_called(attribute.path(), "command")
}

pub(crate) fn is_kafka_handler(attribute: &Attribute) -> bool {
    is_called(attribute.path(), "kafka_handler")
}

fn is_called(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == name)
}

/// Removes and reports each `cfg_attr` that adds one of these attributes. Whether a function is a handler,
/// and of which command, must be known for all builds or decided by a `cfg`, but the macro cannot see what a
/// `cfg_attr` adds to a function inside an item.
fn take_undecided(attrs: &mut Vec<Attribute>, errors: &mut Errors) {
    attrs.retain(|attribute| {
        let adds = |name| conditional(attribute).iter().any(|added| is_called(added.path(), name));
        let is_undecided = ["command", "kafka_handler", "cfg"].into_iter().any(adds);
        if is_undecided {
            errors.at(
                attribute,
                "`#[kafka_handler]` does not see what `cfg_attr` adds: put `#[cfg(..)]` on the function, and write a \
                 second one for the other builds",
            );
        }
        !is_undecided
    });
}

fn command(attribute: &Attribute, of_options: &mut Errors) -> Command {
    let span = attribute.path().span();
    let tokens = match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        Meta::Path(_) => TokenStream::new(),
        Meta::NameValue(pair) => {
            of_options.at(pair, "write `#[command(Enum::Variant)]`");
            return Command { span, options: attr::unread(span) };
        }
    };
    Command { span, options: attr::command_options(tokens, span, of_options) }
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
    // In an inherent impl and in a module, functions without `#[command]` are not handlers.
    let only_commands = matches!(form, Form::Inherent(_) | Form::Module(_));
    functions
        .into_iter()
        .zip(commands)
        .filter(|(_, command)| command.is_some() || !only_commands)
        .map(|(mut handler, command)| {
            if let Some(command) = command {
                handler.attribute = Some(command.span);
                handler.command = Some(command.options);
            }
            handler
        })
        .collect()
}

/// Methods of a trait are as visible as the trait.
fn item_vis() -> syn::Visibility {
    syn::Visibility::Inherited
}
