//! Inserts of rows of 512 floats, each request synced before its answer.

use std::time::Instant;

use elanus_benches::Result;
use elanus_benches::connection::{Connection, request};
use elanus_benches::program::Program;
use serde_json::{Value, json};

const DIM: usize = 512;
const ROWS: usize = 500;
const REQUESTS: usize = 40;

pub(crate) fn measure(server: &Program) -> Result<()> {
    server.post("/v2/vectordb/collections/create", &json!({"collectionName": "rows", "dimension": DIM}))?;
    let mut numbers = Numbers(7);
    let doubles = requests(0, || json!(numbers.next()));
    inserted(server, "doubles as Python prints them (17 digits)", &doubles)?;
    let floats = requests(1, || json!(numbers.next() as f32));
    inserted(server, "floats (9 digits)", &floats)
}

fn requests(part: usize, mut number: impl FnMut() -> Value) -> Vec<Vec<u8>> {
    let mut row = |id: usize| {
        let vector: Vec<Value> = (0..DIM).map(|_| number()).collect();
        json!({"id": id, "vector": vector})
    };
    (part * REQUESTS..(part + 1) * REQUESTS)
        .map(|batch| {
            let rows: Vec<Value> = (batch * ROWS..(batch + 1) * ROWS).map(&mut row).collect();
            request("entities/insert", &json!({"collectionName": "rows", "data": rows}))
        })
        .collect()
}

fn inserted(server: &Program, what: &str, requests: &[Vec<u8>]) -> Result<()> {
    let mut connection = Connection::open(server.address())?;
    let (before, began) = (server.cpu_seconds()?, Instant::now());
    for request in requests {
        connection.exchange(request)?;
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), server.cpu_seconds()? - before);
    let bytes: usize = requests.iter().map(Vec::len).sum();
    println!(
        "insert, one connection, {what}: {:.0} rows/s, {:.0} MB/s of JSON; {:.0} MB of JSON for each second of processor \
         time (the log, its syncs and sealing included)",
        (REQUESTS * ROWS) as f64 / seconds,
        bytes as f64 / 1e6 / seconds,
        bytes as f64 / 1e6 / cpu
    );
    Ok(())
}

/// Numbers in -1..1 with all the digits that a double has: splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}
