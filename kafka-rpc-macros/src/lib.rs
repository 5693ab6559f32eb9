//! The attributes of kafka-rpc: [`macro@kafka_handler`] and [`macro@command`].
//!
//! Every form goes the same way: `parse` turns the item into one `model`, `validate` holds all rules, and
//! `expand` has one function for each item that is generated.

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
/// It goes on
///
/// - a **trait**: a contract, that a service implements and others call. Every method is a `#[command(..)]`, an
///   `async fn` that takes `&self` and at most the payload. A default body is how a command is added without
///   breaking implementors; it cannot call the other commands by their short form. With the dialect `"nest"` or
///   `"spring"`, where a topic is all that names what is asked for, a contract may be a single method without
///   `#[command(..)]`: it takes every record of the topic.
/// - an **`impl` of a contract**: no options are needed. The functions may take extractors after the payload
///   and return any error that is `Into<RpcError>`. They stay inherent functions too, so that unit tests call
///   them directly. So two contracts that have a method of one name cannot be implemented for one type: the compiler
///   says that there are duplicate definitions (E0592). Give each contract a type of its own, as
///   `struct Trading(Arc<Service>);`.
/// - an **inherent `impl` block**: its `#[command(..)]` methods are handlers, the rest is left alone. One block
///   of a type can be annotated.
/// - an **inline module**: its `#[command(..)]` functions are handlers, the rest is left alone. In the body of a
///   function it takes literals only as options, since it cannot name what is in a body.
/// - a **free `async fn`** with `#[command(..)]`: one command of a topic. Without: every record of the topic
///   that no command's handler takes.
///
/// ```ignore
/// #[kafka_handler(topic = "settings-commands", group = "settings")]
/// impl SettingsService {
///     #[command(SettingsCommand::Update)]
///     async fn update(&self, request: Update, user: UserId) -> Result<Settings, RpcError> { .. }
/// }
/// ```
///
/// The first argument of a handler is its payload, those after it are extractors. No arguments, or `_: ()`
/// first: no payload is read. Handlers register by themselves when their crate is linked.
///
/// # Options
///
/// - `topic = "..."`, `group = "..."`: what is consumed, and as which consumer group. Required, except on the
///   impl of a contract. A literal, or any constant expression of type `&'static str`.
/// - `replies = "..."`, or `none`: the topic of the replies. By default the topic with `-commands` replaced by
///   `-responses`, else `<topic>-responses`. `none` makes the commands events: calls can only be notified.
/// - `dialect = "reference"`, `"nest"`, `"spring"` or `"any"`: how requests, replies and dead letters are written. By
///   default `"reference"`, as the package `@makebelieve21213-packages/kafka-client` does it. `"nest"` is for
///   `ClientKafka` and `@MessagePattern` of NestJS, whose replies go to `<topic>.reply` by default; `"spring"` is for
///   `ReplyingKafkaTemplate` and `@KafkaListener` of Spring Kafka. With `"any"` each request is answered as it came,
///   and the client speaks `"reference"`. See `kafka_rpc::Dialect`.
/// - `dead_letter = "..."`, or `none`: the topic of what cannot be handled. By default `<topic>.dlq`.
/// - `ordering = "key"`, `"partition"` or `"none"`: which records are handled one at a time. By default `"key"`.
/// - `concurrency = 64`: how many handlers run at once, at least 1. By default 256, and as many again for what comes from a
///   retry topic.
/// - `retry_topic = "..."`: retries wait on this topic and not in the process, so that a delay may be longer and
///   survives a restart: as long as the policy's `longest_delay`, seven days where it states none (what is due later runs
///   at once). A retried record no longer waits its turn among those of its key. Nothing else
///   may read that topic, which the runtime's `build()` checks. By default they wait in the process, for no longer than
///   the runtime's `drain_timeout`.
/// - `retry`, `timeout` and `dedupe`: as for [`macro@command`], for every command of the item that does not state
///   its own; of a free function without `#[command]`, for every record.
/// - `dead_letters_of = "..."`: only on a free function without `#[command]`, and instead of `topic`. The
///   function handles the dead letters of that topic, which lie where the `dead_letter` of its handlers says, if their crate
///   is linked, and else in `<topic>.dlq`; its payload is a `DeadLetter`. What it cannot handle stays
///   in the dead-letter topic. It is not answered and has no client, so it takes none of `replies`,
///   `dead_letter`, `retry_topic`, `dialect`, `dedupe`, `envelope` and `client`.
/// - `client = Name`, or `none`: the name of the generated client trait, or that there is none. By default the
///   item's name with `Client`: `BybitClient`, `SettingsServiceClient`, `tools::ToolsClient`, `OnAlertClient`.
/// - `register = false`: the handlers do not register by themselves; they are given to the runtime with
///   `.handlers(..)`. Required on a generic `impl`. Not on a contract, which registers nothing.
/// - `crate = path`: where kafka-rpc is, if not at `::kafka_rpc`. A path that holds inside the item too.
/// - `envelope`: only on a free function without `#[command]`. Its payload is the `payload` of the command
///   envelope, not the whole value of the record.
///
/// The impl of a contract takes `register` and `crate` only.
///
/// # What is generated
///
/// The client trait, as visible as the item (of an `impl` block: as its most visible command); and a function
/// that makes the handlers, for `.handlers(..)`: `<Service as Contract>::handlers()`, `Service::handlers()`,
/// `module::handlers()` or `function_handlers()`. Docs, `cfg` and `deprecated` of a command are copied to its
/// client method.
#[proc_macro_attribute]
pub fn kafka_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::kafka_handler(options.into(), &item.into()).into()
}

/// Names the command that a function handles.
///
/// It goes on a function inside an item with [`macro@kafka_handler`], or beside it on a free function, in
/// either order. `kafka_handler` reads it and takes it off, so it need not be imported, except where it stands
/// before `kafka_handler` on a free function.
///
/// ```ignore
/// #[command(BybitCommand::GetBalance, key = account.id)]
/// async fn get_balance(&self, request: GetBalance) -> Result<Balance, RpcError>;
/// ```
///
/// # Options
///
/// - first the command: the path of a unit variant of an enum that derives `serde::Serialize`, whose name for
///   serde is the name on the wire; or a string literal.
/// - `key = field.path`: the field of the payload that is the record key of a call, so that the calls of one
///   account are handled in order. Anything with `Display`. By default the correlation id (to Spring none).
/// - `retry(max = 3, base = "1s", factor = 2, max_delay = "30s", jitter = false)`: how often a failure that is
///   not final (a 5xx, a timeout, a panic) is tried again, and after which delays. These are the defaults, so 3
///   retries after 1 s, 2 s and 4 s; each part may be left out. Each delay is `factor` times the one before, at
///   most `max_delay`; with `jitter` it is cut by up to a half, by chance, so that what failed together is not
///   retried together. `retry = none` turns retries off; `retry = POLICY` is the path of a constant, a static or
///   a unit struct whose type implements `RetryPolicy`. Retries wait in the process unless the item has a
///   `retry_topic`, which a delay longer than the runtime's `drain_timeout` needs.
/// - `timeout = "5s"`: how long the handler may run before it is stopped and counts as failed, with a 504. The calls that it
///   makes end with it. By default as long as it takes.
/// - `dedupe = "10m"`: for how long successes are kept, to answer a repeated request (the same correlation id)
///   with the first instead of running the handler twice. In one instance and in memory: a repetition
///   that another instance gets, or one after a restart, runs again. By default not at all.
///
/// Durations are whole numbers above zero with `ms`, `s`, `m` or `h`: `"250ms"`, `"5s"`, `"10m"`, `"2h"`.
///
/// The contract states them, not its impl.
#[proc_macro_attribute]
pub fn command(options: TokenStream, item: TokenStream) -> TokenStream {
    command::command(&options.into(), &item.into()).into()
}
