//! The attributes of kafka-rpc: [`macro@kafka_handler`] and [`macro@command`].
//!
//! All forms take the same path: `parse` turns the item into one `model`, `validate` holds all rules, and
//! `expand` has one function for each generated item.

mod attr;
mod bodies;
mod choice;
mod command;
mod errors;
mod expand;
mod failure;
#[cfg(test)]
mod fuzzing;
mod key;
mod model;
mod parse;
mod position;
mod types;
mod validate;
mod written;

use proc_macro::TokenStream;

/// Serves the commands of a Kafka topic, and generates the client that calls them.
///
/// The attribute goes on
///
/// - a **trait**: a contract that a service implements and others call. Every method is a `#[command(..)]`,
///   an `async fn` that takes `&self` and at most the payload. A default body allows a command to be added
///   without breaking implementors; the body cannot call other commands in the short form
///   `self.command(payload)`. With the dialect `"nest"` or `"spring"`, in which only the topic names the
///   request, a contract may be a single method without `#[command(..)]`, which takes every record of the
///   topic.
/// - an **`impl` of a contract**: needs no options. The functions may take extractors after the payload and
///   return any error that is `Into<RpcError>`. They remain inherent functions too, so that unit tests can
///   call them directly. One type therefore cannot implement two contracts that have a method of the same
///   name: the compiler reports duplicate definitions (E0592). Give each contract a type of its own, such as
///   `struct Trading(Arc<Service>);`.
/// - an **inherent `impl` block**: its `#[command(..)]` methods are handlers, the rest is left alone. Only
///   one block of a type can be annotated.
/// - an **inline module**: its `#[command(..)]` functions are handlers, the rest is left alone. In the body
///   of a function, a module takes only literals as options, since it cannot name the items of that body.
/// - a **free `async fn`**: with `#[command(..)]` it handles one command of a topic; without, every record of
///   the topic that no command's handler takes.
///
/// ```ignore
/// #[kafka_handler(topic = "settings-commands", group = "settings")]
/// impl SettingsService {
///     #[command(SettingsCommand::Update)]
///     async fn update(&self, request: Update, user: UserId) -> Result<Settings, RpcError> { .. }
/// }
/// ```
///
/// The first argument of a handler is its payload, those after it are extractors. Without arguments, or with
/// `_: ()` first, no payload is read. Handlers register automatically when their crate is linked.
///
/// # Options
///
/// - `topic = "..."`, `group = "..."`: the topic to consume, and the consumer group to consume it as.
///   Required, except on the impl of a contract. A literal, or any constant expression of type
///   `&'static str`.
/// - `replies = "..."`, or `none`: the topic of the replies. By default the topic with `-commands` replaced
///   by `-responses`, else `<topic>-responses`. `none` makes the commands events: calls can only be notified.
/// - `dialect = "reference"`, `"nest"`, `"spring"` or `"any"`: how requests, replies and dead letters are
///   written. The default `"reference"` is the format of the package
///   `@makebelieve21213-packages/kafka-client`. `"nest"` is for `ClientKafka` and `@MessagePattern` of
///   NestJS, whose replies go to `<topic>.reply` by default; `"spring"` is for `ReplyingKafkaTemplate` and
///   `@KafkaListener` of Spring Kafka. With `"any"` each request is answered in its own dialect, and the
///   client speaks `"reference"`. See `kafka_rpc::Dialect`.
/// - `dead_letter = "..."`, or `none`: the topic for records that cannot be handled. By default
///   `<topic>.dlq`.
/// - `ordering = "key"`, `"partition"` or `"none"`: which records are handled one at a time. By default
///   `"key"`.
/// - `concurrency = 64`: how many handlers run at once, at least 1. By default 256, and the same number again
///   for records from a retry topic.
/// - `retry_topic = "..."`: retries wait in this topic and not in the process, so that a delay may be longer
///   and survives a restart. A delay may be as long as the policy's `longest_delay`, or seven days if the
///   policy states none (a record that is due later runs at once). A retried record no longer waits its turn
///   among those of its key. Nothing else may read the topic, which the runtime's `build()` checks. By
///   default retries wait in the process, for no longer than the runtime's `drain_timeout`.
/// - `retry`, `timeout` and `dedupe`: as for [`macro@command`], for every command of the item that does not
///   state them; on a free function without `#[command]`, for every record.
/// - `dead_letters_of = "..."`: only on a free function without `#[command]`, and instead of `topic`. The
///   function handles the dead letters of that topic, which are read from the `dead_letter` topic of its
///   handlers if their crate is linked, and otherwise from `<topic>.dlq`; its payload is a `DeadLetter`. A
///   letter that it cannot handle stays in the dead-letter topic. The function sends no replies and has no
///   client, so it takes none of `replies`, `dead_letter`, `retry_topic`, `dialect`, `dedupe`, `envelope` and
///   `client`.
/// - `client = Name`, or `none`: the name of the generated client trait, or `none` to generate no client. By
///   default the item's name followed by `Client`: `BybitClient`, `SettingsServiceClient`,
///   `tools::ToolsClient`, `OnAlertClient`.
/// - `register = false`: the handlers do not register automatically; give them to the runtime with
///   `.handlers(..)`. Required on a generic `impl`. Not allowed on a contract, which registers nothing.
/// - `crate = path`: the path of kafka-rpc, if it is not `::kafka_rpc`. The path must be valid inside the
///   item too.
/// - `envelope`: only on a free function without `#[command]`. Its payload is the `payload` of the command
///   envelope, not the whole value of the record.
///
/// The impl of a contract takes only `register` and `crate`.
///
/// # What is generated
///
/// The client trait, as visible as the item (for an `impl` block, as its most visible command), and a
/// function that makes the handlers, for `.handlers(..)`: `<Service as Contract>::handlers()`,
/// `Service::handlers()`, `module::handlers()` or `function_handlers()`. The docs, `cfg` and `deprecated` of
/// a command are copied to its client method.
#[proc_macro_attribute]
pub fn kafka_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::kafka_handler(options.into(), &item.into()).into()
}

/// Names the command that a function handles.
///
/// The attribute goes on a function inside an item with [`macro@kafka_handler`], or beside it on a free
/// function, in either order. `kafka_handler` reads and removes it, so it need not be imported, unless it
/// stands before `kafka_handler` on a free function.
///
/// ```ignore
/// #[command(BybitCommand::GetBalance, key = account.id)]
/// async fn get_balance(&self, request: GetBalance) -> Result<Balance, RpcError>;
/// ```
///
/// # Options
///
/// - the command, which comes first: the path of a unit variant of an enum that derives `serde::Serialize`,
///   whose name in serde is the name on the wire; or a string literal.
/// - `key = field.path`: the field of the payload that is the record key of a call, so that, for example, the
///   calls of one account are handled in order. Any type with `Display`. By default the correlation id (with
///   the dialect `"spring"`, no key).
/// - `retry(max = 3, base = "1s", factor = 2, max_delay = "30s", jitter = false)`: how many times a failure
///   that is not final (a 5xx, a timeout, a panic) is retried, and after which delays. The values shown are
///   the defaults, which give 3 retries after 1 s, 2 s and 4 s; each part may be left out. Each delay is
///   `factor` times the one before, at most `max_delay`; `jitter` cuts it at random by up to a half, so that
///   records that failed together are not retried together. `retry = none` turns retries off;
///   `retry = POLICY` is the path of a constant, a static or a unit struct whose type implements
///   `RetryPolicy`. Retries wait in the process unless the item has a `retry_topic`, which a delay longer
///   than the runtime's `drain_timeout` needs.
/// - `timeout = "5s"`: how long the handler may run before it is stopped and counts as failed, with a 504.
///   Calls that it makes end with it. By default as long as it takes.
/// - `dedupe = "10m"`: how long successful answers are kept, so that a repeated request (the same correlation
///   id) gets the first answer instead of running the handler twice. Answers are kept in the memory of one
///   instance: a repetition that reaches another instance, or comes after a restart, runs again. By default
///   not at all.
///
/// Durations are whole numbers above zero with `ms`, `s`, `m` or `h`: `"250ms"`, `"5s"`, `"10m"`, `"2h"`.
///
/// The contract states these options, not its impl.
#[proc_macro_attribute]
pub fn command(options: TokenStream, item: TokenStream) -> TokenStream {
    command::command(&options.into(), &item.into()).into()
}
