//! One connection from its first byte to its last. It ends when the client ends it, when nothing moves for too long,
//! or when the server stops: then the request in flight finishes and no other begins.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower::Service;

use super::accept::Settings;
use super::dispatch::Dispatch;
use super::progress::{Answering, Progress, Watched};
use super::shutdown::Shutdown;

/// HTTP/2 streams that one connection may have open.
const MAX_STREAMS: u32 = 128;
/// Bytes in one frame over HTTP/2: the fewer frames, the faster a bulk insert.
const FRAME: u32 = 256 << 10;
/// How often a client over HTTP/2 is asked whether it is there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_PATIENCE: Duration = Duration::from_secs(20);

/// Where a request comes from: an extension of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Serves until the connection ends.
pub(super) async fn serve(
    stream: TcpStream,
    dispatch: Dispatch,
    settings: Arc<Settings>,
    shutdown: Shutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection without TCP_NODELAY");
    }
    let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
    let progress = Progress::new();
    let stream = Watched::new(stream, Arc::clone(&progress));
    let Some(tls) = &settings.tls else {
        return serve_stream(stream, peer, dispatch, &settings, &shutdown, &progress).await;
    };
    let handshake = tls.acceptor().accept(stream);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(settings.header_timeout, handshake) => shaken,
        () = shutdown.triggered() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve_stream(stream, peer, dispatch, &settings, &shutdown, &progress).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn serve_stream(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Option<Peer>,
    dispatch: Dispatch,
    settings: &Settings,
    shutdown: &Shutdown,
    progress: &Arc<Progress>,
) {
    let service = hyper::service::service_fn({
        let progress = Arc::clone(progress);
        // Counted before the socket is asked whether the client is still there.
        move |request| answer(request, peer, dispatch.clone(), progress.request())
    });
    let builder = builder(settings);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended with an error");
                }
                return;
            }
            () = shutdown.triggered(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = shutdown.aborted() => return,
            () = idle(progress, settings.connection_idle_timeout) => return,
        }
    }
}

fn builder(settings: &Settings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // What a client waits for ends when the client does; the socket sees to it that one half is not taken for both at once.
    builder.http1().half_close(false).timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
    // Pings find clients that vanished.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_frame_size(FRAME)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_PATIENCE);
    builder
}

async fn answer(
    mut request: hyper::Request<Incoming>,
    peer: Option<Peer>,
    mut dispatch: Dispatch,
    _answering: Answering,
) -> Result<Response, Infallible> {
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    let request: Request = request.map(Body::new);
    dispatch.call(request).await
}

/// Returns when nothing has happened for `limit`.
async fn idle(progress: &Progress, limit: Duration) {
    loop {
        let rest = match progress.idle() {
            Some(idle) if idle >= limit => return,
            Some(idle) => limit - idle,
            None => limit,
        };
        tokio::time::sleep(rest).await;
    }
}
