//! What the command line says to the admin port of a running server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Body of `POST /backup`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BackupRequest {
    /// Absolute path of a folder, or of a file that ends in `.tar`.
    pub(crate) target: PathBuf,
}

/// Body of `POST /restore`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RestoreRequest {
    /// Absolute path of the backup.
    pub(crate) source: PathBuf,
    /// Collection in it.
    pub(crate) collection: String,
    /// Its name here; its own when absent.
    #[serde(default, rename = "as")]
    pub(crate) new_name: Option<String>,
}
