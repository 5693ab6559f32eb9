//! A running program of another language, which takes questions and answers in lines of JSON.
//!
//! The program writes `{"ready": true}` to its standard output once it takes questions, then an answer to
//! each question: `{"id": 1, "result": ..}` or `{"id": 1, "error": ..}`, in any order. Other objects are
//! events, such as what its handlers have seen. Lines that are not JSON, and the standard error, are kept for
//! the message of a failure. The program ends when its standard input does.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{oneshot, watch},
    time,
};

use crate::BOUND;

/// How long a program may take to get ready: seconds on a quiet machine.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// A running program. Dropping it kills the process.
#[derive(Debug)]
pub struct Program {
    what: String,
    child: Child,
    stdin: tokio::sync::Mutex<ChildStdin>,
    asked: AtomicU64,
    shared: Arc<Shared>,
}

/// What the program has said.
#[derive(Debug, Default)]
struct Shared {
    heard: watch::Sender<Heard>,
    answers: Mutex<HashMap<u64, oneshot::Sender<Result<Value, Value>>>>,
    noise: Mutex<String>,
}

#[derive(Debug, Default)]
struct Heard {
    is_ready: bool,
    has_ended: bool,
    said: Vec<Value>,
}

impl Program {
    /// Starts a program, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If the program does not start, ends, or is not ready in time. The message has its output.
    pub async fn start(command: std::process::Command) -> Self {
        let what = format!("{command:?}");
        let mut command = Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            panic!("{what}: its pipes were asked for");
        };
        let shared = Arc::<Shared>::default();
        tokio::spawn(listen(stdout, Arc::clone(&shared)));
        tokio::spawn(overhear(stderr, Arc::clone(&shared)));
        let program = Self { what, child, stdin: stdin.into(), asked: AtomicU64::new(0), shared };
        program.wait("it is ready", READY_WITHIN, |heard| heard.is_ready.then_some(())).await;
        program
    }

    /// Starts `node <program> <arguments>` in the folder of a project.
    ///
    /// # Panics
    ///
    /// As [`Program::start`].
    pub async fn node(folder: &std::path::Path, program: &str, arguments: &Value) -> Self {
        let mut node = std::process::Command::new("node");
        node.arg(program).arg(arguments.to_string()).current_dir(folder);
        Self::start(node).await
    }

    /// Sends a question, and waits for the answer: its result or its error.
    ///
    /// # Panics
    ///
    /// If `question` is no object, or the program does not answer.
    pub async fn ask(&self, mut question: Value) -> Result<Value, Value> {
        let id = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        question["id"] = json!(id);
        let (answer, answered) = oneshot::channel();
        locked(&self.shared.answers).insert(id, answer);
        if self.shared.heard.borrow().has_ended {
            self.fail("it has ended");
        }
        let line = format!("{question}\n");
        if let Err(error) = self.stdin.lock().await.write_all(line.as_bytes()).await {
            self.fail(&error.to_string());
        }
        match time::timeout(BOUND, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_sender_is_gone)) => self.fail(&format!("it ended without an answer to {question}")),
            Err(_elapsed) => self.fail(&format!("no answer within {BOUND:?} to {question}")),
        }
    }

    /// Waits for an event that `wanted` accepts, which the program may have written already.
    ///
    /// # Panics
    ///
    /// If no such event comes.
    pub async fn says(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, BOUND, |heard| heard.said.iter().find(|value| wanted(value)).cloned()).await
    }

    /// Every event that the program has written, in order.
    pub fn said(&self) -> Vec<Value> {
        self.shared.heard.borrow().said.clone()
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    async fn wait<T>(&self, what: &str, within: Duration, mut found: impl FnMut(&Heard) -> Option<T>) -> T {
        let mut heard = self.shared.heard.subscribe();
        let mut value = None;
        let waited = time::timeout(
            within,
            heard.wait_for(|heard| {
                value = found(heard);
                value.is_some() || heard.has_ended
            }),
        )
        .await
        .is_ok();
        match value {
            Some(value) => value,
            None if waited => self.fail(&format!("it ended before this: {what}")),
            None => self.fail(&format!("not within {within:?}: {what}")),
        }
    }

    fn fail(&self, why: &str) -> ! {
        let said = self.said();
        let noise = locked(&self.shared.noise);
        panic!("{}: {why}\nit said: {said:?}\nand beside that:\n{noise}", self.what)
    }
}

async fn listen(stdout: impl AsyncRead + Unpin, shared: Arc<Shared>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str::<Value>(&line) {
            Ok(Value::Object(object)) => hear(Value::Object(object), &shared),
            _ => note(&shared, &line),
        }
    }
    shared.heard.send_modify(|heard| heard.has_ended = true);
    locked(&shared.answers).clear();
}

fn hear(mut line: Value, shared: &Shared) {
    if line["ready"] == json!(true) {
        shared.heard.send_modify(|heard| heard.is_ready = true);
    } else if let Some(id) = line["id"].as_u64() {
        let answer =
            if line["error"].is_null() { Ok(line["result"].take()) } else { Err(line["error"].take()) };
        let asked = locked(&shared.answers).remove(&id);
        // The task that asked may have stopped waiting.
        let _gone = asked.map(|asked| asked.send(answer));
    } else {
        shared.heard.send_modify(|heard| heard.said.push(line));
    }
}

async fn overhear(stderr: impl AsyncRead + Unpin, shared: Arc<Shared>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        note(&shared, &line);
    }
}

fn note(shared: &Shared, line: &str) {
    let mut noise = locked(&shared.noise);
    noise.push_str(line);
    noise.push('\n');
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
