//! The program under measurement as a process of its own, and the few HTTP calls that a benchmark makes to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(200);
/// Rows of one page of a listing.
const PAGE: usize = 1000;

/// A running server with a data folder of its own, removed at the end.
pub(crate) struct Server {
    process: Child,
    base: String,
    agent: ureq::Agent,
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
    pub(crate) fn start(images: &Path, device: &str, pooling: &str) -> Result<Self, String> {
        let data = tempfile::tempdir().map_err(|e| format!("temporary folder: {e}"))?;
        let program = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
        let mut process = Command::new(program)
            .arg("serve")
            .args([
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--device",
                device,
                "--pooling",
                pooling,
            ])
            .arg("--data")
            .arg(data.path())
            .arg("--images")
            .arg(images)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("start: {e}"))?;
        let out = process.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let base = lines.find_map(|line| find_address(&line)).ok_or("the server ended before it listened")?;
        std::thread::spawn(move || lines.for_each(drop));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        Ok(Self { process, base, agent, _data: data })
    }

    /// Waits until the import that `--images` started is over.
    pub(crate) fn wait_for_import(&self) -> Result<Import, String> {
        loop {
            let jobs = self.get("/v1/jobs")?;
            if let Some(job) = jobs.as_array().and_then(|jobs| jobs.first()) {
                match job["state"].as_str() {
                    Some("done") => return Ok(Import { failed: job["failedCount"].as_u64().unwrap_or(0) }),
                    Some("failed" | "cancelled") => return Err(format!("the import ended as {job}")),
                    _ => {}
                }
            }
            std::thread::sleep(POLL);
        }
    }

    /// All stored photos.
    pub(crate) fn photos(&self) -> Result<Vec<Photo>, String> {
        let mut photos = Vec::new();
        loop {
            let page = self.get(&format!("/v1/images/images?limit={PAGE}&offset={}", photos.len()))?;
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
    pub(crate) fn similar(&self, id: &str, limit: usize) -> Result<Vec<String>, String> {
        let body = json!({"id": id, "limit": limit, "outputFields": ["name"]});
        let hits = self.post("/v1/images/images/search", &body)?;
        let hits = hits.as_array().ok_or("an answer that is no list")?;
        Ok(hits.iter().map(|hit| stem(&text(&hit["name"]))).collect())
    }

    /// Which device embeds, in the server's words.
    pub(crate) fn device(&self) -> Result<String, String> {
        let status = self.get("/v1/status")?;
        Ok(format!("{} ({})", text(&status["device"]["device"]), text(&status["device"]["detail"])))
    }

    /// Ends the process and removes its data.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        self.process.kill().and_then(|()| self.process.wait()).map(drop).map_err(|e| format!("stop: {e}"))
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        let request =
            self.agent.get(format!("{}{path}", self.base)).header("Accept-Type-Allow-Int64", "false");
        data(path, request.call())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        data(path, self.agent.post(format!("{}{path}", self.base)).send_json(body))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `stop`; on an error path the process must not stay behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn data(path: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
    let mut response = answer.map_err(|e| format!("{path}: {e}"))?;
    let text = response
        .body_mut()
        .with_config()
        .limit(1 << 30)
        .read_to_string()
        .map_err(|e| format!("{path}: {e}"))?;
    let mut answer: Value = serde_json::from_str(&text).map_err(|e| format!("{path}: {e}"))?;
    if answer["code"] != 0 {
        return Err(format!("{path}: {answer}"));
    }
    Ok(answer["data"].take())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn stem(name: &str) -> String {
    Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The address of the page: the one without a path behind the port (metrics have one).
fn find_address(line: &str) -> Option<String> {
    let address = line[line.find("http://")?..].split_whitespace().next()?.trim_end_matches('/');
    (!address["http://".len()..].contains('/')).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_not_the_metrics() {
        assert_eq!(find_address("  metrics    http://127.0.0.1:9091/metrics"), None);
        assert_eq!(
            find_address("  page, API  http://127.0.0.1:19530/").as_deref(),
            Some("http://127.0.0.1:19530")
        );
        assert_eq!(find_address("nothing here"), None);
    }
}
