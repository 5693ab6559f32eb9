//! Runs the dashboard, which checks the replies it gets and exits with an error if one is wrong.

use std::process::Command;

#[test]
fn the_dashboard_runs_to_its_end_on_a_broker_of_its_own() {
    let dashboard = Command::new(env!("CARGO_BIN_EXE_dashboard")).env_remove("KAFKA_BROKERS").output();
    let dashboard = dashboard.expect("it starts");
    let said = [dashboard.stdout, dashboard.stderr].concat();
    assert!(dashboard.status.success(), "{}", String::from_utf8_lossy(&said));
}
