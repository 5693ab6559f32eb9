//! Runs the deployment as separate processes: a service and two concurrent callers, each of which gets its
//! own replies.

use std::{
    env,
    error::Error,
    process::{Child, Command, Output, Stdio},
};

use kafka_rpc::testing::EmbeddedBroker;

/// Kills a process that a failing test leaves behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn two_callers_at_once_each_get_all_their_own_replies_and_the_service_ends_when_it_is_told() {
    callers_and_service().expect("processes run");
}

fn callers_and_service() -> Result<(), Box<dyn Error>> {
    let embedded = if env::var_os("KAFKA_BROKERS").is_none() { Some(EmbeddedBroker::start()?) } else { None };
    let run = |program: &str| {
        let mut command = Command::new(program);
        if let Some(broker) = &embedded {
            command.env("KAFKA_BROKERS", broker.brokers());
        }
        command
    };
    // Fewer calls on the embedded broker: it answers an empty fetch only after the full wait, even if a
    // record arrives meanwhile.
    let calls = if embedded.is_some() { "200" } else { "10000" };
    let mut service = Running(run(env!("CARGO_BIN_EXE_service")).spawn()?);
    // Run a caller once before the load: the first calls wait for topics to be created.
    said(&run(env!("CARGO_BIN_EXE_caller")).output()?);
    let callers = [(); 2].map(|()| {
        let mut caller = run(env!("CARGO_BIN_EXE_caller"));
        caller
            .args(["--calls", calls, "--in-flight", "64"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    });
    for caller in callers {
        let said = said(&caller?.wait_with_output()?);
        assert!(said.lines().any(|line| line.split_whitespace().eq(["answered", calls])), "{said}");
    }
    let told = Command::new("kill").args(["-TERM", &service.0.id().to_string()]).status()?;
    assert!(told.success() && service.0.wait()?.success());
    Ok(())
}

/// Returns the output of a process, which must have succeeded.
fn said(output: &Output) -> String {
    let all = [&*output.stdout, &output.stderr].concat();
    let said = String::from_utf8_lossy(&all).into_owned();
    assert!(output.status.success(), "{said}");
    said
}
