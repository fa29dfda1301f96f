//! Tables: moments, their zones and intervals.

use serde_json::json;

use super::{Row, check_on, check_refused, matching_with, options, rows};

fn events() -> Vec<Row> {
    rows(&json!([
        {"id": 1, "at": "2025-01-01T00:00:00Z"},
        {"id": 2, "at": "2025-01-31T12:00:00Z"},
        {"id": 3},
        {"id": 4, "at": "1969-12-31T23:59:59.5Z"},
    ]))
}

#[test]
fn comparisons() {
    check_on(
        &events(),
        &[
            ("at == ISO '2025-01-01T00:00:00Z'", &[1]),
            ("at == iso '2025-01-01T08:00:00+08:00'", &[1]),
            ("at == '2025-01-01T00:00:00Z'", &[1]),
            ("at != ISO '2025-01-01T00:00:00Z'", &[2, 4]),
            ("ISO '2025-01-01T00:00:00Z' < at", &[2]),
            ("at >= ISO '2025-01-01 00:00:00'", &[1, 2]),
            ("ISO '2024-12-31T00:00:00Z' < at < ISO '2025-01-02T00:00:00Z'", &[1]),
            ("at in [ISO '2025-01-01T00:00:00Z', '1969-12-31T23:59:59.500Z']", &[1, 4]),
            ("at not in ['2025-01-01T00:00:00Z']", &[2, 4]),
            ("at == at", &[1, 2, 4]),
            ("at is null", &[3]),
            ("at + INTERVAL 'P1D' > ISO '2025-01-01T12:00:00Z'", &[1, 2]),
            ("ISO '2025-01-01T12:00:00Z' < at + interval 'P1D'", &[1, 2]),
            ("INTERVAL 'P1D' + at == ISO '2025-01-02T00:00:00Z'", &[1]),
            ("at - INTERVAL 'PT1H' == ISO '2024-12-31T23:00:00Z'", &[1]),
            ("at + INTERVAL 'P1M' == ISO '2025-02-28T12:00:00Z'", &[2]),
            ("at - INTERVAL 'P2M' == ISO '2024-11-30T12:00:00Z'", &[2]),
            ("at + INTERVAL 'P1Y' - INTERVAL 'P1Y' == ISO '2025-01-01T00:00:00Z'", &[1]),
            ("at + INTERVAL 'P1D' != ISO '2025-01-02T00:00:00Z'", &[2, 4]),
            ("at > ISO '2025-01-01T00:00:00Z' + INTERVAL 'P30D'", &[2]),
        ],
    );
}

#[test]
fn times_without_offset_are_in_the_given_zone() {
    let matching =
        |zone| matching_with(&events(), "at == ISO '2025-01-01T08:00:00'", &options(&json!({}), zone));
    assert_eq!(matching("Asia/Shanghai"), [1]);
    assert_eq!(matching("UTC"), [0; 0]);
}

#[test]
fn refusals() {
    check_refused(&[
        ("at > ISO 'soon'", "invalid timestamptz string: 'soon'"),
        ("at > 'soon'", "invalid timestamptz string: 'soon'"),
        ("at > 5", "comparisons between Timestamptz and Int64 are not supported"),
        ("age > ISO '2025-01-01T00:00:00Z'", "comparisons between Int64 and Timestamptz are not supported"),
        ("k > ISO '2025-01-01T00:00:00Z'", "comparisons between JSON and Timestamptz are not supported"),
        ("at + INTERVAL 'soon' > ISO '2025-01-01T00:00:00Z'", "invalid interval: 'soon'"),
        ("at + 5 > ISO '2025-01-01T00:00:00Z'", "'+' can only be used between"),
        ("age + INTERVAL 'P1D' > 5", "with an interval can only be used on timestamptz fields"),
        ("at * INTERVAL 'P1D' > ISO '2025-01-01T00:00:00Z'", "with an interval can only be used"),
        ("at == INTERVAL 'P1D'", "comparisons between Timestamptz and Interval are not supported"),
        ("at in [5]", "cannot be casted to Timestamptz"),
        ("at > age", "comparisons between Timestamptz and Int64 are not supported"),
        ("Iso '2025-01-01T00:00:00Z' < at", "invalid expression"),
        ("at", "predicate is not a boolean expression: at, data type: Timestamptz"),
    ]);
}
