//! Inserts over the REST API, as a client sends them: JSON, 1,000 rows of 512 floats a request, each synced. The server
//! is this program, started again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::{Result, data};

const DIM: usize = 512;
const BATCH: usize = 1000;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Its data is removed with the folder.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(dir: &Path, rows: usize) -> Result<()> {
    let (server, base) = start(dir)?;
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let post = |path: &str, body: &str| -> Result<serde_json::Value> {
        let mut response = agent
            .post(format!("{base}/v2/vectordb/{path}"))
            .header("content-type", "application/json")
            .send(body)?;
        let answer: serde_json::Value = response.body_mut().read_json()?;
        if answer["code"] == 0 { Ok(answer) } else { Err(answer.to_string().into()) }
    };
    post("collections/create", &json!({"collectionName": "bench", "dimension": DIM}).to_string())?;
    let body = |start: usize| {
        let rows: Vec<_> = (start..start + BATCH)
            .map(|id| json!({"id": id, "vector": data::floats(id as u64, DIM)}))
            .collect();
        json!({"collectionName": "bench", "data": rows}).to_string()
    };
    // Making the bodies is the client's work: it is done before.
    let bodies: Vec<String> = (0..rows).step_by(BATCH).map(body).collect();
    let bytes: usize = bodies.iter().map(String::len).sum();
    let cpu_before = cpu_seconds(server.0.id())?;
    let started = Instant::now();
    for body in &bodies {
        post("entities/insert", body)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds(server.0.id())? - cpu_before;
    let vectors = (rows * DIM * 4) as f64 / 1e6;
    println!(
        "REST ingest {rows} x {DIM}, one client: {:.0} rows/s, {:.0} MB/s of vectors, {:.0} MB/s of JSON; the server used {:.2} cores",
        rows as f64 / seconds,
        vectors / seconds,
        bytes as f64 / 1e6 / seconds,
        cpu / seconds
    );
    Ok(())
}

fn start(dir: &Path) -> Result<(Server, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
        .arg(dir.join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let out = child.stdout.take().ok_or("no standard output")?;
    let server = Server(child);
    let mut lines = BufReader::new(out).lines().map_while(std::result::Result::ok);
    let page = lines.find(|line| line.contains("page, API")).ok_or("the server ended before it listened")?;
    let base = page.split_whitespace().last().unwrap_or_default().trim_end_matches('/').to_owned();
    std::thread::spawn(move || lines.for_each(drop));
    Ok((server, base))
}

/// Processor time of a process so far, where the system tells it (Linux, 100 ticks a second).
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}
