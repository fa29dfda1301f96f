//! Schemas in messages: from what a client sends to the engine's, and back as a description shows it.

use std::collections::BTreeMap;

use elanus_engine::schema::{DataType, Field, Function, Schema};
use serde_json::Value;

use super::params::pair;
use super::wire_schema::value_field::Data;
use super::wire_schema::{
    CollectionSchema, DataType as ProtoType, FieldSchema, FunctionSchema, FunctionType, ValueField,
};
use crate::error::ApiError;

/// The engine's type.
///
/// # Errors
/// 1100 for one that is not here.
pub(super) fn data_type(number: i32) -> Result<DataType, ApiError> {
    Ok(match ProtoType::try_from(number) {
        Ok(ProtoType::Bool) => DataType::Bool,
        Ok(ProtoType::Int8) => DataType::Int8,
        Ok(ProtoType::Int16) => DataType::Int16,
        Ok(ProtoType::Int32) => DataType::Int32,
        Ok(ProtoType::Int64) => DataType::Int64,
        Ok(ProtoType::Float) => DataType::Float,
        Ok(ProtoType::Double) => DataType::Double,
        // A text is a VarChar of any length; its field says none.
        Ok(ProtoType::VarChar | ProtoType::String) => DataType::VarChar,
        Ok(ProtoType::Json) => DataType::Json,
        Ok(ProtoType::Array) => DataType::Array,
        Ok(ProtoType::Timestamptz) => DataType::Timestamptz,
        Ok(ProtoType::FloatVector) => DataType::FloatVector,
        Ok(ProtoType::BinaryVector) => DataType::BinaryVector,
        Ok(ProtoType::Float16Vector) => DataType::Float16Vector,
        Ok(ProtoType::BFloat16Vector) => DataType::BFloat16Vector,
        Ok(ProtoType::SparseFloatVector) => DataType::SparseFloatVector,
        Ok(ProtoType::Int8Vector) => DataType::Int8Vector,
        Ok(other) => return Err(ApiError::unsupported(format!("a field of type {}", other.as_str_name()))),
        Err(_) => return Err(ApiError::invalid(format!("data type {number} is unknown: invalid parameter"))),
    })
}

/// The number of a type.
pub(super) fn proto_type(data_type: DataType) -> ProtoType {
    match data_type {
        DataType::Bool => ProtoType::Bool,
        DataType::Int8 => ProtoType::Int8,
        DataType::Int16 => ProtoType::Int16,
        DataType::Int32 => ProtoType::Int32,
        DataType::Int64 => ProtoType::Int64,
        DataType::Float => ProtoType::Float,
        DataType::Double => ProtoType::Double,
        DataType::VarChar => ProtoType::VarChar,
        DataType::Json => ProtoType::Json,
        DataType::Array => ProtoType::Array,
        DataType::Timestamptz => ProtoType::Timestamptz,
        DataType::FloatVector => ProtoType::FloatVector,
        DataType::BinaryVector => ProtoType::BinaryVector,
        DataType::Float16Vector => ProtoType::Float16Vector,
        DataType::BFloat16Vector => ProtoType::BFloat16Vector,
        DataType::SparseFloatVector => ProtoType::SparseFloatVector,
        DataType::Int8Vector => ProtoType::Int8Vector,
        _ => ProtoType::None,
    }
}

/// Reads a schema. Rules between fields, and limits, are the engine's.
///
/// # Errors
/// 1100 for what is not here, and for what the engine refuses.
#[expect(deprecated, reason = "clients say autoID in either place")]
pub(super) fn read(schema: CollectionSchema) -> Result<Schema, ApiError> {
    if !schema.struct_array_fields.is_empty() {
        return Err(ApiError::unsupported("a field of structs"));
    }
    if !schema.external_source.is_empty() {
        return Err(ApiError::unsupported("an external collection"));
    }
    let name = schema.name;
    let (dynamic, auto_id) = (schema.enable_dynamic_field, schema.auto_id);
    let mut dynamic_declared = false;
    let mut fields = Vec::with_capacity(schema.fields.len());
    for field in schema.fields {
        // Some clients declare the dynamic field as well.
        if field.is_dynamic {
            dynamic_declared = true;
            continue;
        }
        fields.push(read_field(field)?);
    }
    if auto_id {
        fields.iter_mut().filter(|field| field.primary).for_each(|field| field.auto_id = true);
    }
    let functions = schema.functions.into_iter().map(read_function).collect::<Result<Vec<_>, _>>()?;
    let schema = Schema::new(fields, dynamic || dynamic_declared, schema.description)
        .map_err(crate::service::of_collection(&name))?;
    Ok(schema.with_functions(functions)?)
}

/// Reads a field.
///
/// # Errors
/// As [`read`].
pub(super) fn read_field(given: FieldSchema) -> Result<Field, ApiError> {
    if !given.external_field.is_empty() {
        return Err(ApiError::unsupported("an external field"));
    }
    if given.element_nullable {
        return Err(ApiError::unsupported("an array with elements that may be null"));
    }
    let mut field = Field::new(given.name, data_type(given.data_type)?);
    if field.data_type == DataType::Array {
        let element = data_type(given.element_type).map_err(|_| {
            ApiError::invalid(format!(
                "element type of array field {} is invalid: invalid parameter",
                field.name
            ))
        })?;
        field.element_type = Some(element);
    }
    field.primary = given.is_primary_key;
    field.auto_id = given.auto_id;
    field.nullable = given.nullable;
    field.description = given.description;
    field.partition_key = given.is_partition_key;
    field.clustering_key = given.is_clustering_key;
    for param in given.type_params {
        set_type_param(&mut field, &param.key, param.value)?;
    }
    field.default = given.default_value.and_then(|value| value.data).map(default_value).transpose()?;
    Ok(field)
}

fn set_type_param(field: &mut Field, key: &str, value: String) -> Result<(), ApiError> {
    let size = || {
        let refuse = || {
            ApiError::invalid(format!("invalid {key} of field {}: {value}: invalid parameter", field.name))
        };
        // A negative size is out of range like zero: the schema says so.
        value.trim().parse::<i64>().map(|n| usize::try_from(n).unwrap_or(0)).map_err(|_| refuse())
    };
    match key {
        "dim" if field.data_type.is_vector() => field.dim = Some(size()?),
        "max_length" if matches!(field.data_type, DataType::VarChar | DataType::Array) => {
            field.max_length = Some(size()?);
        }
        "max_capacity" if field.data_type == DataType::Array => field.max_capacity = Some(size()?),
        // Other types carry them now and then; they mean nothing there.
        "dim" | "max_length" | "max_capacity" => {}
        other => drop(field.params.insert(other.to_owned(), value)),
    }
    Ok(())
}

fn default_value(value: Data) -> Result<Value, ApiError> {
    Ok(match value {
        Data::BoolData(v) => v.into(),
        Data::IntData(v) => v.into(),
        Data::LongData(v) | Data::TimestamptzData(v) => v.into(),
        // The shortest text of a float is what was meant, not its digits as a double.
        Data::FloatData(v) => v.to_string().parse::<f64>().unwrap_or(v.into()).into(),
        Data::DoubleData(v) => v.into(),
        Data::StringData(v) => v.into(),
        Data::BytesData(v) => {
            let text = String::from_utf8(v).map_err(|_| ApiError::unsupported("a default of bytes"))?;
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        Data::DateData(_) | Data::TimeData(_) => return Err(ApiError::unsupported("a default of this type")),
    })
}

fn read_function(given: FunctionSchema) -> Result<Function, ApiError> {
    let name = given.name;
    if given.r#type != FunctionType::Bm25 as i32 {
        let kind = FunctionType::try_from(given.r#type).map_or("unknown", |kind| kind.as_str_name());
        return Err(ApiError::unsupported(format!("a function of type {kind}")));
    }
    let (mut inputs, mut outputs) = (given.input_field_names, given.output_field_names);
    match (inputs.len(), outputs.len(), inputs.pop(), outputs.pop()) {
        (1, 1, Some(input), Some(output)) => {
            Ok(Function { name, description: given.description, input, output })
        }
        _ => Err(ApiError::invalid(format!(
            "function {name} must have one input field and one output field: invalid parameter"
        ))),
    }
}

/// A schema as a description shows it.
#[expect(deprecated, reason = "clients look for autoID in either place")]
pub(super) fn write(name: &str, schema: &Schema, properties: &BTreeMap<String, String>) -> CollectionSchema {
    CollectionSchema {
        name: name.to_owned(),
        description: schema.description().to_owned(),
        auto_id: schema.primary().auto_id,
        fields: schema.fields().iter().map(write_field).collect(),
        enable_dynamic_field: schema.dynamic(),
        properties: properties.iter().map(|(key, value)| pair(key, value)).collect(),
        functions: schema
            .functions()
            .iter()
            .zip(100..)
            .map(|(f, id)| write_function(schema, f, id))
            .collect(),
        ..CollectionSchema::default()
    }
}

fn write_field(field: &Field) -> FieldSchema {
    let size = |key: &str, size: Option<usize>| size.map(|size| pair(key, size.to_string()));
    let sizes = [
        size("dim", field.dim),
        size("max_length", field.max_length),
        size("max_capacity", field.max_capacity),
    ];
    let others = field.params.iter().map(|(key, value)| pair(key, value));
    FieldSchema {
        field_id: field.id,
        name: field.name.clone(),
        is_primary_key: field.primary,
        description: field.description.clone(),
        data_type: proto_type(field.data_type).into(),
        type_params: sizes.into_iter().flatten().chain(others).collect(),
        auto_id: field.auto_id,
        element_type: field.element_type.map_or(ProtoType::None, proto_type).into(),
        default_value: field.default.as_ref().map(|value| write_default(field.data_type, value)),
        is_partition_key: field.partition_key,
        is_clustering_key: field.clustering_key,
        nullable: field.nullable,
        is_function_output: field.function_output,
        ..FieldSchema::default()
    }
}

fn write_default(data_type: DataType, value: &Value) -> ValueField {
    let integer = || value.as_i64().unwrap_or_default();
    let float = || value.as_f64().unwrap_or_default();
    let data = match data_type {
        DataType::Bool => Data::BoolData(value.as_bool().unwrap_or_default()),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => {
            Data::IntData(i32::try_from(integer()).unwrap_or_default())
        }
        DataType::Int64 => Data::LongData(integer()),
        DataType::Timestamptz if value.is_i64() => Data::TimestamptzData(integer()),
        DataType::Float => Data::FloatData(float() as f32),
        DataType::Double => Data::DoubleData(float()),
        DataType::Json => Data::BytesData(value.to_string().into_bytes()),
        _ => Data::StringData(value.as_str().unwrap_or_default().to_owned()),
    };
    ValueField { data: Some(data) }
}

fn write_function(schema: &Schema, function: &Function, id: i64) -> FunctionSchema {
    let number = |name: &str| schema.field(name).map(|(_, field)| field.id).into_iter().collect();
    FunctionSchema {
        name: function.name.clone(),
        id,
        description: function.description.clone(),
        r#type: FunctionType::Bm25.into(),
        input_field_ids: number(&function.input),
        input_field_names: vec![function.input.clone()],
        output_field_ids: number(&function.output),
        output_field_names: vec![function.output.clone()],
        params: Vec::new(),
    }
}

/// A number that changes whenever the fields do: clients send back the one of the schema that they know. 64-bit FNV-1a
/// over the description of the fields, which is the same on every machine and after every start.
pub(super) fn version(schema: &Schema) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for field in schema.fields() {
        mix(&field.name);
        mix(field.data_type.name());
        mix(&format!("{} {} {:?}", field.id, field.nullable, field.default));
    }
    mix(if schema.dynamic() { "dynamic" } else { "" });
    // Some clients have signed numbers, and 0 stands for none.
    (hash >> 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, data_type: ProtoType, params: &[(&str, &str)]) -> FieldSchema {
        FieldSchema {
            name: name.to_owned(),
            data_type: data_type.into(),
            type_params: params.iter().map(|(key, value)| pair(*key, *value)).collect(),
            ..FieldSchema::default()
        }
    }

    fn given() -> CollectionSchema {
        let mut key = field("id", ProtoType::Int64, &[]);
        key.is_primary_key = true;
        let mut text = field("s", ProtoType::VarChar, &[("max_length", "9"), ("enable_analyzer", "true")]);
        text.nullable = true;
        text.default_value = Some(ValueField { data: Some(Data::StringData("x".into())) });
        let mut array = field("a", ProtoType::Array, &[("max_capacity", "3")]);
        array.element_type = ProtoType::Int16.into();
        let vector = field("v", ProtoType::FloatVector, &[("dim", "4")]);
        CollectionSchema { fields: vec![key, text, array, vector], ..CollectionSchema::default() }
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        let schema = read(given()).unwrap();
        let written = write("c", &schema, &BTreeMap::new());
        assert_eq!(written.fields.iter().map(|f| f.field_id).collect::<Vec<_>>(), [100, 101, 102, 103]);
        for (written, given) in written.fields.into_iter().zip(given().fields) {
            assert_eq!(FieldSchema { field_id: 0, ..written }, given);
        }
    }

    #[test]
    fn the_version_changes_with_the_fields_only() {
        let schema = read(given()).unwrap();
        let other = schema.with_field(Field::new("n", DataType::Int8).nullable()).unwrap();
        assert_eq!(version(&schema), version(&read(given()).unwrap()));
        assert_ne!(version(&schema), version(&other));
    }

    #[test]
    fn what_is_not_here_is_refused() {
        for (wrong, words) in [
            (field("x", ProtoType::Geometry, &[]), "Geometry"),
            (field("x", ProtoType::FloatVector, &[("dim", "many")]), "invalid dim of field x"),
            (field("x", ProtoType::Array, &[]), "element type"),
            (FieldSchema { data_type: 999, ..FieldSchema::default() }, "999"),
        ] {
            let error = read_field(wrong).unwrap_err();
            assert!(error.code == 1100 && error.message.contains(words), "{}", error.message);
        }
    }
}
