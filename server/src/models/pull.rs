//! Downloads of weights files. What has come stays in a `.part` file when a download breaks off; the next one asks for the
//! rest, if the server still has the same file by its `ETag`, and otherwise begins anew. A file beside it says how much of
//! the part is durable: a power loss can leave zeros behind that, and no hash may be known that would tell. The part gets
//! its name when its SHA-256 is the expected one and it fits the network.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use elanus_embed::{MAX_FILE_BYTES, ModelKey, Network, WeightsError};
use elanus_storage::{DiskVfs, StorageError, write_atomic};
use http::StatusCode;
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use serde::{Deserialize, Serialize};
use ureq::http::Response;
use ureq::{Agent, Body};

use super::part::Part;
use super::{ModelError, ModelFolder, PIECE, Result, at};

/// Longest wait for a connection, for the head of an answer, and for the next bytes of the file.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so many bytes they are made durable: the most that comes twice after a crash.
const SYNC_EVERY: u64 = 32 << 20;
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
    /// Bytes of it that are durable.
    synced: u64,
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
    /// `Download` when it breaks off (what came stays), `WrongHash`, `TooLarge` and `Unfit` (nothing stays), `Busy`, and what the disk
    /// says.
    pub(crate) fn pull(&self, pull: &Pull, progress: Progress<'_>) -> Result<ModelKey> {
        self.pull_within(PATIENCE, pull, progress)
    }

    fn pull_within(&self, patience: Duration, pull: &Pull, progress: Progress<'_>) -> Result<ModelKey> {
        let mut part = Part::open(&self.path, pull.network, "pull")?;
        let path = part.path().with_extension("origin");
        let mut download = Download { pull, part: &mut part, path: path.clone(), origin: None, patience };
        let kept = download.run(progress).and_then(|()| self.checked(&mut part, pull));
        use ModelError::{TooLarge, Unfit, WrongHash};
        if let Err(TooLarge { .. } | Unfit { .. } | WrongHash { .. }) = &kept {
            part.remove();
        }
        if kept.is_ok() || !part.path().exists() {
            // Nothing is left that it tells about.
            let _ = std::fs::remove_file(&path);
        }
        kept
    }

    fn checked(&self, part: &mut Part, pull: &Pull) -> Result<ModelKey> {
        let found = elanus_embed::file_sha256(part.file()).map_err(|error| match error {
            WeightsError::Io { reason } => at(part.path())(io::Error::other(reason)),
            reason => ModelError::Unfit { path: part.path().to_owned(), reason },
        })?;
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
    /// Where the origin is written.
    path: PathBuf,
    /// What the part is a part of; none when nothing would know it again.
    origin: Option<Origin>,
    /// Longest wait for the other side.
    patience: Duration,
}

impl Download<'_> {
    /// Brings the part to its full length.
    fn run(&mut self, progress: Progress<'_>) -> Result<()> {
        self.origin = self.read_origin().filter(|origin| origin.url == self.pull.url);
        let durable = self.origin.as_ref().map_or(0, |origin| origin.synced);
        let mut have = self.part.length()?.min(durable);
        let known = self.origin.as_ref().filter(|_| have > 0);
        let mut response = self.ask(known.map(|origin| (have, origin.etag.as_str())))?;
        let rest = response.status() == StatusCode::PARTIAL_CONTENT && known.is_some();
        if rest && !is_from(&response, have) {
            return Err(self.failed("the server sends another part of the file than was asked for"));
        }
        match response.status() {
            StatusCode::PARTIAL_CONTENT if rest => self.part.cut(have)?,
            StatusCode::OK => {
                have = 0;
                self.begin(&response)?;
            }
            // The part is as long as the file, or longer: whether it is the file, its hash will say.
            StatusCode::RANGE_NOT_SATISFIABLE if known.is_some() => return self.part.cut(have),
            status => return Err(self.failed(format!("the server answers {status}"))),
        }
        let total = response.body().content_length().map(|rest| rest.saturating_add(have));
        if total.is_some_and(|total| total > MAX_FILE_BYTES) {
            return Err(self.too_large());
        }
        let copied = self.copy(response.body_mut(), have, total, progress);
        // What the disk refused stays as it was last noted.
        if let Err(ModelError::Download { .. }) = &copied {
            self.note()?;
        }
        copied
    }

    fn ask(&self, part: Option<(u64, &str)>) -> Result<Response<Body>> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            // A file that was asked for in secret is not taken from an open connection.
            .https_only(self.pull.url.starts_with("https:"))
            .timeout_connect(Some(self.patience))
            .timeout_recv_response(Some(self.patience))
            .timeout_per_read(Some(self.patience))
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
        // Ours is the limit that counts what was there before, too.
        let mut reader = body.with_config().limit(u64::MAX).reader();
        let (mut piece, mut synced) = (vec![0; PIECE], have);
        progress(have, total);
        loop {
            let count = match reader.read(&mut piece) {
                Ok(0) if total.is_none_or(|total| have == total) => return Ok(()),
                Ok(0) => return Err(self.broken(have, "the connection ended")),
                Ok(count) => count,
                Err(error) => return Err(self.broken(have, error)),
            };
            have += count as u64;
            if have > MAX_FILE_BYTES {
                return Err(self.too_large());
            }
            self.part.write(&piece[..count])?;
            if have - synced >= SYNC_EVERY {
                self.note()?;
                synced = have;
            }
            progress(have, total);
        }
    }

    fn broken(&self, have: u64, reason: impl std::fmt::Display) -> ModelError {
        let next = if self.origin.is_some() { "goes on from there" } else { "begins anew" };
        self.failed(format!("broke off after {have} bytes ({reason}); the same command {next}"))
    }

    fn failed(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Download { url: self.pull.url.clone(), reason: reason.into() }
    }

    fn too_large(&self) -> ModelError {
        ModelError::TooLarge { url: self.pull.url.clone(), limit: MAX_FILE_BYTES }
    }

    fn read_origin(&self) -> Option<Origin> {
        serde_json::from_slice::<Option<Origin>>(&std::fs::read(&self.path).ok()?).ok()?
    }

    /// Empties the part, and remembers what it will be a part of, if the server says how to know that.
    fn begin(&mut self, response: &Response<Body>) -> Result<()> {
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        // A weak one does not promise the same bytes.
        let etag = etag.filter(|etag| !etag.starts_with("W/"));
        let url = self.pull.url.clone();
        self.origin = etag.map(|etag| Origin { url, etag: etag.to_owned(), synced: 0 });
        // Before anything is written to it: the old one may not speak for the new bytes.
        self.write_origin()?;
        self.part.clear()
    }

    /// Makes durable what has come, and that it has.
    fn note(&mut self) -> Result<()> {
        let Some(origin) = &mut self.origin else { return Ok(()) };
        self.part.sync()?;
        origin.synced = self.part.length()?;
        self.write_origin()
    }

    fn write_origin(&self) -> Result<()> {
        let text = serde_json::to_vec(&self.origin).unwrap_or_default();
        write_atomic(&DiskVfs, &self.path, &text).map_err(|error| match error {
            StorageError::Io { path, source, .. } => at(&path)(source),
            other => at(&self.path)(io::Error::other(other)),
        })
    }
}

/// Whether a partial answer begins at this byte.
fn is_from(response: &Response<Body>, have: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()) == Some(have)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Where a server answers one request with `answer` and does not close the connection; and the `Range` it was asked for.
    fn serve(answer: String) -> (String, Receiver<Option<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/weights", listener.local_addr().unwrap());
        let (sender, asked) = channel();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).lines().map_while(io::Result::ok);
            let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            let range =
                head.iter().find_map(|line| line.to_lowercase().strip_prefix("range: ").map(str::to_owned));
            sender.send(range).unwrap();
            (&stream).write_all(answer.as_bytes()).unwrap();
            // Until the other side has gone.
            drop(lines.next());
        });
        (url, asked)
    }

    /// A folder with a part of that many bytes, of which `synced` are known to be durable.
    fn begun(url: &str, bytes: u64, synced: u64) -> (tempfile::TempDir, ModelFolder) {
        let place = tempfile::tempdir().unwrap();
        std::fs::File::create(place.path().join("vgg19-pull.part")).unwrap().set_len(bytes).unwrap();
        let origin = Origin { url: url.to_owned(), etag: "\"one\"".to_owned(), synced };
        std::fs::write(place.path().join("vgg19-pull.origin"), serde_json::to_vec(&Some(origin)).unwrap())
            .unwrap();
        let folder = ModelFolder::new(place.path().to_owned());
        (place, folder)
    }

    fn pull(folder: &ModelFolder, url: String, patience: Duration) -> ModelError {
        let pull = Pull::new(Network::Vgg19, Some(url), None).unwrap();
        folder.pull_within(patience, &pull, &mut |_, _| {}).unwrap_err()
    }

    fn is_empty(place: &tempfile::TempDir) -> bool {
        std::fs::read_dir(place.path()).unwrap().next().is_none()
    }

    #[test]
    fn what_a_power_loss_may_have_taken_is_asked_for_again() {
        let answer =
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 60-69/70\r\nContent-Length: 10\r\n\r\n";
        let (url, asked) = serve(format!("{answer}{}", "x".repeat(10)));
        let (place, folder) = begun(&url, 100, 60);
        let error = pull(&folder, url, PATIENCE);
        assert_eq!(asked.recv().unwrap().as_deref(), Some("bytes=60-"));
        assert!(matches!(error, ModelError::Unfit { .. }) && is_empty(&place), "{error}");
    }

    #[test]
    fn what_has_come_is_noted_when_the_other_side_falls_silent() {
        let head = "HTTP/1.1 200 OK\r\nETag: \"two\"\r\nContent-Length: 1000\r\n\r\n";
        let (url, asked) = serve(format!("{head}{}", "x".repeat(7)));
        let (place, folder) = begun(&url, 100, 0);
        let error = pull(&folder, url.clone(), Duration::from_millis(200)).to_string();
        assert!(error.contains("after 7 bytes") && asked.recv().unwrap().is_none(), "{error}");
        let read = |name| std::fs::read(place.path().join(name)).unwrap();
        let origin: Option<Origin> = serde_json::from_slice(&read("vgg19-pull.origin")).unwrap();
        assert_eq!(origin, Some(Origin { url, etag: "\"two\"".to_owned(), synced: 7 }));
        assert_eq!(read("vgg19-pull.part"), b"xxxxxxx");
    }

    #[test]
    fn what_grows_too_large_is_removed() {
        let answer = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1073741824-/*\r\n\
                      Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
        let (url, _asked) = serve(answer.to_owned());
        let (place, folder) = begun(&url, MAX_FILE_BYTES, MAX_FILE_BYTES);
        let error = pull(&folder, url, PATIENCE);
        assert!(matches!(error, ModelError::TooLarge { .. }) && is_empty(&place), "{error}");
    }

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
