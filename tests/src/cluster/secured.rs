//! A listener that authenticates or encrypts.

use std::{io, path::Path, process::Command};

use crate::process;

/// The user that may connect.
const USER: &str = "ada";
/// The password of the user and of the brokers' key, which lives no longer than its test.
const PASSWORD: &str = "countess-of-lovelace";

const KEYS: &str = "keys.p12";
const CERTIFICATE: &str = "certificate.pem";

/// How a listener is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secured {
    /// A name and a password, unencrypted.
    SaslPlain,
    /// Encrypted, without authentication of clients.
    Tls,
    /// Encrypted; a name and the proof of a password.
    TlsAndScram,
}

impl Secured {
    /// The user as the target of ACLs.
    pub(super) const PRINCIPAL: &str = "User:ada";

    /// Kafka's name of the security protocol.
    pub(super) fn protocol(self) -> &'static str {
        match self {
            Self::SaslPlain => "SASL_PLAINTEXT",
            Self::Tls => "SSL",
            Self::TlsAndScram => "SASL_SSL",
        }
    }

    fn is_encrypted(self) -> bool {
        self != Self::SaslPlain
    }

    /// Creates the key of all brokers, and the certificate that their clients trust, in the folder of the
    /// cluster.
    pub(super) fn make_keys(self, cluster: &Path) -> io::Result<()> {
        if !self.is_encrypted() {
            return Ok(());
        }
        let keys = cluster.join(KEYS);
        let keytool = |task: &str| {
            let mut keytool = Command::new("keytool");
            keytool.args([
                task,
                "-alias",
                "broker",
                "-storetype",
                "PKCS12",
                "-storepass",
                PASSWORD,
                "-keystore",
            ]);
            keytool.arg(&keys);
            keytool
        };
        let mut key = keytool("-genkeypair");
        key.args(["-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-validity", "2"]);
        process::run(&mut key)?;
        process::run(keytool("-exportcert").arg("-rfc").arg("-file").arg(cluster.join(CERTIFICATE)))
    }

    pub(super) fn server_properties(self, cluster: &Path) -> String {
        const LISTENER: &str = "listener.name.secured";
        const MODULES: &str = "org.apache.kafka.common.security";
        let key = if self.is_encrypted() {
            format!(
                "{LISTENER}.ssl.keystore.type=PKCS12\n\
                 {LISTENER}.ssl.keystore.location={keys}\n\
                 {LISTENER}.ssl.keystore.password={PASSWORD}\n",
                keys = cluster.join(KEYS).display()
            )
        } else {
            String::new()
        };
        let who = match self {
            Self::SaslPlain => format!(
                "{LISTENER}.sasl.enabled.mechanisms=PLAIN\n\
                 {LISTENER}.plain.sasl.jaas.config={MODULES}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";\n"
            ),
            Self::Tls => String::new(),
            Self::TlsAndScram => format!(
                "{LISTENER}.sasl.enabled.mechanisms=SCRAM-SHA-256\n\
                 {LISTENER}.scram-sha-256.sasl.jaas.config={MODULES}.scram.ScramLoginModule required;\n"
            ),
        };
        key + &who
    }

    /// Arguments for formatting a broker's storage: SCRAM users are part of the cluster's data.
    pub(super) fn format_arguments(self) -> Vec<String> {
        match self {
            Self::TlsAndScram => {
                vec!["--add-scram".to_owned(), format!("SCRAM-SHA-256=[name={USER},password={PASSWORD}]")]
            }
            Self::SaslPlain | Self::Tls => Vec::new(),
        }
    }

    /// The properties with which a client may connect.
    pub(super) fn client_properties(self, cluster: &Path) -> Vec<(&'static str, String)> {
        let mut properties = vec![("security.protocol", self.protocol().to_lowercase())];
        if self.is_encrypted() {
            properties.push(("ssl.ca.location", cluster.join(CERTIFICATE).display().to_string()));
        }
        let mechanism = match self {
            Self::SaslPlain => "PLAIN",
            Self::Tls => return properties,
            Self::TlsAndScram => "SCRAM-SHA-256",
        };
        properties.extend([
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.username", USER.to_owned()),
            ("sasl.password", PASSWORD.to_owned()),
        ]);
        properties
    }
}
