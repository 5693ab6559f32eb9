//! Types and expressions of an impl block as they are written outside it, with the service in place of
//! `Self`.

use syn::{
    Expr, ExprPath, Path, QSelf, Token, Type, parse_quote,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

use crate::{
    model::{Form, Item},
    types,
};

/// A type of an impl block, as it is written outside the block: without `Self`.
pub(super) fn type_outside(item: &Item, ty: &Type) -> Type {
    let mut ty = ty.clone();
    if let Form::Inherent(block) = &item.form {
        WithoutSelf(&block.self_ty).visit_type_mut(&mut ty);
    }
    ty
}

/// An expression in the options of an impl block, as it is written outside the block.
pub(super) fn expression_outside(item: &Item, expression: &Expr) -> Expr {
    let mut expression = expression.clone();
    if let Form::Inherent(block) = &item.form {
        WithoutSelf(&block.self_ty).visit_expr_mut(&mut expression);
    }
    expression
}

struct WithoutSelf<'a>(&'a Type);

impl WithoutSelf<'_> {
    /// Rewrites `Self::A`, a type or a constant, as `<Service>::A`.
    fn qualify(&self, qself: &mut Option<QSelf>, path: &mut Path) {
        if qself.is_some() || !types::begins_with(path, "Self") || path.segments.len() == 1 {
            return;
        }
        *qself = Some(QSelf {
            lt_token: Token![<](path.span()),
            ty: Box::new(self.0.clone()),
            position: 0,
            as_token: None,
            gt_token: Token![>](path.span()),
        });
        let rest = path.segments.iter().skip(1);
        *path = parse_quote!(::#(#rest)::*);
    }
}

impl VisitMut for WithoutSelf<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        // The inner types come first: the type that replaces `Self` may contain `Self`, although the compiler
        // refuses that, and must not be visited.
        visit_mut::visit_type_mut(self, ty);
        match ty {
            // Even with arguments, which `Self` cannot have: the compiler reports them at the method.
            Type::Path(path)
                if path.qself.is_none()
                    && types::begins_with(&path.path, "Self")
                    && path.path.segments.len() == 1 =>
            {
                *ty = self.0.clone();
            }
            Type::Path(path) => self.qualify(&mut path.qself, &mut path.path),
            _ => {}
        }
    }

    fn visit_expr_path_mut(&mut self, path: &mut ExprPath) {
        visit_mut::visit_expr_path_mut(self, path);
        self.qualify(&mut path.qself, &mut path.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_takes_the_place_of_self() {
        let service = parse_quote!(a::Service<T>);
        let without = |mut ty: Type| {
            WithoutSelf(&service).visit_type_mut(&mut ty);
            ty
        };
        assert_eq!(without(parse_quote!(Vec<Self>)), parse_quote!(Vec<a::Service<T>>));
        assert_eq!(without(parse_quote!(Self::A)), parse_quote!(<a::Service<T>>::A));
        assert_eq!(without(parse_quote!(Self::A<Self>)), parse_quote!(<a::Service<T>>::A<a::Service<T>>));
        assert_eq!(without(parse_quote!(Self<u8>)), service, "which the compiler refuses in the method");
        assert_eq!(without(parse_quote!([u8; Self::N])), parse_quote!([u8; <a::Service<T>>::N]));
        let mut ty = parse_quote!((Self, Self::A));
        WithoutSelf(&parse_quote!(Service<Self>)).visit_type_mut(&mut ty);
        assert_eq!(ty, parse_quote!((Service<Self>, <Service<Self>>::A)), "and this in the `impl`");
    }
}
