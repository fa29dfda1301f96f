//! Tables: regular expressions, words, random samples.

use serde_json::json;

use super::{Row, check_on, check_refused, columns, matching_with, rows, schema};
use crate::filter::{Filter, FilterOptions};

fn articles() -> Vec<Row> {
    rows(&json!([
        {"id": 1, "name": "ann-01", "words": "The quick brown fox", "j": {"a": "x1"}},
        {"id": 2, "name": "Bob", "words": "A brown, quick dog", "j": {"a": 5}},
        {"id": 3},
        {"id": 4, "name": "a\\d", "words": "", "j": {"a": "y\nz"}},
        {"id": 5, "name": "ébène", "words": "quik browne foxes", "j": "x9"},
    ]))
}

#[track_caller]
fn check(cases: &[(&str, &[usize])]) {
    check_on(&articles(), cases);
}

#[test]
fn regular_expressions() {
    check(&[
        (r"name =~ '\d'", &[1]),
        (r"name =~ '^a\\d$'", &[4]),
        (r#"name =~ "^\w+-\d{2}$""#, &[1]),
        (r"name =~ r'\d$'", &[1]),
        ("name =~ '^é.è'", &[5]),
        ("name =~ '(?i)^B'", &[2]),
        ("name !~ 'n'", &[2, 4]),
        ("not (name =~ 'n')", &[2, 4]),
        ("name =~ ''", &[1, 2, 4, 5]),
        (r"j['a'] =~ '^x\d$'", &[1]),
        (r"j['a'] !~ 'x'", &[4]),
        ("j =~ '9'", &[5]),
        ("missing =~ 'x' or not (missing =~ 'x')", &[]),
        ("name =~ 'n' and name !~ '^a'", &[5]),
        ("not (name like 'a%') and name =~ 'b'", &[2, 5]),
    ]);
    check_refused(&[
        ("name =~ '('", "invalid regex pattern"),
        (r"name =~ '(a)\1'", "invalid regex pattern"),
        ("name =~ '((a{1000}){1000}){1000}'", "invalid regex pattern"),
        ("age =~ 'a'", "regex match on non-string or non-json field is unsupported"),
        ("age !~ 'a'", "regex match on non-string or non-json field is unsupported"),
        ("tags =~ 'a'", "regex match on non-string or non-json field is unsupported"),
        ("name =~ 5", "regex pattern should be a string literal or template variable, got: 5"),
        ("name =~ name", "regex pattern should be a string literal or template variable, got: name"),
        ("name = ~ 'a'", "mismatched input '='"),
    ]);
}

#[test]
fn words() {
    check(&[
        ("text_match(words, 'fox dog')", &[1, 2]),
        ("TEXT_MATCH(words, 'QUICK')", &[1, 2]),
        ("text_match(words, 'quick fox', minimum_should_match=2)", &[1]),
        ("text_match(words, 'quick quick', MINIMUM_SHOULD_MATCH=2)", &[]),
        ("text_match(words, '')", &[]),
        ("not text_match(words, 'quick')", &[4, 5]),
        ("phrase_match(words, 'quick brown')", &[1]),
        ("phrase_match(words, 'brown quick')", &[2]),
        ("phrase_match(words, 'quick brown', 2)", &[1, 2]),
        ("phrase_match(words, 'quick fox', slop=1)", &[1]),
        ("phrase_match(words, 'the fox', 1)", &[]),
        ("text_match_fuzzy(words, 'quick')", &[1, 2, 5]),
        ("text_match_fuzzy(words, 'quick', max_edit_distance=0)", &[1, 2]),
        ("text_match_fuzzy(words, 'fxo', max_edit_distance=1)", &[1]),
        ("text_match(words, 'quick') and id > 1", &[2]),
    ]);
    check_refused(&[
        ("text_match(name, 'a')", "field \"name\" does not enable match"),
        ("phrase_match(name, 'a')", "field \"name\" does not enable match"),
        ("text_match_fuzzy(name, 'a')", "field \"name\" does not enable match"),
        ("text_match(age, 'a')", "text match operation on non-string is unsupported"),
        ("text_match(j['a'], 'a')", "text match operation on non-string is unsupported"),
        ("text_match(k, 'a')", "text match operation on non-string is unsupported"),
        ("text_match('a', 'a')", "text_match needs a field"),
        ("text_match(words, 5)", "text_match query should be a string literal"),
        ("text_match(words)", "text_match needs a field and a string"),
        ("text_match(words, 'a', 2)", "text_match knows only minimum_should_match=N"),
        ("text_match(words, 'a', slop=2)", "text_match knows only minimum_should_match=N"),
        ("text_match(words, 'a', minimum_should_match=0)", "in range [1, 1000]"),
        ("text_match(words, 'a', minimum_should_match=1001)", "in range [1, 1000]"),
        ("text_match(words, 'a', minimum_should_match=1.5)", "in range [1, 1000]"),
        ("phrase_match(words, 'a', -1)", "slop should be an integer in range"),
        ("text_match_fuzzy(words, 'a', max_edit_distance=3)", "in range [0, 2]"),
        ("text_match_fuzzy(words, 'a', 1)", "knows only max_edit_distance=N"),
    ]);
    let reason = super::refusal_with("text_match(nope, 'a')", false, &FilterOptions::default());
    assert!(reason.contains("field nope not exist"), "{reason}");
}

#[test]
fn samples_are_a_share_of_what_matches() {
    let many: Vec<Row> =
        (0..4000).map(|i| json!({"id": i, "age": i % 2}).as_object().unwrap().clone()).collect();
    let count = |expression| matching_with(&many, expression, &FilterOptions::default()).len();
    assert!((300..500).contains(&count("random_sample(0.1)")));
    assert!((900..1100).contains(&count("age == 1 and random_sample(0.5)")));
    assert!((900..1100).contains(&count("id >= 0 and age == 1 AND RANDOM_SAMPLE(0.5)")));
    let schema = schema(true);
    let filter = Filter::compile("random_sample(0.5)", &schema).unwrap();
    assert!(!filter.is_always_true());
    assert_eq!(filter.sample(), Some(0.5));
    let columns = columns(&schema, &many);
    assert_ne!(filter.evaluate(&columns).unwrap(), filter.evaluate(&columns).unwrap());
    let last = "random_sample expression can only be the last expression in the logical and expression";
    check_refused(&[
        ("random_sample(0.1) and age > 1", last),
        ("random_sample(0.1) or age > 1", last),
        ("age > 1 or random_sample(0.1)", last),
        ("not random_sample(0.1)", last),
        ("age > 1 or (age < 0 and random_sample(0.1))", last),
        ("random_sample(0)", "the sample factor should be between 0 and 1"),
        ("random_sample(1.0)", "the sample factor should be between 0 and 1"),
        ("random_sample('a')", "the sample factor should be a float"),
        ("random_sample()", "needs one argument"),
    ]);
}
