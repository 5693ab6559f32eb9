//! The configuration files of a broker.

use std::path::Path;

use super::Secured;

/// Settings of brokers beyond those of every test cluster.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Further lines of `server.properties`, which override the default ones.
    pub properties: Vec<(&'static str, String)>,
    /// The ports that a second listener of each broker advertises: those of the proxy in front of it.
    pub proxies: Vec<u16>,
    /// A further listener of each broker that authenticates or encrypts.
    pub secured: Option<Secured>,
}

/// The ports that a broker may listen on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) clients: u16,
    pub(super) controllers: u16,
    /// Behind a proxy.
    pub(super) proxied: u16,
    pub(super) secured: u16,
}

impl Ports {
    pub(super) const EACH: usize = 4;

    pub(super) fn of(ports: [u16; Self::EACH]) -> Self {
        let [clients, controllers, proxied, secured] = ports;
        Self { clients, controllers, proxied, secured }
    }
}

/// The `server.properties` of one broker of the cluster in this folder. If a name occurs twice, the last line
/// counts.
pub(super) fn server(index: usize, all: &[Ports], cluster: &Path, extras: &Extras) -> String {
    let id = index + 1;
    let home = cluster.join(index.to_string());
    let voter = |(index, ports): (usize, &Ports)| format!("{}@127.0.0.1:{}", index + 1, ports.controllers);
    let voters = all.iter().enumerate().map(voter).collect::<Vec<_>>().join(",");
    let replicas = all.len().min(3);
    let in_sync = replicas.saturating_sub(1).max(1);
    let mut lines = format!(
        "process.roles=broker,controller\n\
         node.id={id}\n\
         controller.quorum.voters={voters}\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={data}\n\
         num.partitions=3\n\
         default.replication.factor={replicas}\n\
         min.insync.replicas={in_sync}\n\
         offsets.topic.replication.factor={replicas}\n\
         offsets.topic.num.partitions=8\n\
         transaction.state.log.replication.factor={replicas}\n\
         transaction.state.log.min.isr={in_sync}\n\
         share.coordinator.state.topic.replication.factor={replicas}\n\
         share.coordinator.state.topic.min.isr={in_sync}\n\
         group.initial.rebalance.delay.ms=0\n\
         broker.session.timeout.ms=6000\n\
         group.consumer.min.session.timeout.ms=6000\n\
         group.consumer.session.timeout.ms=6000\n\
         group.consumer.min.heartbeat.interval.ms=500\n\
         group.consumer.heartbeat.interval.ms=500\n\
         auto.create.topics.enable=false\n",
        data = home.join("data").display(),
    );
    lines += &listeners(all[index], extras.proxies.get(index).copied(), extras.secured);
    if let Some(secured) = extras.secured {
        lines += &secured.server_properties(cluster);
    }
    lines.extend(extras.properties.iter().map(|(name, value)| format!("{name}={value}\n")));
    lines
}

fn listeners(ports: Ports, proxy: Option<u16>, secured: Option<Secured>) -> String {
    let mut listeners = vec![format!("PLAINTEXT://127.0.0.1:{}", ports.clients)];
    let mut advertised = listeners.clone();
    let mut protocols = vec!["PLAINTEXT:PLAINTEXT".to_owned(), "CONTROLLER:PLAINTEXT".to_owned()];
    listeners.push(format!("CONTROLLER://127.0.0.1:{}", ports.controllers));
    if let Some(proxy) = proxy {
        listeners.push(format!("PROXIED://127.0.0.1:{}", ports.proxied));
        advertised.push(format!("PROXIED://127.0.0.1:{proxy}"));
        protocols.push("PROXIED:PLAINTEXT".to_owned());
    }
    if let Some(secured) = secured {
        listeners.push(format!("SECURED://127.0.0.1:{}", ports.secured));
        advertised.push(format!("SECURED://127.0.0.1:{}", ports.secured));
        protocols.push(format!("SECURED:{}", secured.protocol()));
    }
    format!(
        "listeners={}\nadvertised.listeners={}\nlistener.security.protocol.map={}\n",
        listeners.join(","),
        advertised.join(","),
        protocols.join(",")
    )
}

/// `log4j2.yaml` of a broker.
pub(super) fn logging(home: &Path) -> String {
    format!(
        "Configuration:\n  status: error\n  Appenders:\n    File: {{name: F, fileName: \"{}\", \
         PatternLayout: {{pattern: \"[%d] %p %m (%c)%n%throwable\"}}}}\n  Loggers:\n    Root: {{level: warn, \
         AppenderRef: {{ref: F}}}}\n",
        home.join("server.log").display()
    )
}
