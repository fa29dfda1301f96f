//! What this build is, in words: for `--version`, the status call and the metrics.

use std::sync::OnceLock;

use elanus_engine::kernel;

/// Version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit it was built from, or `unknown`.
pub(crate) const COMMIT: &str = env!("ELANUS_COMMIT");

/// What `elanus --version` prints after the name.
pub(crate) fn long() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let kernels: Vec<_> = kernel::available().iter().map(|k| k.name()).collect();
        let devices: Vec<_> = elanus_embed::device_choices()
            .into_iter()
            .map(|(name, state)| format!("{name} ({state})"))
            .collect();
        format!(
            "{VERSION} (commit {COMMIT})\nkernel: {} (this machine has {})\ndevices: {}",
            kernel::active().name(),
            kernels.join(", "),
            devices.join(", "),
        )
    })
}
