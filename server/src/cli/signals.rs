//! Ctrl-C and SIGTERM. The first lets requests in flight finish, the second stops waiting for them.

use crate::net::Shutdown;
use crate::start::Handle;

/// Listens for signals from now on, in the background.
pub(super) fn stop_on_signal(server: &Handle) {
    let shutdown = server.shutdown_switch();
    server.spawn(async move {
        if let Err(error) = heed_signals(&shutdown).await {
            tracing::error!(%error, "signals cannot be received; only SIGKILL stops the program");
        }
    });
}

fn heed(shutdown: &Shutdown, name: &str) {
    if shutdown.is_triggered() {
        tracing::warn!(signal = name, "stopping at once");
        shutdown.abort();
    } else {
        tracing::info!(signal = name, "stopping; requests in flight finish (a second signal ends them)");
        shutdown.trigger();
    }
}

#[cfg(unix)]
async fn heed_signals(shutdown: &Shutdown) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Made once: a signal that comes while another is being heeded is kept.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        heed(shutdown, name);
    }
}

#[cfg(not(unix))]
async fn heed_signals(shutdown: &Shutdown) -> std::io::Result<()> {
    loop {
        tokio::signal::ctrl_c().await?;
        heed(shutdown, "Ctrl-C");
    }
}
