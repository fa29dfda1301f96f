//! The program under measurement as a process of its own, and plain calls of its API.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::metrics::Metrics;

/// A running server. Ends with this value.
pub struct Program {
    process: Child,
    base: String,
    /// Address of its metrics.
    metrics: String,
    agent: ureq::Agent,
}

/// What a process holds in memory, in bytes, where the system tells it (Linux).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All of it, pages of mapped files included (`VmRSS`).
    pub resident: u64,
    /// Of that, what belongs to no file (`RssAnon`).
    pub anonymous: u64,
    /// The most that was resident at any time (`VmHWM`).
    pub peak: u64,
}

impl Program {
    /// Starts `program serve` with ports of its own choice on `data`; returns as soon as it listens.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it listens.
    pub fn start(program: &Path, data: &Path, more: &[&OsStr]) -> Result<Self> {
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        let out = process.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(out).lines().map_while(std::result::Result::ok);
        let mut metrics = None;
        let base = lines.find_map(|line| {
            metrics = metrics.take().or_else(|| find_metrics(&line));
            find_address(&line)
        });
        let (base, metrics) = base.zip(metrics).ok_or("the server ended before it listened")?;
        std::thread::spawn(move || lines.for_each(drop));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        Ok(Self { process, base, metrics, agent })
    }

    /// `http://host:port`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Processor time of the process so far, where the system tells it (Linux, 100 ticks a second).
    ///
    /// # Errors
    /// Where it does not.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks: f64 =
            after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
        Ok(ticks / 100.0)
    }

    /// What the process holds in memory.
    ///
    /// # Errors
    /// Where the system does not tell it.
    pub fn memory(&self) -> Result<Memory> {
        Memory::parse(&std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?)
    }

    /// What it has counted so far.
    ///
    /// # Errors
    /// When the admin port does not answer.
    pub fn metrics(&self) -> Result<Metrics> {
        let mut answer = self.agent.get(&self.metrics).call()?;
        Ok(Metrics::parse(&answer.body_mut().read_to_string()?))
    }

    /// The data of the answer to a GET; ids are text.
    ///
    /// # Errors
    /// When the call fails or its answer is a refusal.
    pub fn get(&self, path: &str) -> Result<Value> {
        let request = self.agent.get(format!("{}{path}", self.base));
        data(path, request.header("Accept-Type-Allow-Int64", "false").call())
    }

    /// The data of the answer to a POST of JSON.
    ///
    /// # Errors
    /// As [`Program::get`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        data(path, self.agent.post(format!("{}{path}", self.base)).send_json(body))
    }
}

impl Memory {
    /// Reads `/proc/<pid>/status`.
    fn parse(status: &str) -> Result<Self> {
        let bytes = |key: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            Ok(kilobytes.ok_or_else(|| format!("the system does not tell {key}"))? * 1024)
        };
        Ok(Self { resident: bytes("VmRSS")?, anonymous: bytes("RssAnon")?, peak: bytes("VmHWM")? })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its data is the caller's to remove; there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn data(path: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value> {
    let mut response = answer.map_err(|e| format!("{path}: {e}"))?;
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
    let text = text.map_err(|e| format!("{path}: {e}"))?;
    let mut answer: Value = serde_json::from_str(&text).map_err(|e| format!("{path}: {e}"))?;
    if answer["code"] != 0 {
        return Err(format!("{path}: {answer}").into());
    }
    Ok(answer["data"].take())
}

/// The address of the page: the one without a path behind the port (metrics have one).
fn find_address(line: &str) -> Option<String> {
    let address = line[line.find("http://")?..].split_whitespace().next()?.trim_end_matches('/');
    (!address["http://".len()..].contains('/')).then(|| address.to_owned())
}

/// The address of the metrics.
fn find_metrics(line: &str) -> Option<String> {
    let address = line[line.find("http://")?..].split_whitespace().next()?;
    address.ends_with("/metrics").then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nRssAnon:\t 512 kB\n";
        let memory = Memory::parse(status).unwrap();
        assert_eq!(memory, Memory { resident: 1 << 20, anonymous: 512 << 10, peak: 2 << 20 });
        assert!(Memory::parse("VmRSS: many kB").is_err());
    }

    #[test]
    fn the_page_is_not_the_metrics() {
        assert_eq!(find_address("  metrics    http://127.0.0.1:9091/metrics"), None);
        assert_eq!(
            find_address("  page, API  http://127.0.0.1:19530/").as_deref(),
            Some("http://127.0.0.1:19530")
        );
        assert_eq!(find_address("nothing here"), None);
        let metrics = find_metrics("  metrics    http://127.0.0.1:9091/metrics");
        assert_eq!(metrics.as_deref(), Some("http://127.0.0.1:9091/metrics"));
        assert_eq!(find_metrics("  page, API  http://127.0.0.1:19530/"), None);
    }
}
