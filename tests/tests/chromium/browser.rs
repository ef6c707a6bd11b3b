//! Chromium with one page, which the test talks to over HTTP on loopback.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// A browser that does not do what the test waits for within this time is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages between the test and the page.
const MESSAGES_MAX: usize = 64;

/// Which end of the link offers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Offers,
    Answers,
}

/// What the page said.
#[derive(Debug)]
enum Said {
    /// Its description.
    Description(String),
    /// What came over the data channel.
    Heard(Bytes),
    /// The data channel is closed.
    Closed,
    /// A mistake in the page.
    Trouble(String),
}

/// What the server and the test share.
struct Bridge {
    said: mpsc::Sender<Said>,
    /// Descriptions for the page.
    descriptions: Mutex<mpsc::Receiver<String>>,
    /// Messages that the page is to send.
    messages: Mutex<mpsc::Receiver<Bytes>>,
}

/// A running browser, which ends with the test.
pub(super) struct Browser {
    process: Child,
    said: mpsc::Receiver<Said>,
    descriptions: mpsc::Sender<String>,
    messages: mpsc::Sender<Bytes>,
    _server: JoinSet<()>,
    _home: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts it and has it load the page.
    pub(super) async fn open(role: Role) -> anyhow::Result<Self> {
        let (say, said) = mpsc::channel(MESSAGES_MAX);
        let (descriptions, describe) = mpsc::channel(1);
        let (messages, message) = mpsc::channel(MESSAGES_MAX);
        let bridge = Arc::new(Bridge {
            said: say,
            descriptions: Mutex::new(describe),
            messages: Mutex::new(message),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let hash = match role {
            Role::Offers => "offers",
            Role::Answers => "answers",
        };
        let url = format!("http://{}/#{hash}", listener.local_addr()?);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, bridge));
        let home = tempfile::tempdir()?;
        Ok(Self {
            process: start(&home, &url)?,
            said,
            descriptions,
            messages,
            _server: server,
            _home: home,
        })
    }

    async fn next(&mut self) -> anyhow::Result<Said> {
        let said = tokio::time::timeout(PATIENCE, self.said.recv()).await;
        match said
            .context("the browser says nothing")?
            .context("no page")?
        {
            Said::Trouble(what) => bail!("the page: {what}"),
            said => Ok(said),
        }
    }

    async fn description(&mut self) -> anyhow::Result<String> {
        match self.next().await? {
            Said::Description(sdp) => Ok(sdp),
            other => bail!("no description: {other:?}"),
        }
    }

    /// The page's offer.
    pub(super) async fn offer(&mut self) -> anyhow::Result<String> {
        self.description().await
    }

    /// The page's answer.
    pub(super) async fn answer(&mut self) -> anyhow::Result<String> {
        self.description().await
    }

    /// Gives the page the answer to its offer.
    pub(super) async fn answer_with(&self, sdp: String) -> anyhow::Result<()> {
        Ok(self.descriptions.send(sdp).await?)
    }

    /// Gives the page an offer.
    pub(super) async fn offer_to(&self, sdp: String) -> anyhow::Result<()> {
        Ok(self.descriptions.send(sdp).await?)
    }

    /// Has the page send a message.
    pub(super) async fn say(&self, message: Bytes) -> anyhow::Result<()> {
        Ok(self.messages.send(message).await?)
    }

    /// The next message that the page got.
    pub(super) async fn heard(&mut self) -> anyhow::Result<Bytes> {
        match self.next().await? {
            Said::Heard(message) => Ok(message),
            other => bail!("no message: {other:?}"),
        }
    }

    /// Waits until the page's channel is closed; returns what it heard until then.
    pub(super) async fn closed(&mut self) -> anyhow::Result<Vec<Bytes>> {
        let mut heard = Vec::new();
        loop {
            match self.next().await? {
                Said::Closed => return Ok(heard),
                Said::Heard(message) => heard.push(message),
                other => bail!("not closed: {other:?}"),
            }
        }
    }
}

fn start(home: &TempDir, url: &str) -> anyhow::Result<Child> {
    let profile = home.path().join("profile");
    let started = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--no-first-run"])
        .args([
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-extensions",
        ])
        // It talks to nobody but the test.
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args([
            "--disable-sync",
            "--no-default-browser-check",
            "--no-proxy-server",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("chromium is missing: apt-get install chromium")
        }
        started => started.context("chromium does not start"),
    }
}

async fn serve(listener: TcpListener, bridge: Arc<Bridge>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(talk(stream, bridge.clone()));
    }
}

async fn talk(stream: TcpStream, bridge: Arc<Bridge>) {
    let service = service_fn(move |request| {
        let bridge = bridge.clone();
        async move { Ok::<_, Infallible>(bridge.answer(request).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    // The browser ends it as it likes.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

impl Bridge {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_or_else(|_| Bytes::new(), |body| body.to_bytes());
        let text = || String::from_utf8_lossy(&body).into_owned();
        let said = match (&parts.method, parts.uri.path()) {
            (&Method::GET, "/") => return page(),
            (&Method::GET, "/next") => return given(self.messages.lock().await.recv().await),
            (&Method::GET, "/offer") => return given(self.description().await),
            (&Method::POST, "/offer" | "/answer") => Said::Description(text()),
            (&Method::POST, "/heard") => Said::Heard(body),
            (&Method::POST, "/closed") => Said::Closed,
            (&Method::POST, "/trouble") => Said::Trouble(text()),
            _ => return empty(StatusCode::NOT_FOUND),
        };
        // The test may be over.
        let _ = self.said.send(said).await;
        if parts.uri.path() == "/offer" {
            return given(self.description().await);
        }
        empty(StatusCode::OK)
    }

    async fn description(&self) -> Option<Bytes> {
        self.descriptions.lock().await.recv().await.map(Bytes::from)
    }
}

fn page() -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::from(include_str!("page.html")));
    let html = http::HeaderValue::from_static("text/html; charset=utf-8");
    page.headers_mut().insert(http::header::CONTENT_TYPE, html);
    page
}

fn given(what: Option<Bytes>) -> Response<Full<Bytes>> {
    what.map_or_else(
        || empty(StatusCode::GONE),
        |what| Response::new(Full::from(what)),
    )
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
