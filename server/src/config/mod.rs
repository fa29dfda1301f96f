//! What the program is told: a [`Config`] that is complete and checked. It is made from layers of optional
//! [`Settings`] (flag over environment over file over default); nothing else reads flags, environment or files.

mod auth;
mod embed;
mod engine;
mod settings;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use elanus_embed::DeviceChoice;
use elanus_engine::EngineOptions;

use crate::auth::Secret;

pub use auth::AuthSettings;
pub use embed::{EmbedConfig, EmbedSettings};
pub use settings::{LimitSettings, QuotaSettings, SearchSettings, Settings, StorageSettings};
pub use tls::TlsSettings;

/// Complete configuration of one server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Data directory; made if absent.
    pub data: PathBuf,
    /// Address of the page and all APIs. Port 0: a free one.
    pub listen: SocketAddr,
    /// Address of metrics and health. Port 0: a free one.
    pub admin_listen: SocketAddr,
    /// Folders to import into the collection `images` at start.
    pub images: Vec<PathBuf>,
    /// Further folders that import requests may name.
    pub image_roots: Vec<PathBuf>,
    /// Folders with files that imports of rows may name; uploaded files may be named always.
    pub import_roots: Vec<PathBuf>,
    /// Which device embeds.
    pub device: DeviceChoice,
    /// What nothing may exceed.
    pub limits: Limits,
    /// How photos are embedded.
    pub embed: EmbedConfig,
    /// Folder of weights files; none: `models` in the data directory.
    pub models: Option<PathBuf>,
    /// How the engine stores, and how much it may store.
    pub engine: EngineOptions,
    /// Where backups may be written and read when the admin port is open to other machines.
    pub backup_root: Option<PathBuf>,
    /// Whether arrays and JSON fields are answered as values, or in the forms of Milvus 3.0.0 and before.
    pub native_json: bool,
    /// Whether users must say who they are.
    pub auth: AuthConfig,
    /// TLS on the main port.
    pub tls: Option<TlsConfig>,
}

/// TLS on the main port, for the page and all APIs. The files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// File with the certificate and those that vouch for it, as PEM.
    pub certificate: PathBuf,
    /// File with its private key, as PEM.
    pub key: PathBuf,
    /// File with certificates as PEM: clients must show one that these vouch for.
    pub client_ca: Option<PathBuf>,
}

/// Users and their rights.
#[derive(Debug, Clone, Default)]
pub struct AuthConfig {
    /// Whether every request needs a user with the right to it.
    pub enabled: bool,
    /// Root's password at the beginning; used only as long as root has the default one.
    pub root_password: Option<Secret>,
}

/// Limits of the server. The engine's own are in `elanus_engine::limits`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// Bytes of request bodies held at one time, over all requests. Room for one body of full size, and for some small
    /// ones, there is at any rate.
    pub max_bodies_bytes: usize,
    /// Connections served at one time; more wait to be accepted.
    pub max_connections: usize,
    /// Images decoded at one time.
    pub max_decodes: usize,
    /// Time for the headers of a request.
    pub header_timeout: Duration,
    /// Longest pause within a request body.
    pub body_idle_timeout: Duration,
    /// A connection that moves no byte for this long, and for which nothing is being computed, is closed.
    pub connection_idle_timeout: Duration,
    /// A search that takes this long is logged with all that is known of it.
    pub slow_search: Duration,
    /// Time that requests in flight have to finish at the end.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            max_body_bytes: 64 << 20,
            max_bodies_bytes: 512 << 20,
            max_connections: 1024,
            max_decodes: cores,
            header_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(30),
            connection_idle_timeout: Duration::from_secs(120),
            slow_search: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./elanus-data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 19530)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9091)),
            images: Vec::new(),
            image_roots: Vec::new(),
            import_roots: Vec::new(),
            device: DeviceChoice::default(),
            embed: EmbedConfig::default(),
            models: None,
            limits: Limits::default(),
            engine: EngineOptions { memory: Some(crate::memory::measure), ..EngineOptions::default() },
            backup_root: None,
            native_json: true,
            auth: AuthConfig::default(),
            tls: None,
        }
    }
}

impl Config {
    /// The folder of weights files.
    pub fn models(&self) -> PathBuf {
        self.models.clone().unwrap_or_else(|| self.data.join("models"))
    }

    /// The folders that imports may read, in canonical form (no symbolic links, no `..`). One that is not there is left
    /// out: nothing can be imported from it.
    pub fn roots(&self) -> Vec<PathBuf> {
        let mut roots: Vec<PathBuf> =
            self.images.iter().chain(&self.image_roots).filter_map(|p| p.canonicalize().ok()).collect();
        roots.sort();
        roots.dedup();
        roots
    }
}

/// Why a configuration cannot be made. Always the operator's mistake, told in one sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or has an unknown or wrong key.
    #[error("the configuration file {path} is not usable: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// The parser's words, which name the key.
        reason: String,
    },
    /// A value does not fit.
    #[error("{what}: \"{value}\" {reason}")]
    Value {
        /// Flag, variable or key.
        what: String,
        /// What was given.
        value: String,
        /// Why it does not fit.
        reason: String,
    },
}
