//! Source text made of words that mean something to the attributes: each byte chooses one.

use super::source;

/// Expands an attribute on an item, both made of words.
pub(crate) fn words(bytes: &[u8]) {
    source(&written(bytes));
}

/// The source text that these bytes choose.
pub(super) fn written(bytes: &[u8]) -> String {
    let mut chosen = Chosen(bytes);
    let is_command_first = chosen.one(&["", "", "COMMAND"]);
    let first = chosen.filled(is_command_first);
    let template = chosen.one(ITEMS);
    let item = chosen.filled(template);
    let required = chosen.one(REQUIRED);
    // The options come last and take the remaining bytes, so that one more byte is one more word.
    let options = chosen.all(OPTIONS);
    format!("{first}#[kafka_handler({required} {options})] {item}")
}

struct Chosen<'a>(&'a [u8]);

impl Chosen<'_> {
    /// The next byte; zero past the end.
    fn next(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    fn one(&mut self, words: &[&'static str]) -> &'static str {
        words[self.next() % words.len()]
    }

    fn some(&mut self, most: usize, words: &[&'static str]) -> String {
        (0..self.next() % most).map(|_| self.one(words)).collect::<Vec<_>>().join(" ")
    }

    fn all(&mut self, words: &[&'static str]) -> String {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            all.push(self.one(words));
        }
        all.join(" ")
    }

    /// Replaces each placeholder of a template with a word.
    fn filled(&mut self, template: &str) -> String {
        let mut filled = String::new();
        for word in template.split(' ') {
            match word {
                "ATTR" => filled.push_str(self.one(ATTRIBUTES)),
                "VIS" => filled.push_str(self.one(VISIBILITIES)),
                "NAME" => filled.push_str(self.one(NAMES)),
                "TYPE" => filled.push_str(self.one(TYPES)),
                "OUT" => filled.push_str(self.one(OUTPUTS)),
                "SELF" => filled.push_str(self.one(RECEIVERS)),
                "PAT" => filled.push_str(self.one(PATTERNS)),
                "BODY" => filled.push_str(self.one(BODIES)),
                "GENERIC" => filled.push_str(self.one(GENERICS)),
                "ASYNC" => filled.push_str(self.one(&["async", "", "const", "unsafe extern \"C\""])),
                "COMMAND" => {
                    let options = if self.next() < 128 { String::new() } else { self.some(12, OPTIONS) };
                    let command = match self.next() % 8 {
                        0 => "#[command]".to_owned(),
                        1 => format!("#[kafka_rpc::command({options})]"),
                        2 => format!("#[command({options})] #[command(\"AGAIN\")]"),
                        3 => String::new(),
                        _ => format!("#[command(Enum::Variant, {options})]"),
                    };
                    filled.push_str(&command);
                }
                word => filled.push_str(word),
            }
            filled.push(' ');
        }
        filled
    }
}

const ITEMS: &[&str] = &[
    "ATTR VIS trait NAME { COMMAND ATTR ASYNC fn NAME ( SELF , PAT : TYPE ) -> OUT ; }",
    "ATTR VIS trait NAME { COMMAND async fn NAME ( SELF ) -> OUT BODY COMMAND async fn NAME ( &self ) -> OUT ; }",
    "ATTR VIS trait NAME GENERIC { COMMAND async fn NAME ( &self , PAT : TYPE ) -> OUT BODY type A ; }",
    "ATTR impl GENERIC NAME for TYPE { ATTR async fn NAME ( SELF , PAT : TYPE , PAT : TYPE ) -> OUT BODY }",
    "impl NAME for Service { async fn NAME ( &self ) -> OUT BODY async fn NAME ( &self , PAT : TYPE ) -> OUT BODY }",
    "ATTR impl GENERIC TYPE { COMMAND ATTR VIS ASYNC fn NAME ( SELF , PAT : TYPE , PAT : TYPE ) -> OUT BODY fn a() {} }",
    "impl Service { COMMAND VIS async fn NAME ( &self ) -> OUT BODY COMMAND VIS async fn NAME ( SELF ) BODY const A: u8 = 1; }",
    "ATTR VIS mod NAME { use super::*; COMMAND VIS ASYNC fn NAME ( PAT : TYPE , PAT : TYPE ) -> OUT BODY struct A; }",
    "VIS mod NAME { COMMAND ATTR async fn NAME ( ) -> OUT BODY COMMAND async fn NAME ( PAT : TYPE ) -> OUT BODY }",
    "ATTR VIS ASYNC fn NAME ( PAT : TYPE , PAT : TYPE ) -> OUT BODY",
    "COMMAND ATTR VIS async fn NAME ( PAT : TYPE ) -> OUT BODY",
    "ATTR COMMAND async fn NAME GENERIC ( PAT : TYPE ) BODY",
    "ATTR VIS mod NAME ;",
    "ATTR VIS struct NAME ;",
];

/// Options without which most items would not be expanded.
const REQUIRED: &[&str] = &[
    "topic = \"orders\", group = \"orders\",",
    "topic = TOPIC, group = GROUP, register = false,",
    "dead_letters_of = \"orders\", group = \"orders\",",
    "",
];

const OPTIONS: &[&str] = &[
    "replies = none,",
    "dead_letter = none,",
    "dialect = \"any\",",
    "ordering = \"partition\",",
    "concurrency = MOST,",
    "retry = none,",
    "retry = a::POLICY,",
    "retry(max = 2, base = \"1ms\", factor = 1.5, jitter = true),",
    "timeout = \"5s\",",
    "dedupe = \"10m\",",
    "client = none,",
    "client = Name,",
    "register = false,",
    "crate = ::a::b,",
    "key = a.0.b,",
    "envelope,",
    ",",
    "=",
    "topic = \"orders\",",
    "group = \"orders\",",
    "topic",
    "group",
    "replies",
    "dead_letter",
    "retry_topic",
    "dialect",
    "ordering",
    "concurrency",
    "retry",
    "timeout",
    "dedupe",
    "client",
    "register",
    "crate",
    "envelope",
    "dead_letters_of",
    "key",
    "max",
    "base",
    "factor",
    "max_delay",
    "jitter",
    "retry(",
    "(",
    ")",
    "none",
    "true",
    "false",
    "\"orders\"",
    "\"a b\"",
    "\"\"",
    "\"..\"",
    "\"key\"",
    "\"nest\"",
    "\"5s\"",
    "\"0ms\"",
    "\"18446744073709551615ms\"",
    "\"5124095576030h\"",
    "\"é\"",
    "0",
    "1",
    "64",
    "3u8",
    "-",
    "2.5",
    "0.5",
    "1e999",
    "4294967296",
    "b\"x\"",
    "c\"x\"",
    "'x'",
    "'a",
    "r#\"x\"#",
    "Name",
    "r#type",
    "_",
    "__last",
    "a",
    "a.b",
    "self",
    "Self",
    "super",
    "::",
    ".",
    "..",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "!",
    "#",
    "$",
    "$(",
    "&",
    "|",
    "?",
    "fn",
    "async",
    "async { 1 }",
    "match a {}",
    "a::<u8>",
    "a(b)->c",
    "=>",
    "==",
    "+",
    "r#client",
    "concat!(\"a\", \"b\")",
    "toppic",
];

const ATTRIBUTES: &[&str] = &[
    "",
    "",
    "/// Words.\n",
    "#[doc = concat!()]",
    "#[cfg(test)]",
    "#[deprecated]",
    "#[async_trait::async_trait]",
    "#[allow(unused)]",
    "#[cfg(any())] #[deprecated(note = \"x\")] #[doc(hidden)]",
];

const VISIBILITIES: &[&str] = &[
    "",
    "pub",
    "pub(crate)",
    "pub(super)",
    "pub(self)",
    "pub(in crate::a)",
    "pub(in super::super)",
    "pub(in ::a)",
    "pub(in self::a)",
    "pub(in a::b)",
];

const NAMES: &[&str] = &[
    "connect",
    "Connect",
    "on_alert",
    "HTTPServer",
    "_1",
    "_1_2",
    "__",
    "r#type",
    "r#async",
    "raw",
    "clone",
    "handlers",
    "client",
    "requirements",
    "request",
    "context",
    "Straße",
    "ŉ",
    "ﬁx",
    "İ",
    "ǆ",
    "ΐ",
    "名",
    "x1y",
    "Self",
    "result",
    "reply",
];

const TYPES: &[&str] = &[
    "u8",
    "()",
    "Service",
    "Self",
    "Self::Item",
    "Self<u8>",
    "Self::<u8>::A",
    "<Self as Tr>::Item",
    "Vec<Self>",
    "&str",
    "&'static [u8]",
    "&mut Self",
    "*const u8",
    "impl Tr",
    "Vec<impl Tr>",
    "dyn Tr + Send",
    "Arc<Self>",
    "Box<Service>",
    "DeadLetter",
    "kafka_rpc::DeadLetter",
    "a::Service<T>",
    "::a::Service",
    "(u8, Self)",
    "[u8; 4]",
    "[Self; { 1 }]",
    "fn(Self) -> u8",
    "for<'a> fn(&'a u8)",
    "_",
    "!",
    "T",
    "State<T>",
    "Option<UserId>",
    "macro_type!()",
    "(Self)",
    "$( u8 )",
    "A<{ 1 }, B = Self>",
    "<T>::A",
    "Self!()",
];

const OUTPUTS: &[&str] = &[
    "Result<(), RpcError>",
    "Result<u8, E>",
    "()",
    "Self",
    "Result<Self, Self::Error>",
    "Result<Self<u8>, E>",
    "impl Future<Output = Self>",
    "NoReply",
    "a::Result<Vec<Self>>",
    "!",
    "(Self, u8)",
    "$( Self )",
    "Self!()",
    "fn() -> Self",
    "Result<[u8; 2], <Self as Tr>::E>",
];

const RECEIVERS: &[&str] = &[
    "&self",
    "&self",
    "&self",
    "&self",
    "&self",
    "&mut self",
    "self",
    "mut self",
    "self: Arc<Self>",
    "&'a self",
    "this: u8",
    "self: &Self",
];

const PATTERNS: &[&str] = &[
    "request",
    "_",
    "_unused",
    "mut request",
    "ref request",
    "(a, b)",
    "r#type",
    "whole @ 1",
    "context",
    "service",
    "State(state)",
    "Self { a }",
    "result",
    "[a, ..]",
    "&a",
    "1 | 2",
    "request_2",
    "argument_2",
    "m!()",
];

const BODIES: &[&str] = &[
    "{ Ok(()) }",
    "{ todo!() }",
    "{}",
    "{ #[command] fn a() {} Self::a(1)?; self.0 }",
    "{ #![allow(unused)] return; }",
];

const GENERICS: &[&str] = &["", "", "<T>", "<'a>", "<const N: usize>", "<T: Clone, 'a>", "<T = u8>"];
