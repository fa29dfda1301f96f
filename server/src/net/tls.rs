//! TLS for the connections of one port. HTTP/2 and HTTP/1.1 are offered in the handshake. Certificates are renewed while a
//! server runs: the files are looked at now and then, and taken when they have changed and can be used.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use crate::config::TlsConfig;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// When each of the files was last changed, as far as that is known.
type Changed = [Option<SystemTime>; 3];

/// What makes TLS of a connection. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsConfig>,
    current: Arc<Mutex<Current>>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// When the files were last changed, and when that was last looked at.
    changed: Changed,
    looked: Instant,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read, or is no PEM file of its kind.
    #[error("cannot use {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: pem::Error,
    },
    /// There is nothing in one.
    #[error("there is no certificate in {path}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("cannot use certificate and key: {0}")]
    Key(#[from] rustls::Error),
    /// The certificates that are to vouch for clients cannot do so.
    #[error("cannot use the certificates for clients: {0}")]
    Clients(#[from] VerifierBuilderError),
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn open(files: TlsConfig) -> Result<Self, TlsError> {
        let changed = changed(&files);
        let current = Current { acceptor: acceptor(&files)?, changed, looked: Instant::now() };
        Ok(Self { files: Arc::new(files), current: Arc::new(Mutex::new(current)) })
    }

    /// What makes TLS of the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock();
        if current.looked.elapsed() >= LOOK {
            current.looked = Instant::now();
            let changed = changed(&self.files);
            if changed != current.changed {
                current.changed = changed;
                match acceptor(&self.files) {
                    Ok(acceptor) => {
                        tracing::info!("the TLS certificate was read again");
                        current.acceptor = acceptor;
                    }
                    // Half written, perhaps: the old one is still good.
                    Err(error) => tracing::warn!(%error, "the new TLS certificate is not used"),
                }
            }
        }
        current.acceptor.clone()
    }
}

/// Not the latest of them: a new certificate may well be older than the key of the one before.
fn changed(files: &TlsConfig) -> Changed {
    let paths = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
    paths.map(|path| path?.metadata().ok()?.modified().ok())
}

fn acceptor(files: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            certificates(path)?.into_iter().try_for_each(|certificate| roots.add(certificate))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|reason| TlsError::File { path: files.key.clone(), reason })?;
    let mut config = builder.with_single_cert(certificates(&files.certificate)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |reason| TlsError::File { path: path.to_owned(), reason };
    let read = CertificateDer::pem_file_iter(path).map_err(refuse)?;
    let all = read.collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    if all.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(all) }
}
