//! Tables: elements, lengths, contents and equality of arrays, declared ones and those in JSON.

use serde_json::json;

use super::{Row, check_on, check_refused, rows};

fn baskets() -> Vec<Row> {
    rows(&json!([
        {"id": 1, "tags": [1, 2, 3], "names": ["ann", "bob"], "marks": [true], "singles": [0.1], "doubles": [1.5, 2], "tinies": [5], "j": {"a": [1, "x", [1, 2], 2.0]}, "k": [1, 2]},
        {"id": 2, "tags": [], "names": [], "marks": [], "singles": [], "doubles": [], "tinies": [], "j": {"a": []}, "k": []},
        {"id": 3, "k": null},
        {"id": 4, "tags": [3, 3, 9_007_199_254_740_993_i64], "names": ["", "50%"], "marks": [false, true], "singles": [2, 0.1], "tinies": [-128, 127], "j": {"a": {"b": 1}}, "k": "text"},
        {"id": 5, "tags": [2], "names": ["bob"], "marks": [false], "j": [true, [[1]], "é", null], "k": {"deep": [7]}},
    ]))
}

#[track_caller]
fn check(cases: &[(&str, &[usize])]) {
    check_on(&baskets(), cases);
}

#[test]
fn elements() {
    check(&[
        ("tags[0] == 1", &[1]),
        ("tags[0] > 1", &[4, 5]),
        ("tags[0] != 1", &[4, 5]),
        ("not (tags[0] == 1)", &[4, 5]),
        ("tags[2] == 9007199254740993", &[4]),
        ("tags[99] == 1 or not (tags[99] == 1)", &[]),
        ("tags[0] in [1, 2]", &[1, 5]),
        ("tags[0] not in [1, 2]", &[4]),
        ("tags[0] + 1 == 3", &[5]),
        ("tags[0] % 2 == 1", &[1, 4]),
        ("1 < tags[0] < 3", &[5]),
        ("tinies[0] <= -128", &[4]),
        ("names[1] like '5%'", &[4]),
        ("names[0] =~ '^b'", &[5]),
        ("names[0] == ''", &[4]),
        ("marks[0] == true", &[1]),
        ("singles[1] == 0.1", &[4]),
        ("doubles[0] == 1.5", &[1]),
        ("tags[1] is null", &[2, 3, 5]),
        ("tags[1] is not null", &[1, 4]),
        ("tags is null", &[3]),
        ("tags is not null", &[1, 2, 4, 5]),
    ]);
}

#[test]
fn wholes() {
    check(&[
        ("tags == [1, 2, 3]", &[1]),
        ("[1, 2, 3] == tags", &[1]),
        ("tags != [1, 2, 3]", &[2, 4, 5]),
        ("tags == []", &[2]),
        ("tags == [1, 2]", &[]),
        ("tags == [2, 1, 3]", &[]),
        ("names == ['ann', 'bob',]", &[1]),
        ("singles == [0.1]", &[1]),
        ("doubles == [1.5, 2]", &[1]),
        ("doubles == [9007199254740993]", &[]),
        ("doubles != [9007199254740993]", &[1, 2]),
        ("marks == [false, true]", &[4]),
        ("j['a'] == []", &[2]),
        ("j['a'] == [1.0, 'x', [1, 2], 2]", &[1]),
        ("j['a'] != [1]", &[1, 2]),
        ("k == [1, 2]", &[1]),
        ("k != [1, 2]", &[2]),
        ("k['deep'] == [7]", &[5]),
    ]);
}

#[test]
fn contents() {
    check(&[
        ("array_contains(tags, 2)", &[1, 5]),
        ("ARRAY_CONTAINS(tags, 2.0)", &[1, 5]),
        ("array_contains(tags, 2.5)", &[]),
        ("not array_contains(tags, 2)", &[2, 4]),
        ("json_contains(tags, 3)", &[1, 4]),
        ("array_contains(names, 'bob')", &[1, 5]),
        ("array_contains(marks, true)", &[1, 4]),
        ("array_contains(singles, 0.1)", &[1, 4]),
        ("array_contains_all(tags, [3, 1, 3])", &[1]),
        ("array_contains_all(tags, [3, 3])", &[1, 4]),
        ("array_contains_all(tags, [3, 2.5])", &[]),
        ("not array_contains_all(tags, [3, 2.5])", &[1, 2, 4, 5]),
        ("array_contains_all(tags, [])", &[1, 2, 4, 5]),
        ("array_contains_all(names, ['bob'])", &[1, 5]),
        ("array_contains_any(tags, [1, 9007199254740993])", &[1, 4]),
        ("array_contains_any(tags, [])", &[]),
        ("array_contains_any(tinies, [127, 1000])", &[4]),
        ("json_contains(j['a'], 1)", &[1]),
        ("json_contains(j['a'], 2)", &[1]),
        ("json_contains(j['a'], [1, 2])", &[1]),
        ("json_contains(j['a'], '1')", &[]),
        ("not json_contains(j['a'], 7)", &[1, 2]),
        ("array_contains(j, true)", &[5]),
        ("json_contains(j, [[1]])", &[5]),
        ("json_contains(j, 'é')", &[5]),
        ("JSON_CONTAINS_ALL(j['a'], [1, 'x', [1, 2]])", &[1]),
        ("json_contains_all(j['a'], [1, 3])", &[]),
        ("json_contains_all(j['a'], [])", &[1, 2]),
        ("json_contains_any(j['a'], [3, 'x'])", &[1]),
        ("json_contains_any(j['a'], [[1], [1, 2]])", &[1]),
        ("json_contains(k, 1)", &[1]),
        ("json_contains($meta['k'], 1)", &[1]),
        ("array_contains_any(k['deep'], [7])", &[5]),
    ]);
}

#[test]
fn lengths() {
    check(&[
        ("array_length(tags) == 3", &[1, 4]),
        ("array_length(tags) == 0", &[2]),
        ("array_length(tags) != 3", &[2, 5]),
        ("0 < array_length(tags)", &[1, 4, 5]),
        ("array_length(tags) + 1 > 3", &[1, 4]),
        ("array_length(tags) % 2 == 1", &[1, 4, 5]),
        ("ARRAY_LENGTH(j['a']) == 4", &[1]),
        ("array_length(j['a']) >= 0", &[1, 2]),
        ("array_length(j) == 4", &[5]),
        ("array_length(k) < 2", &[2]),
        ("not (array_length(k) < 2)", &[1]),
        ("array_length(k) * 2 == 4", &[1]),
    ]);
}

#[test]
fn refusals() {
    check_refused(&[
        ("tags['a'] == 1", "can only access array field with integer index"),
        ("tags[0][1] == 1", "can only access array field with integer index"),
        ("tags < [1]", "can not comparisons array fields directly"),
        ("tags > 1", "can not comparisons array fields directly"),
        ("1 < tags < 3", "can not comparisons array fields directly"),
        ("tags in [1]", "can not comparisons array fields directly"),
        ("j['a'] < [1]", "can not comparisons array fields directly"),
        ("tags == 1", "comparisons between Array and Int64 are not supported"),
        ("tags == ['a']", "comparisons between Int64 and VarChar are not supported"),
        ("tags == [1.5]", "comparisons between Int64 and Double are not supported"),
        ("age == [1]", "comparisons between Int64 and Array are not supported"),
        ("tags[0] == 'a'", "comparisons between Int64 and VarChar are not supported"),
        ("tags[0] == [1]", "comparisons between Int64 and Array are not supported"),
        ("tags == tags", "two column comparison with Array type is not supported"),
        ("tags[0] == age", "two column comparison with Array type is not supported"),
        ("[1] == [1]", "comparisons between Array and Array are not supported"),
        ("tags + 1 == 2", "'+' can only be used between"),
        ("tags[0] in ['a']", "cannot be casted to Int64"),
        ("age in [[1]]", "cannot be casted to Int64"),
        ("tags[0] like 'a'", "like operation on non-string or no-json field is unsupported"),
        ("exists tags[0]", "exists operations are only supportted on json"),
        (
            "array_contains(age, 1)",
            "Contains operation are only supported on json or array fields now, got: Int64",
        ),
        ("array_contains(tags[0], 1)", "only supported on json or array fields now"),
        (
            "array_contains(tags, 'a')",
            "Contains operation can't compare between array element type: Int64 and VarChar",
        ),
        ("array_contains(tags, [1])", "element type: Int64 and Array"),
        ("array_contains_all(tags, 1)", "ContainsAll operation element must be an array"),
        ("array_contains_any(tags, 'a')", "ContainsAny operation element must be an array"),
        ("json_contains_all(j['a'], 1)", "ContainsAll operation element must be an array"),
        ("array_contains(tags)", "needs two arguments"),
        ("array_contains(tags, age)", "a constant is needed, but got: age"),
        ("array_contains(tags, [age])", "a constant is needed, but got: age"),
        (
            "array_length(age) == 1",
            "array_length operation are only supported on json or array fields now, got: Int64",
        ),
        ("array_length(tags[0]) == 1", "array_length operation are only supported"),
        ("array_length(tags, 1) == 1", "needs one argument"),
        ("array_length(tags) in [1]", "'term' can only be used on single field"),
        ("array_length(tags) == 'a'", "comparisons between Int64 and VarChar are not supported"),
        ("array_length(j['a']) == 'a'", "comparisons between Int64 and VarChar are not supported"),
        ("array_length(tags)", "predicate is not a boolean expression: array_length(tags), data type: Int64"),
        ("bits == 1", "comparisons between BinaryVector and Int64 are not supported"),
        ("bits == bits", "comparisons between BinaryVector and BinaryVector are not supported"),
        ("sparse is null", "IsNull/IsNotNull operations are not supported on vector fields"),
        ("bits in [1]", "'in' is not supported on BinaryVector"),
    ]);
}
