//! Random rows and random expressions, against an interpreter that works row by row on JSON values and shares no code
//! with the filter; and arbitrary text, which must never make the parser panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Row, columns, fields, schema};
use crate::filter::{Filter, FilterOptions};
use crate::index::scalar::ScalarIndexes;
use crate::schema::{DataType, Schema};

mod generate;
mod text;

use generate::{any_expr, any_row};

const OPS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const NUMERIC: [&str; 7] = ["id", "tiny", "small", "width", "age", "score", "ratio"];
/// Text of an operand, its key at the top of the row, and the rest of its path.
const PATHS: [(&str, &str, &[&str]); 7] = [
    ("k", "k", &[]),
    ("$meta[\"k\"]", "k", &[]),
    ("k['a']", "k", &["a"]),
    ("k[1]", "k", &["1"]),
    ("j", "j", &[]),
    ("j[\"a\"][0]", "j", &["a", "0"]),
    ("j['a']", "j", &["a"]),
];
const ARRAYS: [&str; 6] = ["tags", "tinies", "singles", "doubles", "names", "marks"];
/// Patterns of `=~` with what they mean.
type Matches = fn(&str) -> bool;

const PATTERNS: [(&str, Matches); 6] = [
    ("", |_| true),
    ("^a", |text| text.starts_with('a')),
    ("b$", |text| text.ends_with('b')),
    ("^[ab]*$", |text| text.chars().all(|c| c == 'a' || c == 'b')),
    (r"\\", |text| text.contains('\\')),
    ("é.", |text| text.split_once('é').is_some_and(|(_, rest)| !rest.is_empty())),
];

/// What an expression is compared on.
#[derive(Debug, Clone)]
enum Subject {
    Column(&'static str),
    Path(usize),
    Element(&'static str, usize),
    /// Length of a column or a path.
    Length(Box<Subject>),
}

/// How many of the values an array must contain.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Quantity {
    One,
    All,
    Any,
}

/// An expression, as the generator and the interpreter see it. Numbers are JSON numbers.
#[derive(Debug, Clone)]
enum Expr {
    Compare {
        subject: Subject,
        steps: Vec<(char, Value, bool)>,
        op: usize,
        constant: Value,
        flipped: bool,
    },
    Range {
        subject: Subject,
        low: Value,
        low_op: usize,
        high_op: usize,
        high: Value,
        falling: bool,
    },
    In {
        subject: Subject,
        list: Vec<Value>,
        negated: bool,
    },
    Like {
        subject: Subject,
        pattern: String,
    },
    Match {
        subject: Subject,
        pattern: usize,
        negated: bool,
    },
    Contains {
        subject: Subject,
        quantity: Quantity,
        values: Vec<Value>,
    },
    Same {
        subject: Subject,
        list: Value,
        negated: bool,
    },
    /// `at + days > moment`, in seconds.
    Moved {
        days: i64,
        op: usize,
        moment: i64,
    },
    Pair(&'static str, usize, &'static str),
    Null {
        subject: Subject,
        negated: bool,
    },
    Exists(usize),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

// ---- the interpreter

fn lookup(row: &Row, subject: &Subject) -> Option<Value> {
    let value = match subject {
        Subject::Column(name) => row.get(*name)?.clone(),
        Subject::Path(index) => {
            let (_, top, path) = PATHS[*index];
            let found = path.iter().try_fold(row.get(top)?, |value, step| match value {
                Value::Array(items) => items.get(step.parse::<usize>().ok()?),
                Value::Object(map) if step.parse::<usize>().is_err() => map.get(*step),
                _ => None,
            });
            found?.clone()
        }
        Subject::Element(name, index) => row.get(*name)?.as_array()?.get(*index)?.clone(),
        Subject::Length(array) => lookup(row, array)?.as_array()?.len().into(),
    };
    (!value.is_null()).then_some(value)
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Num {
    I(i128),
    F(f64),
}

fn num(value: &Value) -> Option<Num> {
    let number = value.as_number()?;
    match (number.as_i64(), number.as_u64()) {
        (Some(i), _) => Some(Num::I(i.into())),
        (_, Some(u)) => Some(Num::I(u.into())),
        _ => number.as_f64().map(Num::F),
    }
}

fn single(number: Num) -> Num {
    match number {
        Num::I(i) => Num::F((i as f32).into()),
        Num::F(f) => Num::F((f as f32).into()),
    }
}

/// -1, 0 or 1, exactly: below 2^53 every integer is a float, above every float is an integer.
fn sign(a: Num, b: Num) -> i32 {
    const EXACT: i128 = 1 << 53;
    match (a, b) {
        (Num::I(a), Num::I(b)) => (a > b) as i32 - (a < b) as i32,
        (Num::F(a), Num::F(b)) => (a > b) as i32 - (a < b) as i32,
        (Num::F(_), Num::I(_)) => -sign(b, a),
        (Num::I(i), Num::F(f)) if i.abs() <= EXACT => sign(Num::F(i as f64), Num::F(f)),
        (Num::I(i), Num::F(f)) if f.abs() < 1e38 && f.fract() == 0.0 => sign(Num::I(i), Num::I(f as i128)),
        (Num::I(i), Num::F(f)) => sign(Num::F(i as f64), Num::F(f)),
    }
}

fn holds(op: usize, sign: i32) -> bool {
    [sign == 0, sign != 0, sign < 0, sign <= 0, sign > 0, sign >= 0][op]
}

fn calculate(a: Num, op: char, b: Num, fractional: bool) -> Option<Num> {
    if let (Num::I(a), Num::I(b)) = (a, b)
        && !(op == '/' && fractional)
    {
        return Some(Num::I(match op {
            '+' => a.checked_add(b)?,
            '-' => a.checked_sub(b)?,
            '*' => a.checked_mul(b)?,
            '/' => a.checked_div(b)?,
            _ => a.checked_rem(b)?,
        }));
    }
    let float = |n| match n {
        Num::I(i) => i as f64,
        Num::F(f) => f,
    };
    let (a, b) = (float(a), float(b));
    let result = match op {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        '/' => a / b,
        _ => return None,
    };
    result.is_finite().then_some(Num::F(result))
}

fn is_float(value: &Value) -> bool {
    value.is_f64()
}

fn order(value: &Value, constant: &Value, as_single: bool) -> Option<i32> {
    match (value, constant) {
        (Value::Bool(a), Value::Bool(b)) => Some(*a as i32 - *b as i32),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b) as i32),
        _ => {
            let (a, b) = (num(value)?, num(constant)?);
            Some(if as_single { sign(single(a), single(b)) } else { sign(a, b) })
        }
    }
}

fn same(value: &Value, constant: &Value, as_single: bool) -> bool {
    match (value, constant) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, as_single))
        }
        _ => order(value, constant, as_single) == Some(0),
    }
}

fn like(pattern: &[char], value: &[char]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some(('%', rest)) => (0..=value.len()).any(|skip| like(rest, &value[skip..])),
        Some((c, rest)) => value.first().is_some_and(|v| *c == '_' || c == v) && like(rest, &value[1..]),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}

fn is_single(subject: &Subject) -> bool {
    matches!(subject, Subject::Column("score" | "singles") | Subject::Element("singles", _))
}

fn compare(
    row: &Row,
    subject: &Subject,
    steps: &[(char, Value, bool)],
    op: usize,
    constant: &Value,
) -> Option<bool> {
    let value = lookup(row, subject)?;
    if steps.is_empty() {
        return Some(holds(op, order(&value, constant, is_single(subject))?));
    }
    let fractional = is_float(constant) || steps.iter().any(|(_, c, _)| is_float(c));
    let fit = |n| if is_single(subject) { single(n) } else { n };
    let mut result = fit(num(&value)?);
    for (symbol, constant, reversed) in steps {
        let constant = fit(num(constant)?);
        let (a, b) = if *reversed { (constant, result) } else { (result, constant) };
        result = fit(calculate(a, *symbol, b, fractional)?);
    }
    Some(holds(op, sign(result, fit(num(constant)?))))
}

fn interpret(expr: &Expr, row: &Row) -> Option<bool> {
    match expr {
        Expr::Compare { subject, steps, op, constant, .. } => compare(row, subject, steps, *op, constant),
        Expr::Range { subject, low, low_op, high_op, high, .. } => {
            let above = compare(row, subject, &[], [4, 5][*low_op], low)?;
            let below = compare(row, subject, &[], [2, 3][*high_op], high)?;
            Some(above && below)
        }
        Expr::In { subject, list, negated } => {
            let value = lookup(row, subject)?;
            if value.is_array() || value.is_object() {
                return None;
            }
            let orders: Vec<i32> = list.iter().filter_map(|c| order(&value, c, is_single(subject))).collect();
            (list.is_empty() || !orders.is_empty()).then(|| orders.contains(&0) != *negated)
        }
        Expr::Like { subject, pattern } => {
            let value: Vec<char> = lookup(row, subject)?.as_str()?.chars().collect();
            Some(like(&pattern.chars().collect::<Vec<_>>(), &value))
        }
        Expr::Match { subject, pattern, negated } => {
            Some(PATTERNS[*pattern].1(lookup(row, subject)?.as_str()?) != *negated)
        }
        Expr::Contains { subject, quantity, values } => {
            let list = lookup(row, subject)?;
            let items = list.as_array()?;
            let holds = |value: &Value| items.iter().any(|item| same(item, value, is_single(subject)));
            Some(if *quantity == Quantity::All { values.iter().all(holds) } else { values.iter().any(holds) })
        }
        Expr::Same { subject, list, negated } => {
            let value = lookup(row, subject)?;
            value.as_array()?;
            Some(same(&value, list, is_single(subject)) != *negated)
        }
        Expr::Moved { days, op, moment } => {
            let moved = lookup(row, &Subject::Column("at"))?.as_i64()? + days * 86_400_000_000;
            Some(holds(*op, (moved > moment * 1_000_000) as i32 - (moved < moment * 1_000_000) as i32))
        }
        Expr::Pair(left, op, right) => {
            let value = |name| {
                let value = lookup(row, &Subject::Column(name))?;
                // Both sides are widened; a Float column holds what 32 bits can hold.
                Some(if name == "score" { single(num(&value)?) } else { num(&value)? })
            };
            Some(holds(*op, sign(value(left)?, value(right)?)))
        }
        Expr::Null { subject, negated } => {
            let absent = match (subject, lookup(row, subject)) {
                (_, None) => true,
                (Subject::Path(path), Some(value)) if *path != 4 => is_empty(&value),
                _ => false,
            };
            Some(absent != *negated)
        }
        Expr::Exists(path) => Some(lookup(row, &Subject::Path(*path)).is_some_and(|v| !is_empty(&v))),
        Expr::Not(inner) => interpret(inner, row).map(|truth| !truth),
        Expr::And(parts) => {
            let truths: Vec<_> = parts.iter().map(|p| interpret(p, row)).collect();
            if truths.contains(&Some(false)) {
                Some(false)
            } else {
                (!truths.contains(&None)).then_some(true)
            }
        }
        Expr::Or(parts) => {
            let truths: Vec<_> = parts.iter().map(|p| interpret(p, row)).collect();
            if truths.contains(&Some(true)) { Some(true) } else { (!truths.contains(&None)).then_some(false) }
        }
    }
}

// ---- tables

/// A schema of all types whose fields come in any order and may forbid null, with rows that fit it.
fn any_table() -> impl Strategy<Value = (std::sync::Arc<Schema>, Vec<Row>)> {
    let rows = prop::collection::vec(any_row(), 1..80);
    let required = prop::collection::vec(any::<bool>(), fields().len());
    (Just(fields()).prop_shuffle(), required, rows).prop_map(|(mut fields, required, mut rows)| {
        for (field, required) in fields.iter_mut().zip(required) {
            if required && !field.data_type.is_vector() {
                field.nullable = false;
                let value = filler(field.data_type);
                for row in &mut rows {
                    if row.get(&field.name).is_none_or(Value::is_null) {
                        row.insert(field.name.clone(), value.clone());
                    }
                }
            }
        }
        (std::sync::Arc::new(Schema::new(fields, true, "").unwrap()), rows)
    })
}

/// What a row has where it may not have null.
fn filler(data_type: DataType) -> Value {
    match data_type {
        DataType::Bool => false.into(),
        DataType::VarChar => "".into(),
        DataType::Array => json!([]),
        _ => 0.into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20000))]

    #[test]
    fn agrees_with_the_interpreter(
        (schema, rows) in any_table(),
        expr in any_expr(),
        templated: bool,
        skip in 0..70usize,
    ) {
        let (text, templates) = text::write(&expr, templated);
        let options = FilterOptions { templates, ..FilterOptions::default() };
        let filter = Filter::compile_with(&text, &schema, &options);
        let filter = filter.map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        // A slice does not start at a byte of the bitmaps.
        let skip = skip.min(rows.len() - 1);
        let columns = columns(&schema, &rows).slice(skip, rows.len() - skip);
        let bits = filter.evaluate(&columns).unwrap();
        let fields: Vec<i64> = schema.fields().iter().map(|field| field.id).collect();
        let indexes = ScalarIndexes::build(&columns, &fields).unwrap();
        let prepared = filter.evaluate_with(&columns, Some(&indexes)).unwrap();
        prop_assert_eq!(&bits, &prepared, "with what is prepared of the columns: {}", text);
        prop_assert_eq!(bits.len(), rows.len() - skip);
        let some: Vec<u32> = (0..bits.len() as u32).step_by(3).collect();
        let few = filter.evaluate_rows(&columns, &some.clone().into()).unwrap();
        let expected: Vec<bool> = some.iter().map(|&row| bits.value(row as usize)).collect();
        prop_assert_eq!(few.iter().collect::<Vec<_>>(), expected, "on some rows: {}", text);
        for (row, matched) in rows[skip..].iter().zip(&bits) {
            let expected = interpret(&expr, row) == Some(true);
            prop_assert_eq!(matched, expected, "{} on {}", text, serde_json::to_string(row).unwrap());
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
        let _ = Filter::compile(&text, &schema(true));
    }

    #[test]
    fn shuffled_tokens_never_panic(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "age", "name", "j", "vec", "$meta", "flag", "nope", "(", ")", "[", "]", "'a'", "\"\\u00e9\"", "r'x'", "1", "0", "1.5",
            "-", "+", "*", "/", "%", "**", "~", "!", "not", "and", "or", "in", "like", "exists", "is null", "is not null",
            "==", "!=", "<", "<=", ">", ">=", "&", "|", "^", "<<", ">>", ",", "true", "null", "{", "}", "=~", "!~", "9223372036854775808",
            "tags", "names", "words", "at", "bits", "sparse", "ISO", "INTERVAL", "'P1D'", "'2025-01-01T00:00:00Z'", "{x}", "{list}",
            "array_contains(", "json_contains_all(", "array_length(", "text_match(", "phrase_match(", "random_sample(", "slop=", "'('",
        ]), 0..24),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        let text = tokens.join(glue);
        let options = super::options(&json!({"x": 5, "list": [1, "a"]}), "UTC");
        if let Ok(filter) = Filter::compile_with(&text, &schema(true), &options) {
            let rows = [json!({"id": 1, "age": 2}).as_object().unwrap().clone()];
            filter.evaluate(&columns(&schema(true), &rows)).unwrap();
        }
    }
}
