//! The model of all forms: an item with functions, each of which is a handler.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    AttrStyle, Attribute, Block, FnArg, Ident, ImplItem, Item as AnyItem, ItemFn, ItemImpl, ItemMod,
    ItemTrait, Meta, Pat, PatType, Path, Signature, Token, TraitItem, Type, Visibility,
    punctuated::Punctuated,
};

use crate::{
    attr::{CommandOptions, HandlerOptions},
    position::Position,
    types::{bare, is_unit},
};

/// An item with `#[kafka_handler]`, parsed but not yet validated.
pub(crate) struct Item {
    /// The user's item, without the attributes of kafka-rpc.
    pub(crate) form: Form,
    pub(crate) options: HandlerOptions,
    /// The handlers: all functions of a contract or of its impl, a free function itself, else the functions
    /// with `#[command]`.
    pub(crate) handlers: Vec<Handler>,
}

/// What `#[kafka_handler]` is on.
pub(crate) enum Form {
    Contract(ItemTrait),
    ContractImpl(ItemImpl),
    Inherent(ItemImpl),
    Module(ItemMod),
    Function(ItemFn),
}

/// A function that is a handler.
pub(crate) struct Handler {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    /// The default body in a contract, if there is one.
    pub(crate) default: Option<Block>,
    pub(crate) command: Option<CommandOptions>,
    /// The place of its `#[command]`, whether or not the options could be read.
    pub(crate) attribute: Option<Span>,
    pub(crate) payload: Option<Argument>,
    pub(crate) extractors: Vec<Argument>,
}

/// An argument of a handler.
pub(crate) struct Argument {
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    /// The `cfg` of the argument, if it has one.
    pub(crate) cfg: Option<Attribute>,
}

impl From<&PatType> for Argument {
    fn from(argument: &PatType) -> Self {
        let cfg = named(&argument.attrs, "cfg").next();
        Self { pat: (*argument.pat).clone(), ty: (*argument.ty).clone(), cfg }
    }
}

impl Argument {
    /// The name that the user gave the argument, if it can be reused: no pattern, and not marked as unused.
    pub(crate) fn name(&self) -> Option<&Ident> {
        match &self.pat {
            Pat::Ident(pat) if pat.subpat.is_none() && !pat.ident.to_string().starts_with('_') => {
                Some(&pat.ident)
            }
            _ => None,
        }
    }
}

/// The kind of function that a form's handlers are, for the generated code that runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Methods of the contract: each implementor chooses the extractors.
    Contract,
    /// Methods of a service.
    Method,
    /// Functions without a service.
    Function,
}

impl Item {
    /// Which options the item takes.
    pub(crate) fn position(&self) -> Position {
        match &self.form {
            Form::Contract(_) => Position::Contract,
            Form::ContractImpl(_) => Position::ContractImpl,
            Form::Function(_) if !self.handlers.iter().any(|handler| handler.attribute.is_some()) => {
                Position::EveryRecord
            }
            Form::Inherent(_) | Form::Module(_) | Form::Function(_) => Position::Commands,
        }
    }

    pub(crate) fn style(&self) -> Style {
        match &self.form {
            Form::Contract(_) => Style::Contract,
            Form::ContractImpl(_) | Form::Inherent(_) => Style::Method,
            Form::Module(_) | Form::Function(_) => Style::Function,
        }
    }

    /// The name of the item; for an `impl`, of its type. `None` if the type has no name, as `&T` or `(A, B)`.
    pub(crate) fn name(&self) -> Option<&Ident> {
        match &self.form {
            Form::Contract(item) => Some(&item.ident),
            Form::ContractImpl(item) | Form::Inherent(item) => match bare(&item.self_ty) {
                Type::Path(ty) => ty.path.segments.last().map(|segment| &segment.ident),
                _ => None,
            },
            Form::Module(item) => Some(&item.ident),
            Form::Function(item) => Some(&item.sig.ident),
        }
    }

    /// The attributes of the item, without those of kafka-rpc.
    pub(crate) fn attrs(&self) -> &[Attribute] {
        match &self.form {
            Form::Contract(item) => &item.attrs,
            Form::ContractImpl(item) | Form::Inherent(item) => &item.attrs,
            Form::Module(item) => &item.attrs,
            Form::Function(item) => &item.attrs,
        }
    }

    /// Whether generated code may name deprecated items without a warning. It may if the item or a handler is
    /// deprecated or allows the lint, since generated code names what the user's code names. Any other
    /// deprecated item, such as the constant of a topic, must warn.
    pub(crate) fn may_be_deprecated(&self) -> bool {
        let attrs = self.handlers.iter().flat_map(|handler| &handler.attrs).chain(self.attrs());
        let allows = |attribute: &Attribute| {
            ["allow", "expect"].iter().any(|level| attribute.path().is_ident(level))
                && parts(attribute).any(|lint| lint.path().is_ident("deprecated"))
        };
        let mut attrs = attrs.filter(|attribute| {
            attribute.path().is_ident("deprecated")
                || is_conditional(attribute, "deprecated")
                || allows(attribute)
        });
        attrs.next().is_some()
    }

    /// Whether the handlers register automatically.
    pub(crate) fn registers(&self) -> bool {
        self.options.register.unwrap_or(true)
    }

    /// The path of the module that holds everything generated code names.
    pub(crate) fn private(&self) -> TokenStream {
        if let Some(path) = &self.options.krate {
            quote!(#path::__private)
        } else {
            quote!(::kafka_rpc::__private)
        }
    }
}

impl Handler {
    /// Reads a function from which the attributes of kafka-rpc have been removed.
    pub(crate) fn new(attrs: &[Attribute], vis: &Visibility, sig: &Signature) -> Self {
        let mut arguments = sig.inputs.iter().filter_map(|argument| match argument {
            FnArg::Typed(argument) => Some(Argument::from(argument)),
            FnArg::Receiver(_) => None,
        });
        Self {
            attrs: attrs.to_vec(),
            vis: vis.clone(),
            sig: sig.clone(),
            default: None,
            command: None,
            attribute: None,
            payload: arguments.next(),
            extractors: arguments.collect(),
        }
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.sig.ident
    }

    /// The return type, if there is one.
    pub(crate) fn output(&self) -> Option<&Type> {
        match &self.sig.output {
            syn::ReturnType::Type(_, ty) => Some(ty),
            syn::ReturnType::Default => None,
        }
    }

    /// The payload, if one is read: `()` is the same as none.
    pub(crate) fn read_payload(&self) -> Option<&Argument> {
        self.payload.as_ref().filter(|payload| !is_unit(&payload.ty))
    }

    /// The type of the payload, if it has the name of kafka-rpc's `DeadLetter`.
    pub(crate) fn dead_letter(&self) -> Option<&Type> {
        let ty = &self.payload.as_ref()?.ty;
        let Type::Path(path) = bare(ty) else { return None };
        path.path.segments.last().is_some_and(|last| last.ident == "DeadLetter").then_some(ty)
    }

    pub(crate) fn cfgs(&self) -> impl Iterator<Item = Attribute> {
        named(&self.attrs, "cfg")
    }

    pub(crate) fn docs(&self) -> impl Iterator<Item = Attribute> {
        named(&self.attrs, "doc")
    }

    /// The attributes that make the handler deprecated, in some builds or in all.
    pub(crate) fn deprecated(&self) -> impl Iterator<Item = Attribute> {
        let at_times =
            self.attrs.iter().filter(|attribute| is_conditional(attribute, "deprecated")).map(outer);
        named(&self.attrs, "deprecated").chain(at_times)
    }
}

impl ToTokens for Form {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Contract(item) => item.to_tokens(tokens),
            Self::ContractImpl(item) | Self::Inherent(item) => item.to_tokens(tokens),
            Self::Module(item) => item.to_tokens(tokens),
            Self::Function(item) => item.to_tokens(tokens),
        }
    }
}

impl Form {
    /// The path of the contract and the impl block, if the item is the impl of a contract.
    pub(crate) fn contract(&self) -> Option<(&Path, &ItemImpl)> {
        match self {
            Self::ContractImpl(item) => item.trait_.as_ref().map(|(contract, _)| (contract, item)),
            _ => None,
        }
    }

    /// The attributes of the item, without those of kafka-rpc, to change them.
    pub(crate) fn attrs_mut(&mut self) -> &mut Vec<Attribute> {
        match self {
            Self::Contract(item) => &mut item.attrs,
            Self::ContractImpl(item) | Self::Inherent(item) => &mut item.attrs,
            Self::Module(item) => &mut item.attrs,
            Self::Function(item) => &mut item.attrs,
        }
    }

    /// Calls `visit` with the name and the attributes of every function of the item that could be a handler.
    pub(crate) fn for_each_function(&mut self, mut visit: impl FnMut(&Ident, &mut Vec<Attribute>)) {
        match self {
            Self::Contract(item) => item.items.iter_mut().for_each(|item| {
                if let TraitItem::Fn(function) = item {
                    visit(&function.sig.ident, &mut function.attrs);
                }
            }),
            Self::ContractImpl(item) | Self::Inherent(item) => item.items.iter_mut().for_each(|item| {
                if let ImplItem::Fn(function) = item {
                    visit(&function.sig.ident, &mut function.attrs);
                }
            }),
            Self::Module(item) => item.content.iter_mut().flat_map(|(_, items)| items).for_each(|item| {
                if let AnyItem::Fn(function) = item {
                    visit(&function.sig.ident, &mut function.attrs);
                }
            }),
            Self::Function(item) => visit(&item.sig.ident, &mut item.attrs),
        }
    }
}

/// The attributes of this name, for items that are generated beside the user's.
fn named(attrs: &[Attribute], name: &'static str) -> impl Iterator<Item = Attribute> {
    attrs.iter().filter(move |attribute| attribute.path().is_ident(name)).map(outer)
}

/// Whether this is a `#[cfg_attr(..)]` that adds only attributes of this name. On a function inside an item,
/// the compiler has not evaluated it yet.
fn is_conditional(attribute: &Attribute, name: &str) -> bool {
    let added = conditional(attribute);
    !added.is_empty() && added.iter().all(|added| added.path().is_ident(name))
}

/// The attributes that a `#[cfg_attr(..)]` adds if its condition holds; none for another attribute.
pub(crate) fn conditional(attribute: &Attribute) -> Vec<Meta> {
    if attribute.path().is_ident("cfg_attr") { parts(attribute).skip(1).collect() } else { Vec::new() }
}

/// The parts in the parentheses of an attribute, if they are a list.
fn parts(attribute: &Attribute) -> impl Iterator<Item = Meta> {
    let parts = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    parts.into_iter().flatten()
}

/// The attribute in the form that stands before an item, `#[..]`, even if the user wrote it inside as
/// `#![..]`.
pub(crate) fn outer(attribute: &Attribute) -> Attribute {
    Attribute { style: AttrStyle::Outer, ..attribute.clone() }
}
