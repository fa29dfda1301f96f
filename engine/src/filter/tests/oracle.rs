//! Random rows and random expressions, against an interpreter that works row by row on JSON values and shares no code
//! with the filter; and arbitrary text, which must never make the parser panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Row, columns, schema};
use crate::filter::Filter;

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

/// What an expression is compared on.
#[derive(Debug, Clone)]
enum Subject {
    Column(&'static str),
    Path(usize),
}

/// An expression, as the generator and the interpreter see it. Numbers are JSON numbers.
#[derive(Debug, Clone)]
enum Expr {
    Compare { subject: Subject, steps: Vec<(char, Value, bool)>, op: usize, constant: Value, flipped: bool },
    Range { subject: Subject, low: Value, low_op: usize, high_op: usize, high: Value, falling: bool },
    In { subject: Subject, list: Vec<Value>, negated: bool },
    Like { subject: Subject, pattern: String },
    Pair(&'static str, usize, &'static str),
    Null { subject: Subject, negated: bool },
    Exists(usize),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

// ---- the interpreter

fn lookup<'a>(row: &'a Row, subject: &Subject) -> Option<&'a Value> {
    let value = match subject {
        Subject::Column(name) => row.get(*name)?,
        Subject::Path(index) => {
            let (_, top, path) = PATHS[*index];
            path.iter().try_fold(row.get(top)?, |value, step| match value {
                Value::Array(items) => items.get(step.parse::<usize>().ok()?),
                Value::Object(map) if step.parse::<usize>().is_err() => map.get(*step),
                _ => None,
            })?
        }
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
    matches!(subject, Subject::Column("score"))
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
        return Some(holds(op, order(value, constant, is_single(subject))?));
    }
    let fractional = is_float(constant) || steps.iter().any(|(_, c, _)| is_float(c));
    let fit = |n| if is_single(subject) { single(n) } else { n };
    let mut result = fit(num(value)?);
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
            let orders: Vec<i32> = list.iter().filter_map(|c| order(value, c, is_single(subject))).collect();
            (list.is_empty() || !orders.is_empty()).then(|| orders.contains(&0) != *negated)
        }
        Expr::Like { subject, pattern } => {
            let value: Vec<char> = lookup(row, subject)?.as_str()?.chars().collect();
            Some(like(&pattern.chars().collect::<Vec<_>>(), &value))
        }
        Expr::Pair(left, op, right) => {
            let value = |name| {
                let value = lookup(row, &Subject::Column(name))?;
                // Both sides are widened; a Float column holds what 32 bits can hold.
                Some(if name == "score" { single(num(value)?) } else { num(value)? })
            };
            Some(holds(*op, sign(value(left)?, value(right)?)))
        }
        Expr::Null { subject, negated } => {
            let absent = match (subject, lookup(row, subject)) {
                (_, None) => true,
                (Subject::Column(_) | Subject::Path(4), Some(_)) => false,
                (Subject::Path(_), Some(value)) => is_empty(value),
            };
            Some(absent != *negated)
        }
        Expr::Exists(path) => Some(lookup(row, &Subject::Path(*path)).is_some_and(|v| !is_empty(v))),
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

// ---- text

fn subject_text(subject: &Subject) -> String {
    match subject {
        Subject::Column(name) => (*name).to_owned(),
        Subject::Path(index) => PATHS[*index].0.to_owned(),
    }
}

fn text(expr: &Expr) -> String {
    let list = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    match expr {
        Expr::Compare { subject, steps, op, constant, flipped } => {
            let mut left = subject_text(subject);
            for (symbol, constant, reversed) in steps {
                left = if *reversed {
                    format!("({constant} {symbol} {left})")
                } else {
                    format!("({left} {symbol} {constant})")
                };
            }
            let flip = [0, 1, 4, 5, 2, 3];
            if *flipped {
                format!("{constant} {} {left}", OPS[flip[*op]])
            } else {
                format!("{left} {} {constant}", OPS[*op])
            }
        }
        Expr::Range { subject, low, low_op, high_op, high, falling } => {
            let field = subject_text(subject);
            if *falling {
                format!("{high} {} {field} {} {low}", OPS[4 + high_op], OPS[4 + low_op])
            } else {
                format!("{low} {} {field} {} {high}", OPS[2 + low_op], OPS[2 + high_op])
            }
        }
        Expr::In { subject, list: items, negated } => {
            format!("{} {} [{}]", subject_text(subject), if *negated { "not in" } else { "in" }, list(items))
        }
        Expr::Like { subject, pattern } => format!("{} like '{pattern}'", subject_text(subject)),
        Expr::Pair(left, op, right) => format!("{left} {} {right}", OPS[*op]),
        Expr::Null { subject, negated } => {
            format!("{} is {}null", subject_text(subject), if *negated { "not " } else { "" })
        }
        Expr::Exists(path) => format!("exists {}", PATHS[*path].0),
        Expr::Not(inner) => format!("not ({})", text(inner)),
        // `and` binds tighter than `or`: only an `or` inside an `and` needs parentheses.
        Expr::And(parts) => {
            let part = |p: &Expr| if matches!(p, Expr::Or(_)) { format!("({})", text(p)) } else { text(p) };
            parts.iter().map(part).collect::<Vec<_>>().join(" and ")
        }
        Expr::Or(parts) => parts.iter().map(text).collect::<Vec<_>>().join(" or "),
    }
}

// ---- generators

fn int() -> impl Strategy<Value = i64> {
    let edges = vec![i64::MAX, i64::MIN, (1 << 53) + 1, 1 << 53, -(1 << 53) - 1, 127, -128, 128, 40_000];
    prop_oneof![4 => -3..4i64, 1 => prop::sample::select(edges)]
}

fn float() -> impl Strategy<Value = f64> {
    let edges = [
        -1.5,
        -0.0,
        0.0,
        0.1,
        0.5,
        1.0,
        2.0,
        3.0,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_808.0,
        1e300,
        -1e20,
    ];
    prop::sample::select(edges.to_vec())
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![int().prop_map(Value::from), float().prop_map(Value::from)]
}

fn string() -> impl Strategy<Value = Value> {
    prop::sample::select(vec!["", "a", "ab", "b", "éa", "a\"b\\", "x\n"]).prop_map(Value::from)
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number(), number(), string()]
}

fn json() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(leaf(), 0..3);
    prop_oneof![
        leaf(),
        list().prop_map(Value::from),
        leaf().prop_map(|v| json!({ "b": 1, "a": v })),
        list().prop_map(|v| json!({"a": v})),
        Just(json!({"a": [{}, null]})),
    ]
}

fn maybe(strategy: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 3 => strategy]
}

fn any_row() -> impl Strategy<Value = Row> {
    let narrow = |limit: i64| maybe(int().prop_map(move |i| Value::from(i.clamp(-limit - 1, limit))));
    let stored_single = float().prop_map(|f| Value::from(f64::from((f as f32).clamp(f32::MIN, f32::MAX))));
    let declared = (
        maybe(any::<bool>().prop_map(Value::from)),
        (narrow(127), narrow(32_767), narrow(2_147_483_647), maybe(int().prop_map(Value::from))),
        maybe(stored_single),
        maybe(float().prop_map(Value::from)),
        maybe(string()),
    );
    (declared, prop::option::of(json()), prop::option::of(json()), int()).prop_map(
        |((flag, (tiny, small, width, age), score, ratio, name), j, k, id)| {
            let mut row = Row::new();
            let fields =
                [("id", id.into()), ("flag", flag), ("tiny", tiny), ("small", small), ("width", width)];
            row.extend(fields.map(|(name, value)| (name.to_owned(), value)));
            let fields = [("age", age), ("score", score), ("ratio", ratio), ("name", name)];
            row.extend(fields.map(|(name, value)| (name.to_owned(), value)));
            row.extend(j.map(|j| ("j".to_owned(), j)));
            row.extend(k.map(|k| ("k".to_owned(), k)));
            row
        },
    )
}

fn numeric() -> impl Strategy<Value = Subject> {
    prop_oneof![
        prop::sample::select(NUMERIC.to_vec()).prop_map(Subject::Column),
        (0..PATHS.len()).prop_map(Subject::Path),
    ]
}

/// A subject with constants of a type it compares to.
fn typed() -> impl Strategy<Value = (Subject, Vec<Value>)> {
    let constants = |values: BoxedStrategy<Value>| prop::collection::vec(values, 2..4);
    let path = (0..PATHS.len()).prop_map(Subject::Path);
    prop_oneof![
        3 => (numeric(), constants(number().boxed())),
        1 => (Just(Subject::Column("flag")), constants(any::<bool>().prop_map(Value::from).boxed())),
        1 => (Just(Subject::Column("name")), constants(string().boxed())),
        1 => (path.clone(), constants(string().boxed())),
        1 => (path, constants(any::<bool>().prop_map(Value::from).boxed())),
    ]
}

/// `/` and `%` never by zero, `%` never with floats: those are compile errors, tested by table.
fn step(integers: bool) -> impl Strategy<Value = (char, Value, bool)> {
    let any_constant = if integers { int().prop_map(Value::from).boxed() } else { number().boxed() };
    let divisor = int().prop_filter("not zero", |i| *i != 0).prop_map(Value::from);
    prop_oneof![
        (prop::sample::select(vec!['+', '-', '*']), any_constant, any::<bool>()),
        (Just(if integers { '%' } else { '/' }), divisor, any::<bool>()),
        (Just('/'), int().prop_filter("not zero", |i| *i != 0).prop_map(Value::from), any::<bool>()),
    ]
}

fn steps(integers: bool) -> impl Strategy<Value = Vec<(char, Value, bool)>> {
    prop::collection::vec(step(integers), 1..3)
}

fn term() -> impl Strategy<Value = Expr> {
    let flag = any::<bool>;
    let whole = prop_oneof![
        prop::sample::select(NUMERIC[..5].to_vec()).prop_map(Subject::Column),
        (0..PATHS.len()).prop_map(Subject::Path),
    ];
    let compare = (typed(), 0..6usize, flag()).prop_map(|((subject, constants), op, flipped)| {
        Expr::Compare { subject, steps: Vec::new(), op, constant: constants[0].clone(), flipped }
    });
    let computed = prop_oneof![(whole, steps(true)), (numeric(), steps(false))];
    let arithmetic =
        (computed, 0..6usize, number(), flag()).prop_map(|((subject, steps), op, constant, flipped)| {
            Expr::Compare { subject, steps, op, constant, flipped }
        });
    let range = (typed(), 0..2usize, 0..2usize, flag()).prop_map(
        |((subject, constants), low_op, high_op, falling)| Expr::Range {
            subject,
            low: constants[0].clone(),
            high: constants[1].clone(),
            low_op,
            high_op,
            falling,
        },
    );
    let mixed =
        (0..PATHS.len(), prop::collection::vec(leaf().prop_filter("no null", |v| !v.is_null()), 0..4))
            .prop_map(|(path, list)| (Subject::Path(path), list));
    let membership = (prop_oneof![typed(), mixed], flag()).prop_map(|((subject, mut list), negated)| {
        if matches!(&subject, Subject::Column(name) if !["score", "ratio"].contains(name)) {
            list.retain(|v| !v.is_f64());
        }
        Expr::In { subject, list, negated }
    });
    let texts = prop_oneof![Just(Subject::Column("name")), (0..PATHS.len()).prop_map(Subject::Path)];
    let column = || prop::sample::select(NUMERIC.to_vec());
    let nullable = prop_oneof![typed().prop_map(|(subject, _)| subject), Just(Subject::Column("name"))];
    prop_oneof![
        5 => compare,
        3 => arithmetic,
        2 => range.prop_filter("no range of booleans", |e| !matches!(e, Expr::Range { low: Value::Bool(_), .. })),
        2 => membership,
        1 => (texts, "[ab%_é]{0,3}").prop_map(|(subject, pattern)| Expr::Like { subject, pattern }),
        1 => (column(), 0..6usize, column()).prop_map(|(a, op, b)| Expr::Pair(a, op, b)),
        1 => (nullable, flag()).prop_map(|(subject, negated)| Expr::Null { subject, negated }),
        1 => (0..PATHS.len()).prop_filter("a path", |p| *p != 4).prop_map(Expr::Exists),
    ]
}

fn any_expr() -> impl Strategy<Value = Expr> {
    term().prop_recursive(3, 16, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
            parts().prop_map(Expr::And),
            parts().prop_map(Expr::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_interpreter(rows in prop::collection::vec(any_row(), 1..80), expr in any_expr(), skip in 0..70usize) {
        let schema = schema(true);
        let text = text(&expr);
        let filter = Filter::compile(&text, &schema).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        // A slice does not start at a byte of the bitmaps.
        let skip = skip.min(rows.len() - 1);
        let columns = columns(&schema, &rows).slice(skip, rows.len() - skip);
        let bits = filter.evaluate(&columns).unwrap();
        prop_assert_eq!(bits.len(), rows.len() - skip);
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
            "==", "!=", "<", "<=", ">", ">=", "&", "|", "^", "<<", ">>", ",", "true", "null", "{", "}", "=~", "9223372036854775808",
        ]), 0..24),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        let text = tokens.join(glue);
        if let Ok(filter) = Filter::compile(&text, &schema(true)) {
            let rows = [json!({"id": 1, "age": 2}).as_object().unwrap().clone()];
            filter.evaluate(&columns(&schema(true), &rows)).unwrap();
        }
    }
}
