//! The server under measurement, and the calls that bring photos into it and their vectors out again. The server is this
//! very program, started again as a process of its own with the command line `elanus` has.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use elanus_benches::Result;
use elanus_benches::connection::{Connection, post};
use elanus_benches::program::Program;
use elanus_embed::Descriptor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::photos::{Photo, Photos};

/// Where photos are imported.
pub(crate) const COLLECTION: &str = "images";
/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(50);
/// Rows of one page of a listing, and of one request for vectors.
const PAGE: usize = 500;
/// Refused files that are named; all are counted.
const NAMED: usize = 20;
/// A picture of one pixel: embedding it waits for the model.
const PIXEL: [u8; 58] =
    *b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0\x04\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\x80\x80\0";

/// A running server with a data folder of its own, removed at the end.
pub(crate) struct Server {
    program: Program,
    data: tempfile::TempDir,
}

/// A file that was refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// Its name below the folder.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
}

/// How an import went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Import {
    /// Files that may be photos.
    pub(crate) files: u64,
    /// Photos stored.
    pub(crate) stored: u64,
    /// Files with the same bytes as one before.
    pub(crate) skipped: u64,
    /// Files that could not be read as photos.
    pub(crate) refused: u64,
    /// The first of them.
    pub(crate) refused_files: Vec<Refused>,
    /// From the request until all is stored.
    pub(crate) seconds: f64,
    /// Stored ones.
    pub(crate) photos_per_s: f64,
}

/// A job as the server shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    id: String,
    state: String,
    total: u64,
    done: u64,
    skipped: u64,
    failed_count: u64,
    failed: Vec<Refused>,
    message: Option<String>,
}

impl Server {
    /// Starts a server that may read the folder `images`; returns as soon as it listens.
    ///
    /// # Errors
    /// When it can't be started.
    pub(crate) fn start(images: &Path, device: &str, descriptor: Descriptor) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let (input, pooling) = (descriptor.recipe.to_string(), descriptor.pooling.to_string());
        let options: [&OsStr; 8] = [
            "--device".as_ref(),
            device.as_ref(),
            "--input".as_ref(),
            input.as_ref(),
            "--pooling".as_ref(),
            pooling.as_ref(),
            "--image-root".as_ref(),
            images.as_ref(),
        ];
        let program = Program::start(&std::env::current_exe()?, data.path(), &options)?;
        Ok(Self { program, data })
    }

    /// The process.
    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Where it keeps its data.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Waits until the network is there.
    ///
    /// # Errors
    /// Why it can't be had, for example on a device that is not there.
    pub(crate) fn wait_for_model(&self) -> Result<()> {
        let mut connection = Connection::open(self.program.address())?;
        connection
            .exchange(&post("/v1/embed", "image/bmp", &PIXEL))
            .map_err(|e| format!("the model: {e}"))?;
        Ok(())
    }

    /// What the server says about itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn status(&self) -> Result<Value> {
        self.program.get("/v1/status")
    }

    /// A call of Milvus's API.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) fn call(&self, path: &str, body: &Value) -> Result<Value> {
        self.program.post(&format!("/v2/vectordb/{path}"), body)
    }

    /// Imports the folder into a collection; `watch` is told how many photos are done, again and again.
    ///
    /// # Errors
    /// When the import can't be finished, or `watch` fails.
    pub(crate) fn import(
        &self,
        folder: &Path,
        collection: &str,
        mut watch: impl FnMut(u64) -> Result<()>,
    ) -> Result<Import> {
        let began = Instant::now();
        let path = folder.to_str().ok_or_else(|| format!("{}: is not UTF-8", folder.display()))?;
        let asked = json!({"folder": path, "collection": collection});
        let mut job: Job = serde_json::from_value(self.program.post("/v1/jobs", &asked)?)?;
        while matches!(job.state.as_str(), "queued" | "running") {
            watch(job.done)?;
            std::thread::sleep(POLL);
            job = serde_json::from_value(self.program.get(&format!("/v1/jobs/{}", job.id))?)?;
        }
        if job.state != "done" {
            let why = job.message.unwrap_or_default();
            return Err(format!("the import of {} has {}: {why}", folder.display(), job.state).into());
        }
        let seconds = began.elapsed().as_secs_f64();
        let stored = job.done.saturating_sub(job.skipped + job.failed_count);
        job.failed.truncate(NAMED);
        Ok(Import {
            files: job.total,
            stored,
            skipped: job.skipped,
            refused: job.failed_count,
            refused_files: job.failed,
            seconds,
            photos_per_s: stored as f64 / seconds,
        })
    }

    /// All stored photos with their vectors, read out through the API.
    ///
    /// # Errors
    /// When the server refuses, or answers something else than asked for.
    pub(crate) fn photos(&self) -> Result<Photos> {
        let mut photos = Vec::new();
        loop {
            let page = format!("/v1/images/{COLLECTION}?limit={PAGE}&offset={}", photos.len());
            let page: Vec<Listed> = serde_json::from_value(self.program.get(&page)?)?;
            let full = page.len() == PAGE;
            for photo in page {
                photos.push(Photo::new(photo.id.parse()?, photo.name));
            }
            if !full {
                break;
            }
        }
        let mut rows = Vec::with_capacity(photos.len());
        for part in photos.chunks(PAGE) {
            let keys: Vec<i64> = part.iter().map(|photo| photo.key).collect();
            let body = json!({"collectionName": COLLECTION, "id": keys, "outputFields": ["id", "vector"]});
            let found: Vec<Row> = serde_json::from_value(self.call("entities/get", &body)?)?;
            rows.extend(found.into_iter().map(|row| (row.id, row.vector)));
        }
        Photos::new(photos, rows)
    }

    /// Removes a collection.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn drop_collection(&self, name: &str) -> Result<()> {
        self.call("collections/drop", &json!({"collectionName": name}))?;
        Ok(())
    }
}

#[derive(Deserialize)]
struct Listed {
    /// As text: it can be larger than a JSON number holds exactly.
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Row {
    id: i64,
    vector: Vec<f32>,
}
