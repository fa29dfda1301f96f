//! Creating a collection in Milvus's two forms: quick (a dimension is enough) and with a schema. Everything is checked
//! before anything exists, so a refused request leaves no collection behind.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use elanus_engine::Definition;
use elanus_engine::collection::TTL_PROPERTY;
use elanus_engine::schema::{DataType, Field, Function, Schema};
use serde_json::value::RawValue;

use super::field::{read_field, text_of_param};
use super::index::{read_indexes, texts};
use crate::body::Object;
use crate::error::{ApiError, code};
use crate::rest::call::{Call, check_consistency, done};
use crate::rest::spec;
use crate::service::index::metric_of;
use crate::service::number::integer_parameter;
use crate::service::{of_collection, properties};

/// Creates a collection; creating the same one again succeeds.
pub(crate) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION)?;
    let mut definition = definition(&body)?;
    definition.database = call.database(&body)?;
    call.app.engine.create(definition)?;
    done()
}

/// The collection that a request asks for.
fn definition(body: &Object<'_>) -> Result<Definition, ApiError> {
    let name = body.required_text("collectionName")?;
    let options = Options::read(body)?;
    let schema = body.object("schema")?;
    let fields = schema.array("fields")?.unwrap_or_default();
    // Types are checked also where the values are not looked at.
    schema.get::<bool>("enableDynamicField")?;
    schema.get::<bool>("autoID")?;
    let mut definition = if fields.is_empty() {
        quick(name, body, &options)?
    } else {
        let fields = fields.into_iter().map(read_field).collect::<Result<_, _>>()?;
        with_schema(name, body, &schema, fields)?
    };
    definition.shards = options.shards;
    definition.consistency = options.consistency;
    definition.properties = options.properties;
    definition.partitions_num = options.partitions_num;
    definition.loaded = !definition.indexes.is_empty();
    Ok(definition)
}

/// What both forms have.
struct Options {
    shards: u32,
    consistency: String,
    /// Of a VarChar key, in the quick form.
    max_length: Option<usize>,
    /// In the quick form; the other says it in the schema.
    dynamic: Option<bool>,
    properties: BTreeMap<String, String>,
    partitions_num: Option<usize>,
}

impl Options {
    fn read(body: &Object<'_>) -> Result<Self, ApiError> {
        let params = body.object("params")?;
        params.refuse(&["ttlField"])?;
        let mut given = texts(&body.object("properties")?);
        if let Some(seconds) = params.raw("ttlSeconds") {
            given.entry(TTL_PROPERTY.to_owned()).or_insert_with(|| text_of_param(seconds));
        }
        let mut properties = properties::at_creation(given)?;
        if params.get_or_default("partitionKeyIsolation")? {
            properties.insert("partitionkey.isolation".to_owned(), "true".to_owned());
        }
        properties
            .extend(params.raw("mmap.enabled").map(|raw| ("mmap.enabled".to_owned(), text_of_param(raw))));
        body.refuse(&["externalSource", "externalSpec", "structFields"])?;
        let partitions =
            params.raw("partitionsNum").map(|raw| integer_parameter("partitionsNum", raw)).transpose()?;
        let shards = params.raw("shardsNum").map(|raw| integer_parameter("shardsNum", raw)).transpose()?;
        let shards = properties::shards(shards.unwrap_or(1))?;
        let max_length =
            params.raw("max_length").map(|raw| integer_parameter("max_length", raw)).transpose()?;
        Ok(Self {
            shards,
            consistency: consistency(body, &params)?,
            // A negative length is none that the schema would take.
            max_length: max_length.map(|n| usize::try_from(n).unwrap_or(0)),
            dynamic: params.get("enableDynamicField")?,
            properties,
            // Beyond the range like 0: the definition says so.
            partitions_num: partitions.map(|n| usize::try_from(n).unwrap_or(0)),
        })
    }
}

fn consistency(body: &Object<'_>, params: &Object<'_>) -> Result<String, ApiError> {
    let outside: String = body.get_or_default("consistencyLevel")?;
    let inside: String = params.get_or_default("consistencyLevel")?;
    if !outside.is_empty() && !inside.is_empty() && outside != inside {
        let message =
            format!("consistencyLevel is given twice, as {outside} and as {inside}: invalid parameter");
        return Err(ApiError::invalid(message));
    }
    let level = if outside.is_empty() { inside } else { outside };
    check_consistency(&level)?;
    Ok(if level.is_empty() { "Bounded".into() } else { level })
}

/// The form with a dimension: a key, a vector, and whatever else rows bring.
fn quick(name: String, body: &Object<'_>, options: &Options) -> Result<Definition, ApiError> {
    let dimension: Option<i64> = body.get("dimension")?;
    let id_type = word(body, "idType", "Int64")?;
    let key_name = word(body, "primaryFieldName", "id")?;
    let vector_name = word(body, "vectorFieldName", "vector")?;
    let auto_id: bool = body.get_or_default("autoID")?;
    let dynamic = body.get::<bool>("enableDynamicField")?.or(options.dynamic).unwrap_or(true);
    let description: String = body.get_or_default("description")?;
    let mut vector = Field::new(&vector_name, vector_type(&word(body, "vectorFieldType", "FloatVector")?)?);
    let metric = metric_of(&vector, &body.get_or_default::<String>("metricType")?)?;
    let dimension = dimension.filter(|&n| n != 0);
    match (vector.data_type, dimension) {
        (DataType::SparseFloatVector, None) => {}
        (DataType::SparseFloatVector, Some(dimension)) => {
            return Err(ApiError::invalid(format!(
                "dimension should not be specified for SparseFloatVector quick create: invalid \
                 parameter[expected=no dimension][actual={dimension}]"
            )));
        }
        (_, None) => {
            return Err(ApiError::invalid(
                "dimension is required for quickly create collection(default metric type: COSINE): invalid \
                 parameter[expected=collectionName & dimension][actual=collectionName]",
            ));
        }
        // A negative dimension is out of range like zero: the schema says so.
        (_, Some(dimension)) => vector.dim = Some(usize::try_from(dimension).unwrap_or(0)),
    }
    let mut key = Field::new(key_name, key_type(&id_type)?).primary(auto_id);
    if key.data_type == DataType::VarChar {
        key.max_length = options.max_length;
    }
    let schema = Schema::new(vec![key, vector], dynamic, description).map_err(of_collection(&name))?;
    Ok(Definition::new(name, schema).index(&vector_name, metric))
}

fn word(body: &Object<'_>, key: &str, default: &str) -> Result<String, ApiError> {
    Ok(body.get::<String>(key)?.filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned()))
}

fn key_type(word: &str) -> Result<DataType, ApiError> {
    match word {
        "Int64" | "int64" => Ok(DataType::Int64),
        "VarChar" | "Varchar" => Ok(DataType::VarChar),
        _ => Err(ApiError::invalid(format!(
            "idType can only be [Int64, VarChar], default: Int64: invalid parameter[expected=Int64, VarChar][actual={word}]"
        ))),
    }
}

fn vector_type(word: &str) -> Result<DataType, ApiError> {
    word.parse().ok().filter(|data_type: &DataType| data_type.is_vector()).ok_or_else(|| {
        const CHOICES: &str = "FloatVector, BinaryVector, Float16Vector, BFloat16Vector, SparseFloatVector, Int8Vector";
        ApiError::invalid(format!(
            "vectorFieldType can only be [{CHOICES}], default: FloatVector: invalid parameter[expected={CHOICES}][actual={word}]"
        ))
    })
}

/// The form with fields.
fn with_schema(
    name: String,
    body: &Object<'_>,
    schema: &Object<'_>,
    mut fields: Vec<Field>,
) -> Result<Definition, ApiError> {
    schema.refuse(&["structFields"])?;
    let functions = schema.array("functions")?.unwrap_or_default();
    let functions = functions.into_iter().map(read_function).collect::<Result<Vec<_>, _>>()?;
    let auto_id: bool = schema.get_or_default("autoID")?;
    let dynamic: bool = schema.get_or_default("enableDynamicField")?;
    let mut description: String = body.get_or_default("description")?;
    if description.is_empty() {
        description = schema.get_or_default("description")?;
    }
    if auto_id {
        fields.iter_mut().filter(|f| f.primary).for_each(|f| f.auto_id = true);
    }
    let schema =
        Schema::new(fields, dynamic, description).map_err(of_collection(&name))?.with_functions(functions)?;
    let indexes = read_indexes(body, &schema, no_such_field)?;
    let unindexed: Vec<&str> = schema
        .vector_fields()
        .map(|f| f.name.as_str())
        .filter(|name| indexes.iter().all(|index| index.field != *name))
        .collect();
    if !indexes.is_empty() && !unindexed.is_empty() {
        let names = unindexed.join(", ");
        return Err(ApiError::invalid(format!(
            "there is no vector index on field: [{names}], please create index firstly"
        )));
    }
    let mut definition = Definition::new(name, schema);
    definition.indexes = indexes;
    Ok(definition)
}

/// A function of a schema.
fn read_function(raw: &RawValue) -> Result<Function, ApiError> {
    let object = Object::within(&spec::FUNCTION_SCHEMA, raw)?;
    let name = object.required_text("name")?;
    let kind: String = object.get_or_default("type")?;
    if !matches!(kind.as_str(), "BM25" | "1") {
        return Err(ApiError::unsupported(format!("a function of type {kind}")));
    }
    let mut inputs: Vec<String> = object.get_or_default("inputFieldNames")?;
    let mut outputs: Vec<String> = object.get_or_default("outputFieldNames")?;
    match (inputs.len(), outputs.len(), inputs.pop(), outputs.pop()) {
        (1, 1, Some(input), Some(output)) => {
            Ok(Function { name, description: object.get_or_default("description")?, input, output })
        }
        _ => Err(ApiError::invalid(format!(
            "function {name} must have one input field and one output field: invalid parameter"
        ))),
    }
}

/// 1802 for an index on a field that is not there.
pub(super) fn no_such_field(name: &str) -> ApiError {
    let message = format!("missing required parameters, error: `{name}` hasn't defined in schema");
    ApiError::new(code::MISSING_FIELD, StatusCode::BAD_REQUEST, message)
}

#[cfg(test)]
mod tests {
    use elanus_engine::MetricType;

    use super::*;

    fn read(text: &str) -> Result<Definition, ApiError> {
        definition(&Object::parse(&spec::COLLECTION, text.as_bytes()).unwrap())
    }

    fn refused(text: &str) -> (i32, String) {
        let error = read(text).unwrap_err();
        (error.code, error.message)
    }

    #[test]
    fn quick_form_has_milvus_defaults() {
        let made = read(r#"{"collectionName":"c","dimension":4}"#).unwrap();
        let names: Vec<_> = made.schema.fields().iter().map(|f| (f.name.as_str(), f.data_type)).collect();
        assert_eq!(names, [("id", DataType::Int64), ("vector", DataType::FloatVector)]);
        assert!(made.schema.dynamic() && !made.schema.primary().auto_id);
        let index = &made.indexes[0];
        assert_eq!((index.name.as_str(), index.index_type.as_str()), ("vector", "AUTOINDEX"));
        assert_eq!(
            (index.metric, made.consistency.as_str(), made.shards),
            (Some(MetricType::Cosine), "Bounded", 1)
        );
    }

    #[test]
    fn quick_form_takes_every_option() {
        let made = read(
            r#"{"collectionName":"c","dimension":4,"idType":"VarChar","autoId":true,"metricType":"l2","description":"d",
                "primaryFieldName":"k","vectorFieldName":"v","consistencyLevel":"Strong",
                "params":{"max_length":"64","enableDynamicField":false,"shardsNum":2}}"#,
        )
        .unwrap();
        let key = made.schema.primary();
        assert_eq!((key.name.as_str(), key.max_length, key.auto_id), ("k", Some(64), true));
        assert_eq!(made.indexes[0].metric, Some(MetricType::L2));
        assert!(!made.schema.dynamic());
        assert_eq!((made.shards, made.consistency.as_str(), made.schema.description()), (2, "Strong", "d"));
    }

    #[test]
    fn schema_form_makes_what_it_says() {
        let made = read(
            r#"{"collectionName":"c","schema":{"autoID":true,"fields":[
                {"fieldName":"k","dataType":"Int64","isPrimary":true},
                {"fieldName":"v","dataType":"FloatVector","elementTypeParams":{"dim":"8"}},
                {"fieldName":"s","dataType":"VarChar","nullable":true,"elementTypeParams":{"max_length":9}}]},
                "indexParams":[{"fieldName":"v","indexName":"i","metricType":"IP","params":{"index_type":"HNSW","M":16}}]}"#,
        )
        .unwrap();
        assert!(made.schema.primary().auto_id && !made.schema.dynamic());
        let index = &made.indexes[0];
        assert_eq!(
            (index.name.as_str(), index.index_type.as_str(), index.metric),
            ("i", "HNSW", Some(MetricType::Ip))
        );
        assert_eq!(index.params["M"], "16");
    }

    #[test]
    fn mistakes_have_milvus_codes() {
        let fields = r#"[{"fieldName":"k","dataType":"Int64","isPrimary":true},
            {"fieldName":"v","dataType":"FloatVector","elementTypeParams":{"dim":8}}]"#;
        let with = |rest: &str| format!(r#"{{"collectionName":"c","schema":{{"fields":{fields}}},{rest}}}"#);
        for (text, code, words) in [
            (r#"{"dimension":4}"#.to_owned(), 1802, "'CollectionReq.CollectionName'"),
            (r#"{"collectionName":"c"}"#.into(), 1100, "dimension is required"),
            (r#"{"collectionName":"c","dimension":1}"#.into(), 1100, "invalid dimension: 1"),
            (r#"{"collectionName":"c","dimension":-4}"#.into(), 1100, "invalid dimension"),
            (
                r#"{"collectionName":"c","dimension":4,"metricType":"HAMMING"}"#.into(),
                1100,
                "float vector index does not support metric type: HAMMING",
            ),
            (r#"{"collectionName":"c","dimension":4,"idType":"Float"}"#.into(), 1100, "idType can only be"),
            (r#"{"collectionName":"c","dimension":4,"idType":"VarChar"}"#.into(), 1101, "max_length"),
            (
                r#"{"collectionName":"c","dimension":4,"vectorFieldType":"Text"}"#.into(),
                1100,
                "vectorFieldType can only be",
            ),
            (
                r#"{"collectionName":"c","dimension":4,"consistencyLevel":"Loose"}"#.into(),
                1100,
                "consistencyLevel can only be",
            ),
            (with(r#""indexParams":[{"fieldName":"w"}]"#), 1802, "`w` hasn't defined in schema"),
            (
                with(r#""indexParams":[{"fieldName":"v","metricType":"HAMMING"}]"#),
                1100,
                "float vector index does not support metric type: HAMMING",
            ),
        ] {
            let (got, message) = refused(&text);
            assert!(got == code && message.contains(words), "{text}: {got} {message}");
        }
    }
}
