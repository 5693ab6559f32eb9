//! Tests that values of any type can be provided, and taken by any extractor.

use std::{any::type_name, sync::Arc};

use kafka_rpc::{
    Context, FromRecord, OptionalFromRecord, Requirements, RpcError, Runtime, State, kafka_handler,
};
use tokio::task::yield_now;

trait Repository: Send + Sync {
    fn name(&self) -> &'static str;
}

struct InMemory;

impl Repository for InMemory {
    fn name(&self) -> &'static str {
        "in memory"
    }
}

type Named = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A generic extractor, bound to `'static`, whose value is ready only after a yield.
struct Slowly<T>(T);

impl<T: Clone + Send + Sync + 'static> FromRecord for Slowly<T> {
    type Rejection = RpcError;

    async fn from_record(context: &Context) -> Result<Self, RpcError> {
        let value = context.state::<T>().ok_or_else(|| RpcError::internal(type_name::<T>()))?;
        yield_now().await;
        Ok(Self(value.clone()))
    }
}

impl<T: Clone + Send + Sync + 'static> OptionalFromRecord for Slowly<T> {
    type Rejection = RpcError;

    async fn optional_from_record(context: &Context) -> Result<Option<Self>, RpcError> {
        yield_now().await;
        Ok(context.state::<T>().cloned().map(Self))
    }
}

#[kafka_handler(topic = "states-commands", group = "states")]
mod states {
    use super::{Arc, Named, Repository, RpcError, Slowly, State};

    #[command("DYN")]
    async fn of_a_trait(_: (), State(repository): State<Arc<dyn Repository>>) -> Result<String, RpcError> {
        Ok(repository.name().to_owned())
    }

    #[command("FN")]
    async fn of_a_closure(name: String, State(named): State<Named>) -> Result<String, RpcError> {
        Ok(named(&name))
    }

    #[command("STATIC")]
    async fn of_a_static(_: (), State(text): State<&'static str>) -> Result<String, RpcError> {
        Ok(text.to_owned())
    }

    #[command("SLOWLY")]
    async fn of_an_own_extractor(
        _: (),
        Slowly(repository): Slowly<Arc<dyn Repository>>,
        absent: Option<Slowly<Vec<&'static str>>>,
        State(_named): State<Named>,
    ) -> Result<String, RpcError> {
        Ok(format!("{} and {}", repository.name(), absent.is_none()))
    }
}

#[tokio::test]
async fn a_value_of_any_type_reaches_its_handler() {
    use states::StatesClient as _;

    let repository: Arc<dyn Repository> = Arc::new(InMemory);
    let named: Named = Arc::new(|name| format!("Dr. {name}"));
    let runtime = Runtime::builder().provide(repository).provide(named).provide("static");
    let loopback = runtime.build().expect("all is provided").loopback();
    let client = loopback.client();
    assert_eq!(client.of_a_trait().await.expect("served"), "in memory");
    assert_eq!(client.of_a_closure("Who".to_owned()).await.expect("served"), "Dr. Who");
    assert_eq!(client.of_a_static().await.expect("served"), "static");
    assert_eq!(client.of_an_own_extractor().await.expect("served"), "in memory and true");
}

#[kafka_handler(topic = "vault-commands", group = "vault")]
trait Vault {
    #[command("OPEN")]
    async fn open(&self, _: ()) -> Result<(), RpcError>;
}

struct Door;

#[kafka_handler(register = false)]
impl Vault for Door {
    async fn open(&self, _: (), State(_key): State<u128>) -> Result<(), RpcError> {
        Ok(())
    }
}

#[test]
fn what_a_service_lacks_is_told_with_its_own_line_and_not_with_that_of_the_contract() {
    let runtime = Runtime::builder().without_registry().provide(Door);
    let problem = runtime.handlers(<Door as Vault>::handlers()).build().expect_err("no key").to_string();
    let written =
        include_str!("states.rs").lines().position(|line| line.contains("State(_key): State<u128>) ->"));
    let place = format!("{}:{}", file!(), written.map_or(0, |before| before + 1));
    assert!(problem.contains("u128") && problem.contains(&place), "{problem}");
}

/// An extractor that may be absent, but never does without its state.
struct Session;

impl OptionalFromRecord for Session {
    type Rejection = RpcError;

    fn requires(requirements: &mut Requirements) {
        requirements.state::<i128>();
    }

    async fn optional_from_record(context: &Context) -> Result<Option<Self>, RpcError> {
        Ok(context.state::<i128>().map(|_session| Self))
    }
}

#[kafka_handler(topic = "sessions-commands", group = "sessions", register = false)]
async fn open(_: (), session: Option<Session>) -> Result<bool, RpcError> {
    Ok(session.is_some())
}

#[test]
fn what_an_optional_extractor_cannot_do_without_is_missed_when_the_runtime_is_built() {
    let runtime = Runtime::builder().without_registry().handlers(open_handlers());
    let problem = runtime.build().expect_err("nothing was provided").to_string();
    assert!(problem.contains("no `i128` was provided"), "{problem}");
}
