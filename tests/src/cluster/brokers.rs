//! Real Apache Kafka brokers in `KRaft` mode, as processes on this machine: no Docker, no fixed port.

use std::{
    env, fs,
    io::{self, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kafka_rpc::Config;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    metadata::{Metadata, MetadataTopic},
};
use uuid::Uuid;

use super::{
    Extras, Secured,
    properties::{self, Ports},
};
use crate::{interrupt, process};

/// How long brokers may take to start: seconds on a quiet machine, a minute on a busy one.
const START_WITHIN: Duration = Duration::from_mins(2);

/// How long all replicas must be seen in sync before the cluster counts as in sync.
const IN_SYNC_FOR: Duration = Duration::from_secs(2);

/// How long a broker may take to stop cleanly before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A cluster of real brokers. Dropping it kills them and deletes their data.
#[derive(Debug)]
pub struct Brokers {
    home: PathBuf,
    classpath: String,
    secured: Option<Secured>,
    nodes: Vec<Broker>,
}

#[derive(Debug)]
struct Broker {
    home: PathBuf,
    ports: Ports,
    process: Option<Child>,
}

impl Brokers {
    /// Starts `count` brokers, each also a controller, and waits until all of them answer.
    ///
    /// Needs a JDK, 17 or later. The jars come from Maven Central once, into the target folder.
    pub fn start(count: usize) -> io::Result<Self> {
        Self::start_with(count, &Extras::default())
    }

    /// Starts `count` brokers with `extras`.
    pub fn start_with(count: usize, extras: &Extras) -> io::Result<Self> {
        let classpath = format!("{}/*", jars()?.display());
        let home = env::temp_dir().join(format!("kafka-rpc-{}", Uuid::new_v4().simple()));
        let (ports, held) = free_ports(count)?;
        // A cluster id is any 16 bytes in base64. The last character holds only two bits, so it cannot be
        // arbitrary.
        let cluster_id = format!("{:.21}A", Uuid::new_v4().simple().to_string());
        let mut brokers = Self { home, classpath, secured: extras.secured, nodes: Vec::new() };
        for index in 0..count {
            let home = brokers.home.join(index.to_string());
            fs::create_dir_all(&home)?;
            let properties = properties::server(index, &ports, &brokers.home, extras);
            fs::write(home.join("server.properties"), properties)?;
            fs::write(home.join("log4j2.yaml"), properties::logging(&home))?;
            brokers.nodes.push(Broker { home, ports: ports[index], process: None });
        }
        if let Some(secured) = extras.secured {
            secured.make_keys(&brokers.home)?;
        }
        for index in 0..count {
            brokers.format(index, &cluster_id)?;
        }
        // The ports are held until now: formatting takes seconds, and other tests look for free ports too.
        drop(held);
        for index in 0..count {
            brokers.restart(index)?;
        }
        brokers.wait_until_ready()?;
        Ok(brokers)
    }

    /// The bootstrap list.
    pub fn addresses(&self) -> String {
        self.each(|ports| ports.clients).join(",")
    }

    /// The settings of a runtime that connects to the secured listener; `None` without such a listener.
    pub fn secured_config(&self) -> Option<Config> {
        let secured = self.secured?;
        let properties = secured.client_properties(&self.home);
        let config = Config::new(self.each(|ports| ports.secured).join(","));
        Some(properties.into_iter().fold(config, |config, (name, value)| config.property(name, value)))
    }

    /// Grants a right to the user of the secured listener, in the arguments of Kafka's `kafka-acls`. The
    /// brokers must have an authorizer.
    pub fn allow(&self, right: &[&str]) -> io::Result<()> {
        let mut acls = self.java(&self.home);
        acls.args(["-Xmx256m", "org.apache.kafka.tools.AclCommand", "--bootstrap-server", &self.addresses()]);
        process::run(acls.args(["--add", "--force", "--allow-principal", Secured::PRINCIPAL]).args(right))
    }

    /// The address of each broker's second listener, to which a proxy forwards.
    pub fn proxied(&self) -> Vec<String> {
        self.each(|ports| ports.proxied)
    }

    fn each(&self, port: impl Fn(Ports) -> u16) -> Vec<String> {
        self.nodes.iter().map(|broker| format!("127.0.0.1:{}", port(broker.ports))).collect()
    }

    /// Starts a broker on its existing data.
    pub fn restart(&mut self, index: usize) -> io::Result<()> {
        let broker = &self.nodes[index];
        let output = fs::File::create(broker.home.join("output.log"))?;
        let process = self
            .java(&broker.home)
            .args(["-Xmx512m", "-Xms128m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "kafka.Kafka"])
            .arg(broker.home.join("server.properties"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        self.nodes[index].process = Some(process);
        Ok(())
    }

    /// Kills a broker as `kill -9` does; its data stays.
    pub fn kill(&mut self, index: usize) -> io::Result<()> {
        let Some(mut process) = self.nodes[index].process.take() else {
            return Ok(());
        };
        process.kill()?;
        process.wait().map(drop)
    }

    /// Stops a broker cleanly, and kills it if it takes too long.
    pub fn stop(&mut self, index: usize) -> io::Result<()> {
        self.signal(index, "TERM")?;
        let until = Instant::now() + STOP_WITHIN;
        while Instant::now() < until {
            let Some(process) = &mut self.nodes[index].process else {
                return Ok(());
            };
            if process.try_wait()?.is_some() {
                self.nodes[index].process = None;
                return Ok(());
            }
            interrupt::sleep(Duration::from_millis(50))?;
        }
        self.kill(index)
    }

    /// Freezes a broker: its connections stay open, and nothing answers.
    pub fn freeze(&self, index: usize) -> io::Result<()> {
        self.nodes[index].process.as_ref().map_or(Ok(()), process::freeze)
    }

    /// Lets a frozen broker continue.
    pub fn thaw(&self, index: usize) -> io::Result<()> {
        self.signal(index, "CONT")
    }

    fn signal(&self, index: usize, signal: &str) -> io::Result<()> {
        match &self.nodes[index].process {
            Some(process) => process::signal(process, signal),
            None => Ok(()),
        }
    }

    fn java(&self, home: &Path) -> Command {
        let mut java = Command::new("java");
        java.arg("-cp").arg(&self.classpath);
        java.arg(format!("-Dlog4j2.configurationFile={}", home.join("log4j2.yaml").display()));
        java
    }

    fn format(&self, index: usize, cluster_id: &str) -> io::Result<()> {
        let home = &self.nodes[index].home;
        let mut format = self.java(home);
        format.args(["-Xmx256m", "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"]);
        format.arg(home.join("server.properties"));
        process::run(format.args(self.secured.map(Secured::format_arguments).unwrap_or_default()))
    }

    /// Waits until every broker is in the metadata that a client sees.
    pub fn wait_until_ready(&mut self) -> io::Result<()> {
        let all = self.nodes.len();
        self.wait_until(Duration::ZERO, |metadata| metadata.brokers().len() == all)
    }

    /// Waits until every broker is in the metadata, and every replica of every topic in sync.
    pub fn wait_until_in_sync(&mut self) -> io::Result<()> {
        let all = self.nodes.len();
        // A broker that has just come back may report the state from before it went.
        self.wait_until(IN_SYNC_FOR, |metadata| {
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            metadata.brokers().len() == all
                && partitions
                    .map(|partition| (partition.isr().len(), partition.replicas().len()))
                    .all(|(in_sync, replicas)| in_sync == replicas)
        })
    }

    /// Waits until `is_so` has held for `lasts` on the metadata that a client sees.
    fn wait_until(&mut self, lasts: Duration, is_so: impl Fn(&Metadata) -> bool) -> io::Result<()> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.addresses())
            .set("log_level", "0")
            .create()
            .map_err(io::Error::other)?;
        let until = Instant::now() + START_WITHIN;
        let mut since = None;
        while Instant::now() < until {
            let seen = client.fetch_metadata(None, Duration::from_secs(1));
            if seen.is_ok_and(|metadata| is_so(&metadata)) {
                if since.get_or_insert_with(Instant::now).elapsed() >= lasts {
                    return Ok(());
                }
            } else {
                since = None;
            }
            for broker in &mut self.nodes {
                if let Some(process) = &mut broker.process
                    && let Some(status) = process.try_wait()?
                {
                    let output = fs::read_to_string(broker.home.join("output.log")).unwrap_or_default();
                    return Err(io::Error::other(format!("a broker ended with {status}:\n{output}")));
                }
            }
            interrupt::sleep(Duration::from_millis(100))?;
        }
        Err(io::Error::other(format!("the brokers do not answer after {START_WITHIN:?}")))
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for index in 0..self.nodes.len() {
            let killed = self.kill(index);
            if let Err(error) = killed {
                let _no_stderr = writeln!(io::stderr(), "broker {index} could not be killed: {error}");
            }
        }
        // Files that cannot be removed stay in the temporary folder, which the system cleans.
        let _left = fs::remove_dir_all(&self.home);
    }
}

/// The folder of Kafka's jars, which Maven fills once.
fn jars() -> io::Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tests.join("../target/kafka");
    let (pom, done) = (fs::read_to_string(tests.join("kafka/pom.xml"))?, folder.join(".done"));
    // `.done` holds the pom that the jars come from. If the pom has changed, no old jar may remain among the
    // new ones.
    if fs::read_to_string(&done).ok().as_ref() != Some(&pom) {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let maven = Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(tests.join("kafka/pom.xml"))
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .output();
        let output =
            maven.map_err(|error| io::Error::other(format!("Maven is needed for Kafka's jars: {error}")))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(io::Error::other(format!("Maven failed:\n{}", String::from_utf8_lossy(&said))));
        }
        fs::write(done, pom)?;
    }
    folder.canonicalize()
}

/// Free ports for `count` brokers, and the listeners that keep other processes from taking these ports.
fn free_ports(count: usize) -> io::Result<(Vec<Ports>, Vec<TcpListener>)> {
    let held: Vec<TcpListener> =
        (0..Ports::EACH * count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
    let ports: Vec<u16> =
        held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<io::Result<_>>()?;
    Ok((ports.as_chunks().0.iter().copied().map(Ports::of).collect(), held))
}
