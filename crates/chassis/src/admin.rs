//! The admin port: what probes and Prometheus ask for, in plain HTTP and without a secret.
//!
//! | path | answer |
//! | --- | --- |
//! | `/livez` | 200 while the process runs: a probe that restarts it never looks at the store |
//! | `/readyz` | 200 while it takes work, the same as `grpc.health.v1` says; otherwise 503 |
//! | `/metrics` | all metrics in the text format of Prometheus |
//! | `/version` | what runs, as JSON |

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use edge_ledger_store::Health;
use edge_ledger_telemetry::export::Telemetry;
use edge_ledger_telemetry::version::{COMMIT, VERSION};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::health::Readiness;
use crate::limits::{ACCEPT_RETRY, ADMIN_CONNECTION_AGE, ADMIN_CONNECTIONS_MAX, FIRST_REQUEST};
use crate::tasks::Tasks;

/// What Prometheus calls its text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// An admin port that is served. Dropped, it is closed.
#[derive(Debug)]
pub struct Admin {
    local_addr: SocketAddr,
    asked: Arc<Asked>,
    _close: DropGuard,
}

/// What the answers are made of.
#[derive(Debug)]
struct Asked {
    program: &'static str,
    telemetry: Telemetry,
    readiness: OnceLock<Readiness>,
    stopping: CancellationToken,
}

impl Admin {
    /// Binds the port and serves; not ready until [`follow`](Self::follow).
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(
        listen: SocketAddr,
        program: &'static str,
        telemetry: Telemetry,
    ) -> io::Result<Self> {
        let tcp = TcpListener::bind(listen).await?;
        let local_addr = tcp.local_addr()?;
        let asked = Arc::new(Asked {
            program,
            telemetry,
            readiness: OnceLock::new(),
            stopping: CancellationToken::new(),
        });
        let tasks = Tasks::new();
        let close = tasks.kill_on_drop();
        tasks.spawn_for_client(accept(tcp, tasks.clone(), Arc::clone(&asked)));
        Ok(Self {
            local_addr,
            asked,
            _close: close,
        })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// It is ready from now on while this store can commit.
    pub fn follow(&self, store: watch::Receiver<Health>) {
        let stopping = self.asked.stopping.clone();
        // The first store is the one.
        let _ = self.asked.readiness.set(Readiness::new(store, stopping));
    }

    /// It is not ready any more, and goes on to say so.
    pub fn drains(&self) {
        self.asked.stopping.cancel();
    }
}

async fn accept(tcp: TcpListener, tasks: Tasks, asked: Arc<Asked>) {
    let slots = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    loop {
        let stream = match tcp.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "accept failed on the admin port");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            continue;
        };
        let asked = Arc::clone(&asked);
        tasks.spawn_for_client(async move {
            let _held = slot;
            // Whoever stays longer connects anew.
            let _ = tokio::time::timeout(ADMIN_CONNECTION_AGE, serve(stream, asked)).await;
        });
    }
}

async fn serve(stream: TcpStream, asked: Arc<Asked>) {
    let answers = service_fn(move |request: Request<Incoming>| {
        let answer = asked.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(FIRST_REQUEST)
        .serve_connection(TokioIo::new(stream), answers)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the admin port broke");
    }
}

impl Asked {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return response(
                StatusCode::METHOD_NOT_ALLOWED,
                PLAIN,
                "only GET is answered\n",
            );
        }
        match path {
            "/livez" => response(StatusCode::OK, PLAIN, "alive\n"),
            "/readyz" if self.is_ready() => response(StatusCode::OK, PLAIN, "ready\n"),
            "/readyz" => response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "not ready\n"),
            "/metrics" => match self.telemetry.prometheus() {
                Ok(text) => response(StatusCode::OK, PROMETHEUS_TEXT, text),
                Err(error) => {
                    tracing::error!(%error, "the metrics cannot be written");
                    response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "no metrics\n")
                }
            },
            "/version" => {
                let name = self.program;
                let version =
                    serde_json::json!({"name": name, "version": VERSION, "commit": COMMIT});
                response(StatusCode::OK, JSON, format!("{version}\n"))
            }
            _ => {
                let paths = "there are /livez, /readyz, /metrics and /version\n";
                response(StatusCode::NOT_FOUND, PLAIN, paths)
            }
        }
    }

    fn is_ready(&self) -> bool {
        self.readiness.get().is_some_and(Readiness::is_ready)
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
