//! The options in the parentheses of the attributes.
//!
//! Adding an option takes three changes: a field of [`HandlerOptions`] or [`CommandOptions`], its name among
//! those that a [`Position`] or a command takes, and an arm of `set`.

use proc_macro2::{Spacing, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Expr, Ident, Lit, LitBool, LitInt, LitStr, Path,
    parse::{Parse, ParseStream, Parser},
};

use crate::{
    choice::{Dialect, Order},
    errors::Errors,
    failure::Failure,
    key::Key,
    position::{Position, nearest, unknown},
    written::{Written, is_first, split, written},
};

/// The options of `#[kafka_handler]`.
#[derive(Default)]
pub(crate) struct HandlerOptions {
    pub(crate) topic: Option<Expr>,
    pub(crate) group: Option<Expr>,
    pub(crate) replies: Option<Destination>,
    pub(crate) dead_letter: Option<Destination>,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) ordering: Option<Order>,
    pub(crate) concurrency: Option<Expr>,
    pub(crate) client: Option<ClientName>,
    pub(crate) register: Option<bool>,
    pub(crate) krate: Option<Path>,
    pub(crate) envelope: bool,
    pub(crate) retry_topic: Option<Expr>,
    pub(crate) dead_letters_of: Option<Expr>,
    pub(crate) failure: Failure,
    stated: Vec<Ident>,
    /// The options that the unknown ones probably meant.
    meant: Vec<&'static str>,
    /// Whether a value was written without the name of its option, which has been reported.
    has_unnamed: bool,
}

impl HandlerOptions {
    /// The name of an option that was written, whether or not its value could be read.
    pub(crate) fn stated(&self, name: &str) -> Option<&Ident> {
        self.stated.iter().find(|stated| *stated == name)
    }

    /// Whether an option is missing, even under a misspelt name or without one, which has been reported.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        self.stated(name).is_none() && !self.meant.contains(&name) && !self.has_unnamed
    }

    /// The topics among the options that may also be `none`.
    pub(crate) fn destinations(&self) -> impl Iterator<Item = &Expr> {
        [&self.replies, &self.dead_letter].into_iter().flatten().filter_map(Destination::topic)
    }
}

/// `"topic"`, a constant, or `none`.
pub(crate) enum Destination {
    Topic(Expr),
    None,
}

impl Destination {
    pub(crate) fn topic(&self) -> Option<&Expr> {
        match self {
            Self::Topic(topic) => Some(topic),
            Self::None => None,
        }
    }
}

pub(crate) enum ClientName {
    Named(Ident),
    None,
}

/// The options of `#[command]`.
pub(crate) struct CommandOptions {
    pub(crate) name: CommandName,
    pub(crate) key: Option<Key>,
    pub(crate) failure: Failure,
}

/// What names a command: the path of a variant, or a literal.
pub(crate) enum CommandName {
    Variant(Path),
    Literal(LitStr),
}

impl ToTokens for CommandName {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Variant(path) => path.to_tokens(tokens),
            Self::Literal(literal) => literal.to_tokens(tokens),
        }
    }
}

impl Written {
    fn text(&self) -> syn::Result<Expr> {
        self.value("\"...\"", " with a literal or a constant of type `&'static str`", |input| {
            let value: Expr = input.parse()?;
            match &value {
                Expr::Lit(literal) if !matches!(literal.lit, Lit::Str(_)) => Err(input.error("not a string")),
                _ => Ok(value),
            }
        })
    }

    fn destination(&self) -> syn::Result<Destination> {
        if self.is_none() {
            return Ok(Destination::None);
        }
        if let Some(word) =
            self.value.as_ref().filter(|value| ["\"none\"", "None"].contains(&value.to_string().as_str()))
        {
            return Err(syn::Error::new_spanned(word, format!("write `{} = none`", self.name)));
        }
        self.text().map(Destination::Topic)
    }

    fn count(&self) -> syn::Result<Expr> {
        self.value("64", ", a whole number from 1 on or a constant of type `usize`", |input| {
            if input.peek(LitInt) {
                let count: LitInt = input.parse()?;
                if count.base10_parse::<usize>()? == 0 {
                    return Err(input.error("zero"));
                }
                return Ok(Expr::Lit(syn::ExprLit { attrs: Vec::new(), lit: Lit::Int(count) }));
            }
            input.parse::<syn::ExprPath>().map(Expr::Path)
        })
    }

    fn client(&self) -> syn::Result<ClientName> {
        if self.is_none() {
            return Ok(ClientName::None);
        }
        self.value("Name", ", a name for the trait, or `client = none`", |input| {
            input.parse().map(ClientName::Named)
        })
    }

    fn set(&self, options: &mut HandlerOptions) -> syn::Result<()> {
        match self.name.to_string().as_str() {
            "topic" => options.topic = Some(self.text()?),
            "group" => options.group = Some(self.text()?),
            "replies" => options.replies = Some(self.destination()?),
            "dead_letter" => options.dead_letter = Some(self.destination()?),
            "dialect" => options.dialect = Some(Dialect::read(self)?),
            "ordering" => options.ordering = Some(Order::read(self)?),
            "concurrency" => options.concurrency = Some(self.count()?),
            "client" => options.client = Some(self.client()?),
            "register" => {
                options.register = Some(self.value("false", "", LitBool::parse)?.value());
            }
            "crate" => {
                // A path in quotes is a mistake, but still used, so that no other errors follow from it.
                let quoted = self.value("", "", <LitStr as Parse>::parse).ok();
                options.krate = quoted.and_then(|path| path.parse_with(Path::parse_mod_style).ok());
                options.krate = Some(self.value("some::path", "", Path::parse_mod_style)?);
            }
            "retry_topic" => options.retry_topic = Some(self.text()?),
            "dead_letters_of" => options.dead_letters_of = Some(self.text()?),
            "envelope" => match self.value.as_ref().or(self.parts.as_ref()) {
                None => options.envelope = true,
                Some(value) => {
                    return Err(syn::Error::new_spanned(value, "write `envelope` alone, without a value"));
                }
            },
            _ => options.failure.set(self)?,
        }
        Ok(())
    }
}

/// The path of kafka-rpc, as stated in the options of a `#[kafka_handler]` that expands later.
pub(crate) fn stated_crate(options: TokenStream) -> Option<Path> {
    let stated = split(options).iter().filter_map(|part| written(part).ok()).find(|own| own.name == "crate");
    stated?.value("some::path", "", Path::parse_mod_style).ok()
}

/// Reads the options of `#[kafka_handler]`.
pub(crate) fn handler_options(
    tokens: TokenStream,
    position: Position,
    errors: &mut Errors,
) -> HandlerOptions {
    let (mut options, known) = (HandlerOptions::default(), position.known());
    for part in split(tokens) {
        let Some(written) = errors.take(written(&part)) else {
            // Whatever it was to be is not missing.
            options.has_unnamed = true;
            continue;
        };
        let name = written.name.to_string();
        if !position.takes(&name) {
            let message = position.misplaced(&name).unwrap_or_else(|| {
                options.meant.extend(nearest(&name, &known));
                unknown(&name, position.noun(), &known)
            });
            errors.at(&written.name, message);
            options.stated.push(written.name);
        } else if is_first(&written.name, &mut options.stated, errors) {
            errors.take(written.set(&mut options));
        }
    }
    options
}

/// Reads the options of the `#[command]` at `attribute`.
pub(crate) fn command_options(
    tokens: TokenStream,
    attribute: Span,
    of_options: &mut Errors,
) -> CommandOptions {
    const KNOWN: &[&str] = &["key", "retry", "timeout", "dedupe"];
    let mut parts = split(tokens).into_iter().filter(|part| !is_marker(part)).peekable();
    let first = parts.next_if(|part| !is_option(part));
    let is_named = first.is_some();
    let name = if let Some(first) = first {
        of_options.take(command_name(&first))
    } else {
        const FIRST: &str = "name the command first: `#[command(Enum::Variant)]` or `#[command(\"NAME\")]`";
        let by_option = parts.clone().find(|part| written(part).is_ok_and(|option| option.name == "name"));
        of_options.push(match by_option {
            Some(option) => syn::Error::new_spanned(option, format!("{FIRST}, without `name =`")),
            None => syn::Error::new(attribute, FIRST),
        });
        None
    };
    let mut key = None;
    let mut failure = Failure::default();
    let mut seen = Vec::new();
    for part in parts {
        let Some(written) = of_options.take(written(&part)) else {
            continue;
        };
        let option = written.name.to_string();
        if option == "name" && !is_named {
            // Reported above.
            continue;
        }
        if !KNOWN.contains(&option.as_str()) {
            of_options.at(&written.name, unknown(&option, "a command, after its name,", KNOWN));
        } else if is_first(&written.name, &mut seen, of_options) {
            if option == "key" {
                key = of_options.take(written.value("field.path", "", Key::parse));
            } else {
                of_options.take(failure.set(&written));
            }
        }
    }
    CommandOptions { name: name.unwrap_or_else(|| no_name(attribute)), key, failure }
}

/// Stands in for a name that could not be read, which has been reported.
fn no_name(attribute: Span) -> CommandName {
    CommandName::Literal(LitStr::new("", attribute))
}

/// Stands in for options that could not be read.
pub(crate) fn unread(attribute: Span) -> CommandOptions {
    CommandOptions { name: no_name(attribute), key: None, failure: Failure::default() }
}

fn command_name(tokens: &TokenStream) -> syn::Result<CommandName> {
    let parser = |input: ParseStream<'_>| {
        if input.peek(LitStr) {
            return input.parse().map(CommandName::Literal);
        }
        input.parse().map(CommandName::Variant)
    };
    let name = parser.parse2(tokens.clone()).map_err(|_| {
        syn::Error::new_spanned(
            tokens,
            "a command is named by the path of a unit variant, as `Enum::Variant`, or by a string literal",
        )
    })?;
    match &name {
        CommandName::Literal(literal) if literal.value().is_empty() => {
            Err(syn::Error::new_spanned(literal, "the name of a command cannot be empty"))
        }
        _ => Ok(name),
    }
}

/// The option that marks a `#[command]` which has moved itself behind the other attributes. See
/// [`crate::command`].
pub(crate) const LAST: &str = "__last";

/// Whether the options of a `#[command]` hold the marker [`LAST`].
pub(crate) fn has_marker(tokens: &TokenStream) -> bool {
    split(tokens.clone()).iter().any(is_marker)
}

fn is_marker(part: &TokenStream) -> bool {
    part.to_string() == LAST
}

/// Whether `part` is `name = value` or `retry(..)`, and so does not name a command.
fn is_option(part: &TokenStream) -> bool {
    let mut tokens = part.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (_, Some(TokenTree::Punct(equals))) => equals.as_char() == '=' && equals.spacing() == Spacing::Alone,
        (Some(TokenTree::Ident(name)), Some(TokenTree::Group(_))) => name == "retry",
        _ => false,
    }
}
