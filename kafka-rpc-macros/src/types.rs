//! Questions about types, as far as their tokens answer them.

use quote::ToTokens;
use syn::{
    PathArguments, Type,
    visit_mut::{self, VisitMut},
};

/// Whether a type only holds the service.
pub(crate) fn is_wrapper(ty: &Type) -> bool {
    match ty {
        Type::Reference(_) | Type::Ptr(_) => true,
        Type::Path(ty) => ty.path.segments.last().is_some_and(|segment| {
            matches!(segment.arguments, PathArguments::AngleBracketed(_))
                && ["Arc", "Rc", "Box", "Mutex", "RwLock"].iter().any(|name| segment.ident == name)
        }),
        _ => false,
    }
}

/// Tokens as a person writes them, where they are a type or a path.
pub(crate) fn compact(tokens: &impl ToTokens) -> String {
    tokens
        .to_token_stream()
        .to_string()
        .replace(" :: ", "::")
        .replace(" < ", "<")
        .replace(" > ", ">")
        .replace(" >", ">")
        .replace(" ,", ",")
}

/// Whether a type, or one inside it, is such a one.
pub(crate) fn finds(ty: &Type, test: impl Fn(&Type) -> bool) -> bool {
    struct Finder<F>(F, bool);

    impl<F: Fn(&Type) -> bool> VisitMut for Finder<F> {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            self.1 |= (self.0)(ty);
            visit_mut::visit_type_mut(self, ty);
        }
    }

    let mut finder = Finder(test, false);
    finder.visit_type_mut(&mut ty.clone());
    finder.1
}

/// Whether a type names something that begins so.
pub(crate) fn names(ty: &Type, name: &str) -> bool {
    finds(
        ty,
        |ty| matches!(ty, Type::Path(path) if path.path.segments.first().is_some_and(|first| first.ident == name)),
    )
}
