//! What queries answer beyond rows by filter: orders and groups against plain sorting and counting, answers with arrays, and
//! fields that are added to rows which are there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use elanus_engine::exec::{Aggregate, AggregateKind, AggregateRequest, Cell, OrderBy};
use elanus_engine::row::{BatchBuilder, KeySource, Keys, OutputValue, Projection, Rows, Value};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{
    Collection, Definition, Engine, EngineError, EngineOptions, ErrorClass, Filter, Metric, QueryRequest,
};
use model::{all, batch};
use proptest::prelude::*;

fn open_with(dir: &Path, options: EngineOptions) -> Arc<Engine> {
    let data = elanus_storage::data_dir::open(dir).unwrap();
    Engine::open(data, EngineOptions { background: false, search_threads: 1, reserve_bytes: 0, ..options })
        .unwrap()
}

fn open(dir: &Path) -> Arc<Engine> {
    open_with(dir, EngineOptions::default())
}

/// A row: number, text, fraction, all of which may be missing.
type Row = (Option<i64>, Option<String>, Option<i8>);

/// Of a group: rows, rows with a number, and the largest fraction before it is turned around.
type Count = (i64, i64, Option<i8>);

fn create(engine: &Engine) -> Arc<Collection> {
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("v", DataType::FloatVector).dim(2),
        Field::new("n", DataType::Int32).nullable(),
        Field::new("t", DataType::VarChar).max_length(100).nullable(),
        Field::new("f", DataType::Double).nullable(),
        Field::new("j", DataType::Json).nullable(),
        Field::new("a", DataType::Array).elements(DataType::Int64, 8).nullable(),
    ];
    engine.create(Definition::new("c", Schema::new(fields, false, "").unwrap())).unwrap()
}

fn insert(c: &Collection, rows: &[(i64, Row)]) {
    let mut b = BatchBuilder::new(&c.schema(), KeySource::Given);
    for (id, (n, t, f)) in rows {
        b.set(0, Value::Int(*id)).unwrap();
        b.set_vector(1, |m| {
            m.extend([0.0, 1.0]);
            Ok(())
        })
        .unwrap();
        b.set(2, n.map_or(Value::Null, Value::Int)).unwrap();
        b.set(3, t.as_deref().map_or(Value::Null, Value::Text)).unwrap();
        // The two zeros are one value.
        b.set(4, f.map_or(Value::Null, |f| Value::Float(f64::from(f) * -0.5))).unwrap();
        if n.is_some() {
            b.set(5, Value::Text(r#"{"x":1}"#)).unwrap();
            b.set(6, Value::List(&[Value::Int(1)])).unwrap();
        }
        b.end_row().unwrap();
    }
    c.insert(b.finish().unwrap()).unwrap();
}

fn keys(rows: &Rows) -> Vec<i64> {
    let key = |row| match rows.column("id").unwrap().value(row) {
        OutputValue::Int64(key) => key,
        other => panic!("{other:?}"),
    };
    (0..rows.len).map(key).collect()
}

fn ordered(c: &Collection, order_by: Vec<OrderBy>, offset: usize, limit: usize) -> Result<Rows, EngineError> {
    let projection = Projection::resolve::<&str>(&c.schema(), &[]).unwrap();
    c.query(&QueryRequest { filter: None, projection, limit, offset, order_by })
}

fn by(field: &str, descending: bool, nulls_first: Option<bool>) -> OrderBy {
    OrderBy { field: field.into(), descending, nulls_first }
}

fn groups(c: &Collection, group_by: &[&str], numbers: &[(AggregateKind, Option<&str>)]) -> Vec<Vec<Cell>> {
    let aggregates = numbers
        .iter()
        .map(|(kind, field)| Aggregate { kind: *kind, field: field.map(str::to_owned) })
        .collect();
    let group_by = group_by.iter().map(|name| (*name).to_owned()).collect();
    let groups = c.aggregate(&AggregateRequest { filter: None, group_by, aggregates }).unwrap();
    groups.into_iter().map(|group| [group.values, group.numbers].concat()).collect()
}

fn row() -> impl Strategy<Value = Row> {
    (prop::option::of(-3i64..3), prop::option::of("[a-c]{0,2}"), prop::option::of(-2i8..3))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn orders_and_groups_are_those_of_plain_sorting(
        rows in prop::collection::vec(row(), 1..120),
        cut in 0usize..120,
        n_down in any::<bool>(),
        nulls in prop::option::of(any::<bool>()),
        t_down in any::<bool>(),
        offset in 0usize..20,
        limit in 1usize..30,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        let c = create(&engine);
        let rows: Vec<(i64, Row)> = (0..).zip(rows).collect();
        // In two segments.
        let (sealed, growing) = rows.split_at(cut.min(rows.len()));
        insert(&c, sealed);
        c.flush().unwrap();
        insert(&c, growing);

        let mut expected: Vec<&(i64, Row)> = rows.iter().collect();
        expected.sort_by(|(id_a, a), (id_b, b)| {
            let nulls_first = nulls.unwrap_or(n_down);
            let place = |n: Option<i64>| match n {
                None => (if nulls_first { 0 } else { 2 }, 0),
                Some(n) => (1, if n_down { -n } else { n }),
            };
            let texts = a.1.cmp(&b.1);
            place(a.0).cmp(&place(b.0)).then(if t_down { texts.reverse() } else { texts }).then(id_a.cmp(id_b))
        });
        let order = vec![by("n", n_down, nulls), by("t", t_down, Some(!t_down))];
        let found = keys(&ordered(&c, order, offset, limit).unwrap());
        let expected: Vec<i64> = expected.iter().map(|row| row.0).skip(offset).take(limit).collect();
        prop_assert_eq!(found, expected);

        let mut counts: BTreeMap<(Option<i64>, Option<String>), Count> = BTreeMap::new();
        for (_, (n, t, f)) in &rows {
            let group = counts.entry((*n, t.clone())).or_default();
            group.0 += 1;
            group.1 += i64::from(n.is_some());
            group.2 = group.2.max(*f);
        }
        let cell = |n: Option<i64>| n.map_or(Cell::Null, Cell::Int);
        let expected: Vec<Vec<Cell>> = counts
            .into_iter()
            .map(|((n, t), (all, with, f))| vec![
                cell(n),
                t.map_or(Cell::Null, Cell::Text),
                Cell::Int(all),
                Cell::Int(with),
                Cell::Int(with),
                f.map_or(Cell::Null, |f| Cell::Float(f64::from(f) * -0.5)),
            ])
            .collect();
        let found = groups(&c, &["n", "t"], &[
            (AggregateKind::Count, None),
            (AggregateKind::Count, Some("j")),
            (AggregateKind::Count, Some("a")),
            (AggregateKind::Least, Some("f")),
        ]);
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_field_is_named_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine);
    let twice = ordered(&c, vec![by("t", false, None), by("t", true, None)], 0, 1).unwrap_err();
    assert!(twice.to_string().contains("order by field t is given more than once"), "{twice}");
    let request = AggregateRequest {
        filter: None,
        group_by: vec!["t".into(), "n".into(), "t".into()],
        aggregates: Vec::new(),
    };
    let twice = c.aggregate(&request).unwrap_err();
    assert!(twice.to_string().contains("group by field t is given more than once"), "{twice}");
}

/// The elements of all rows of a file lie in one buffer, which must not be taken for those of the rows asked for.
#[test]
fn short_arrays_beside_long_files_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("v", DataType::FloatVector).dim(2),
        Field::new("pad", DataType::VarChar).max_length(60_000),
        Field::new("a", DataType::Array).elements(DataType::VarChar, 4096).max_length(9),
    ];
    let c = engine.create(Definition::new("c", Schema::new(fields, false, "").unwrap())).unwrap();
    let pad = "x".repeat(50_000);
    let mut b = BatchBuilder::new(&c.schema(), KeySource::Given);
    let many: Vec<Value<'_>> = (0..300).map(|_| Value::Text("a")).collect();
    for id in 0..60 {
        b.set(0, Value::Int(id)).unwrap();
        b.set_vector(1, |m| {
            m.extend([0.0, 1.0]);
            Ok(())
        })
        .unwrap();
        b.set(2, Value::Text(&pad)).unwrap();
        b.set(3, Value::List(if id == 7 { &many } else { &[] })).unwrap();
        b.end_row().unwrap();
    }
    c.insert(b.finish().unwrap()).unwrap();
    c.flush().unwrap();
    let projection = Projection::resolve(&c.schema(), &["a"]).unwrap();
    // By the length of the file a row would have 3 MB, and these 256 answers more than is allowed.
    let rows = c.get(&Keys::Int(vec![7; 256]), &projection).unwrap();
    assert_eq!(rows.len, 256);
}

#[test]
fn get_leaves_out_what_has_lived_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = model::create(&engine, false, Metric::L2);
    c.insert(batch(&c.schema(), KeySource::Given, &[(1, 1), (3, 3)])).unwrap();
    c.flush().unwrap();
    c.set_property("collection.ttl.seconds", "1000").unwrap();
    c.insert(batch(&c.schema(), KeySource::Given, &[(2, 2)])).unwrap();
    let projection = Projection::resolve::<&str>(&c.schema(), &[]).unwrap();
    let found = |wanted: &[i64]| keys(&c.get(&Keys::Int(wanted.to_vec()), &projection).unwrap());
    assert_eq!(found(&[3, 2, 9, 1, 3]), [3, 2, 1, 3]);
    let filter = Filter::compile("id in [1, 2, 9] and seed > 1", &c.schema()).unwrap();
    assert_eq!(c.count_where(&filter).unwrap(), 1);
}

fn default_of(bytes: usize) -> Field {
    let mut field = Field::new("x", DataType::VarChar).max_length(65_535).nullable();
    field.default = Some("d".repeat(bytes).into());
    field
}

/// A default is held for every row that is there.
#[test]
fn a_default_that_takes_too_much_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    // Of 100 MB of memory 85 % may be used.
    let memory: fn() -> Option<(u64, u64)> = || Some((0, 100 << 20));
    let engine = open_with(dir.path(), EngineOptions { memory: Some(memory), ..EngineOptions::default() });
    let c = model::create(&engine, false, Metric::L2);
    // In two segments, each of which alone would be allowed.
    let rows: Vec<(i64, i64)> = (0..20_000).map(|key| (key, key)).collect();
    c.insert(batch(&c.schema(), KeySource::Given, &rows[..10_000])).unwrap();
    c.flush().unwrap();
    c.insert(batch(&c.schema(), KeySource::Given, &rows[10_000..])).unwrap();
    let refused = c.add_field(default_of(60_000)).unwrap_err();
    assert!(refused.to_string().contains("would take 1200080000 bytes in the 20000 rows"), "{refused}");
    let refused = c.add_field(default_of(6_000)).unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Exhausted, "{refused}");
    assert!(c.schema().field("x").is_none());
    engine.measure();
    c.add_field(default_of(100)).unwrap();
    assert_eq!(all(&c).len(), 20_000);
    let filter = Filter::compile(&format!("x == '{}'", "d".repeat(100)), &c.schema()).unwrap();
    assert_eq!(c.count_where(&filter).unwrap(), 20_000);
}

/// Rows that leave a field out take its default, which counts as what they hold.
#[test]
fn defaults_of_new_rows_count_against_the_size_of_a_batch() {
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("v", DataType::FloatVector).dim(2),
        default_of(65_000),
    ];
    let schema = Arc::new(Schema::new(fields, false, "").unwrap());
    let mut b = BatchBuilder::new(&schema, KeySource::Given);
    let refused = (0..4000).find_map(|id| {
        let vector = |m: &mut Vec<f32>| {
            m.extend([0.0, 1.0]);
            Ok(())
        };
        let row = b.set(0, Value::Int(id)).and_then(|()| b.set_vector(1, vector)).and_then(|()| b.end_row());
        row.err()
    });
    assert!(refused.is_some_and(|error| error.to_string().contains("bytes of values")));
}
