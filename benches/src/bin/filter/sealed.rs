//! The same values in declared fields and under undeclared keys of sealed rows, counted through the collection.

use elanus_engine::row::{BatchBuilder, KeySource, Value};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Collection, Definition, Durability, Engine, EngineOptions, Filter};

use crate::report;

/// Rows of an insert.
const BATCH: usize = 50_000;
/// Expressions on the field or key in place of `{}`; numbers are 0 to 999, texts are made of them.
const CASES: [(&str, &str); 6] = [
    ("number", "{} < 500"),
    ("number", "100 <= {} < 110"),
    ("number", "{} == 77"),
    ("number", "{} in [1, 5, 25, 125, 625]"),
    ("text", "{} == 'name of number 77'"),
    ("text", "{} like 'name of number 7%'"),
];

pub(crate) fn run(rows: usize) {
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let options = EngineOptions {
        background: false,
        durability: Durability::Interval(std::time::Duration::from_secs(60)),
        ..EngineOptions::default()
    };
    let data = elanus_storage::data_dir::open(folder.path()).expect("the folder is new");
    let engine = Engine::open(data, options).expect("an empty engine opens");
    let collection = engine.create(Definition::new("c", schema())).expect("the definition keeps the rules");
    fill(&collection, rows);
    println!("the same through a collection, {rows} sealed rows: declared, then undeclared");
    for (kind, pattern) in CASES {
        for prefix in ["", "dynamic_"] {
            let expression = pattern.replace("{}", &format!("{prefix}{kind}"));
            let filter = Filter::compile(&expression, &collection.schema()).expect("the expression is right");
            report(&expression, rows, &|| collection.count_where(&filter).expect("the rows are there"));
        }
    }
}

fn schema() -> Schema {
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("vector", DataType::FloatVector).dim(2),
        Field::new("number", DataType::Int64),
        Field::new("text", DataType::VarChar).max_length(100),
    ];
    Schema::new(fields, true, "").expect("the schema keeps the rules")
}

fn fill(collection: &Collection, rows: usize) {
    for start in (0..rows).step_by(BATCH) {
        let mut batch = BatchBuilder::new(&collection.schema(), KeySource::Given);
        for key in start..rows.min(start + BATCH) {
            row(&mut batch, key).expect("the row fits");
        }
        collection.insert(batch.finish().expect("the rows fit")).expect("there is room");
    }
    collection.flush().expect("there is room");
    while collection.compact().expect("there is room") {}
    while collection.build_index().expect("there is memory") {}
}

fn row(batch: &mut BatchBuilder, key: usize) -> elanus_engine::Result<()> {
    let number = key.wrapping_mul(0x9e37_79b9) >> 7 & 0xffff_ffff;
    let number = (number % 1000) as i64;
    let text = format!("name of number {number}");
    batch.set(0, Value::Int(key as i64))?;
    batch.set_vector(1, |matrix| {
        matrix.extend([0.0, 1.0]);
        Ok(())
    })?;
    batch.set(2, Value::Int(number))?;
    batch.set(3, Value::Text(&text))?;
    batch.set_dynamic("dynamic_number", &number.to_string())?;
    batch.set_dynamic("dynamic_text", &format!("\"{text}\""))?;
    batch.end_row()
}
