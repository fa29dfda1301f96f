//! One layer of configuration: what a command line, the environment or a file says, each setting optional. Words stay
//! words here; [`Settings::resolve`] gives them types once, so that a wrong word is reported the same way from
//! everywhere.

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::{AuthSettings, Config, ConfigError, EmbedSettings, Limits, TlsSettings};

/// Settings of one layer. The TOML keys are the names of the fields (`admin_listen = "..."`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Data directory.
    pub data: Option<PathBuf>,
    /// Main address.
    pub listen: Option<String>,
    /// Address of metrics and health.
    pub admin_listen: Option<String>,
    /// Folders to import.
    pub images: Option<Vec<PathBuf>>,
    /// Folders that imports may name.
    #[serde(alias = "image_roots")]
    pub image_root: Option<Vec<PathBuf>>,
    /// Folders with files that imports of rows may name.
    #[serde(alias = "import_roots")]
    pub import_root: Option<Vec<PathBuf>>,
    /// `auto`, `cpu` or `cuda`.
    pub device: Option<String>,
    /// `every-write` or `interval:<milliseconds>`.
    pub sync: Option<String>,
    /// Where backups may go when the admin port is open to other machines; in the file only.
    pub backup_root: Option<PathBuf>,
    /// The table `[auth]`.
    pub auth: AuthSettings,
    /// The table `[tls]`.
    pub tls: TlsSettings,
    /// The table `[limits]`; in the file only.
    pub limits: Option<LimitSettings>,
    /// The table `[storage]`; in the file only.
    pub storage: Option<StorageSettings>,
    /// The table `[search]`; in the file only.
    pub search: Option<SearchSettings>,
    /// The table `[embed]`.
    pub embed: EmbedSettings,
    /// The table `[quota]`; in the file only.
    pub quota: Option<QuotaSettings>,
    /// Whether arrays and JSON fields are answered as values (`true`, the default) or in the forms of Milvus 3.0.0 and
    /// before; in the file only.
    pub native_json: Option<bool>,
}

/// The table `[storage]` of the file; see [`EngineOptions`](elanus_engine::EngineOptions) for the meanings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // Each field is documented where it takes effect.
pub struct StorageSettings {
    pub group_window_us: Option<u64>,
    pub seal_bytes: Option<usize>,
    pub seal_age_s: Option<u64>,
    pub segment_bytes: Option<u64>,
    pub compaction_bytes_per_s: Option<u64>,
}

/// The table `[search]` of the file; see [`EngineOptions`](elanus_engine::EngineOptions) for the meanings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // Each field is documented where it takes effect.
pub struct SearchSettings {
    pub threads: Option<usize>,
    pub index_threads: Option<usize>,
    pub queue: Option<usize>,
}

/// The table `[quota]` of the file; see [`QuotaLimits`](elanus_storage::quota::QuotaLimits) for the meanings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // Each field is documented where it takes effect.
pub struct QuotaSettings {
    pub disk_bytes: Option<u64>,
    pub disk_percent: Option<u8>,
    pub memory_bytes: Option<u64>,
    pub memory_percent: Option<u8>,
    pub compaction_reserve: Option<u64>,
}

/// The table `[limits]` of the file; see [`Limits`] for the meanings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // Each field is documented where it takes effect.
pub struct LimitSettings {
    pub max_body_bytes: Option<usize>,
    pub max_bodies_bytes: Option<usize>,
    pub max_connections: Option<usize>,
    pub max_decodes: Option<usize>,
    pub header_timeout_s: Option<u64>,
    pub body_idle_timeout_s: Option<u64>,
    pub connection_idle_timeout_s: Option<u64>,
    pub shutdown_grace_s: Option<u64>,
    pub slow_search_ms: Option<u64>,
}

impl Settings {
    /// Reads the variables `ELANUS_DATA`, `ELANUS_LISTEN` and so on through `variable`. Lists are split like `PATH`.
    ///
    /// # Errors
    /// `Value` when a variable that must be text is not.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let get = |name: &str| variable(name).filter(|v| !v.is_empty());
        let text = |name: &str| get(name).map(|v| to_text(name, v)).transpose();
        let list = |name: &str| get(name).map(|v| split_list(&v));
        Ok(Self {
            data: get("ELANUS_DATA").map(PathBuf::from),
            listen: text("ELANUS_LISTEN")?,
            admin_listen: text("ELANUS_ADMIN_LISTEN")?,
            images: list("ELANUS_IMAGES"),
            image_root: list("ELANUS_IMAGE_ROOT"),
            import_root: list("ELANUS_IMPORT_ROOT"),
            device: text("ELANUS_DEVICE")?,
            sync: text("ELANUS_SYNC")?,
            embed: EmbedSettings {
                models: get("ELANUS_MODELS").map(PathBuf::from),
                ..EmbedSettings::from_environment(text)?
            },
            auth: AuthSettings::from_environment(text)?,
            tls: TlsSettings {
                certificate: get("ELANUS_TLS_CERTIFICATE").map(PathBuf::from),
                key: get("ELANUS_TLS_KEY").map(PathBuf::from),
                client_ca: get("ELANUS_TLS_CLIENT_CA").map(PathBuf::from),
            },
            ..Self::default()
        })
    }

    /// Reads a TOML file. Relative paths in it are relative to the working directory, as on the command line.
    ///
    /// # Errors
    /// `Read` or `File`; an unknown key is named.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|e| ConfigError::File {
            path: path.to_owned(),
            reason: super::auth::without_password(&e),
        })
    }

    /// This layer, completed by `lower` where it says nothing.
    #[must_use]
    pub fn or(self, lower: Self) -> Self {
        Self {
            data: self.data.or(lower.data),
            listen: self.listen.or(lower.listen),
            admin_listen: self.admin_listen.or(lower.admin_listen),
            images: self.images.or(lower.images),
            image_root: self.image_root.or(lower.image_root),
            import_root: self.import_root.or(lower.import_root),
            device: self.device.or(lower.device),
            sync: self.sync.or(lower.sync),
            backup_root: self.backup_root.or(lower.backup_root),
            auth: self.auth.or(lower.auth),
            tls: self.tls.or(lower.tls),
            limits: self.limits.or(lower.limits),
            storage: self.storage.or(lower.storage),
            search: self.search.or(lower.search),
            embed: self.embed.or(lower.embed),
            quota: self.quota.or(lower.quota),
            native_json: self.native_json.or(lower.native_json),
        }
    }

    /// Gives every word its type and fills the rest with defaults.
    ///
    /// # Errors
    /// `Value` for an address, device, input or pooling that is none, or a limit of zero.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let default = Config::default();
        Ok(Config {
            data: self.data.unwrap_or(default.data),
            listen: self.listen.map_or(Ok(default.listen), |v| address("listen", &v))?,
            admin_listen: self
                .admin_listen
                .map_or(Ok(default.admin_listen), |v| address("admin-listen", &v))?,
            images: self.images.unwrap_or_default(),
            image_roots: self.image_root.unwrap_or_default(),
            import_roots: self.import_root.unwrap_or_default(),
            device: self.device.map_or(Ok(default.device), |v| word("device", &v))?,
            limits: self.limits.unwrap_or_default().resolve()?,
            models: self.embed.models.clone(),
            embed: self.embed.resolve()?,
            engine: super::engine::options(
                self.sync.as_deref(),
                self.storage.unwrap_or_default(),
                self.search.unwrap_or_default(),
                &self.quota.unwrap_or_default(),
            )?,
            backup_root: self.backup_root,
            native_json: self.native_json.unwrap_or(default.native_json),
            auth: self.auth.resolve()?,
            tls: self.tls.resolve()?,
        })
    }
}

impl LimitSettings {
    fn resolve(self) -> Result<Limits, ConfigError> {
        let default = Limits::default();
        let count = |what: &str, given: Option<usize>, default: usize| match given {
            Some(0) => Err(refuse(what, "0", "must be at least 1")),
            given => Ok(given.unwrap_or(default)),
        };
        let seconds = |what: &str, given: Option<u64>, default: Duration| match given {
            Some(0) => Err(refuse(what, "0", "must be at least 1")),
            given => Ok(given.map_or(default, Duration::from_secs)),
        };
        let max_body_bytes = count("limits.max_body_bytes", self.max_body_bytes, default.max_body_bytes)?;
        let max_bodies_bytes =
            count("limits.max_bodies_bytes", self.max_bodies_bytes, default.max_bodies_bytes)?;
        Ok(Limits {
            max_body_bytes,
            // One body of full size must always fit.
            max_bodies_bytes: max_bodies_bytes.max(max_body_bytes),
            max_connections: count("limits.max_connections", self.max_connections, default.max_connections)?,
            max_decodes: count("limits.max_decodes", self.max_decodes, default.max_decodes)?,
            header_timeout: seconds(
                "limits.header_timeout_s",
                self.header_timeout_s,
                default.header_timeout,
            )?,
            body_idle_timeout: seconds(
                "limits.body_idle_timeout_s",
                self.body_idle_timeout_s,
                default.body_idle_timeout,
            )?,
            connection_idle_timeout: seconds(
                "limits.connection_idle_timeout_s",
                self.connection_idle_timeout_s,
                default.connection_idle_timeout,
            )?,
            slow_search: self.slow_search_ms.map_or(default.slow_search, Duration::from_millis),
            shutdown_grace: self.shutdown_grace_s.map_or(default.shutdown_grace, Duration::from_secs),
        })
    }
}

fn to_text(name: &str, value: OsString) -> Result<String, ConfigError> {
    value.into_string().map_err(|v| refuse(name, &v.to_string_lossy(), "is not text in UTF-8"))
}

fn split_list(value: &OsStr) -> Vec<PathBuf> {
    std::env::split_paths(value).filter(|p| !p.as_os_str().is_empty()).collect()
}

pub(super) fn refuse(what: &str, value: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value { what: what.to_owned(), value: value.to_owned(), reason: reason.into() }
}

fn address(what: &str, value: &str) -> Result<SocketAddr, ConfigError> {
    if let Ok(address) = value.parse() {
        return Ok(address);
    }
    // A host name, such as localhost:19530. An IPv4 address is preferred: that is what people type next.
    let found: Vec<SocketAddr> = value.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let chosen = found.iter().find(|a| a.is_ipv4()).or(found.first());
    chosen
        .copied()
        .ok_or_else(|| refuse(what, value, "is not an address; expected host:port, such as 127.0.0.1:19530"))
}

pub(super) fn word<T: FromStr<Err: std::fmt::Display>>(what: &str, value: &str) -> Result<T, ConfigError> {
    value.parse().map_err(|e: T::Err| refuse(what, value, format!("cannot be used: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let flags = Settings { data: Some("from-flag".into()), ..Settings::default() };
        let environment = Settings::from_environment(|name| match name {
            "ELANUS_DATA" => Some("from-env".into()),
            "ELANUS_LISTEN" => Some("127.0.0.1:1".into()),
            "ELANUS_DEVICE" => Some(OsString::new()),
            _ => None,
        })
        .unwrap();
        let file =
            layer("data = 'from-file'\nlisten = '127.0.0.1:2'\nadmin_listen = '127.0.0.1:3'\ndevice = 'cpu'");
        let config = flags.or(environment).or(file).resolve().unwrap();
        assert_eq!(config.data, Path::new("from-flag"));
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.admin_listen.port(), 3);
        assert_eq!(config.device, "cpu".parse().unwrap());
        assert_eq!(config.limits.max_body_bytes, Limits::default().max_body_bytes);
    }

    #[test]
    fn lists_in_the_environment_are_split_like_path() {
        let joined = std::env::join_paths(["/a", "/b c"]).unwrap();
        let settings =
            Settings::from_environment(|name| (name == "ELANUS_IMAGES").then(|| joined.clone())).unwrap();
        assert_eq!(settings.images.unwrap(), [PathBuf::from("/a"), PathBuf::from("/b c")]);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.toml");
        for (text, key) in
            [("nonsense = 1", "nonsense"), ("[limits]\nmax_boddy = 1", "max_boddy"), ("data = 3", "data")]
        {
            std::fs::write(&path, text).unwrap();
            let message = Settings::from_file(&path).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
        assert!(matches!(Settings::from_file(Path::new("/none/such")), Err(ConfigError::Read { .. })));
    }

    #[test]
    fn wrong_words_are_refused_with_the_setting_and_the_word() {
        for text in [
            "listen = 'nowhere'",
            "device = 'abacus'",
            "embed = { input = 'vgg' }",
            "embed = { pooling = 'median' }",
            "embed = { batch = 0 }",
            "embed = { wait_ms = 2000 }",
            "embed = { open_models = 0 }",
            "limits = { max_connections = 0 }",
        ] {
            let error = layer(text).resolve().unwrap_err().to_string();
            let key = text.split([' ', '=']).next().unwrap();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn host_names_become_addresses() {
        assert_eq!(address("listen", "localhost:7").unwrap().port(), 7);
        assert_eq!(address("listen", "[::1]:8").unwrap(), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 8)));
    }
}
