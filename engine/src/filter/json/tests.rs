use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

#[test]
fn reads_numbers_exactly_and_strings_with_escapes() {
    let int = |i| Some(JsonValue::Number(Number::Int(i)));
    assert_eq!(read("9007199254740993"), int(9_007_199_254_740_993));
    assert_eq!(read("-18446744073709551617"), int(-18_446_744_073_709_551_617));
    assert_eq!(read("1e2"), Some(JsonValue::Number(Number::Float(100.0))));
    assert_eq!(read(r#""a\"\u00e9""#), Some(JsonValue::Text("a\"é".into())));
    assert_eq!(read(r#""""#), Some(JsonValue::Text("".into())));
    assert_eq!(read("[1]"), Some(JsonValue::Container));
    for broken in ["", "\"", "-", "+", "\"\\\"", "NaN", "inf"] {
        assert_eq!(read(broken), None, "{broken}");
    }
}

#[test]
fn finds_through_noise() {
    let text = r#" { "x" : {"a":"}]\"", "k":[ 1 ,{"y":null}, "z" ] } , "a\"b":true,"k":5 ,"d":1,"d":2} "#;
    assert_eq!(find(text, &[key("k")]), Some("5"));
    assert_eq!(find(text, &[key("x"), key("k"), Step::Index(1), key("y")]), Some("null"));
    assert_eq!(find(text, &[key("x"), key("k"), Step::Index(2)]), Some("\"z\""));
    assert_eq!(find(text, &[key("x"), key("k"), Step::Index(3)]), None);
    assert_eq!(find(text, &[key("a\"b")]), Some("true"));
    assert_eq!(find(text, &[key(r#"a\"b"#)]), None);
    assert_eq!(find(text, &[key("d")]), Some("1"));
    assert_eq!(find(text, &[key("k"), key("k")]), None);
    assert_eq!(find("[]", &[Step::Index(0)]), None);
    assert_eq!(find("{}", &[key("")]), None);
}

#[test]
fn emptiness_is_deep() {
    for empty in ["null", "{}", "[]", "[null, {}]", r#"{"a":[{"b \" :":null}]}"#] {
        assert!(is_empty(empty), "{empty}");
    }
    for full in ["0", "-1", "false", "true", "\"\"", "[[0]]", r#"{"a":"b"}"#, r#"[null,"a"]"#] {
        assert!(!is_empty(full), "{full}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = r#"[ab"\\é:,{}\[\] ]{0,4}"#;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-4000..4000i32).prop_map(|i| Value::from(f64::from(i) / 8.0)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every path of the tree with the value it leads to.
fn paths(value: &Value, path: &mut Vec<Step>, visit: &mut impl FnMut(&[Step], &Value)) {
    visit(path, value);
    let children: Vec<(Step, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(i, v)| (Step::Index(i), v)).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (key(k), v)).collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        path.push(step);
        paths(child, path, visit);
        path.pop();
    }
}

fn tree_is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().all(tree_is_empty),
        Value::Object(map) => map.values().all(tree_is_empty),
        _ => false,
    }
}

proptest! {
    #[test]
    fn agrees_with_a_full_parse(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut failure = None;
        paths(&value, &mut Vec::new(), &mut |path, expected| {
            let found = find(&text, path).unwrap_or_default();
            if serde_json::from_str::<Value>(found).ok().as_ref() != Some(expected) || is_empty(found) != tree_is_empty(expected) {
                failure = Some((path.to_vec(), found.to_owned()));
            }
        });
        prop_assert_eq!(failure, None);
        prop_assert_eq!(find(&text, &[key("not there")]), None);
    }

    #[test]
    fn never_panics(text in r#"[\[\]{}":,\\a1 é]{0,20}"#, index in 0usize..3) {
        for path in [vec![key("a")], vec![Step::Index(index)], vec![key(""), Step::Index(index)], vec![]] {
            if let Some(found) = find(&text, &path) {
                read(found);
                is_empty(found);
            }
        }
    }
}
