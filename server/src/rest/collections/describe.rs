//! A collection in full, in Milvus's JSON.

use std::sync::Arc;

use elanus_engine::schema::{DataType, Field, Function};
use elanus_engine::{Definition, MetricType};
use serde::Serialize;
use serde_json::{Value, json};

use super::load::state;
use crate::error::ApiError;
use crate::reply::{Envelope, KeyValue};
use crate::rest::call::Call;
use crate::rest::spec;

/// Describes a collection.
pub(crate) fn describe(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let collection = call.collection(&body)?;
    let definition = collection.definition();
    let aliases = call.app.engine.aliases(&definition.database, Some(&definition.name))?;
    let aliases = aliases.into_keys().collect();
    Envelope::new(Description::new(collection.id(), Arc::unwrap_or_clone(definition), aliases))
        .message()
        .into_bytes()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    collection_name: String,
    #[serde(rename = "collectionID")]
    collection_id: u64,
    description: String,
    auto_id: bool,
    fields: Vec<FieldDescription>,
    struct_fields: [Value; 0],
    functions: Vec<Value>,
    aliases: Vec<String>,
    indexes: Vec<IndexSummary>,
    load: &'static str,
    shards_num: u32,
    partitions_num: usize,
    consistency_level: String,
    enable_dynamic_field: bool,
    external_source: &'static str,
    external_spec: &'static str,
    properties: Vec<KeyValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FieldDescription {
    name: String,
    id: i64,
    #[serde(rename = "type")]
    data_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    element_type: Option<&'static str>,
    primary_key: bool,
    partition_key: bool,
    clustering_key: bool,
    auto_id: bool,
    description: String,
    nullable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_function_output: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_value: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<KeyValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexSummary {
    field_name: String,
    index_name: String,
    metric_type: &'static str,
}

impl Description {
    fn new(collection_id: u64, definition: Definition, aliases: Vec<String>) -> Self {
        let schema = &definition.schema;
        let index = |index: elanus_engine::collection::IndexDefinition| IndexSummary {
            field_name: index.field,
            index_name: index.name,
            metric_type: index.metric.unwrap_or(MetricType::Cosine).name(),
        };
        let mut properties: Vec<_> =
            definition.properties.iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        if !definition.properties.contains_key("timezone") {
            properties.push(KeyValue::new("timezone", "UTC"));
        }
        Self {
            collection_id,
            description: schema.description().to_owned(),
            auto_id: schema.primary().auto_id,
            fields: schema.fields().iter().map(FieldDescription::new).collect(),
            struct_fields: [],
            functions: schema.functions().iter().zip(0..).map(function).collect(),
            aliases,
            load: state(&definition),
            shards_num: definition.shards,
            partitions_num: definition.partitions().len(),
            enable_dynamic_field: schema.dynamic(),
            external_source: "",
            external_spec: "",
            properties,
            collection_name: definition.name,
            indexes: definition.indexes.into_iter().map(index).collect(),
            consistency_level: definition.consistency,
        }
    }
}

impl FieldDescription {
    fn new(field: &Field) -> Self {
        let param = |key: &str, size: Option<usize>| size.map(|size| KeyValue::new(key, size.to_string()));
        Self {
            name: field.name.clone(),
            id: field.id,
            data_type: field.data_type.name(),
            element_type: field.element_type.map(DataType::name),
            primary_key: field.primary,
            partition_key: field.partition_key,
            clustering_key: field.clustering_key,
            auto_id: field.auto_id,
            description: field.description.clone(),
            nullable: field.nullable,
            is_function_output: field.function_output,
            default_value: field.default.as_ref().map(|value| go_oneof(field.data_type, value)),
            params: param("dim", field.dim)
                .into_iter()
                .chain(param("max_length", field.max_length))
                .chain(param("max_capacity", field.max_capacity))
                .chain(field.params.iter().map(|(key, value)| KeyValue::new(key, value)))
                .collect(),
        }
    }
}

/// A function in full: its kind is the number of Milvus's enum.
fn function((function, number): (&Function, u32)) -> Value {
    const BM25: u32 = 1;
    json!({
        "name": function.name,
        "id": 100 + number,
        "description": function.description,
        "type": BM25,
        "inputFieldNames": [function.input],
        "outputFieldNames": [function.output],
        "params": [],
    })
}

/// A default in the form that Go's encoder gives a oneof.
fn go_oneof(data_type: DataType, value: &Value) -> Value {
    let kind = match data_type {
        DataType::Bool => "BoolData",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "IntData",
        DataType::Int64 => "LongData",
        DataType::Timestamptz if value.is_i64() => "TimestamptzData",
        DataType::Float => "FloatData",
        DataType::Double => "DoubleData",
        _ => "StringData",
    };
    json!({ "Data": { kind: value } })
}

#[cfg(test)]
mod tests {
    use elanus_engine::Metric;
    use elanus_engine::schema::Schema;

    use super::*;

    #[test]
    fn has_the_keys_and_forms_of_milvus() {
        let mut text = Field::new("s", DataType::VarChar).max_length(9).nullable();
        text.default = Some("123".into());
        let fields = vec![
            Field::new("id", DataType::Int64).primary(true),
            Field::new("v", DataType::FloatVector).dim(128),
            text,
        ];
        let definition =
            Definition::new("c", Schema::new(fields, true, "").unwrap()).index("v", Metric::Cosine);
        let json = serde_json::to_value(Description::new(7, definition, Vec::new())).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys.join(" "),
            "collectionName collectionID description autoId fields structFields functions aliases indexes load \
             shardsNum partitionsNum consistencyLevel enableDynamicField externalSource externalSpec properties"
        );
        assert_eq!(
            json["fields"][1],
            serde_json::json!({"name":"v","id":101,"type":"FloatVector","primaryKey":false,"partitionKey":false,
                "clusteringKey":false,"autoId":false,"description":"","nullable":false,
                "params":[{"key":"dim","value":"128"}]})
        );
        assert_eq!(json["fields"][2]["defaultValue"], serde_json::json!({"Data":{"StringData":"123"}}));
        assert_eq!(
            json["indexes"],
            serde_json::json!([{"fieldName":"v","indexName":"v","metricType":"COSINE"}])
        );
        assert_eq!((&json["load"], &json["autoId"]), (&"LoadStateLoaded".into(), &true.into()));
    }
}
