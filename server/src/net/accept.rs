//! The accept loop. It takes a connection only when it may serve one more; at the end it takes no more and waits for
//! those it has, for a limited time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use super::connection;
use super::dispatch::{Dispatch, Routers};
use super::shutdown::Shutdown;
use super::tls::Tls;
use crate::config::Limits;

/// Pause after the system refused to give a connection, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener allows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Connections at one time.
    pub max_connections: usize,
    /// See [`Limits::header_timeout`].
    pub header_timeout: Duration,
    /// See [`Limits::connection_idle_timeout`].
    pub connection_idle_timeout: Duration,
    /// See [`Limits::shutdown_grace`].
    pub shutdown_grace: Duration,
    /// What makes TLS of connections, where they are to have it.
    pub tls: Option<Tls>,
}

impl From<&Limits> for Settings {
    fn from(limits: &Limits) -> Self {
        Self {
            max_connections: limits.max_connections.min(Semaphore::MAX_PERMITS),
            header_timeout: limits.header_timeout,
            connection_idle_timeout: limits.connection_idle_timeout,
            shutdown_grace: limits.shutdown_grace,
            tls: None,
        }
    }
}

/// Binds a listening socket.
///
/// # Errors
/// The system's, for example that the address is in use.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves `routers` on `listener` until `shutdown`, then until the requests in flight are answered or the grace is over.
pub async fn serve(listener: TcpListener, routers: Routers, settings: Settings, shutdown: Shutdown) {
    let permits = Arc::new(Semaphore::new(settings.max_connections));
    let dispatch = Dispatch::new(routers);
    let settings = Arc::new(settings);
    // Every connection holds a sender: when all are gone, `recv` returns.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = shutdown.triggered() => break,
        };
        let Some((stream, permit)) = accepted else { break };
        let serving = connection::serve(stream, dispatch.clone(), Arc::clone(&settings), shutdown.clone());
        let alive = alive.clone();
        tokio::spawn(async move {
            serving.await;
            drop((permit, alive));
        });
    }
    drop((listener, alive));
    tokio::select! {
        _ = all_gone.recv() => {}
        () = shutdown.aborted() => {}
        () = tokio::time::sleep(settings.shutdown_grace) => {
            tracing::warn!("requests still in flight after {:?} are cut off", settings.shutdown_grace);
            shutdown.abort();
        }
    }
}

/// The next connection, once there may be one. `None` never happens while the semaphore lives, which is always.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
