//! Tables: what an expression matches on six rows, and what is refused in which words.

use serde_json::json;

use super::{Row, check_on, check_refused, matching_with, refusal_with, rows, schema};
use crate::filter::{Filter, FilterOptions};
use crate::limits;
use crate::row::Keys;

fn people() -> Vec<Row> {
    let values = json!([
        {"id": 1, "flag": true, "tiny": 1, "small": 300, "width": 70000, "age": 10, "score": 0.1, "ratio": 0.1, "name": "ann", "j": {"a": 1, "b": [1, "x"]}, "k": 1},
        {"id": 2, "flag": false, "tiny": -1, "small": -300, "width": -7, "age": 20, "score": 1.5, "ratio": 1.5, "name": "bob", "j": {"a": "x", "c": {"d": 2.5}}, "k": "one"},
        {"id": 3, "k": null},
        {"id": 4, "age": 9_007_199_254_740_993_i64, "ratio": 9_007_199_254_740_992.0, "name": "50%_off", "j": [5, 6], "k": {}},
        {"id": 5, "age": -7, "name": "", "j": 3, "k": [null, {}], "é key": true},
        {"id": 9_223_372_036_854_775_807_i64, "age": -9_223_372_036_854_775_808_i64, "name": "Ünal", "j": {"a": 1.0}, "k": 2.0},
    ]);
    rows(&values)
}

fn matching(expression: &str) -> Vec<usize> {
    matching_with(&people(), expression, &FilterOptions::default())
}

#[track_caller]
fn check(cases: &[(&str, &[usize])]) {
    check_on(&people(), cases);
}

fn refusal(expression: &str, dynamic: bool) -> String {
    refusal_with(expression, dynamic, &FilterOptions::default())
}

#[test]
fn literals_in_all_forms() {
    check(&[
        ("age == 0xA", &[1]),
        ("age == 0b1010", &[1]),
        ("age == 012", &[1]),
        ("age == 1e1", &[1]),
        ("age == -9223372036854775808", &[6]),
        ("id == 9223372036854775807", &[6]),
        ("ratio == .1", &[1]),
        ("ratio == 15e-1", &[2]),
        ("name == 'ann' or name == \"bob\"", &[1, 2]),
        (r"name == '\u00dcnal'", &[6]),
        (r"name == '\x61nn'", &[1]),
        ("name == r'ann'", &[1]),
        ("name == ''", &[5]),
        ("flag == true", &[1]),
        ("flag == False", &[2]),
        ("true", &[1, 2, 3, 4, 5, 6]),
        ("FALSE", &[]),
        ("age in [10, 20,]", &[1, 2]),
        ("age in []", &[]),
        ("age not in []", &[1, 2, 4, 5, 6]),
    ]);
}

#[test]
fn comparisons_by_type() {
    check(&[
        ("tiny > 0", &[1]),
        ("tiny < 300", &[1, 2]),
        ("tiny == 300", &[]),
        ("small >= -300 and small < 300", &[2]),
        ("width != 70000", &[2]),
        ("10 <= age", &[1, 2, 4]),
        ("age > 9007199254740992", &[4]),
        ("age > 9007199254740992.0", &[4]),
        ("age == 9007199254740992.0", &[]),
        ("ratio == 9007199254740993", &[]),
        ("ratio < 9007199254740993", &[1, 2, 4]),
        ("age <= -9223372036854775808.0", &[6]),
        ("age < 1e300", &[1, 2, 4, 5, 6]),
        ("age > 9.5 and age < 10.5", &[1]),
        ("age == 10.5", &[]),
        // A Float field holds 32 bits: its 0.1 is the constant's 0.1.
        ("score == 0.1", &[1]),
        ("score > 0.1", &[2]),
        ("score in [0.1, 7]", &[1]),
        ("score < 1e300", &[1, 2]),
        ("ratio in [0.1, 9007199254740993]", &[1]),
        ("name >= 'b' and name < 'c'", &[2]),
        ("name != 'ann'", &[2, 4, 5, 6]),
        ("flag != true", &[2]),
        ("flag in [false]", &[2]),
        ("id > age", &[5, 6]),
        ("age == ratio", &[]),
        ("age > ratio", &[1, 2, 4]),
        ("score <= ratio", &[2]),
        ("name == name", &[1, 2, 4, 5, 6]),
        ("tiny < small", &[1]),
    ]);
}

#[test]
fn precedence_is_milvuss() {
    check(&[
        ("age == 10 or age == 20 and name == 'ann'", &[1]),
        ("(age == 10 or age == 20) and name == 'bob'", &[2]),
        ("age == 10 || age == 20 && !(name == 'ann')", &[1, 2]),
        ("NOT (age == 10) AND age > 0", &[2, 4]),
        ("not not (age == 10)", &[1]),
        ("age + 2 * 5 == 20", &[1]),
        ("(age + 2) * 5 == 60", &[1]),
        ("age - 3 - 2 == 5", &[1]),
        ("age == 2 ** 3 ** 1 + 2", &[1]),
        ("age == -2 ** 2 + 14", &[1]),
        ("age << 1 == 20", &[1]),
        ("age == 5 << 1", &[1]),
        ("age == 5 + 5 << 0 + 1", &[2]),
        ("(age & 3) == 2", &[1]),
        ("0 < age <= 10", &[1]),
        ("10 >= age > 0", &[1]),
        ("1 + 1 < k < 3 or 0 < k < 2", &[1]),
        ("not (0 < age < 15)", &[2, 4, 5, 6]),
    ]);
    check_refused(&[
        ("not age > 1", "not op can only be applied on boolean expression"),
        ("not age in [1]", "not op can only be applied on boolean expression"),
        ("age & 3 == 2", "can only be used between"),
        ("age > 1 > 0", "comparisons between a boolean expression and Int64 are not supported"),
        ("5 < age < 15 == true", "comparisons between a boolean expression and Bool are not supported"),
        ("1 < age + 1 < 3", "comparisons between a boolean expression and Int64"),
    ]);
}

#[test]
fn unknown_never_matches() {
    check(&[
        ("age > 0 or age <= 0", &[1, 2, 4, 5, 6]),
        ("not (age > 0)", &[5, 6]),
        ("age not in [10]", &[2, 4, 5, 6]),
        ("k != 1", &[6]),
        ("not (k == 1)", &[6]),
        ("k not in [1]", &[6]),
        ("k != 'one'", &[]),
        ("k in [1, 'one']", &[1, 2]),
        ("k not in [2, 'x']", &[1, 2]),
        ("k not in []", &[1, 2, 6]),
        ("missing == 1 or not (missing == 1)", &[]),
        ("missing == 1 or age == 10", &[1]),
        ("not (missing == 1 and age == 10)", &[2, 4, 5, 6]),
        ("missing + 1 > 0", &[]),
        ("not (name like 'a%')", &[2, 4, 5, 6]),
    ]);
}

#[test]
fn json_paths_and_dynamic_keys() {
    check(&[
        ("k == 1", &[1]),
        ("$meta['k'] == 1", &[1]),
        ("k >= 1", &[1, 6]),
        ("k == 2", &[6]),
        ("j['a'] == 1", &[1, 6]),
        ("j[\"a\"] in [1.0]", &[1, 6]),
        ("j['b'][1] == 'x'", &[1]),
        ("j['c']['d'] > 2", &[2]),
        ("j[0] == 5", &[4]),
        ("j == 3", &[5]),
        (r"$meta['\u00e9 key'] == true", &[5]),
        ("$meta[r'é key'] == true", &[5]),
        ("k[0] == 1", &[]),
        ("j['a'] like 'x%'", &[2]),
        ("0 < j['a'] < 2", &[1, 6]),
        ("'w' < j['a'] <= 'x'", &[2]),
        ("j['a'] + 1 == 2", &[1, 6]),
        ("j['a'] % 2 == 1", &[1]),
        ("j['a'] / 2 == 0.5", &[1, 6]),
    ]);
}

#[test]
fn null_tests_and_exists() {
    check(&[
        ("age is null", &[3]),
        ("age is not null", &[1, 2, 4, 5, 6]),
        ("id IS NULL", &[]),
        ("j is null", &[3]),
        ("not (j IS NOT NULL)", &[3]),
        ("exists k", &[1, 2, 6]),
        ("EXISTS $meta['k']", &[1, 2, 6]),
        ("exists j['b'][1]", &[1]),
        ("k is null", &[3, 4, 5]),
        ("k is not null", &[1, 2, 6]),
        ("j['a'] is null", &[3, 4, 5]),
        ("not exists k and age > 0", &[4]),
    ]);
}

#[test]
fn like_patterns() {
    check(&[
        ("name like '%n%'", &[1, 6]),
        ("name LIKE '_n_'", &[1]),
        ("name like '_nal'", &[6]),
        (r"name like '50\\%%'", &[4]),
        (r"name like r'%\_off'", &[4]),
        ("name like ''", &[5]),
        ("name not in ['ann'] and name like '%'", &[2, 4, 5, 6]),
    ]);
}

#[test]
fn arithmetic_on_one_field() {
    check(&[
        ("age % 2 == 0", &[1, 2, 6]),
        ("age % 10 == -7", &[5]),
        ("age + 1 > 9007199254740993", &[4]),
        ("age - 1 < 0", &[5, 6]),
        ("-age == 7", &[5]),
        ("-age == 9223372036854775807", &[]),
        ("-age > 9223372036854775807", &[6]),
        ("age * 2 == 20", &[1]),
        ("age / 3 == 3", &[1]),
        ("age / 4 == 2.5", &[1]),
        ("100 / age == 5", &[2]),
        ("100 / (age - 10) == 10", &[2]),
        ("~age == -11", &[1]),
        ("(age ^ 1) == 11", &[1]),
        ("age * 1.5 == 15", &[1]),
        ("score + 0.2 == 0.3", &[1]),
        ("ratio + 0.2 == 0.3", &[]),
        ("score * 2 == 0.2", &[1]),
        ("3 / 2 == 1", &[1, 2, 3, 4, 5, 6]),
    ]);
}

#[test]
fn syntax_errors_have_place_and_words() {
    check_refused(&[
        ("age >", "line 1:5 mismatched input '<EOF>' expecting an expression: age >^"),
        ("age = 1", "line 1:4 mismatched input '=' expecting '==': age ^= 1"),
        ("age == 1 name", "invalid expression: age == 1 name, at line 1:9: age == 1 ^name"),
        ("age == 1\n and and", "line 2:5 mismatched input 'and' expecting an expression:  and ^and"),
        ("(age == 1", "expecting ')'"),
        ("age == 1)", "invalid expression"),
        ("age in [1 2]", "expecting ']' or ','"),
        ("age in (1, 2)", "expecting ')'"),
        ("age == #", "line 1:7 token recognition error at: '#'"),
        ("name == 'x", "line 1:8 the string has no end"),
        ("age Between 1", "invalid expression"),
        ("age is  null", "invalid expression"),
        ("age Like 'x'", "invalid expression"),
        ("age <> 1", "mismatched input '>'"),
        ("(age) is null", "invalid expression"),
        ("j[-1] == 1", "expecting a quoted key or a decimal index"),
        ("j[99999999999999999999] == 1", "too large"),
    ]);
}

#[test]
fn refusals_in_milvuss_words() {
    check_refused(&[
        (
            "age == null",
            "NULL literal is not supported in expressions; use '<field> is null' or '<field> is not null' instead",
        ),
        ("age == 'x'", "comparisons between Int64 and VarChar are not supported, at line 1:0"),
        ("name > 1", "comparisons between VarChar and Int64 are not supported"),
        ("1 == 'x'", "comparisons between Int64 and VarChar are not supported"),
        ("flag == 1", "comparisons between Bool and Int64 are not supported"),
        ("vec == 1", "comparisons between FloatVector and Int64 are not supported"),
        ("vec == vec", "comparisons between FloatVector and FloatVector are not supported"),
        ("j['a'] == k", "two column comparison with JSON type is not supported"),
        ("'a' < age < 'b'", "comparisons between VarChar and Int64 are not supported"),
        ("1 < age < 'b'", "comparisons between Int64 and VarChar are not supported"),
        ("age < age < 5", "lowerbound cannot be a non-const expression: age"),
        ("1 < age < id", "upperbound cannot be a non-const expression: id"),
        ("false < flag < true", "invalid range operations on boolean expr"),
        ("flag", "predicate is not a boolean expression: flag, data type: Bool"),
        ("k", "predicate is not a boolean expression: k, data type: JSON"),
        ("1", "predicate is not a boolean expression: 1, data type: Int64"),
        ("flag and age > 1", "'and' can only be used between boolean expressions"),
        ("age > 1 or 2", "'or' can only be used between boolean expressions"),
        ("age['x'] == 1", "Int64 data type not supported accessed with []"),
        ("vec[0] == 1", "FloatVector data type not supported accessed with []"),
        ("ratio % 2 == 0", "modulo can only apply on integer types"),
        ("age % 2.5 == 0", "modulo can only apply on integer types"),
        ("(ratio | 2) == 0", "'|' can only apply on integer types"),
        ("age / 0 == 1", "division or modulus by zero"),
        ("age % 0 == 1", "division or modulus by zero"),
        ("age == 1 / 0.0", "division or modulus by zero"),
        ("age + id > 1", "not supported to do arithmetic operations between multiple fields"),
        ("name + 1 == 2", "'+' can only be used between integer or floating or json field expressions"),
        ("age ** 2 == 4", "'**' can only be used between constants"),
        ("age in 5", "the right-hand side of 'in' must be a list, but got: 5"),
        ("age in [1.5]", "value '1.5' in list cannot be casted to Int64, at line 1:8"),
        ("age in ['1']", "value ''1'' in list cannot be casted to Int64"),
        ("name in [1]", "cannot be casted to VarChar"),
        ("flag in [id]", "cannot be casted to Bool"),
        ("age + 1 in [1]", "'term' can only be used on single field"),
        ("age like 'x'", "like operation on non-string or no-json field is unsupported"),
        ("name like 5", "like pattern should be a string literal or template variable, got: 5"),
        (r"name like 'a\\'", "dangling backslash"),
        ("exists age", "exists operations are only supportted on json"),
        ("exists j", "exists operations are only supportted on json"),
        ("vec is null", "IsNull/IsNotNull operations are not supported on vector fields"),
        ("age == 9223372036854775808", "out of the int64 range"),
        ("age == 0 - 9223372036854775808", "out of the int64 range"),
        ("age == 9223372036854775807 + 1", "out of range"),
        ("age == 1e400", "out of the double range"),
        (r"name == '\q'", "invalid escape"),
    ]);
    assert!(refusal("nope == 1", false).contains("field nope not exist, at line 1:0: ^nope == 1"));
    assert!(refusal("$meta['a'] == 1", false).contains("field $meta not exist"));
}

#[test]
fn what_is_missing_is_refused_by_name() {
    let cases = [
        "element_filter(k, $[x] > 1)",
        "MATCH_ANY(k, $[x] > 1)",
        "match_least(k, $[x] > 1, threshold=1)",
        "st_within(k, 'POINT (1 1)')",
        "ST_DWITHIN(k, 'POINT (1 1)', 1.0)",
        "$[x] > 1",
    ];
    for expression in cases {
        let reason = refusal(expression, true);
        assert!(reason.contains("is not supported in this version of Elanus"), "{expression}: {reason}");
    }
    for unknown in ["nope(1)", "Json_Contains(j, 1)", "Array_length(tags) == 1", "exp(1)"] {
        assert!(refusal(unknown, true).contains("not found"), "{unknown}");
    }
}

#[test]
fn hostile_input_is_refused_quickly() {
    let deep = "nested deeper than 128 levels";
    for unit in [
        "(",
        "not ",
        "-",
        "~",
        "!",
        "[",
        "exists ",
        "(not ",
        "a in [",
        "1 ** -",
        "a == (",
        "array_length(",
        "json_contains(j, [",
        "text_match(",
        "a =~ (",
    ] {
        assert!(refusal(&unit.repeat(50_000), true).contains(deep), "{unit}");
    }
    assert!(refusal(&format!("age == 1{}", " + 1".repeat(100_000)), true).contains(deep));
    assert!(refusal(&format!("age < 1{}", " == 1".repeat(100_000)), true).contains(deep));
    assert!(refusal(&" ".repeat(limits::MAX_FILTER_BYTES + 1), true).contains("longer than 1048576 bytes"));
    let error = Filter::compile(&"(".repeat(100_000), &schema(true)).unwrap_err();
    assert!(error.to_string().len() < 2000);
}

#[test]
fn long_chains_and_lists_are_fine() {
    let or = (0..20_000).map(|i| format!("age == {i}")).collect::<Vec<_>>().join(" or ");
    assert_eq!(matching(&or), [1, 2]);
    let and = vec!["age > 0"; 20_000].join(" and ");
    assert_eq!(matching(&and), [1, 2, 4]);
    let list = (0..60_000).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(matching(&format!("age in [{list}]")), [1, 2]);
    assert_eq!(matching(&format!("{}age == 10{}", "(".repeat(120), ")".repeat(120))), [1]);
}

#[test]
fn constants_decide_at_compile_time() {
    let always = |expression| Filter::compile(expression, &schema(true)).unwrap().is_always_true();
    for expression in
        ["", " \n", "true", "1 < 2", "not false", "age > 1 or true", "'a' < 'b' and 2 ** 3 == 8"]
    {
        assert!(always(expression), "{expression}");
    }
    for expression in ["false", "age > 1 and true", "age == age"] {
        assert!(!always(expression), "{expression}");
    }
}

#[test]
fn names_candidate_keys() {
    let candidates = |expression| Filter::compile(expression, &schema(true)).unwrap().key_candidates();
    let cases: &[(&str, Option<&[i64]>)] = &[
        ("id == 5", Some(&[5])),
        ("5 == id", Some(&[5])),
        ("id in [3, 1, 3]", Some(&[1, 3])),
        ("id == 5.5", Some(&[])),
        ("id in [1, 2, 3] and age > 1 and id in [2, 3]", Some(&[2, 3])),
        ("id == 7 or id in [1, 7]", Some(&[1, 7])),
        ("id == 7 or age == 1", None),
        ("id != 7", None),
        ("id > 7", None),
        ("not (id == 7)", None),
        ("id + 0 == 7", None),
        ("id not in [1]", None),
        ("age == 7", None),
    ];
    for (expression, keys) in cases {
        assert_eq!(candidates(expression), keys.map(|k| Keys::Int(k.to_vec())), "{expression}");
    }
}
