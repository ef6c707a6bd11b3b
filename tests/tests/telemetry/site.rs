//! Both services on a Redis, with the telemetry that a test asks for, and devices by the command.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use edge_ledger_tests::process::edge_ledger;
use edge_ledger_tests::{Cluster, ServiceProcess};
use serde_json::Value;

/// What both are told beside the endpoint: to send soon.
const SOON: [(&str, &str); 3] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
];

/// The services.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    endpoint: Option<String>,
}

impl Site {
    /// Starts one of each that send there, with further settings.
    pub(crate) async fn start(
        endpoint: Option<&str>,
        settings: &[(&'static str, &str)],
    ) -> anyhow::Result<Self> {
        let mut cluster = Cluster::on(Cluster::redis_server()).await?;
        cluster.open_gate();
        for service in [&mut cluster.identity, &mut cluster.ledger] {
            service
                .settings
                .push(("admin.listen", "127.0.0.1:0".to_owned()));
            if let Some(endpoint) = endpoint {
                let endpoint = endpoint.to_owned();
                service
                    .settings
                    .push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
                let soon = SOON.iter().map(|(key, value)| (*key, (*value).to_owned()));
                service.settings.extend(soon);
            }
            let more = settings
                .iter()
                .map(|(key, value)| (*key, (*value).to_owned()));
            service.settings.extend(more);
        }
        cluster.start_replicas(1)?;
        Ok(Self {
            cluster,
            endpoint: endpoint.map(ToOwned::to_owned),
        })
    }

    /// Runs a command of a device, which sends to the same place.
    pub(crate) fn device(&self, name: &str, words: &[&str]) -> anyhow::Result<Value> {
        let mut command = Command::new(edge_ledger()?);
        command
            .env_clear()
            .args(["--json", "--no-input"])
            .args(words);
        command.env("EDGE_LEDGER_HOME", self.cluster.folder().join(name));
        command.env(
            "EDGE_LEDGER_IDENTITY_URL",
            self.cluster.identity.balancer.url(),
        );
        command.env("HOME", self.cluster.folder());
        if let Some(endpoint) = &self.endpoint {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        }
        let output = command.output()?;
        let said = String::from_utf8(output.stdout)?;
        let last = said.lines().last().unwrap_or_default();
        anyhow::ensure!(output.status.success(), "{words:?}: {said}");
        serde_json::from_str(last).context("no JSON")
    }

    pub(crate) fn identity(&self) -> &ServiceProcess {
        &self.cluster.identity.running[0]
    }

    pub(crate) fn ledger(&self) -> &ServiceProcess {
        &self.cluster.ledger.running[0]
    }

    pub(crate) fn home(&self, name: &str) -> std::path::PathBuf {
        self.cluster.folder().join(name)
    }

    pub(crate) fn keys(&self) -> std::path::PathBuf {
        self.cluster.folder().join("keys")
    }
}

/// Status and body of what an admin port answers.
pub(crate) fn get(service: &ServiceProcess, path: &str) -> anyhow::Result<(u16, String)> {
    let address = service.admin_address().context("no admin port")?;
    ask(
        &address,
        &format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"),
    )
}

/// What an address answers to a request of HTTP.
pub(crate) fn ask(address: &str, request: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else {
            all.push(path);
        }
    }
    Ok(all)
}
