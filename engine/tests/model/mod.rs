//! Rows that can be told from one number each, and what reads of a collection must give for them. Shared by the property
//! test and the crash simulator.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use elanus_engine::row::{Batch, BatchBuilder, KeySource, OutputValue, Projection, Rows, Value};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Collection, Definition, Engine, Filter, Metric, SearchRequest};

pub(crate) const DIM: usize = 3;

pub(crate) fn schema(auto_id: bool) -> Schema {
    let fields = vec![
        Field::new("id", DataType::Int64).primary(auto_id),
        Field::new("vector", DataType::FloatVector).dim(DIM),
        Field::new("tag", DataType::Int32),
    ];
    Schema::new(fields, true, "").unwrap()
}

pub(crate) fn create(engine: &Engine, auto_id: bool, metric: Metric) -> Arc<Collection> {
    engine.create(Definition::new("c", schema(auto_id)).index("vector", metric)).unwrap()
}

pub(crate) fn vector_of(seed: i64) -> [f32; DIM] {
    let s = seed as f32;
    [s.sin() + 0.01, (s * 1.7).cos(), (s * 0.3).sin()]
}

pub(crate) fn batch(schema: &Arc<Schema>, source: KeySource, rows: &[(i64, i64)]) -> Batch {
    let mut b = BatchBuilder::new(schema, source);
    for &(key, seed) in rows {
        if source == KeySource::Given {
            b.set(0, Value::Int(key)).unwrap();
        }
        b.set_vector(1, |m| {
            m.extend(vector_of(seed));
            Ok(())
        })
        .unwrap();
        b.set(2, Value::Int(seed % 10)).unwrap();
        b.set_dynamic("seed", &seed.to_string()).unwrap();
        b.end_row().unwrap();
    }
    b.finish().unwrap()
}

/// Takes rows over into a map from key to seed, and checks that each row fits its seed.
pub(crate) fn collect(rows: &Rows, found: &mut BTreeMap<i64, i64>) {
    for row in 0..rows.len {
        let Some(OutputValue::Int64(key)) = rows.column("id").map(|column| column.value(row)) else {
            panic!("a row without a key")
        };
        let json: serde_json::Value = serde_json::from_str(rows.dynamic_json(row).unwrap()).unwrap();
        let seed = json["seed"].as_i64().unwrap();
        assert_eq!(rows.column("tag").unwrap().value(row), OutputValue::Int(seed % 10));
        assert_eq!(found.insert(key, seed), None, "key {key} twice");
    }
}

/// All live rows as a map from key to seed.
pub(crate) fn all(c: &Collection) -> BTreeMap<i64, i64> {
    let projection = Projection::resolve(&c.schema(), &["tag", "seed"]).unwrap();
    let mut found = BTreeMap::new();
    c.scan(&projection, &mut |rows| {
        collect(&rows, &mut found);
        Ok(())
    })
    .unwrap();
    found
}

pub(crate) fn request(c: &Collection, seed: i64, limit: usize, filter: Option<&str>) -> SearchRequest {
    let projection = Projection::resolve::<&str>(&c.schema(), &[]).unwrap();
    SearchRequest {
        filter: filter.map(|f| Filter::compile(f, &c.schema()).unwrap()),
        ..SearchRequest::new("vector", vector_of(seed).to_vec(), limit, projection)
    }
}

pub(crate) fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let dot: f64 = pairs().map(|(x, y)| x * y).sum();
    let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    match metric {
        Metric::L2 => pairs().map(|(x, y)| (x - y).powi(2)).sum(),
        Metric::Ip => dot,
        Metric::Cosine => dot / (norm(a) * norm(b)),
    }
}

/// Hits must be `min(limit, matches)` live rows in score order, none better left out, ties by key.
pub(crate) fn check_search(
    c: &Collection,
    oracle: &BTreeMap<i64, i64>,
    metric: Metric,
    seed: i64,
    limit: usize,
    tag: Option<i64>,
) {
    let filter = tag.map(|t| format!("tag == {t}"));
    let hits = c.search(&request(c, seed, limit, filter.as_deref())).unwrap();
    let query = vector_of(seed);
    let matching: Vec<(i64, f64)> = oracle
        .iter()
        .filter(|(_, s)| tag.is_none_or(|t| *s % 10 == t))
        .map(|(key, s)| (*key, score(metric, &query, &vector_of(*s))))
        .collect();
    assert_eq!(hits.topks, [limit.min(matching.len())]);
    let keys: Vec<i64> = (0..hits.rows.len)
        .map(|row| match hits.rows.column("id").unwrap().value(row) {
            OutputValue::Int64(key) => key,
            other => panic!("{other:?}"),
        })
        .collect();
    let order = |a: f64, b: f64| if metric.is_similarity() { b.total_cmp(&a) } else { a.total_cmp(&b) };
    let mut best: Vec<f64> = matching.iter().map(|(_, s)| *s).collect();
    best.sort_by(|a, b| order(*a, *b));
    for (row, key) in keys.iter().enumerate() {
        let exact = matching.iter().find(|(k, _)| k == key).expect("a live, matching row").1;
        assert!((f64::from(hits.scores[row]) - exact).abs() < 1e-5);
        assert!((exact - best[row]).abs() < 1e-5, "a better row was left out");
        if row > 0 && hits.scores[row] == hits.scores[row - 1] {
            assert!(keys[row - 1] < *key, "ties go to the smaller key");
        }
    }
}
