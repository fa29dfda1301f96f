//! Milvus's own Rust SDK against the real program, over its real port.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use milvus::v2::prelude::*;
use milvus::v2::{CollectionSchema, DataType, FieldSchema};
use serde_json::json;

/// The running program, killed at the end.
struct Program {
    process: Child,
    address: String,
    _data: tempfile::TempDir,
}

impl Program {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_elanus-under-test"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(std::result::Result::ok)
            .find_map(|line| main_address(&line))
            .expect("the program tells its address");
        // Read on, or its next line would meet a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, _data: data }
    }
}

/// The address of the main port in a line of output; that of metrics goes on with a path.
fn main_address(line: &str) -> Option<String> {
    let is_main =
        |word: &&str| word.strip_prefix("http://127.0.0.1:").is_some_and(|port| port.parse::<u16>().is_ok());
    line.split_whitespace().map(|word| word.trim_end_matches('/')).find(is_main).map(str::to_owned)
}

impl Drop for Program {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn schema() -> CollectionSchema {
    let field = |name: &str, kind| FieldSchema::new().name(name).data_type(kind);
    CollectionSchema::new()
        .enable_dynamic_field(true)
        .add_field(field("id", DataType::Int64).primary_key(true))
        .add_field(field("label", DataType::VarChar).max_length(50))
        .add_field(field("image", DataType::FloatVector).dimension(4))
        .add_field(field("words", DataType::SparseFloatVector))
}

fn indexes() -> Vec<IndexParam> {
    let hnsw =
        HashMap::from([("M".to_owned(), "16".to_owned()), ("efConstruction".to_owned(), "100".to_owned())]);
    vec![
        IndexParam::new()
            .field_name("image")
            .index_type(IndexType::Hnsw)
            .metric_type(MetricType::L2)
            .extra_params(hnsw),
        IndexParam::new()
            .field_name("words")
            .index_type(IndexType::SparseInvertedIndex)
            .metric_type(MetricType::Ip),
    ]
}

fn rows(range: std::ops::Range<i64>) -> Vec<serde_json::Value> {
    let row = |id: i64| {
        let label = if id % 2 == 0 { "dog" } else { "cat" };
        let words = BTreeMap::from([(u32::try_from(id).unwrap(), 2.0_f32), (100_000, 0.5)]);
        json!({"id": id, "label": label, "image": [id, 0, 0, 1], "words": words, "extra": id * 2})
    };
    range.map(row).collect()
}

async fn client(program: &Program) -> ClientV2 {
    ClientV2::new(&ConnectConfig::new().uri(program.address.clone())).await.unwrap()
}

async fn keys(client: &ClientV2, filter: &str) -> Vec<i64> {
    let request =
        QueryRequest::builder().collection_name("photos").filter(filter).output_fields(["id"]).limit(1000);
    let answer = client.query(request.build().unwrap()).await.unwrap();
    answer.results().rows().unwrap().map(|row| row.get_i64("id").unwrap()).collect()
}

fn found(answer: &SearchResults) -> Vec<i64> {
    answer.iter().next().unwrap().rows().unwrap().map(|row| row.get_i64("id").unwrap()).collect()
}

#[tokio::test]
async fn rows_come_are_found_and_go() {
    let program = Program::start();
    let client = client(&program).await;
    let request =
        CreateCollectionRequest::builder().collection_name("photos").schema(schema()).index_params(indexes());
    client.create_collection(request.build().unwrap()).await.unwrap();
    let request = LoadCollectionRequest::builder().collection_name("photos");
    client.load_collection(request.build().unwrap()).await.unwrap();
    let request = InsertRequest::builder().collection_name("photos").rows(rows(0..500));
    assert_eq!(client.insert(request.build().unwrap()).await.unwrap().insert_count(), 500);
    let request = FlushRequest::builder().collection_names(["photos"]).wait_flushed_ms(60_000);
    client.flush(request.build().unwrap()).await.unwrap();

    assert_eq!(keys(&client, "label == 'cat' and extra < 10").await, [1, 3]);
    let request =
        GetRequest::builder().collection_name("photos").ids(Ids::Int64(vec![5])).output_fields(["*"]);
    let answer = client.get(request.build().unwrap()).await.unwrap();
    let row = answer.results().rows().unwrap().next().unwrap().to_entity_row().unwrap();
    assert_eq!(
        (&row["label"], &row["image"], &row["extra"]),
        (&json!("cat"), &json!([5.0, 0.0, 0.0, 1.0]), &json!(10))
    );

    let request = SearchRequest::builder()
        .collection_name("photos")
        .vector_field("image")
        .vectors(SearchVectors::Float(vec![vec![7.1, 0.0, 0.0, 1.0]]))
        .filter("label == 'cat'")
        .output_fields(["label"])
        .limit(3);
    let answer = client.search(request.build().unwrap()).await.unwrap();
    assert_eq!(found(answer.results()), [7, 9, 5]);
    let words = |id: u32| SearchVectors::SparseFloat(vec![BTreeMap::from([(id, 1.0)])]);
    let request =
        SearchRequest::builder().collection_name("photos").vector_field("words").vectors(words(42)).limit(1);
    assert_eq!(found(client.search(request.build().unwrap()).await.unwrap().results()), [42]);

    let near = SubSearchRequest::builder()
        .vector_field("image")
        .vectors(SearchVectors::Float(vec![vec![9.0, 0.0, 0.0, 1.0]]));
    let like = SubSearchRequest::builder().vector_field("words").vectors(words(9));
    let request = HybridSearchRequest::builder()
        .collection_name("photos")
        .sub_requests(vec![near.limit(10).build().unwrap(), like.limit(10).build().unwrap()])
        .limit(3);
    let by_ranks =
        client.hybrid_search(request.clone().rerank(RRFRerank::new()).build().unwrap()).await.unwrap();
    assert_eq!(found(by_ranks.results())[0], 9);
    let weights = WeightedRerank::new().weights(vec![0.5, 0.5]);
    let by_weights = client.hybrid_search(request.rerank(weights).build().unwrap()).await.unwrap();
    assert_eq!(found(by_weights.results())[0], 9);

    let changed = InsertRequest::builder()
        .collection_name("photos")
        .rows(vec![json!({"id": 3, "label": "bird", "image": [0, 0, 0, 9], "words": {"3": 1.0}})]);
    let request = UpsertRequest::builder().insert(changed.build().unwrap());
    assert_eq!(client.upsert(request.build().unwrap()).await.unwrap().upsert_count(), 1);
    assert_eq!(keys(&client, "label == 'bird'").await, [3]);
    let request = DeleteRequest::builder().collection_name("photos").filter("id >= 100");
    client.delete(request.build().unwrap()).await.unwrap();
    assert_eq!(keys(&client, "id >= 0").await, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn iterators_and_errors() {
    let program = Program::start();
    let client = client(&program).await;
    let request =
        CreateCollectionRequest::builder().collection_name("photos").schema(schema()).index_params(indexes());
    client.create_collection(request.build().unwrap()).await.unwrap();
    let request = LoadCollectionRequest::builder().collection_name("photos");
    client.load_collection(request.build().unwrap()).await.unwrap();
    let request = InsertRequest::builder().collection_name("photos").rows(rows(0..1000));
    client.insert(request.build().unwrap()).await.unwrap();

    let query = QueryRequest::builder().collection_name("photos").filter("id >= 10").output_fields(["id"]);
    let request = QueryIteratorRequest::builder().query(query.build().unwrap()).batch_size(150);
    let mut iterator = client.query_iterator(request.build().unwrap()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(page) = iterator.next().await.unwrap() {
        seen.extend(page.results().rows().unwrap().map(|row| row.get_i64("id").unwrap()));
    }
    assert_eq!(seen, (10..1000).collect::<Vec<_>>());

    let search = SearchRequest::builder()
        .collection_name("photos")
        .vector_field("image")
        .vectors(SearchVectors::Float(vec![vec![0.0, 0.0, 0.0, 1.0]]))
        .limit(50);
    let request = SearchIteratorRequest::builder().search(search.build().unwrap()).batch_size(50).limit(200);
    let mut iterator = client.search_iterator(request.build().unwrap()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(page) = iterator.next().await.unwrap() {
        let page = found(page.results());
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, (0..200).collect::<Vec<_>>());

    let request = QueryRequest::builder().collection_name("nowhere").filter("id > 0").limit(1);
    let error = client.query(request.build().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    let request = QueryRequest::builder().collection_name("photos").filter("id >").limit(1);
    let error = client.query(request.build().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("cannot parse expression"), "{error}");
    let request = HasCollectionRequest::builder().collection_name("nowhere");
    assert!(!client.has_collection(request.build().unwrap()).await.unwrap().exists());
}
