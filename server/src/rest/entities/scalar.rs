//! One scalar of a row: from its raw JSON to the engine's value, by the type of the field. Numbers may be text; a
//! VarChar given a number keeps the digits as they were written; JSON stays raw text, so that integers in it keep
//! every bit.

use std::borrow::Cow;

use elanus_engine::row::Value;
use elanus_engine::row::moment::{self, Zone};
use elanus_engine::schema::{DataType, Field};
use serde::Deserialize;

use super::vector;
use crate::service::stored_json::{check_json, shortened};
use crate::service::{json, number};

/// A value that owns its text where it had escapes.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Scalar<'a>>),
    Bytes(Vec<u8>),
}

impl Scalar<'_> {
    /// The engine's value; the elements of an array are in `items`.
    pub(super) fn value<'v>(&'v self, items: &'v mut Vec<Value<'v>>) -> Value<'v> {
        match self {
            Self::List(list) => {
                items.extend(list.iter().map(Scalar::single));
                Value::List(items)
            }
            other => other.single(),
        }
    }

    fn single(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(v) => Value::Bool(*v),
            Self::Int(v) => Value::Int(*v),
            Self::Float(v) => Value::Float(*v),
            Self::Text(v) => Value::Text(v),
            Self::Bytes(v) => Value::Bytes(v),
            // Elements of arrays are single values.
            Self::List(_) => Value::Null,
        }
    }
}

/// Reads a value for a field; the error says what is wrong with it. `zone` is that of moments without one.
pub(super) fn read<'a>(field: &Field, zone: &Zone, json: &'a str) -> Result<Scalar<'a>, String> {
    match field.data_type {
        _ if json == "null" => Ok(Scalar::Null),
        DataType::Array => {
            let element = field.element_type.unwrap_or(DataType::Bool);
            let items = json::elements(json)
                .ok_or_else(|| format!("cannot use {} as an array of {element}", shortened(json)))?;
            let item = |item: &'a str| match read_single(element, item)? {
                Scalar::Null => Err("an element of an array is null".to_owned()),
                value => Ok(value),
            };
            Ok(Scalar::List(items.map(item).collect::<Result<_, _>>()?))
        }
        DataType::Timestamptz => {
            let text = text(json).ok_or_else(|| format!("cannot use {} as a moment", shortened(json)))?;
            let moment = moment::parse(&text, zone);
            moment.map(Scalar::Int).ok_or_else(|| format!("got invalid timestamptz string '{text}'"))
        }
        DataType::BinaryVector => vector::bits(json).map(Scalar::Bytes),
        DataType::SparseFloatVector => vector::sparse_bytes(json).map(Scalar::Bytes),
        data_type => read_single(data_type, json),
    }
}

/// Reads a single value of this type; the error says what is wrong with it.
pub(super) fn read_single(data_type: DataType, json: &str) -> Result<Scalar<'_>, String> {
    if json == "null" {
        return Ok(Scalar::Null);
    }
    let refuse = || format!("cannot use {} as {data_type}", shortened(json));
    match data_type {
        DataType::Bool => boolean(json).map(Scalar::Bool).ok_or_else(refuse),
        DataType::VarChar => text(json).map(Scalar::Text).ok_or_else(refuse),
        DataType::Json => check_json(json).map(|()| Scalar::Text(Cow::Borrowed(json))),
        DataType::Float | DataType::Double => {
            let number = number::text_of(json).ok_or_else(refuse)?;
            number.parse().map(Scalar::Float).map_err(|_| refuse())
        }
        _ if data_type.is_integer() => {
            number::text_of(json).and_then(|n| number::integer(&n)).map(Scalar::Int).ok_or_else(refuse)
        }
        _ => Err(refuse()),
    }
}

fn boolean(json: &str) -> Option<bool> {
    match json {
        "true" | "1" | "\"true\"" | "\"True\"" => Some(true),
        "false" | "0" | "\"false\"" | "\"False\"" => Some(false),
        _ => None,
    }
}

/// Text, or a number's digits.
fn text(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_takes_its_forms() {
        assert_eq!(read_single(DataType::Int64, "\"9223372036854775807\""), Ok(Scalar::Int(i64::MAX)));
        assert_eq!(read_single(DataType::Int8, "1e2"), Ok(Scalar::Int(100)));
        assert_eq!(read_single(DataType::Double, "\"-1.5\""), Ok(Scalar::Float(-1.5)));
        assert_eq!(read_single(DataType::Float, "3"), Ok(Scalar::Float(3.0)));
        assert_eq!(read_single(DataType::Bool, "\"true\""), Ok(Scalar::Bool(true)));
        assert_eq!(read_single(DataType::VarChar, r#""a\n""#), Ok(Scalar::Text("a\n".into())));
        assert_eq!(read_single(DataType::VarChar, "1.50"), Ok(Scalar::Text("1.50".into())));
        assert_eq!(
            read_single(DataType::Json, r#"{"a":18446744073709551615}"#),
            Ok(Scalar::Text(r#"{"a":18446744073709551615}"#.into()))
        );
        assert_eq!(read_single(DataType::Int64, "null"), Ok(Scalar::Null));
    }

    #[test]
    fn and_refuses_all_others() {
        for (data_type, json) in [
            (DataType::Int64, "1.5"),
            (DataType::Int64, "9223372036854775808"),
            (DataType::Int64, "true"),
            (DataType::Int32, "\"007\""),
            (DataType::Double, "\"NaN\""),
            (DataType::Bool, "2"),
            (DataType::VarChar, "{}"),
            (DataType::VarChar, "true"),
            (DataType::VarChar, r#""\ud800""#),
            (DataType::Json, r#"["\ud800"]"#),
            (DataType::Json, "[1e999]"),
            (DataType::Json, r#"{"a":18446744073709551616}"#),
            (DataType::Json, r#"{"a":[{"b":1,"b":2}]}"#),
        ] {
            assert!(read_single(data_type, json).is_err(), "{data_type} {json}");
        }
    }
}
