//! How fast filters run on one core: `cargo run --release -p elanus-benches --bin filter [ROWS]` prints millions of
//! rows a second for expressions of each kind, first on plain columns in memory, then through a collection whose rows are
//! sealed, with what its segments prepare: indexes on scalar fields, columns of undeclared keys that recur.

#![allow(clippy::print_stdout, clippy::expect_used)]

mod sealed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use elanus_engine::Filter;
use elanus_engine::schema::{DataType, Field, Schema};

/// Rows when none are asked for: about a segment.
const ROWS: usize = 1_000_000;
/// How long each expression is repeated.
const TIME: Duration = Duration::from_millis(500);

fn schema() -> Schema {
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("vector", DataType::FloatVector).dim(2),
        Field::new("a", DataType::Int64),
        Field::new("name", DataType::VarChar).max_length(100),
        Field::new("j", DataType::Json),
        Field::new("tags", DataType::Array).elements(DataType::Int64, 16),
    ];
    Schema::new(fields, true, "").expect("the schema keeps the rules")
}

fn columns(schema: &Schema, rows: usize) -> RecordBatch {
    let mut state = 1u64;
    // Xorshift: the same columns each time.
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) as i64
    };
    let numbers: Vec<i64> = (0..rows).map(|_| random() % 1000).collect();
    let text = |make: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(numbers.iter().map(|&n| make(n))))
    };
    let tags = numbers.iter().map(|&n| Some((0..n % 8).map(move |i| Some((n * 7 + i * 13) % 100))));
    // Elements are never null, but a list made from an iterator says that they may be.
    let tags = ListArray::from_iter_primitive::<Int64Type, _, _>(tags);
    let item = Arc::new(arrow_schema::Field::new("item", arrow_schema::DataType::Int64, false));
    let tags = ListArray::new(item, tags.offsets().clone(), Arc::clone(tags.values()), None);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        Arc::new(Int64Array::from(numbers.clone())),
        text(&|n| format!("name of number {n}")),
        text(&|n| format!(r#"{{"title":"number {n}","words":["a","b"],"size":{{"w":{n},"h":{}}}}}"#, n * 2)),
        Arc::new(tags),
        text(&|n| format!(r#"{{"color":"red","shape":"round","weight":{n}}}"#)),
    ];
    RecordBatch::try_new(schema.arrow(), columns).expect("the columns are those of the schema")
}

fn list(members: impl Iterator<Item = i64>) -> String {
    members.map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
}

fn main() {
    let rows = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let schema = schema();
    let columns = columns(&schema, rows);
    let cases = [
        ("Int64 <", "a < 500".to_owned()),
        ("Int64 range", "100 <= a < 500".to_owned()),
        ("Int64 arithmetic", "a % 10 == 3".to_owned()),
        ("in, 5 numbers", format!("a in [{}]", list((0..5).map(|n| n * 37)))),
        ("in, 100 close numbers", format!("a in [{}]", list((0..100).map(|n| n * 7)))),
        ("in, 100 far numbers", format!("a in [{}]", list((0..100).map(|n| n * n * 1_000_003)))),
        ("VarChar ==", "name == 'name of number 77'".to_owned()),
        ("VarChar in, 5 texts", "name in ['a', 'b', 'c', 'd', 'name of number 77']".to_owned()),
        ("like 'abc%'", "name like 'name of number 7%'".to_owned()),
        ("like '%abc'", "name like '%77'".to_owned()),
        ("like '%abc%'", "name like '%number 77%'".to_owned()),
        ("like 'a_c%d%'", "name like 'n_me%7%'".to_owned()),
        ("=~", "name =~ '7{2}$'".to_owned()),
        ("JSON path ==", "j['size']['w'] == 77".to_owned()),
        ("dynamic key ==", "weight == 77".to_owned()),
        ("array_contains", "array_contains(tags, 39)".to_owned()),
        ("array_contains_all", "array_contains_all(tags, [39, 52])".to_owned()),
        ("array_length", "array_length(tags) > 3".to_owned()),
        ("Int64 < and JSON path ==", "j['size']['w'] == 7 and a < 10".to_owned()),
    ];
    println!("{rows} rows");
    for (name, expression) in cases {
        let filter = Filter::compile(&expression, &schema).expect("the expression is right");
        let count = || filter.evaluate(&columns).expect("the columns fit").count_set_bits() as u64;
        report(name, rows, &count);
    }
    sealed::run(rows);
}

/// Runs an evaluation for a while. The best run counts: others on the machine can only make one slower.
fn report(name: &str, rows: usize, count: &dyn Fn() -> u64) {
    let start = Instant::now();
    let (mut best, mut matching) = (Duration::MAX, 0);
    while start.elapsed() < TIME {
        let start = Instant::now();
        matching = count();
        best = best.min(start.elapsed());
    }
    let speed = rows as f64 / best.as_secs_f64() / 1e6;
    println!("{name:44} {speed:10.1} M rows/s   {matching} match");
}
