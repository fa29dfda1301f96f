//! The table `[tls]`: with it the main port speaks TLS and nothing else.

use std::path::PathBuf;

use serde::Deserialize;

use super::settings::refuse;
use super::{ConfigError, TlsConfig};

/// The table `[tls]` of the file; see [`TlsConfig`] for the meanings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // Each field is documented where it takes effect.
pub struct TlsSettings {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub client_ca: Option<PathBuf>,
}

impl TlsSettings {
    /// This layer, completed by `lower` where it says nothing.
    pub(super) fn or(self, lower: Self) -> Self {
        Self {
            certificate: self.certificate.or(lower.certificate),
            key: self.key.or(lower.key),
            client_ca: self.client_ca.or(lower.client_ca),
        }
    }

    /// # Errors
    /// `Value` for a certificate without a key, or the other way round.
    pub(super) fn resolve(self) -> Result<Option<TlsConfig>, ConfigError> {
        let Self { certificate, key, client_ca } = self;
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(TlsConfig { certificate, key, client_ca })),
            (None, None) if client_ca.is_none() => Ok(None),
            (Some(given), None) => {
                Err(refuse("tls.certificate", &given.display().to_string(), "needs tls.key"))
            }
            (None, given) => {
                let given = given.or(client_ca).unwrap_or_default();
                Err(refuse("tls", &given.display().to_string(), "needs tls.certificate and tls.key"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_and_key_belong_together() {
        let read = |text: &str| toml::from_str::<TlsSettings>(text).unwrap().resolve();
        assert!(read("").unwrap().is_none());
        assert_eq!(read("certificate = 'a'\nkey = 'b'").unwrap().unwrap().key, PathBuf::from("b"));
        for wrong in ["certificate = 'a'", "key = 'b'", "client_ca = 'c'", "key = 'b'\nclient_ca = 'c'"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
