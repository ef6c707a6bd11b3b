//! One connection, from its first byte to its last.

use std::pin::pin;
use std::sync::Arc;

use edge_ledger_telemetry::rpc::{Methods, ServerSpans};
use http::{Request, Response, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tower::{ServiceExt as _, service_fn};

use super::leaving::{Leaving, age};
use super::{Authority, Peer};
use crate::limits::{
    HEADER_LIST_BYTES_MAX, Limits, METADATA_BYTES_MAX, METADATA_ENTRIES_MAX, PENDING_RESETS_MAX,
    STREAMS_PER_CONNECTION_MAX,
};
use crate::status::{Reason, refusal, rewrite};
use crate::tasks::Tasks;
use crate::tls::{self, Tls};

/// Bytes of a refused client that are read, and dropped, at once.
const HEARD_BYTES: usize = 1024;

/// What each connection needs.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) routes: Routes,
    pub(super) methods: Methods,
    pub(super) limits: Arc<Limits>,
    pub(super) tls: Option<Tls>,
    pub(super) tasks: Tasks,
}

impl Connection {
    /// Serves a connection until it ends or misses its first deadline.
    pub(super) async fn serve(self, stream: TcpStream, peer: Peer) {
        // Frames are small and somebody waits for each.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let first_request = CancellationToken::new();
        let deadline = {
            let first_request = first_request.clone();
            let wait = self.limits.first_request;
            async move {
                tokio::time::timeout(wait, first_request.cancelled())
                    .await
                    .is_err()
            }
        };
        tokio::select! {
            () = self.shake_hands(stream, peer, first_request) => {}
            true = deadline => tracing::debug!("connection without a request closed"),
        }
    }

    /// Speaks TLS first, if this service does. Nothing is owed to who is not done with that when
    /// the process stops.
    async fn shake_hands(self, tcp: TcpStream, peer: Peer, first_request: CancellationToken) {
        let Some(tls) = self.tls.clone() else {
            return self.speak(tcp, peer, first_request).await;
        };
        let stopping = self.tasks.stopping();
        match stopping.run_until_cancelled(tls.accept(tcp)).await {
            Some(Ok(stream)) => self.speak(stream, peer, first_request).await,
            Some(Err((error, tcp))) => {
                no_tls(peer, &error);
                stopping.run_until_cancelled(hear_out(tcp)).await;
            }
            None => {}
        }
    }

    async fn speak<I>(self, io: I, peer: Peer, first_request: CancellationToken)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = Arc::clone(&self.limits);
        let stopping = self.tasks.stopping();
        let leaving = Leaving(stopping.child_token());
        let (routes, methods) = (self.routes, self.methods);
        let asked = first_request.clone();
        let (told, tasks) = (leaving.clone(), self.tasks.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            asked.cancel();
            let (working, answer) = (
                tasks.working(),
                answer(routes.clone(), peer, told.clone(), request),
            );
            async move {
                let answered = answer.await;
                drop(working);
                answered
            }
        });
        let service = ServerSpans::new(service, methods);
        let builder = protocol(&limits, self.tasks);
        let connection =
            builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let old = tokio::time::sleep(age(limits.connection_age, rand::random()));
        let stops = tokio::select! {
            ended = connection.as_mut() => return report(ended),
            () = stopping.cancelled() => true,
            () = old => false,
        };
        // Nothing is owed to a client that never asked, and it may not answer a farewell.
        if !first_request.is_cancelled() {
            return;
        }
        leaving.0.cancel();
        connection.as_mut().graceful_shutdown();
        if stops {
            // The service's own grace bounds it.
            return report(connection.await);
        }
        match tokio::time::timeout(limits.connection_age_grace, connection).await {
            Ok(ended) => report(ended),
            Err(_) => tracing::debug!("an old connection was cut off"),
        }
    }
}

/// Whoever connects can make this happen; that a certificate is refused is for somebody to mend.
fn no_tls(Peer(peer): Peer, error: &std::io::Error) {
    match tls::refusal(error) {
        Some(why) => tracing::warn!(%peer, why, "a client's certificate was refused"),
        None => tracing::debug!(%error, "no TLS with a client"),
    }
}

/// Reads what a client goes on to say, to its end: if it were closed before, the connection would be
/// reset, and the client might never read why it was refused. The deadline of the first request
/// bounds it.
async fn hear_out(mut tcp: TcpStream) {
    let mut rest = [0; HEARD_BYTES];
    if tcp.shutdown().await.is_err() {
        return;
    }
    while let Ok(1..) = tcp.read(&mut rest).await {}
}

fn report<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broke");
    }
}

fn protocol(limits: &Limits, tasks: Tasks) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.first_request);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX);
    builder
}

async fn answer(
    routes: Routes,
    peer: Peer,
    leaving: Leaving,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, std::convert::Infallible> {
    if !metadata_fits(&request) {
        return Ok(refusal(Reason::MetadataTooLarge, "too much metadata").into_http());
    }
    let authority = authority(&request);
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(leaving);
    request.extensions_mut().insert(authority);
    routes.oneshot(request).await.map(rewrite)
}

/// HTTP/2 has the authority in its own place, HTTP/1 in a header.
fn authority<B>(request: &Request<B>) -> Authority {
    let dialled = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()),
    };
    Authority(dialled.unwrap_or_default().to_owned())
}

fn metadata_fits<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    headers.len() <= METADATA_ENTRIES_MAX && bytes <= METADATA_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(entries: usize, bytes: usize) -> Request<()> {
        let name = "x";
        let rest = bytes - entries * name.len();
        let mut request = Request::new(());
        for nth in 0..entries {
            let len = if nth == 0 { rest } else { 0 };
            let value = "v".repeat(len).parse().expect("letters are a value");
            request.headers_mut().append(name, value);
        }
        request
    }

    /// S-33: the limit passes, one more does not.
    #[test]
    fn metadata_fits_up_to_its_limits() {
        for (entries, bytes, fits) in [
            (METADATA_ENTRIES_MAX, METADATA_BYTES_MAX, true),
            (METADATA_ENTRIES_MAX + 1, METADATA_BYTES_MAX, false),
            (METADATA_ENTRIES_MAX, METADATA_BYTES_MAX + 1, false),
            (1, METADATA_BYTES_MAX, true),
            (1, METADATA_BYTES_MAX + 1, false),
        ] {
            let request = with(entries, bytes);
            assert_eq!(metadata_fits(&request), fits, "{entries} of {bytes} bytes");
        }
        assert!(metadata_fits(&Request::new(())));
    }
}
