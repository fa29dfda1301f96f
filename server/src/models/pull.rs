//! Downloads of weights files. What has come stays in a `.part` file when a download breaks off; the next one asks for the
//! rest, if the server still has the same file by its `ETag`, and otherwise begins anew. The file gets its name when its
//! SHA-256 is the expected one and it fits the network.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use elanus_embed::{MAX_FILE_BYTES, ModelKey, Network};
use http::StatusCode;
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use serde::{Deserialize, Serialize};
use ureq::http::Response;
use ureq::{Agent, Body};

use super::part::Part;
use super::{ModelError, ModelFolder, Result, at};

/// Longest wait for a connection, and for the head of an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are written at once.
const PIECE: usize = 256 << 10;
/// Digits of a SHA-256 that are enough to know a file by: as many as torchvision's names have.
const LEAST_DIGITS: usize = 8;

/// What to download.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    /// For which network.
    pub(crate) network: Network,
    /// From where.
    pub(crate) url: String,
    /// How its SHA-256 begins, lower-case; `None` takes whatever comes.
    pub(crate) digits: Option<String>,
}

/// Is told how many bytes have come and, if that is known, how many there will be.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64, Option<u64>);

/// What a part is a part of; beside it on the disk.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Origin {
    url: String,
    etag: String,
}

impl Pull {
    /// From torchvision's published place unless another one is named; a hash is needed only for the latter.
    ///
    /// # Errors
    /// A sentence: for the carried network, and for digits that are no beginning of a SHA-256.
    pub(crate) fn new(
        network: Network,
        url: Option<String>,
        sha256: Option<String>,
    ) -> std::result::Result<Self, String> {
        if network == Network::Carried {
            return Err(ModelError::Carried.to_string());
        }
        let digits = sha256.map(|digits| digits.to_ascii_lowercase());
        let is_hash = |digits: &String| {
            (LEAST_DIGITS..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
        };
        if let Some(wrong) = digits.as_ref().filter(|digits| !is_hash(digits)) {
            return Err(format!("{wrong:?} is no SHA-256, nor 8 or more of its first digits"));
        }
        let (published, pinned) = network.architecture().published();
        let pinned = url.is_none().then(|| pinned.to_owned());
        Ok(Self { network, url: url.unwrap_or_else(|| published.to_owned()), digits: digits.or(pinned) })
    }
}

impl ModelFolder {
    /// Downloads a weights file, or the rest of it. Blocking; durable when it returns.
    ///
    /// # Errors
    /// `Download` when it breaks off (what came stays), `WrongHash` and `Unfit` (nothing stays), `Busy`, and what the disk
    /// says.
    pub(crate) fn pull(&self, pull: &Pull, progress: Progress<'_>) -> Result<ModelKey> {
        let mut part = Part::open(&self.path, pull.network, "pull")?;
        let origin = part.path().with_extension("origin");
        let mut download = Download { pull, part: &mut part, origin: origin.clone() };
        download.run(progress)?;
        let kept = self.checked(&mut part, pull);
        if let Err(ModelError::WrongHash { .. } | ModelError::Unfit { .. }) = &kept {
            part.remove();
        }
        if kept.is_ok() || !part.path().exists() {
            // Nothing is left that it tells about.
            let _ = std::fs::remove_file(&origin);
        }
        kept
    }

    fn checked(&self, part: &mut Part, pull: &Pull) -> Result<ModelKey> {
        let unfit = |reason| ModelError::Download { url: pull.url.clone(), reason };
        let found = elanus_embed::file_sha256(part.file()).map_err(|error| unfit(error.to_string()))?;
        match &pull.digits {
            Some(expected) if !found.to_string().starts_with(expected.as_str()) => {
                Err(ModelError::WrongHash { url: pull.url.clone(), found, expected: expected.clone() })
            }
            _ => self.keep(part, pull.network),
        }
    }
}

struct Download<'a> {
    pull: &'a Pull,
    part: &'a mut Part,
    /// Where the origin of the part is written.
    origin: PathBuf,
}

impl Download<'_> {
    /// Brings the part to its full length.
    fn run(&mut self, progress: Progress<'_>) -> Result<()> {
        let mut have = self.part.seek_end()?;
        let known = self.read_origin().filter(|origin| origin.url == self.pull.url && have > 0);
        let mut response = self.ask(known.as_ref().map(|origin| (have, origin.etag.as_str())))?;
        let rest = response.status() == StatusCode::PARTIAL_CONTENT && known.is_some();
        if rest && !is_from(&response, have) {
            return Err(self.failed("the server sends another part of the file than was asked for"));
        }
        match response.status() {
            StatusCode::PARTIAL_CONTENT if rest => {}
            StatusCode::OK => {
                have = 0;
                self.part.clear()?;
                self.write_origin(&response)?;
            }
            // The part is as long as the file, or longer: whether it is the file, its hash will say.
            StatusCode::RANGE_NOT_SATISFIABLE if known.is_some() => return Ok(()),
            status => return Err(self.failed(format!("the server answers {status}"))),
        }
        let total = response.body().content_length().map(|rest| rest.saturating_add(have));
        if let Some(bytes) = total.filter(|total| *total > MAX_FILE_BYTES) {
            return Err(
                self.failed(format!("{bytes} bytes, and no weights file has more than {MAX_FILE_BYTES}"))
            );
        }
        self.copy(response.body_mut(), have, total, progress)
    }

    fn ask(&self, part: Option<(u64, &str)>) -> Result<Response<Body>> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            // A file that was asked for in secret is not taken from an open connection.
            .https_only(self.pull.url.starts_with("https:"))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .build()
            .into();
        let mut request = agent.get(&self.pull.url);
        if let Some((have, etag)) = part {
            request = request.header(RANGE, format!("bytes={have}-")).header(IF_RANGE, etag);
        }
        request.call().map_err(|error| self.failed(error.to_string()))
    }

    fn copy(
        &mut self,
        body: &mut Body,
        mut have: u64,
        total: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<()> {
        let mut reader = body.with_config().limit(MAX_FILE_BYTES).reader();
        let mut piece = vec![0; PIECE];
        progress(have, total);
        loop {
            let count = match reader.read(&mut piece) {
                Ok(0) if total.is_none_or(|total| have == total) => return Ok(()),
                Ok(0) => return Err(self.broken(have, "the connection ended")),
                Ok(count) => count,
                Err(error) => return Err(self.broken(have, error)),
            };
            self.part.file().write_all(&piece[..count]).map_err(at(self.part.path()))?;
            have += count as u64;
            progress(have, total);
        }
    }

    fn broken(&self, have: u64, reason: impl std::fmt::Display) -> ModelError {
        self.failed(format!("broke off after {have} bytes ({reason}); the same command goes on from there"))
    }

    fn failed(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Download { url: self.pull.url.clone(), reason: reason.into() }
    }

    fn read_origin(&self) -> Option<Origin> {
        serde_json::from_slice(&std::fs::read(&self.origin).ok()?).ok()
    }

    /// Remembers what the part will be a part of, if the server says how to know that.
    fn write_origin(&self, response: &Response<Body>) -> Result<()> {
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        // A weak one does not promise the same bytes.
        let Some(etag) = etag.filter(|etag| !etag.starts_with("W/")) else {
            return match std::fs::remove_file(&self.origin) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(&self.origin)(error)),
                _ => Ok(()),
            };
        };
        let origin = Origin { url: self.pull.url.clone(), etag: etag.to_owned() };
        let text = serde_json::to_vec(&origin).unwrap_or_default();
        std::fs::write(&self.origin, text).map_err(at(&self.origin))
    }
}

/// Whether a partial answer begins at this byte.
fn is_from(response: &Response<Body>, have: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()) == Some(have)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_files_are_pinned_and_others_as_they_are_told_to_be() {
        let resnet = Pull::new(Network::Resnet50, None, None).unwrap();
        assert!(
            resnet.url.ends_with("resnet50-0676ba61.pth") && resnet.digits.as_deref() == Some("0676ba61")
        );
        let own = |digits: Option<&str>| {
            Pull::new(Network::Vgg16Fc7, Some("http://a/b".into()), digits.map(str::to_owned))
        };
        assert_eq!(own(None).unwrap().digits, None);
        assert_eq!(own(Some("ABCDEF01")).unwrap().digits.as_deref(), Some("abcdef01"));
        for wrong in ["", "abc", "abcdefgh", &"a".repeat(65)] {
            assert!(own(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(Pull::new(Network::Carried, None, None).is_err());
    }
}
