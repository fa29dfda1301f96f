//! Restrictions of collections, their joining with a client's filter, and columns of another layout.

use serde_json::json;

use super::{Row, columns, rows, schema};
use crate::error::EngineError;
use crate::filter::Filter;
use crate::row::Keys;

fn people() -> Vec<Row> {
    rows(
        &json!([{"id": 1, "age": 10, "width": 1}, {"id": 2, "age": 20, "width": 2}, {"id": 3, "age": 30, "width": 3}]),
    )
}

fn matching(filter: &Filter) -> Vec<usize> {
    filter.evaluate(&columns(&schema(true), &people())).unwrap().set_indices().map(|i| i + 1).collect()
}

#[test]
fn restrict_hidden_integers() {
    let schema = schema(true);
    let (width, age) = (schema.column_of("width").unwrap(), schema.column_of("age").unwrap());
    assert_eq!(matching(&Filter::among(&schema, width, vec![3, 1])), [1, 3]);
    assert_eq!(matching(&Filter::among(&schema, width, vec![])), [0; 0]);
    assert_eq!(matching(&Filter::above(&schema, age, 10)), [2, 3]);
    assert_eq!(matching(&Filter::above(&schema, age, i64::MAX)), [0; 0]);
    let filter = Filter::compile("id in [1, 2]", &schema).unwrap();
    let both = filter.clone().and(Filter::among(&schema, width, vec![2, 3]));
    assert_eq!(matching(&both), [2]);
    assert_eq!(both.key_candidates(), Some(Keys::Int(vec![1, 2])));
    assert_eq!(both.expression(), "id in [1, 2]");
    let swapped = Filter::above(&schema, age, 10).and(filter.clone());
    assert_eq!(matching(&swapped), [2]);
    assert_eq!(swapped.key_candidates(), Some(Keys::Int(vec![1, 2])));
    let id = schema.column_of("id").unwrap();
    assert_eq!(Filter::among(&schema, id, vec![2, 2]).key_candidates(), Some(Keys::Int(vec![2])));
    let three = filter.and(Filter::compile("id == 2", &schema).unwrap());
    assert_eq!(three.key_candidates(), Some(Keys::Int(vec![2])));
    assert_eq!(three.expression(), "(id in [1, 2]) and (id == 2)");
    let all = Filter::compile("", &schema).unwrap();
    assert!(all.is_always_true());
    assert!(!all.clone().and(Filter::above(&schema, age, 10)).is_always_true());
    let sampled =
        Filter::compile("random_sample(0.5)", &schema).unwrap().and(Filter::above(&schema, age, 10));
    assert_eq!(sampled.sample(), Some(0.5));
    assert!(!matching(&sampled).contains(&1));
}

#[test]
fn columns_of_another_schema_are_refused() {
    let schema = schema(true);
    let columns = columns(&schema, &people());
    let filter = Filter::compile("age > 1", &schema).unwrap();
    filter.evaluate(&columns.slice(1, 1)).unwrap();
    // The same layout made again, from a copy.
    let copy = schema.as_ref().clone();
    Filter::compile("age > 1", &copy).unwrap().evaluate(&columns).unwrap();
    let next = schema.without_field("small").unwrap();
    let filter = Filter::compile("age > 1", &next).unwrap();
    assert!(matches!(filter.evaluate(&columns), Err(EngineError::SchemaChanged)));
    let both = Filter::compile("age > 1", &schema).unwrap().and(filter);
    assert!(matches!(both.evaluate(&columns), Err(EngineError::SchemaChanged)));
}
