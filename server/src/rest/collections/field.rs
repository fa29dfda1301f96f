//! One field of a schema, as a request describes it.

use elanus_engine::schema::{DataType, Field};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::body::Object;
use crate::error::ApiError;
use crate::rest::spec;
use crate::service::number::integer_parameter;

/// Reads one item of `schema.fields`. Rules between fields, and limits, are the engine's.
pub(super) fn read_field(raw: &RawValue) -> Result<Field, ApiError> {
    let object = Object::within(&spec::FIELD_SCHEMA, raw)?;
    let name: String = object.get_or_default("fieldName")?;
    let data_type: String = object.get_or_default("dataType")?;
    object.refuse(&["externalField"])?;
    let mut field = Field::new(name, data_type.parse::<DataType>()?);
    field.partition_key = object.get_or_default("isPartitionKey")?;
    field.clustering_key = object.get_or_default("isClusteringKey")?;
    if field.data_type == DataType::Array {
        let element: String = object.get_or_default("elementDataType")?;
        field.element_type = Some(element.parse::<DataType>().map_err(|_| {
            ApiError::invalid(format!(
                "invalid parameter, element data type {element} is invalid(case sensitive)."
            ))
        })?);
    }
    field.primary = object.get_or_default("isPrimary")?;
    field.auto_id = object.get_or_default("autoID")?;
    field.nullable = object.get_or_default("nullable")?;
    field.description = object.get_or_default("description")?;
    read_type_params(&object.object("elementTypeParams")?, &mut field)?;
    if let Some(default) = object.raw("defaultValue") {
        field.default = Some(default_value(&field, default)?);
    }
    Ok(field)
}

fn read_type_params(params: &Object<'_>, field: &mut Field) -> Result<(), ApiError> {
    for (key, raw) in params.members() {
        match key.as_ref() {
            "dim" if field.data_type == DataType::SparseFloatVector => field.dim = Some(size("dim", raw)?),
            "dim" if !field.data_type.is_vector() => {}
            "dim" => field.dim = Some(size("dim", raw)?),
            // Other types carry it now and then; it means nothing there.
            "max_length" if matches!(field.data_type, DataType::VarChar | DataType::Array) => {
                field.max_length = Some(size("max_length", raw)?)
            }
            "max_capacity" if field.data_type == DataType::Array => {
                field.max_capacity = Some(size("max_capacity", raw)?)
            }
            "max_length" | "max_capacity" => {}
            other => {
                field.params.insert(other.to_owned(), text_of_param(raw));
            }
        }
    }
    Ok(())
}

/// A parameter as it is stored: a string as it is, everything else as its JSON.
pub(super) fn text_of_param(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

/// A size; a negative one becomes 0, which the schema refuses with its range.
fn size(name: &str, raw: &RawValue) -> Result<usize, ApiError> {
    Ok(usize::try_from(integer_parameter(name, raw)?).unwrap_or(0))
}

/// The default of a field, checked against its type.
fn default_value(field: &Field, raw: &RawValue) -> Result<Value, ApiError> {
    let value: Value = crate::body::typed("defaultValue", raw)?;
    let fits = match field.data_type {
        DataType::Bool => value.is_boolean(),
        DataType::VarChar => {
            value.as_str().is_some_and(|text| field.max_length.is_none_or(|max| text.len() <= max))
        }
        DataType::Float => value.as_f64().is_some_and(|v| (v as f32).is_finite()),
        DataType::Double => value.is_number(),
        DataType::Timestamptz => value.is_string() || value.as_i64().is_some(),
        // Defaults of vectors and JSON are the schema's to refuse.
        _ => match field.data_type.integer_range() {
            Some((low, high)) => value.as_i64().is_some_and(|v| (low..=high).contains(&v)),
            None => true,
        },
    };
    if fits {
        return Ok(value);
    }
    let kind = match &value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        _ => "object",
    };
    let shown = match &value {
        Value::String(text) => text.clone(),
        _ => raw.get().to_owned(),
    };
    Err(ApiError::invalid(format!(
        "convert defaultValue fail, err:cannot use \"{shown}\"(type: {kind}) as {} default value of field {}: invalid \
         parameter",
        field.data_type.name().to_ascii_lowercase(),
        field.name
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Field, ApiError> {
        read_field(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn parameters_may_be_text_or_numbers() {
        let field = read(
            r#"{"fieldName":"s","dataType":"VarChar","elementTypeParams":{"max_length":"12","mmap.enabled":true}}"#,
        );
        assert_eq!(field.unwrap().max_length, Some(12));
        let field = read(r#"{"fieldName":"v","dataType":"FloatVector","elementTypeParams":{"dim":12}}"#);
        assert_eq!(field.unwrap().dim, Some(12));
    }

    #[test]
    fn defaults_must_fit() {
        let with = |data_type: &str, default: &str| {
            read(&format!(
                r#"{{"fieldName":"f","dataType":"{data_type}","defaultValue":{default},"elementTypeParams":{{"max_length":3}}}}"#
            ))
        };
        assert_eq!(with("Int8", "127").unwrap().default, Some(127.into()));
        assert_eq!(with("VarChar", "\"abc\"").unwrap().default, Some("abc".into()));
        for (data_type, default) in [
            ("Int8", "128"),
            ("Int64", "1.5"),
            ("Bool", "1"),
            ("VarChar", "\"abcd\""),
            ("Float", "1e300"),
            ("VarChar", "3"),
        ] {
            let error = with(data_type, default).unwrap_err();
            assert!(
                error.code == 1100 && error.message.starts_with("convert defaultValue fail"),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for text in [
            r#"{"fieldName":"f","dataType":"int64"}"#,
            r#"{"fieldName":"f","dataType":"Array","elementDataType":"int64"}"#,
            r#"{"fieldName":"f","dataType":"Geometry"}"#,
        ] {
            assert_eq!(read(text).unwrap_err().code, 1100, "{text}");
        }
        read(r#"{"fieldName":"f","dataType":"VarChar","elementTypeParams":{"max_length":9,"enable_match":false}}"#).unwrap();
    }
}
