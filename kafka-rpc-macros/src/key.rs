//! The field of the payload that is the record key of a call.

use syn::{
    Index, LitFloat, Member, Token,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

/// `account.id`, or `account.0.1`.
pub(crate) struct Key(pub(crate) Punctuated<Member, Token![.]>);

impl Parse for Key {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut members = Punctuated::new();
        loop {
            if input.peek(LitFloat) {
                // The lexer reads the `0.1` of `id.0.1` as one number.
                let both: LitFloat = input.parse()?;
                for index in both.to_string().split('.') {
                    let index = index.parse().map_err(|_| input.error("no field"))?;
                    members.push(Member::Unnamed(Index { index, span: both.span() }));
                }
            } else {
                members.push(input.parse()?);
            }
            if !input.peek(Token![.]) {
                return Ok(Self(members));
            }
            members.push_punct(input.parse()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    #[test]
    fn a_key_is_the_path_of_a_field_however_its_numbers_are_read() {
        let key = |text| syn::parse_str(text).map(|Key(path)| path.to_token_stream().to_string()).ok();
        let read = ["id", "0", "a.b", "a.0.b", "a.0.1", "0.1", "a.0.1.2", "a.0.1.2.3.b"].map(key);
        let expected =
            ["id", "0", "a . b", "a . 0 . b", "a . 0 . 1", "0 . 1", "a . 0 . 1 . 2", "a . 0 . 1 . 2 . 3 . b"];
        assert_eq!(read, expected.map(|path| Some(path.to_owned())));
        for none in ["", "a.", "a.0.", "0.", ".a", "a.0.1f32", "a.1e3", "a b", "a.0.1.", "a..b"] {
            assert_eq!(key(none), None, "{none}");
        }
    }
}
