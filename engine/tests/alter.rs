//! Collections that change while they serve: partitions, fields, names, emptying, with flushes, compactions and restarts
//! in between, against a map. Also the types that are no plain columns, through files and log.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use elanus_engine::exec::{Aggregate, AggregateKind, AggregateRequest, Cell, OrderBy};
use elanus_engine::row::{BatchBuilder, KeySource, Keys, OutputValue, Projection, Rows, Value, sparse};
use elanus_engine::schema::{DataType, Field, Function, Schema};
use elanus_engine::{
    Collection, Definition, Engine, EngineError, EngineOptions, Filter, Metric, MetricType, QueryRequest,
    QueryVectors, SearchRequest, check,
};
use model::{batch, schema};
use proptest::prelude::*;

fn open(dir: &Path) -> Arc<Engine> {
    let data = elanus_storage::data_dir::open(dir).unwrap();
    let options =
        EngineOptions { background: false, search_threads: 1, reserve_bytes: 0, ..EngineOptions::default() };
    Engine::open(data, options).unwrap()
}

const PARTITIONS: [&str; 3] = ["_default", "one", "two"];

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, Vec<(i64, i64)>),
    Delete(Vec<i64>),
    CreatePartition(usize),
    DropPartition(usize),
    AddField,
    DropField,
    Truncate,
    Rename,
    Flush,
    Compact,
    Settle,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((0i64..40, 0i64..1000), 1..20);
    prop_oneof![
        6 => (0usize..3, rows).prop_map(|(partition, rows)| Step::Insert(partition, rows)),
        2 => prop::collection::vec(0i64..50, 1..10).prop_map(Step::Delete),
        3 => (1usize..3).prop_map(Step::CreatePartition),
        1 => (1usize..3).prop_map(Step::DropPartition),
        1 => Just(Step::AddField),
        1 => Just(Step::DropField),
        1 => Just(Step::Truncate),
        1 => Just(Step::Rename),
        2 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Settle),
        2 => Just(Step::Restart),
    ]
}

/// What the collection should be.
#[derive(Default)]
struct Oracle {
    /// Key to partition, seed, and which generation of the extra field the row was stored under.
    rows: BTreeMap<i64, (usize, i64)>,
    partitions: Vec<usize>,
    /// The extra field, counted: one that was dropped and added again is another one.
    field: Option<usize>,
    fields_so_far: usize,
    name: usize,
}

fn names(number: usize) -> String {
    format!("c{number}")
}

fn verify(c: &Collection, oracle: &Oracle) {
    assert_eq!(c.count(), oracle.rows.len() as u64);
    for (number, name) in PARTITIONS.iter().enumerate() {
        let there = number == 0 || oracle.partitions.contains(&number);
        let found = c.count_partition(name);
        if !there {
            assert!(matches!(found, Err(EngineError::PartitionNotFound { .. })), "{name}");
            continue;
        }
        let expected: Vec<i64> =
            oracle.rows.iter().filter(|(_, (p, _))| *p == number).map(|(key, _)| *key).collect();
        assert_eq!(found.unwrap(), expected.len() as u64, "{name}");
        let schema = c.schema();
        let filter =
            c.within(Some(Filter::compile("id >= 0", &schema).unwrap()), &[(*name).to_owned()]).unwrap();
        let fields: &[&str] = if oracle.field.is_some() { &["tag", "extra"] } else { &["tag"] };
        let projection = Projection::resolve(&schema, fields).unwrap();
        let rows = c
            .query(&QueryRequest { filter, projection, limit: 1000, offset: 0, order_by: Vec::new() })
            .unwrap();
        let keys: Vec<i64> = (0..rows.len)
            .map(|row| match rows.column("id").unwrap().value(row) {
                OutputValue::Int64(key) => key,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(keys, expected, "{name}");
        for (row, key) in keys.iter().enumerate() {
            let seed = oracle.rows[key].1;
            assert_eq!(rows.column("tag").unwrap().value(row), OutputValue::Int(seed % 10));
            if let Some(number) = oracle.field {
                let value = rows.column("extra").unwrap().value(row);
                assert_eq!(value, OutputValue::Text(&format!("v{number}")), "rows have the default");
            }
        }
    }
}

fn extra(number: usize) -> Field {
    let mut field = Field::new("extra", DataType::VarChar).max_length(9).nullable();
    field.default = Some(format!("v{number}").into());
    field
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_plan_equals_a_map(steps in prop::collection::vec(step(), 1..30)) {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = open(dir.path());
        let mut c = engine.create(Definition::new("c0", schema(false)).index("vector", Metric::L2)).unwrap();
        c.set_loaded(&[], false).unwrap();
        let mut oracle = Oracle::default();
        for step in steps {
            match step {
                Step::Insert(partition, rows) => {
                    let rows_batch = batch(&c.schema(), KeySource::Given, &rows);
                    let stored = c.insert_into(rows_batch, if partition == 0 { "" } else { PARTITIONS[partition] });
                    if partition == 0 || oracle.partitions.contains(&partition) {
                        stored.unwrap();
                        oracle.rows.extend(rows.into_iter().map(|(key, seed)| (key, (partition, seed))));
                    } else {
                        let refused = matches!(stored, Err(EngineError::PartitionNotFound { .. }));
                        prop_assert!(refused);
                    }
                }
                Step::Delete(keys) => {
                    let mut keys = keys;
                    keys.sort_unstable();
                    keys.dedup();
                    let died = c.delete_keys(Keys::Int(keys.clone())).unwrap();
                    let gone = keys.iter().filter(|key| oracle.rows.remove(key).is_some()).count();
                    prop_assert_eq!(died, gone as u64);
                }
                Step::CreatePartition(number) => {
                    c.create_partition(PARTITIONS[number]).unwrap();
                    if !oracle.partitions.contains(&number) {
                        oracle.partitions.push(number);
                    }
                }
                Step::DropPartition(number) => {
                    c.drop_partition(PARTITIONS[number]).unwrap();
                    oracle.partitions.retain(|other| *other != number);
                    oracle.rows.retain(|_, (partition, _)| *partition != number);
                }
                Step::AddField => {
                    let number = oracle.fields_so_far;
                    let added = c.add_field(extra(number));
                    prop_assert_eq!(added.is_ok(), oracle.field.is_none());
                    if added.is_ok() {
                        oracle.field = Some(number);
                        oracle.fields_so_far += 1;
                    }
                }
                Step::DropField => {
                    prop_assert_eq!(c.drop_field("extra").is_ok(), oracle.field.take().is_some());
                }
                Step::Truncate => {
                    prop_assert_eq!(c.truncate().unwrap(), oracle.rows.len() as u64);
                    oracle.rows.clear();
                }
                Step::Rename => {
                    let (old, new) = (names(oracle.name), names(oracle.name + 1));
                    engine.rename(("default", &old), ("default", &new)).unwrap();
                    oracle.name += 1;
                    prop_assert!(engine.collection(&old).is_err());
                    c = engine.collection(&new).unwrap();
                }
                Step::Flush => c.flush().unwrap(),
                Step::Compact => while c.compact().unwrap() {},
                Step::Settle => while c.settle().unwrap() {},
                Step::Restart => {
                    drop(c);
                    engine.close();
                    drop(engine);
                    engine = open(dir.path());
                    c = engine.collection(&names(oracle.name)).unwrap();
                }
            }
            verify(&c, &oracle);
        }
        drop(c);
        engine.close();
        drop(engine);
        let data = elanus_storage::data_dir::open(dir.path()).unwrap();
        let report = check::check(&data, false, &mut |_| Ok(())).unwrap();
        prop_assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

fn rich() -> Schema {
    let mut text = Field::new("text", DataType::VarChar).max_length(200);
    text.params.insert("enable_analyzer".into(), "true".into());
    text.params.insert("enable_match".into(), "true".into());
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("half", DataType::Float16Vector).dim(4),
        Field::new("maybe", DataType::Int8Vector).dim(2).nullable(),
        Field::new("bits", DataType::BinaryVector).dim(16).nullable(),
        Field::new("sparse", DataType::SparseFloatVector),
        Field::new("tags", DataType::Array).elements(DataType::Int64, 4).nullable(),
        Field::new("at", DataType::Timestamptz).nullable(),
        text,
        Field::new("terms", DataType::SparseFloatVector),
    ];
    let function = Function {
        name: "bm25".into(),
        description: String::new(),
        input: "text".into(),
        output: "terms".into(),
    };
    Schema::new(fields, false, "").unwrap().with_functions(vec![function]).unwrap()
}

fn insert_rich(c: &Collection, ids: std::ops::Range<i64>) {
    let mut b = BatchBuilder::new(&c.schema(), KeySource::Given);
    for id in ids {
        b.set(0, Value::Int(id)).unwrap();
        b.set_vector(1, |m| {
            m.extend([id as f32, 0.1, 1.0, 0.0]);
            Ok(())
        })
        .unwrap();
        if id % 2 == 0 {
            b.set_vector(2, |m| {
                m.extend([(id % 100) as f32, -5.0]);
                Ok(())
            })
            .unwrap();
            b.set(3, Value::Bytes(&[id as u8, 255])).unwrap();
            b.set(5, Value::List(&[Value::Int(id), Value::Int(-id)])).unwrap();
        }
        b.set(4, Value::Bytes(&sparse::encode(vec![(7, 1.0), (100 + id as u32, 2.0)]).unwrap())).unwrap();
        b.set(6, Value::Int(id * 1_000_000)).unwrap();
        let word = ["red", "green", "blue"][id as usize % 3];
        b.set(7, Value::Text(&format!("the {word} thing number {id}"))).unwrap();
        b.end_row().unwrap();
    }
    c.insert(b.finish().unwrap()).unwrap();
}

fn ids(c: &Collection, field: &str, queries: QueryVectors, metric: MetricType, limit: usize) -> Vec<i64> {
    let projection = Projection::resolve::<&str>(&c.schema(), &[]).unwrap();
    let request =
        SearchRequest { metric: Some(metric), ..SearchRequest::new(field, queries, limit, projection) };
    let hits = c.search(&request).unwrap();
    let key = |row| match hits.rows.column("id").unwrap().value(row) {
        OutputValue::Int64(key) => key,
        other => panic!("{other:?}"),
    };
    (0..hits.rows.len).map(key).collect()
}

/// Every type is the same in memory, in the log and in files.
#[test]
fn every_type_survives_and_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = open(dir.path());
    let c = engine.create(Definition::new("c", rich())).unwrap();
    insert_rich(&c, 0..20);
    c.flush().unwrap();
    insert_rich(&c, 20..30);
    let verify = |c: &Collection| {
        assert_eq!(ids(c, "half", vec![7.0, 0.1, 1.0, 0.0].into(), MetricType::L2, 1), [7]);
        let narrow = ids(c, "maybe", vec![12.0, -5.0].into(), MetricType::L2, 50);
        assert_eq!((narrow[0], narrow.len()), (12, 15), "rows without a vector are not found");
        let bits = ids(c, "bits", QueryVectors::Binary(vec![4, 255]), MetricType::Hamming, 1);
        assert_eq!(bits, [4]);
        let query = QueryVectors::Sparse(vec![sparse::encode(vec![(105, 1.0)]).unwrap()]);
        assert_eq!(ids(c, "sparse", query, MetricType::Ip, 5), [5], "only rows with a common index");
        let words = ids(c, "terms", QueryVectors::Text(vec!["Blue 8".into()]), MetricType::Bm25, 3);
        assert_eq!(words[0], 8);
        let schema = c.schema();
        let count = |text: &str| c.count_where(&Filter::compile(text, &schema).unwrap()).unwrap();
        assert_eq!(count("array_contains(tags, -4)"), 1);
        assert_eq!(count("tags is null"), 15);
        assert_eq!(count("text_match(text, 'green')"), 10);
        assert_eq!(count("at > ISO '1970-01-01T00:00:24Z'"), 5);
        let aggregates = vec![
            Aggregate { kind: AggregateKind::Count, field: None },
            Aggregate { kind: AggregateKind::Sum, field: Some("id".into()) },
        ];
        let groups =
            c.aggregate(&AggregateRequest { filter: None, group_by: Vec::new(), aggregates }).unwrap();
        assert_eq!(groups[0].numbers, [Cell::Int(30), Cell::Int(435)]);
        let order_by = vec![OrderBy { field: "id".into(), descending: true, nulls_first: None }];
        let projection = Projection::resolve::<&str>(&schema, &[]).unwrap();
        let rows =
            c.query(&QueryRequest { filter: None, projection, limit: 2, offset: 1, order_by }).unwrap();
        assert_eq!(rows.column("id").unwrap().value(0), OutputValue::Int64(28));
    };
    verify(&c);
    drop(c);
    engine.close();
    drop(engine);
    engine = open(dir.path());
    let c = engine.collection("c").unwrap();
    verify(&c);
    c.flush().unwrap();
    while c.compact().unwrap() {}
    verify(&c);
}

#[test]
fn rows_expire() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = engine.create(Definition::new("c", schema(false)).index("vector", Metric::L2)).unwrap();
    c.insert(batch(&c.schema(), KeySource::Given, &[(1, 1)])).unwrap();
    c.set_property("collection.ttl.seconds", "1").unwrap();
    c.insert(batch(&c.schema(), KeySource::Given, &[(2, 2)])).unwrap();
    assert_eq!(c.count(), 2);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while c.count() > 0 {
        assert!(std::time::Instant::now() < until, "the rows did not expire");
        std::thread::yield_now();
    }
    let found =
        c.get(&Keys::Int(vec![1, 2]), &Projection::resolve::<&str>(&c.schema(), &[]).unwrap()).unwrap();
    assert_eq!(found.len, 0);
    let projection = Projection::resolve::<&str>(&c.schema(), &[]).unwrap();
    let (mut visited, mut stored) = (0, 0);
    let count = |into: &mut usize, rows: Rows| {
        *into += rows.len;
        Ok(())
    };
    c.scan(&projection, &mut |rows| count(&mut visited, rows)).unwrap();
    c.scan_stored(&projection, &mut |rows| count(&mut stored, rows)).unwrap();
    assert_eq!((visited, stored), (0, 2));
    c.drop_properties(&["collection.ttl.seconds".into()]).unwrap();
    assert_eq!(c.count(), 2, "they were there all the time");
    assert!(c.set_property("collection.ttl.seconds", "soon").is_err());
}

#[test]
fn names_belong_to_databases() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = open(dir.path());
    engine.create_database("db", BTreeMap::new()).unwrap();
    let mut definition = Definition::new("c", schema(false)).index("vector", Metric::L2);
    engine.create(definition.clone()).unwrap();
    definition.database = "db".into();
    let other = engine.create(definition.clone()).unwrap();
    other.insert(batch(&other.schema(), KeySource::Given, &[(1, 1)])).unwrap();
    engine.set_alias("db", "c", "alias", false).unwrap();
    drop(other);
    engine.close();
    drop(engine);
    engine = open(dir.path());
    assert_eq!(engine.collection_in("db", "alias").unwrap().count(), 1);
    assert_eq!(engine.collection_in("default", "c").unwrap().count(), 0);
    assert!(
        engine.collection_in("default", "alias").is_err() && engine.collection_in("default", "db/c").is_err()
    );
    assert!(matches!(engine.collection_in("none", "c"), Err(EngineError::DatabaseNotFound { .. })));
    assert!(engine.drop_collection("db/c").is_err() && engine.drop_database("db").is_err());
    engine.drop_alias("db", "alias").unwrap();
    assert!(engine.drop_collection("db/c").unwrap());
    engine.drop_database("db").unwrap();
    definition.database = "gone".into();
    assert!(matches!(engine.create(definition), Err(EngineError::DatabaseNotFound { .. })));
}
