//! The values of `{name}` in an expression.

use std::collections::HashMap;

use elanus_engine::{TemplateValue, Templates};

use super::wire_schema::template_array_value::Data;
use super::wire_schema::template_value::Val;
use super::wire_schema::{self as proto, TemplateArrayValue};
use crate::error::ApiError;

/// Arrays within arrays, at most.
const MAX_DEPTH: usize = 16;

/// Reads all of them.
///
/// # Errors
/// 1100 for one that is no value of the language.
pub(super) fn read(values: HashMap<String, proto::TemplateValue>) -> Result<Templates, ApiError> {
    values
        .into_iter()
        .map(|(name, value)| {
            let refuse = |reason: String| {
                ApiError::invalid(format!(
                    "the value of expression template variable {{{name}}}: {reason}: invalid parameter"
                ))
            };
            let value = one(value).map_err(refuse)?;
            Ok((name, value))
        })
        .collect()
}

fn one(value: proto::TemplateValue) -> Result<TemplateValue, String> {
    match value.val {
        Some(Val::BoolVal(v)) => Ok(TemplateValue::Bool(v)),
        Some(Val::Int64Val(v)) => Ok(TemplateValue::Int(v)),
        Some(Val::FloatVal(v)) => float(v),
        Some(Val::StringVal(v)) => Ok(TemplateValue::Text(v)),
        Some(Val::ArrayVal(v)) => list(v, 0).map(TemplateValue::List),
        Some(Val::BytesVal(_)) => Err("bytes are no value of an expression".to_owned()),
        None => Err("there is none".to_owned()),
    }
}

fn float(value: f64) -> Result<TemplateValue, String> {
    match value.is_finite() {
        true => Ok(TemplateValue::Float(value)),
        false => Err(format!("{value} is no finite number")),
    }
}

fn list(value: TemplateArrayValue, depth: usize) -> Result<Vec<TemplateValue>, String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is nested deeper than {MAX_DEPTH} arrays"));
    }
    match value.data {
        None => Ok(Vec::new()),
        Some(Data::BoolData(v)) => Ok(v.data.into_iter().map(TemplateValue::Bool).collect()),
        Some(Data::LongData(v)) => Ok(v.data.into_iter().map(TemplateValue::Int).collect()),
        Some(Data::DoubleData(v)) => v.data.into_iter().map(float).collect(),
        Some(Data::StringData(v)) => Ok(v.data.into_iter().map(TemplateValue::Text).collect()),
        Some(Data::ArrayData(v)) => {
            v.data.into_iter().map(|inner| list(inner, depth + 1).map(TemplateValue::List)).collect()
        }
        // Values of several kinds come as JSON.
        Some(Data::JsonData(v)) => {
            let json = |bytes: Vec<u8>| {
                let text = String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
                TemplateValue::from_json(&text).map_err(|error| error.to_string())
            };
            v.data.into_iter().map(json).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read_and_what_is_none_is_refused() {
        let value = |val| proto::TemplateValue { val };
        let array = |data| Some(Val::ArrayVal(TemplateArrayValue { data: Some(data) }));
        let longs = Data::LongData(proto::LongArray { data: vec![1, 2] });
        assert_eq!(one(value(Some(Val::Int64Val(7)))), Ok(TemplateValue::Int(7)));
        let list = vec![TemplateValue::Int(1), TemplateValue::Int(2)];
        assert_eq!(one(value(array(longs))), Ok(TemplateValue::List(list)));
        let json = Data::JsonData(proto::JsonArray { data: vec![b"1".to_vec(), b"\"a\"".to_vec()] });
        let mixed = vec![TemplateValue::Int(1), TemplateValue::Text("a".into())];
        assert_eq!(one(value(array(json))), Ok(TemplateValue::List(mixed)));
        for wrong in [None, Some(Val::FloatVal(f64::NAN)), Some(Val::BytesVal(vec![1]))] {
            assert!(one(value(wrong)).is_err());
        }
    }
}
