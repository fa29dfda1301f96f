//! Random rows and expressions. Everything that comes out compiles: what does not is for the tables.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ARRAYS, Expr, NUMERIC, PATHS, PATTERNS, Quantity, Row, Subject};

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

fn stored_single() -> impl Strategy<Value = Value> {
    float().prop_map(|f| Value::from(f64::from((f as f32).clamp(f32::MIN, f32::MAX))))
}

fn list(items: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec(items, 0..4).prop_map(Value::from)
}

/// Seconds since 1970 around some days.
fn seconds() -> impl Strategy<Value = i64> {
    (-3..4i64, -1..2i64).prop_map(|(days, seconds)| 1_735_689_600 + days * 86_400 + seconds)
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

pub(super) fn any_row() -> impl Strategy<Value = Row> {
    let narrow = |limit: i64| maybe(int().prop_map(move |i| Value::from(i.clamp(-limit - 1, limit))));
    let declared = (
        maybe(any::<bool>().prop_map(Value::from)),
        (narrow(127), narrow(32_767), narrow(2_147_483_647), maybe(int().prop_map(Value::from))),
        maybe(stored_single()),
        maybe(float().prop_map(Value::from)),
        maybe(string()),
    );
    let arrays = (
        maybe(list(int().prop_map(Value::from))),
        maybe(list(int().prop_map(|i| Value::from(i.clamp(-128, 127))))),
        maybe(list(stored_single())),
        maybe(list(float().prop_map(Value::from))),
        maybe(list(string())),
        maybe(list(any::<bool>().prop_map(Value::from))),
    );
    let at = maybe(seconds().prop_map(|s| Value::from(s * 1_000_000)));
    (declared, arrays, at, prop::option::of(json()), prop::option::of(json()), int()).prop_map(
        |((flag, (tiny, small, width, age), score, ratio, name), arrays, at, j, k, id)| {
            let mut row = Row::new();
            let fields =
                [("id", id.into()), ("flag", flag), ("tiny", tiny), ("small", small), ("width", width)];
            row.extend(fields.map(|(name, value)| (name.to_owned(), value)));
            let fields = [("age", age), ("score", score), ("ratio", ratio), ("name", name)];
            row.extend(fields.map(|(name, value)| (name.to_owned(), value)));
            let (tags, tinies, singles, doubles, names, marks) = arrays;
            let arrays = ARRAYS.into_iter().zip([tags, tinies, singles, doubles, names, marks]);
            row.extend(arrays.chain([("at", at)]).map(|(name, value)| (name.to_owned(), value)));
            row.extend(j.map(|j| ("j".to_owned(), j)));
            row.extend(k.map(|k| ("k".to_owned(), k)));
            row
        },
    )
}

fn element(arrays: &[&'static str]) -> impl Strategy<Value = Subject> + use<> {
    (prop::sample::select(arrays.to_vec()), 0..3usize).prop_map(|(name, index)| Subject::Element(name, index))
}

/// Arrays, declared or perhaps in JSON.
fn array() -> impl Strategy<Value = Subject> {
    prop_oneof![
        prop::sample::select(ARRAYS.to_vec()).prop_map(Subject::Column),
        (0..PATHS.len()).prop_map(Subject::Path),
    ]
}

fn length() -> impl Strategy<Value = Subject> {
    array().prop_map(|array| Subject::Length(Box::new(array)))
}

fn numeric() -> impl Strategy<Value = Subject> {
    prop_oneof![
        3 => prop::sample::select(NUMERIC.to_vec()).prop_map(Subject::Column),
        2 => element(&ARRAYS[..4]),
        3 => (0..PATHS.len()).prop_map(Subject::Path),
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
        1 => (element(&["names"]), constants(string().boxed())),
        1 => (element(&["marks"]), constants(any::<bool>().prop_map(Value::from).boxed())),
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

/// Values that the elements of an array can be compared to.
fn members(array: &Subject, exact: bool) -> BoxedStrategy<Value> {
    match array {
        Subject::Column("names") => string().boxed(),
        Subject::Column("marks") => any::<bool>().prop_map(Value::from).boxed(),
        Subject::Column("tags" | "tinies") if exact => int().prop_map(Value::from).boxed(),
        Subject::Column(_) => number().boxed(),
        _ => {
            let scalar = || leaf().prop_filter("no null", |v| !v.is_null());
            prop_oneof![4 => scalar(), 1 => list(scalar())].boxed()
        }
    }
}

fn contains() -> impl Strategy<Value = Expr> {
    let quantity = prop::sample::select(vec![Quantity::One, Quantity::All, Quantity::Any]);
    (array(), quantity).prop_flat_map(|(subject, quantity)| {
        let count = if quantity == Quantity::One { 1..2 } else { 0..4 };
        prop::collection::vec(members(&subject, false), count).prop_map(move |values| Expr::Contains {
            subject: subject.clone(),
            quantity,
            values,
        })
    })
}

fn same() -> impl Strategy<Value = Expr> {
    (array(), any::<bool>()).prop_flat_map(|(subject, negated)| {
        list(members(&subject, true)).prop_map(move |list| Expr::Same {
            subject: subject.clone(),
            list,
            negated,
        })
    })
}

fn term() -> impl Strategy<Value = Expr> {
    let flag = any::<bool>;
    let whole = prop_oneof![
        prop::sample::select(NUMERIC[..5].to_vec()).prop_map(Subject::Column),
        (0..PATHS.len()).prop_map(Subject::Path),
        element(&ARRAYS[..2]),
        length(),
    ];
    let counted = (length(), prop::collection::vec(number(), 2));
    let compare = (prop_oneof![6 => typed(), 1 => counted], 0..6usize, flag()).prop_map(
        |((subject, constants), op, flipped)| Expr::Compare {
            subject,
            steps: Vec::new(),
            op,
            constant: constants[0].clone(),
            flipped,
        },
    );
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
        let fractional = ["score", "ratio", "singles", "doubles"];
        if matches!(&subject, Subject::Column(name) | Subject::Element(name, _) if !fractional.contains(name))
        {
            list.retain(|v| !v.is_f64());
        }
        Expr::In { subject, list, negated }
    });
    let texts = || {
        prop_oneof![
            Just(Subject::Column("name")),
            (0..PATHS.len()).prop_map(Subject::Path),
            element(&["names"]),
        ]
    };
    let column = || prop::sample::select(NUMERIC.to_vec());
    let nullable =
        prop_oneof![typed().prop_map(|(subject, _)| subject), Just(Subject::Column("name")), array()];
    let matched = (texts(), 0..PATTERNS.len(), flag()).prop_map(|(subject, pattern, negated)| Expr::Match {
        subject,
        pattern,
        negated,
    });
    let moved =
        (-2..3i64, 0..6usize, seconds()).prop_map(|(days, op, moment)| Expr::Moved { days, op, moment });
    prop_oneof![
        5 => compare,
        3 => arithmetic,
        2 => range.prop_filter("no range of booleans", |e| !matches!(e, Expr::Range { low: Value::Bool(_), .. })),
        2 => membership,
        2 => contains(),
        1 => same(),
        1 => matched,
        1 => moved,
        1 => (texts(), "[ab%_é]{0,3}").prop_map(|(subject, pattern)| Expr::Like { subject, pattern }),
        1 => (column(), 0..6usize, column()).prop_map(|(a, op, b)| Expr::Pair(a, op, b)),
        1 => (nullable, flag()).prop_map(|(subject, negated)| Expr::Null { subject, negated }),
        1 => (0..PATHS.len()).prop_filter("a path", |p| *p != 4).prop_map(Expr::Exists),
    ]
}

pub(super) fn any_expr() -> impl Strategy<Value = Expr> {
    term().prop_recursive(3, 16, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
            parts().prop_map(Expr::And),
            parts().prop_map(Expr::Or),
        ]
    })
}
