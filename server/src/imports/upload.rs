//! `/v1/imports`: files for imports, uploaded into the data directory. A body goes to the disk as it comes, so it may be
//! larger than bodies that are held in memory: only the disk's quota bounds it. A file appears whole or not at all.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use elanus_engine::Engine;
use elanus_storage::{AtomicFile, DirEntry, DiskVfs, StorageError, TEMPORARY_SUFFIX, Vfs, sweep_temporary};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout};

use super::source::Format;
use crate::app::{App, blocking};
use crate::error::ApiError;
use crate::reply::own_data;

/// The route whose bodies go to the disk as they come.
pub(crate) const UPLOAD_ROUTE: &str = "/v1/imports/{name}";
/// Uploads at one time; each holds a thread.
const MAX_AT_ONCE: usize = 16;
/// Most files; room on the disk bounds their size, and not how many empty ones there are.
const MAX_FILES: usize = 10_000;
/// Longest name in bytes: it gets a suffix while the file is written.
const MAX_NAME: usize = 200;
/// Bytes that the quota is asked for at a time.
const STEP: u64 = 8 << 20;
/// Bytes a second that a client must send, on the average of the time that it is waited for; and how long it may take
/// before that counts. Whoever drips holds one of few places.
const MIN_RATE: u64 = 16 << 10;
const GRACE: Duration = Duration::from_secs(60);
/// Pieces of a body between the network and the disk.
const UNDERWAY: usize = 16;
/// What uploads are called among the bytes of the data directory.
const KIND: &str = "imports";

/// The routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/imports", get(list)).route(UPLOAD_ROUTE, post(upload).delete(remove))
}

/// A part of a body on its way to the disk. Without an end the client has broken off.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    End,
}

/// The folder of uploaded files.
#[derive(Debug)]
pub(crate) struct Uploads {
    vfs: DiskVfs,
    folder: PathBuf,
    engine: Arc<Engine>,
    /// Names that are being written.
    busy: Mutex<HashSet<String>>,
}

/// A name that nobody else writes to while this is held.
struct Claim<'a> {
    uploads: &'a Uploads,
    name: &'a str,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.uploads.busy.lock().remove(self.name);
    }
}

/// An uploaded file as the API shows it.
#[derive(Debug, Serialize)]
struct FileJson {
    name: String,
    size: u64,
}

impl Uploads {
    pub(super) fn open(folder: PathBuf, engine: Arc<Engine>) -> Result<Self, ApiError> {
        let vfs = DiskVfs;
        vfs.create_dir_all(&folder)?;
        sweep_temporary(&vfs, &folder)?;
        let uploads = Self { vfs, folder, engine, busy: Mutex::default() };
        uploads.measure()?;
        Ok(uploads)
    }

    /// The folder's real path.
    pub(super) fn folder(&self) -> Result<PathBuf, ApiError> {
        let real = self.folder.canonicalize();
        Ok(real.map_err(|source| StorageError::io("look at", &self.folder, source))?)
    }

    fn files(&self) -> Result<Vec<DirEntry>, ApiError> {
        let mut files = self.vfs.list(&self.folder)?;
        files.retain(|file| !file.is_dir && !file.name.ends_with(TEMPORARY_SUFFIX));
        Ok(files)
    }

    /// Tells the quota how many bytes there are.
    fn measure(&self) -> Result<(), ApiError> {
        self.engine.set_other_bytes(KIND, self.files()?.iter().map(|file| file.len).sum());
        Ok(())
    }

    fn claim<'a>(&'a self, name: &'a str) -> Result<Claim<'a>, ApiError> {
        let mut busy = self.busy.lock();
        if busy.len() >= MAX_AT_ONCE {
            return Err(ApiError::unavailable(format!("{MAX_AT_ONCE} files are being uploaded already")));
        }
        if !busy.insert(name.to_owned()) {
            return Err(ApiError::conflict(format!("{name} is being uploaded by somebody else")));
        }
        Ok(Claim { uploads: self, name })
    }

    /// Writes a file from the pieces of a body. `place` puts it where it belongs when it is whole. Blocking.
    ///
    /// # Errors
    /// 503 and 409 for too many at a time, or two of one name; 409 for too many files; 400 for a body that breaks off;
    /// 507 when the disk is full; those of `place`.
    pub(super) fn receive(
        &self,
        name: &str,
        len: Option<u64>,
        mut pieces: Receiver<Piece>,
        place: impl FnOnce(AtomicFile<'_>) -> Result<(), ApiError>,
    ) -> Result<u64, ApiError> {
        let _claim = self.claim(name)?;
        if self.files()?.len() >= MAX_FILES {
            return Err(ApiError::conflict(format!("there are {MAX_FILES} files already: remove some")));
        }
        let quota = self.engine.quota();
        quota.check_disk(len.unwrap_or(0))?;
        let mut file = AtomicFile::create(&self.vfs, &self.folder.join(name))?;
        let (mut admitted, mut written) = (0, 0);
        loop {
            let bytes = match pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => bytes,
                Some(Piece::End) => break,
                None => return Err(ApiError::invalid("the request body broke off")),
            };
            let size = bytes.len() as u64;
            if written + size > admitted {
                let more = size.max(STEP);
                quota.admit_disk(more)?;
                admitted += more;
            }
            file.write(&bytes).inspect_err(|error| {
                if error.is_disk_full() {
                    quota.disk_is_full();
                }
            })?;
            written += size;
        }
        place(file)?;
        self.measure()?;
        Ok(written)
    }

    /// Removes a file; false when there is none. Blocking.
    pub(super) fn remove(&self, name: &str) -> Result<bool, ApiError> {
        let _claim = self.claim(name)?;
        let path = self.folder.join(name);
        let there = self.vfs.exists(&path)?;
        self.vfs.remove_file(&path)?;
        self.vfs.sync_dir(&self.folder)?;
        self.measure()?;
        Ok(there)
    }
}

/// Checks the name of a file: it must be one on every system, and lead nowhere else.
fn check_name(name: &str) -> Result<(), ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '$');
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(plain) {
        return Err(ApiError::invalid(format!(
            "a file's name has at most {MAX_NAME} letters, digits, `.`, `_`, `-` and `$`, and no `.` in front"
        )));
    }
    if Format::of(name).is_none() {
        let reason = "its suffix is none of .json, .jsonl, .ndjson, .npy, .parquet";
        return Err(ApiError::invalid(format!("{name} can't be imported: {reason}")));
    }
    Ok(())
}

async fn upload(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    check_name(&name)?;
    let body = request.into_body();
    let len = body.size_hint().exact();
    let (sender, pieces) = channel(UNDERWAY);
    let (imports, file) = (Arc::clone(&app.imports), name.clone());
    let writing = blocking(move || imports.receive(&file, len, pieces));
    let (fed, written) = tokio::join!(feed(body, sender), writing);
    fed?;
    Ok(own_data(FileJson { name, size: written? }))
}

/// Hands a body over piece by piece. Ends early when nobody takes it any more: whoever did says why.
async fn feed(mut body: Body, pieces: Sender<Piece>) -> Result<(), ApiError> {
    let (mut received, mut waited) = (0, Duration::ZERO);
    loop {
        let (asked, allowed) = (Instant::now(), GRACE + Duration::from_secs(received / MIN_RATE));
        let frame = timeout(allowed.saturating_sub(waited), body.frame()).await;
        waited += asked.elapsed();
        let too_slow =
            |_| ApiError::invalid(format!("the request body came slower than {MIN_RATE} bytes a second"));
        let Some(frame) = frame.map_err(too_slow)? else { break };
        let frame =
            frame.map_err(|error| ApiError::invalid(format!("the request body broke off: {error}")))?;
        let Ok(bytes) = frame.into_data() else { continue };
        received += bytes.len() as u64;
        // How long the disk takes is not the client's fault.
        if pieces.send(Piece::Bytes(bytes)).await.is_err() {
            return Ok(());
        }
    }
    // As above.
    let _ = pieces.send(Piece::End).await;
    Ok(())
}

async fn list(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let files = blocking(move || app.imports.uploads().files()).await?;
    let files: Vec<FileJson> =
        files.into_iter().map(|file| FileJson { name: file.name, size: file.len }).collect();
    Ok(own_data(files))
}

async fn remove(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    check_name(&name)?;
    let file = name.clone();
    if !blocking(move || app.imports.remove(&file)).await? {
        return Err(ApiError::not_found(format!("there is no file {name}")));
    }
    Ok(own_data(serde_json::Map::new()))
}

#[cfg(test)]
mod tests {
    use elanus_engine::EngineOptions;
    use elanus_storage::data_dir;
    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["a.json", "id.npy", "$meta.npy", "2024-01-01_x.y.parquet", "A.JSONL"] {
            check_name(name).unwrap();
        }
        let long = format!("{}.json", "a".repeat(MAX_NAME));
        for name in [
            "",
            ".json",
            "..",
            "../a.json",
            "a/b.json",
            "a.json.tmp",
            "a",
            "a b.json",
            "ü.json",
            "a\0.json",
            &long,
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    /// A body of pieces, one every so often, as long as somebody takes them.
    fn dripped(piece: usize, every: Duration, pieces: usize) -> Body {
        let pieces = stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(every).await;
            Ok::<_, std::convert::Infallible>(Bytes::from(vec![b' '; piece]))
        });
        Body::from_stream(pieces)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_refused_and_a_slow_one_is_not() {
        let fed = |body: Body| async {
            let (sender, mut pieces) = channel(UNDERWAY);
            let taken = tokio::spawn(async move { while pieces.recv().await.is_some() {} });
            let fed = feed(body, sender).await;
            taken.await.unwrap();
            fed
        };
        let second = Duration::from_secs(1);
        assert_eq!(fed(dripped(32 << 10, second, 2000)).await, Ok(()));
        assert_eq!(fed(dripped(1, second, 50)).await, Ok(()), "small ones have time to begin with");
        let refused = fed(dripped(1, second, 2000)).await.unwrap_err();
        assert!(refused.message.contains("slower"), "{}", refused.message);
        assert!(fed(dripped(4 << 10, second, 2000)).await.is_err());
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let options = EngineOptions { background: false, ..EngineOptions::default() };
        let engine = Engine::open(data_dir::open(folder.path()).unwrap(), options).unwrap();
        let uploads = Uploads::open(folder.path().join("imports"), Arc::clone(&engine)).unwrap();
        let send = |name: &str, len: Option<u64>, pieces: Vec<Piece>| {
            let (sender, receiver) = channel(UNDERWAY);
            pieces.into_iter().for_each(|piece| sender.try_send(piece).unwrap());
            drop(sender);
            uploads.receive(name, len, receiver, |file| Ok(file.finish().map(drop)?))
        };
        let bytes = || Piece::Bytes(Bytes::from_static(b"[]"));
        let before = engine.data_bytes();
        assert_eq!(send("a.json", None, vec![bytes(), bytes(), Piece::End]), Ok(4));
        assert_eq!(std::fs::read(folder.path().join("imports/a.json")).unwrap(), b"[][]");
        assert_eq!(engine.data_bytes(), before + 4);
        assert_eq!(send("a.json", Some(4), vec![bytes()]).unwrap_err().status.as_u16(), 400);
        assert_eq!(send("b.json", Some(u64::MAX), vec![Piece::End]).unwrap_err().status.as_u16(), 507);
        assert_eq!(send("c.json", None, vec![Piece::End]), Ok(0), "a refusal of one upload stops no other");
        let names: Vec<String> = uploads.files().unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["a.json", "c.json"]);
        assert_eq!(std::fs::read_dir(folder.path().join("imports")).unwrap().count(), 2);
        assert_eq!((uploads.remove("a.json"), uploads.remove("a.json")), (Ok(true), Ok(false)));
        assert_eq!(engine.data_bytes(), before);
    }
}
