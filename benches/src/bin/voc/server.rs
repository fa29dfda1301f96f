//! The few calls that the benchmark makes to a server.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use elanus_benches::Result;
use elanus_benches::program::Program;
use serde_json::{Value, json};

/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(200);
/// Rows of one page of a listing.
const PAGE: usize = 1000;

/// A running server with a data folder of its own, removed at the end.
pub(crate) struct Server {
    program: Program,
    _data: tempfile::TempDir,
}

/// A stored photo.
#[derive(Debug)]
pub(crate) struct Photo {
    /// Primary key, as text: it can be larger than a JSON number holds exactly.
    pub(crate) id: String,
    /// VOC id: the file name without its extension.
    pub(crate) name: String,
}

/// How an import ended.
#[derive(Debug)]
pub(crate) struct Import {
    /// Files that were refused.
    pub(crate) failed: u64,
}

impl Server {
    /// Starts this program as a server that imports `images`; returns as soon as it listens.
    pub(crate) fn start(images: &Path, device: &str, pooling: &str) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let options: [&OsStr; 6] = [
            "--device".as_ref(),
            device.as_ref(),
            "--pooling".as_ref(),
            pooling.as_ref(),
            "--images".as_ref(),
            images.as_ref(),
        ];
        let program = Program::start(&std::env::current_exe()?, data.path(), &options)?;
        Ok(Self { program, _data: data })
    }

    /// Waits until the import that `--images` started is over.
    pub(crate) fn wait_for_import(&self) -> Result<Import> {
        loop {
            let jobs = self.program.get("/v1/jobs")?;
            if let Some(job) = jobs.as_array().and_then(|jobs| jobs.first()) {
                match job["state"].as_str() {
                    Some("done") => return Ok(Import { failed: job["failedCount"].as_u64().unwrap_or(0) }),
                    Some("failed" | "cancelled") => return Err(format!("the import ended as {job}").into()),
                    _ => {}
                }
            }
            std::thread::sleep(POLL);
        }
    }

    /// All stored photos.
    pub(crate) fn photos(&self) -> Result<Vec<Photo>> {
        let mut photos = Vec::new();
        loop {
            let page =
                self.program.get(&format!("/v1/images/images?limit={PAGE}&offset={}", photos.len()))?;
            let page = page.as_array().ok_or("a listing that is no list")?;
            photos.extend(
                page.iter().map(|hit| Photo { id: text(&hit["id"]), name: stem(&text(&hit["name"])) }),
            );
            if page.len() < PAGE {
                return Ok(photos);
            }
        }
    }

    /// VOC ids of the photos most alike, best first.
    pub(crate) fn similar(&self, id: &str, limit: usize) -> Result<Vec<String>> {
        let body = json!({"id": id, "limit": limit, "outputFields": ["name"]});
        let hits = self.program.post("/v1/images/images/search", &body)?;
        let hits = hits.as_array().ok_or("an answer that is no list")?;
        Ok(hits.iter().map(|hit| stem(&text(&hit["name"]))).collect())
    }

    /// Which device embeds, in the server's words.
    pub(crate) fn device(&self) -> Result<String> {
        let status = self.program.get("/v1/status")?;
        Ok(format!("{} ({})", text(&status["device"]["device"]), text(&status["device"]["detail"])))
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn stem(name: &str) -> String {
    Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
