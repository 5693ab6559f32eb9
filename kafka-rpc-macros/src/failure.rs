//! The options about failures: `retry`, `timeout` and `dedupe`, of one command or of all commands of an item.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Lit, LitBool, LitInt, LitStr, Path, spanned::Spanned as _};

use crate::written::{Written, each_option};

/// The options about failures; the runtime has defaults for those not stated.
#[derive(Default)]
pub(crate) struct Failure {
    retry: Option<Retry>,
    timeout: Option<Millis>,
    dedupe: Option<Millis>,
}

enum Retry {
    None,
    Policy(Path),
    Backoff(Backoff),
}

#[derive(Default)]
struct Backoff {
    max: Option<u32>,
    base: Option<Millis>,
    factor: Option<f64>,
    max_delay: Option<Millis>,
    jitter: Option<bool>,
}

/// A duration, and where it was written.
#[derive(Clone, Copy)]
struct Millis {
    millis: u64,
    place: Span,
}

/// The `max_delay` of `Retry` unless stated, in milliseconds.
const LONGEST_DELAY: u64 = 30_000;

impl Failure {
    /// Sets an option, if it is one of these.
    pub(crate) fn set(&mut self, option: &Written) -> syn::Result<()> {
        match option.name.to_string().as_str() {
            "retry" => self.retry = Some(retry(option)?),
            "timeout" => self.timeout = Some(millis(option)?),
            "dedupe" => self.dedupe = Some(millis(option)?),
            _ => {}
        }
        Ok(())
    }

    /// The path of the user's own retry policy, if one is stated.
    pub(crate) fn own_policy(&self) -> Option<&Path> {
        match &self.retry {
            Some(Retry::Policy(path)) => Some(path),
            _ => None,
        }
    }

    /// The calls that set these options on a `Handler`. An option not stated is taken from `default`;
    /// `elsewhere` names the policy of `default` if its own path is not valid at the calls.
    pub(crate) fn calls(
        &self,
        default: &Self,
        elsewhere: Option<TokenStream>,
        private: &TokenStream,
    ) -> TokenStream {
        let own = self.retry.as_ref().map(|retry| retry.policy(private));
        let policy = own.or(elsewhere).or_else(|| default.retry.as_ref().map(|retry| retry.policy(private)));
        let retry = policy.map(|policy| quote!(.retry(#policy)));
        let duration = |Millis { millis, .. }: Millis| quote!(#private::Duration::from_millis(#millis));
        let timeout = self.timeout.or(default.timeout).map(duration).map(|bound| quote!(.timeout(#bound)));
        let dedupe = self.dedupe.or(default.dedupe).map(duration).map(|keep| quote!(.dedupe(#keep)));
        quote!(#retry #timeout #dedupe)
    }
}

impl Retry {
    /// A `&'static dyn RetryPolicy`.
    fn policy(&self, private: &TokenStream) -> TokenStream {
        match self {
            Self::None => quote!(&#private::Retry::NONE),
            // At the path, so that a type that is no policy is an error there.
            Self::Policy(path) => quote_spanned!(path.span()=> &#path),
            Self::Backoff(Backoff { max, base, factor, max_delay, jitter }) => {
                let duration =
                    |Millis { millis, .. }: &Millis| quote!(#private::Duration::from_millis(#millis));
                let max = max.map(|max| quote!(.max(#max)));
                let base = base.as_ref().map(duration).map(|base| quote!(.base(#base)));
                let factor = factor.map(|factor| quote!(.factor(#factor)));
                let max_delay = max_delay.as_ref().map(duration).map(|delay| quote!(.max_delay(#delay)));
                let jitter = jitter.map(|jitter| quote!(.jitter(#jitter)));
                quote!(const { &#private::Retry::new() #max #base #factor #max_delay #jitter })
            }
        }
    }
}

fn retry(option: &Written) -> syn::Result<Retry> {
    let Some(parts) = &option.parts else {
        if option.is_none() {
            return Ok(Retry::None);
        }
        let policy = option.value(
            "none",
            ", `retry = SOME_POLICY` or `retry(max = 3, base = \"1s\")`",
            Path::parse_mod_style,
        );
        return policy.map(Retry::Policy);
    };
    let mut backoff = Backoff::default();
    if parts.to_string() == "none" {
        return Err(syn::Error::new_spanned(parts, "write `retry = none` to turn retries off"));
    }
    each_option(parts.clone(), &["max", "base", "factor", "max_delay", "jitter"], "`retry(..)`", |part| {
        match part.name.to_string().as_str() {
            "max" => backoff.max = Some(max(part)?),
            "base" => backoff.base = Some(millis(part)?),
            "factor" => backoff.factor = Some(factor(part)?),
            "max_delay" => backoff.max_delay = Some(millis(part)?),
            "jitter" => {
                backoff.jitter = Some(part.value("true", "", <LitBool as syn::parse::Parse>::parse)?.value());
            }
            _ => {}
        }
        Ok(())
    })?;
    let longest = backoff.max_delay.map_or(LONGEST_DELAY, |delay| delay.millis);
    if let Some(base) = backoff.base
        && base.millis > longest
    {
        return Err(syn::Error::new(
            base.place,
            "every delay would be cut to `max_delay`, which is less than this (\"30s\" unless it is stated): state a \
             `max_delay` that is at least as long",
        ));
    }
    Ok(Retry::Backoff(backoff))
}

fn max(part: &Written) -> syn::Result<u32> {
    part.value("3", ", a whole number above zero; to turn retries off, write `retry = none`", |input| {
        match input.parse::<LitInt>()?.base10_parse()? {
            0 => Err(input.error("zero")),
            max => Ok(max),
        }
    })
}

fn factor(part: &Written) -> syn::Result<f64> {
    part.value("2", ", a number of at least `1`", |input| {
        let factor = match input.parse()? {
            Lit::Int(factor) => factor.base10_parse::<f64>()?,
            Lit::Float(factor) => factor.base10_parse()?,
            _ => return Err(input.error("no number")),
        };
        if factor.is_finite() && factor >= 1.0 { Ok(factor) } else { Err(input.error("below one")) }
    })
}

fn millis(option: &Written) -> syn::Result<Millis> {
    option.value("\"5s\"", ", a whole number above zero with `ms`, `s`, `m` or `h`", |input| {
        let literal: LitStr = input.parse()?;
        let text = literal.value();
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(input.error("no such unit")),
        };
        let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        match millis {
            None | Some(0) => Err(input.error("no such duration")),
            Some(millis) => Ok(Millis { millis, place: literal.span() }),
        }
    })
}
