//! Values that come with the request take the place of `{name}`s, exactly, and are refused in Milvus's words.

use serde_json::{Value, json};

use super::{matching_with, options, refusal_with, rows};
use crate::filter::{FilterOptions, TemplateValue, Templates};

#[test]
fn take_the_place_of_constants() {
    let rows = rows(&json!([
        {"id": 1, "age": 9_007_199_254_740_993_i64, "name": "ann", "tags": [1, 2], "j": {"a": [1, "x", true]}, "words": "red car", "at": "2025-01-01T00:00:00Z"},
        {"id": 2, "age": 5, "name": "bob", "flag": true, "tags": [3], "j": {"a": 1.5}, "words": "blue car", "at": "2025-01-02T00:00:00Z"},
    ]));
    let cases: &[(&str, Value, &[usize])] = &[
        ("age == {x}", json!({"x": 9_007_199_254_740_993_i64}), &[1]),
        ("{x} == age", json!({"x": 9_007_199_254_740_992_i64}), &[]),
        ("age > {x}", json!({"x": 5.5}), &[1]),
        ("{low} <= age < {high}", json!({"low": 5, "high": 6}), &[2]),
        ("age in {list}", json!({"list": [5, 6]}), &[2]),
        ("age in {list}", json!({"list": []}), &[]),
        ("age not in {list}", json!({"list": [5, 6]}), &[1]),
        ("age in [1, {x}]", json!({"x": 5}), &[2]),
        ("age + {x} == {y}", json!({"x": 1, "y": 6}), &[2]),
        ("name == {n}", json!({"n": "ann"}), &[1]),
        ("name like {p}", json!({"p": "%b"}), &[2]),
        ("name =~ {p}", json!({"p": "^a\\w+$"}), &[1]),
        ("flag == {b}", json!({"b": true}), &[2]),
        ("{b}", json!({"b": true}), &[1, 2]),
        ("tags == {t}", json!({"t": [1, 2]}), &[1]),
        ("array_contains(tags, {t})", json!({"t": 3}), &[2]),
        ("array_contains_all(tags, {t})", json!({"t": [2, 1]}), &[1]),
        ("json_contains_all(j['a'], {t})", json!({"t": [1, "x", true]}), &[1]),
        ("json_contains_any(j['a'], [{t}, 7])", json!({"t": "x"}), &[1]),
        ("j['a'] in {t}", json!({"t": ["x", 1.5, false]}), &[2]),
        ("text_match(words, {w})", json!({"w": "red"}), &[1]),
        ("at > {m}", json!({"m": "2025-01-01T12:00:00Z"}), &[2]),
        ("name == '{n}'", json!({"n": "ann"}), &[]),
    ];
    for (expression, templates, expected) in cases {
        assert_eq!(&matching_with(&rows, expression, &options(templates, "UTC")), expected, "{expression}");
    }
}

#[test]
fn refusals() {
    let cases = [
        ("age == {x}", json!({}), "the value of expression template variable name {x} is not found"),
        ("age in {x}", json!({}), "the value of expression template variable name {x} is not found"),
        ("age in {x}", json!({"x": 5}), "the value of term expression template variable {x} is not array"),
        ("age in {x}", json!({"x": [5, "a"]}), "value '{x}' in list cannot be casted to Int64"),
        ("age == {x}", json!({"x": []}), "comparisons between Int64 and Array are not supported"),
        ("age == {x}", json!({"x": "5"}), "comparisons between Int64 and VarChar are not supported"),
        (
            "{x} == 5",
            json!({"x": 5}),
            "placeholder was not supported between two constants with operator: ==",
        ),
        (
            "age == {x} + 5",
            json!({"x": 5}),
            "placeholder was not supported between two constants with operator: +",
        ),
        (
            "name like {x}",
            json!({"x": 5}),
            "like pattern should be a string literal or template variable, got: {x}",
        ),
        ("{x}", json!({"x": 5}), "predicate is not a boolean expression: {x}, data type: Int64"),
        ("age == {1}", json!({}), "expecting the name of a template variable"),
        ("age == {x", json!({"x": 1}), "expecting '}'"),
        ("array_contains_any(tags, {x})", json!({"x": 1}), "ContainsAny operation element must be an array"),
    ];
    for (expression, templates, words) in cases {
        let reason = refusal_with(expression, true, &options(&templates, "UTC"));
        assert!(reason.contains(words), "{expression}: {reason}");
    }
    let endless = [("x", TemplateValue::Float(f64::NAN))].into_iter().collect::<Templates>();
    let options = FilterOptions { templates: endless, ..FilterOptions::default() };
    assert!(refusal_with("age == {x}", true, &options).contains("not finite"));
}
