//! Questions about types, as far as their tokens answer them.

use quote::ToTokens;
use syn::{
    Path, PathArguments, Type,
    visit_mut::{self, VisitMut},
};

/// A type without the groups around it: a `macro_rules!` puts a captured `$ty:ty` into a group.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        ty => ty,
    }
}

/// Whether a type is `()`, which stands for no payload.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// Whether a type only wraps or points to the service.
pub(crate) fn is_wrapper(ty: &Type) -> bool {
    match bare(ty) {
        Type::Reference(_) | Type::Ptr(_) => true,
        Type::Path(ty) => ty.path.segments.last().is_some_and(|segment| {
            matches!(segment.arguments, PathArguments::AngleBracketed(_))
                && ["Arc", "Rc", "Box", "Mutex", "RwLock"].iter().any(|name| segment.ident == name)
        }),
        _ => false,
    }
}

/// The tokens of a type or a path, spaced as a person writes them.
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

/// Whether a type, or one inside it, passes `test`.
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

/// Whether a type has a lifetime without a name: `&T`, or `T<'_>`.
pub(crate) fn borrows(ty: &Type) -> bool {
    struct Finder(bool);

    impl VisitMut for Finder {
        fn visit_type_reference_mut(&mut self, ty: &mut syn::TypeReference) {
            self.0 |= ty.lifetime.is_none();
            visit_mut::visit_type_reference_mut(self, ty);
        }

        fn visit_lifetime_mut(&mut self, lifetime: &mut syn::Lifetime) {
            self.0 |= lifetime.ident == "_";
        }

        // The length of an array does not count.
        fn visit_expr_mut(&mut self, _: &mut syn::Expr) {}

        // Function types and `Fn(..)` have lifetimes of their own.
        fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}

        fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut syn::ParenthesizedGenericArguments) {}
    }

    let mut finder = Finder(false);
    finder.visit_type_mut(&mut ty.clone());
    finder.0
}

/// Whether any path in a type, to a type or to a constant, begins with this name.
pub(crate) fn mentions(ty: &Type, name: &str) -> bool {
    struct Finder<'a>(&'a str, bool);

    impl VisitMut for Finder<'_> {
        fn visit_path_mut(&mut self, path: &mut Path) {
            self.1 |= begins_with(path, self.0);
            visit_mut::visit_path_mut(self, path);
        }
    }

    let mut finder = Finder(name, false);
    finder.visit_type_mut(&mut ty.clone());
    finder.1
}

/// Whether a path begins with this name.
pub(crate) fn begins_with(path: &Path, name: &str) -> bool {
    path.segments.first().is_some_and(|first| first.ident == name)
}
