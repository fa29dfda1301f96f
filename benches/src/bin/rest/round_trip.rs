//! The round trip of a search of ten rows: nearly all of it is HTTP, JSON and the way through the server.

use std::time::{Duration, Instant};

use elanus_benches::Result;
use elanus_benches::connection::{Connection, request};
use elanus_benches::program::Program;
use serde_json::{Value, json};

const SEARCHES: usize = 20_000;
const ROWS: usize = 10;

pub(crate) fn measure(server: &Program) -> Result<()> {
    for dim in [8, 512] {
        let name = format!("few{dim}");
        server.post("/v2/vectordb/collections/create", &json!({"collectionName": name, "dimension": dim}))?;
        let vector = |row: usize| -> Vec<f32> { (0..dim).map(|i| ((row * 31 + i) as f32).sin()).collect() };
        let rows: Vec<Value> = (0..ROWS).map(|row| json!({"id": row, "vector": vector(row)})).collect();
        server.post("/v2/vectordb/entities/insert", &json!({"collectionName": name, "data": rows}))?;
        let body = json!({"collectionName": name, "data": [vector(3)], "limit": ROWS});
        let request = request("entities/search", &body);
        let mut connection = Connection::open(server.address())?;
        let mut times = Vec::with_capacity(SEARCHES);
        for _ in 0..SEARCHES {
            let began = Instant::now();
            connection.exchange(&request)?;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        println!(
            "search of {ROWS} rows of {dim} floats, one connection, with the client: median {:.0} µs, p99 {:.0} µs",
            micros(times[SEARCHES / 2]),
            micros(times[SEARCHES * 99 / 100])
        );
    }
    Ok(())
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
