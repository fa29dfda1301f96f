//! Searches of a data set under HNSW (M 16, efConstruction 200) by many connections at once, at two recalls.

use std::time::{Duration, Instant};

use elanus_benches::Result;
use elanus_benches::connection::{Connection, request};
use elanus_benches::data::{DataSet, K};
use elanus_benches::load::Load;
use elanus_benches::program::Program;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Options;
use crate::round_trip::micros;

const COLLECTION: &str = "set";
const BATCH: usize = 1000;
/// Recalls that peers are compared at.
const RECALLS: [f64; 2] = [0.95, 0.99];

pub(crate) fn measure(server: &Program, data: &DataSet, options: &Options) -> Result<()> {
    fill(server, data)?;
    let mut left = RECALLS.to_vec();
    for &effort in &options.efforts {
        let requests = searches(data, effort);
        let recall = recall(server, data, &requests)?;
        let reached = left.iter().take_while(|&&wanted| recall >= wanted).count();
        if reached == 0 {
            continue;
        }
        left.drain(..reached);
        for &clients in &options.clients {
            at_once(server, &requests, clients, options.seconds)?.print(effort, recall);
        }
        if left.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Inserts the set over REST and waits for its index.
fn fill(server: &Program, data: &DataSet) -> Result<()> {
    let post = |path: &str, body: &Value| server.post(&format!("/v2/vectordb/{path}"), body);
    let metric = data.metric.to_string();
    let index = json!({
        "fieldName": "vector", "indexName": "vector", "metricType": metric, "indexType": "HNSW",
        "params": {"M": 16, "efConstruction": 200}
    });
    let schema = json!({"fields": [
        {"fieldName": "id", "dataType": "Int64", "isPrimary": true},
        {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": data.dim}},
    ]});
    post(
        "collections/create",
        &json!({"collectionName": COLLECTION, "schema": schema, "indexParams": [index]}),
    )?;
    let began = Instant::now();
    for (batch, rows) in data.base.chunks(BATCH * data.dim).enumerate() {
        let row = |(i, vector): (usize, &[f32])| json!({"id": batch * BATCH + i, "vector": vector});
        let rows: Vec<Value> = rows.chunks_exact(data.dim).enumerate().map(row).collect();
        post("entities/insert", &json!({"collectionName": COLLECTION, "data": rows}))?;
    }
    let inserted = began.elapsed();
    post("collections/flush", &json!({"collectionName": COLLECTION}))?;
    loop {
        let state = post("indexes/describe", &json!({"collectionName": COLLECTION, "indexName": "vector"}))?;
        match state[0]["indexState"].as_str() {
            Some("Finished") if state[0]["pendingRows"] == 0 => break,
            Some("Failed") => return Err(state.to_string().into()),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    let indexed = began.elapsed();
    wait_for_rest(server)?;
    println!(
        "{}: {} rows of {} floats inserted in {:.1} s (the client makes the JSON meanwhile), indexed {:.1} s after the first, at rest after {:.1} s",
        data.name,
        data.rows(),
        data.dim,
        inserted.as_secs_f64(),
        indexed.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Waits until the server has done next to nothing for a while: it merges segments once nobody writes any more.
fn wait_for_rest(server: &Program) -> Result<()> {
    const QUIET: Duration = Duration::from_secs(15);
    loop {
        let before = server.cpu_seconds()?;
        std::thread::sleep(QUIET);
        if server.cpu_seconds()? - before < 0.02 * QUIET.as_secs_f64() {
            return Ok(());
        }
    }
}

fn searches(data: &DataSet, effort: usize) -> Vec<Vec<u8>> {
    let one = |vector: &[f32]| {
        let params = json!({"params": {"ef": effort}});
        json!({"collectionName": COLLECTION, "data": [vector], "annsField": "vector", "limit": K, "searchParams": params})
    };
    data.queries.chunks_exact(data.dim).map(|vector| request("entities/search", &one(vector))).collect()
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    id: i64,
}

fn recall(server: &Program, data: &DataSet, requests: &[Vec<u8>]) -> Result<f64> {
    let mut connection = Connection::open(server.address())?;
    let mut found = Vec::with_capacity(requests.len() * K);
    for request in requests {
        let answer: Answer = serde_json::from_slice(connection.exchange(request)?)?;
        found.extend(answer.data.iter().map(|hit| hit.id));
        found.resize(found.len().next_multiple_of(K), -1);
    }
    Ok(data.recall(&found, None))
}

fn at_once(server: &Program, requests: &[Vec<u8>], clients: usize, seconds: f64) -> Result<Seen> {
    let before = server.cpu_seconds()?;
    let load = Load::run(server.address(), requests, clients, seconds)?;
    Ok(Seen { load, cpu: server.cpu_seconds()? - before })
}

/// What so many connections at once saw, and what they cost the server.
struct Seen {
    load: Load,
    cpu: f64,
}

impl Seen {
    fn print(&self, effort: usize, recall: f64) {
        let at = |percent: usize| micros(self.load.percentile(percent));
        println!(
            "ef {effort}, recall {recall:.4}, {} connections: {:.0} searches/s, median {:.0} µs, p95 {:.0} µs, p99 {:.0} µs; \
             {:.0} µs of the server's processor time each",
            self.load.clients,
            self.load.per_second(),
            at(50),
            at(95),
            at(99),
            self.cpu * 1e6 / self.load.times.len() as f64
        );
    }
}
