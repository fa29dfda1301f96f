//! The round trip of a search of ten rows: nearly all of it is HTTP/2, protocol buffers and the way through the server;
//! and that of a call that does nothing, which is what client, HTTP/2 and the system cost without any of it. First the
//! round trip of one byte between two threads over TCP: what the machine takes for it without any program.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use bytes::Bytes;
use elanus_benches::Result;
use elanus_benches::program::Program;
use milvus::proto::common::{DslType, KeyValuePair, PlaceholderGroup, PlaceholderType, PlaceholderValue};
use milvus::proto::milvus::search_request::SearchInput;
use milvus::proto::milvus::{SearchRequest, SearchResults};
use prost::Message;
use serde_json::{Value, json};

use crate::client::Client;

const CALLS: usize = 20_000;
const ROWS: usize = 10;

pub(crate) async fn measure(server: &Program) -> Result<()> {
    println!("one byte there and back over TCP: median {:.0} µs", one_byte()?);
    let mut client = Client::open(server).await?;
    timed(server, &mut client, "a method that there is not", "NoSuchMethod", Bytes::new()).await?;
    timed(server, &mut client, "GetVersion", "GetVersion", Bytes::new()).await?;
    for dim in [8, 512] {
        let name = format!("few{dim}");
        server.post("/v2/vectordb/collections/create", &json!({"collectionName": name, "dimension": dim}))?;
        let vector = |row: usize| -> Vec<f32> { (0..dim).map(|i| ((row * 31 + i) as f32).sin()).collect() };
        let rows: Vec<Value> = (0..ROWS).map(|row| json!({"id": row, "vector": vector(row)})).collect();
        server.post("/v2/vectordb/entities/insert", &json!({"collectionName": name, "data": rows}))?;
        let message = request(&name, &vector(3));
        let answer = SearchResults::decode(client.call("Search", message.clone()).await?)?;
        if answer.results.map(|results| results.topks) != Some(vec![ROWS as i64]) {
            return Err(format!("{:?}", answer.status).into());
        }
        timed(server, &mut client, &format!("search of {ROWS} rows of {dim} floats"), "Search", message)
            .await?;
    }
    Ok(())
}

/// Microseconds of the median.
fn one_byte() -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte)? > 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let (began, mut byte) = (Instant::now(), [7]);
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    drop(stream);
    echo.join().map_err(|_| "the echo panicked")??;
    times.sort_by(f64::total_cmp);
    Ok(times[CALLS / 2])
}

async fn timed(
    server: &Program,
    client: &mut Client,
    what: &str,
    method: &str,
    message: Bytes,
) -> Result<()> {
    let before = server.cpu_seconds()?;
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        // Methods that are not there are refused; that is an answer as good as another.
        let _ = client.call(method, message.clone()).await;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let cpu = (server.cpu_seconds()? - before) / CALLS as f64 * 1e6;
    times.sort_by(f64::total_cmp);
    println!(
        "{what}, one connection, with the client: median {:.0} µs, p99 {:.0} µs; the server's processor time: {cpu:.0} µs",
        times[CALLS / 2],
        times[CALLS * 99 / 100]
    );
    Ok(())
}

fn request(name: &str, vector: &[f32]) -> Bytes {
    let values = vec![vector.iter().flat_map(|value| value.to_le_bytes()).collect()];
    let placeholder = PlaceholderValue {
        tag: "$0".into(),
        r#type: PlaceholderType::FloatVector.into(),
        values,
        ..PlaceholderValue::default()
    };
    let group = PlaceholderGroup { placeholders: vec![placeholder] }.encode_to_vec();
    let pair = |key: &str, value: &str| KeyValuePair { key: key.into(), value: value.into() };
    let request = SearchRequest {
        collection_name: name.into(),
        search_input: Some(SearchInput::PlaceholderGroup(group)),
        dsl_type: DslType::BoolExprV1.into(),
        nq: 1,
        search_params: vec![
            pair("anns_field", "vector"),
            pair("topk", &ROWS.to_string()),
            pair("params", "{}"),
            pair("round_decimal", "-1"),
        ],
        ..SearchRequest::default()
    };
    request.encode_to_vec().into()
}
