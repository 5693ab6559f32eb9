//! The visibility of what is generated.

use syn::{Visibility, parse_quote};

use crate::model::{Form, Item};

/// The visibility of an item's client.
pub(super) fn visibility(item: &Item) -> Visibility {
    match &item.form {
        Form::Contract(item) => item.vis.clone(),
        Form::ContractImpl(_) | Form::Inherent(_) => item
            .handlers
            .iter()
            .map(|handler| handler.vis.clone())
            .max_by_key(width)
            .unwrap_or(Visibility::Inherited),
        Form::Module(item) => from_inside(&item.vis),
        Form::Function(item) => item.vis.clone(),
    }
}

fn width(vis: &Visibility) -> u8 {
    match vis {
        Visibility::Public(_) => 3,
        Visibility::Restricted(vis) if vis.path.is_ident("crate") => 2,
        Visibility::Restricted(vis) if vis.path.is_ident("self") => 0,
        Visibility::Restricted(_) => 1,
        Visibility::Inherited => 0,
    }
}

/// The visibility of a module, as an item inside it writes it.
pub(super) fn from_inside(vis: &Visibility) -> Visibility {
    match vis {
        Visibility::Public(_) => vis.clone(),
        Visibility::Inherited => parse_quote!(pub(super)),
        Visibility::Restricted(restricted) => {
            let path = &restricted.path;
            match path.segments.first() {
                // The compiler refuses a path from the root, and reports it at the module itself.
                Some(first) if first.ident == "crate" || path.leading_colon.is_some() => vis.clone(),
                Some(first) if first.ident == "self" => parse_quote!(pub(super)),
                _ => parse_quote!(pub(in super::#path)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;

    use super::*;

    #[test]
    fn the_visibility_of_a_module_is_the_same_inside_of_it() {
        let inside = |vis: &str| {
            let vis = syn::parse_str(vis).expect("a visibility");
            from_inside(&vis).into_token_stream().to_string()
        };
        let cases =
            ["", "pub", "pub(crate)", "pub(self)", "pub(super)", "pub(in super::super)", "pub(in ::a)"];
        assert_eq!(
            cases.map(inside),
            [
                "pub (super)",
                "pub",
                "pub (crate)",
                "pub (super)",
                "pub (in super :: super)",
                "pub (in super :: super :: super)",
                "pub (in :: a)",
            ]
        );
    }
}
