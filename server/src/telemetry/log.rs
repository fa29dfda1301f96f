//! Logs: lines on standard error, chosen by `ELANUS_LOG` (for example `debug`, `elanus_engine=trace,warn`).

use tracing_subscriber::EnvFilter;

const VARIABLE: &str = "ELANUS_LOG";
const DEFAULT: &str = "info";

/// Sends logs to standard error from now on. A second call changes nothing.
pub(crate) fn to_stderr() {
    let filter = EnvFilter::builder().parse_lossy(std::env::var(VARIABLE).unwrap_or_else(|_| DEFAULT.into()));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // An error means that somebody else receives the logs already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .try_init();
}
