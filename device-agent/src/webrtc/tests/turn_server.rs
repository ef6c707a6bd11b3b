//! Debian's coturn, one of our own on loopback, and a network address translator before it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use data_encoding::BASE64;
use tempfile::TempDir;
use tokio::net::UdpSocket;

use super::*;

/// What the server and who makes accounts share.
const SECRET: &str = "north";

/// A running server; it ends with the test.
pub(super) struct TurnProcess {
    process: Child,
    pub(super) address: SocketAddr,
    _home: TempDir,
}

impl Drop for TurnProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How it knows its users.
pub(super) enum Users {
    /// One, by name and password.
    Named(&'static str, &'static str),
    /// Whoever has an account that was made with the secret.
    Secret,
}

impl TurnProcess {
    pub(super) async fn start(users: Users) -> Self {
        const TRIES: usize = 5;
        for _ in 0..TRIES {
            // Somebody else may take the port meanwhile.
            let port = StdSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|s| s.local_addr());
            let address = port.expect("a free port");
            let server = Self::spawn(address, &users);
            if server.answers().await {
                return server;
            }
        }
        panic!("turnserver does not start");
    }

    fn spawn(address: SocketAddr, users: &Users) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let at = |name: &str| home.path().join(name).display().to_string();
        let mut command = Command::new("turnserver");
        command
            .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp"])
            .args(["--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"])
            .args(["--listening-port", &address.port().to_string()])
            .args(["--allow-loopback-peers", "--no-rfc5780", "--simple-log"])
            .args(["--realm", "edge-ledger.test", "--fingerprint"])
            .args([
                "--pidfile",
                &at("pid"),
                "--db",
                &at("db"),
                "--log-file",
                &at("log"),
            ]);
        match users {
            Users::Named(name, password) => {
                command.args(["--lt-cred-mech", "--user", &format!("{name}:{password}")])
            }
            Users::Secret => command.args(["--use-auth-secret", "--static-auth-secret", SECRET]),
        };
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match started {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                panic!("coturn is missing: apt-get install coturn")
            }
            started => started.expect("turnserver starts"),
        };
        Self {
            process,
            address,
            _home: home,
        }
    }

    /// Asks it until it answers; not, if it has ended.
    async fn answers(&self) -> bool {
        const BINDING: [u8; 20] = *b"\0\x01\0\0\x21\x12\xa4\x42anybody here";
        const ASKS: usize = 200;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a socket");
        let mut buffer = [0; 200];
        for _ in 0..ASKS {
            let _ = socket.send_to(&BINDING, self.address).await;
            let answer = socket.recv_from(&mut buffer);
            if let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(50), answer).await {
                return true;
            }
        }
        false
    }

    pub(super) fn account(&self, username: &str, password: &str) -> TurnServer {
        TurnServer {
            url: format!("turn:{}?transport=udp", self.address),
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    /// An account that expires, as who shares the secret makes it.
    pub(super) fn made_account(&self, expires: u64) -> TurnServer {
        let username = format!("{expires}:07070707070707070707070707070707");
        let hmac = str0m::crypto::from_feature_flags().sha1_hmac_provider;
        let password = hmac.sha1_hmac(SECRET.as_bytes(), &[username.as_bytes()]);
        self.account(&username, &BASE64.encode(&password))
    }
}

/// An address translator before a server: it sees all of us under another address. Its outer
/// address.
pub(super) async fn translated(
    server: SocketAddr,
    tasks: &TaskTracker,
) -> (SocketAddr, SocketAddr) {
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let (inner, outer) = (
        bind().await.expect("a socket"),
        bind().await.expect("a socket"),
    );
    let addresses = (inner.local_addr().unwrap(), outer.local_addr().unwrap());
    tasks.spawn(async move {
        let (mut there, mut back) = ([0; 2_000], [0; 2_000]);
        let mut client = None;
        loop {
            tokio::select! {
                Ok((length, from)) = inner.recv_from(&mut there) => {
                    client = Some(from);
                    let _ = outer.send_to(&there[..length], server).await;
                }
                Ok((length, _)) = outer.recv_from(&mut back) => {
                    if let Some(client) = client {
                        let _ = inner.send_to(&back[..length], client).await;
                    }
                }
            }
        }
    });
    addresses
}
