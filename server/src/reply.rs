//! Answers: the Milvus envelope in its two forms, and rows of the engine as JSON. Our own API uses HTTP statuses;
//! Milvus's REST API answers nearly everything with status 200 and a code.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use elanus_engine::row::moment::Zone;
use elanus_engine::row::{DynamicKeys, ListValue, OutputValue, Rows, moment, packed, sparse};
use elanus_engine::schema::DataType;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::ApiError;

/// Asks for int64 as numbers (`true`, also when absent) or as strings (`false`).
const ALLOW_INT64: &str = "accept-type-allow-int64";
/// Seconds after which a refused request may be tried again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Whether the client wants 64-bit integers as strings.
pub fn int64_as_string(headers: &HeaderMap) -> bool {
    headers
        .get(ALLOW_INT64)
        .is_some_and(|value| matches!(value.as_bytes(), b"false" | b"False" | b"FALSE" | b"f" | b"F" | b"0"))
}

/// `{"code":0,"data":..}` with status 200.
pub fn own_data(data: impl Serialize) -> Response {
    match serde_json::to_vec(&Envelope::new(data)) {
        Ok(bytes) => json(StatusCode::OK, bytes),
        Err(error) => own_error(ApiError::internal(format!("the answer could not be written: {error}"))),
    }
}

/// `{"code":..,"message":..}` with the error's status.
pub fn own_error(error: ApiError) -> Response {
    let mut response = json(error.status, failure(&error));
    if error.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// An answer of Milvus's REST API: the finished body of a success, or an error with status 200 (408 on a timeout, 403
/// without the privilege, 500 for what is our fault and no client's).
pub(crate) fn milvus(outcome: Result<Vec<u8>, ApiError>) -> Response {
    match outcome {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => {
            let status = match error.status {
                status @ (StatusCode::REQUEST_TIMEOUT
                | StatusCode::FORBIDDEN
                | StatusCode::INTERNAL_SERVER_ERROR) => status,
                _ => StatusCode::OK,
            };
            json(status, failure(&error))
        }
    }
}

/// Any other path: 404 in plain text, as Milvus has it.
pub(crate) async fn no_such_page() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found").into_response()
}

fn failure(error: &ApiError) -> Vec<u8> {
    serde_json::json!({"code": error.code, "message": error.message}).to_string().into_bytes()
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(CONTENT_TYPE, content_type)], body).into_response()
}

/// The envelope of a success, with the extras that some Milvus calls have.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<T> {
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u32>,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topks: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<serde_json::Value>,
}

impl<T: Serialize> Envelope<T> {
    pub(crate) fn new(data: T) -> Self {
        Self { code: 0, cost: None, data, message: None, topks: None, explain: None }
    }

    /// With `"cost":0`, as entity calls have it: this server counts no cost.
    pub(crate) fn cost(mut self) -> Self {
        self.cost = Some(0);
        self
    }

    /// With how a search was done: of our own, and only where it was asked for.
    pub(crate) fn explain(mut self, explained: Option<serde_json::Value>) -> Self {
        self.explain = explained;
        self
    }

    /// With `"message":""`.
    pub(crate) fn message(mut self) -> Self {
        self.message = Some("");
        self
    }

    /// With the number of hits of each query.
    pub(crate) fn topks(mut self, topks: Vec<usize>) -> Self {
        self.topks = Some(topks);
        self
    }

    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, ApiError> {
        serde_json::to_vec(&self)
            .map_err(|e| ApiError::internal(format!("the answer could not be written: {e}")))
    }
}

/// Rows as an array of JSON objects: the key, the distance if there is one, the fields in the order of the schema,
/// then undeclared keys, flat.
#[derive(Debug, Clone)]
pub struct RowsJson<'a> {
    /// The rows.
    pub rows: &'a Rows,
    /// A distance for each row.
    pub distances: Option<&'a [f32]>,
    /// In which form values are written.
    pub form: Form,
}

/// In which form values are written.
#[derive(Debug, Clone)]
pub struct Form {
    /// Whether 64-bit integers are written as strings.
    pub int64_as_string: bool,
    /// Whether arrays and JSON fields are values, and not Milvus's older forms.
    pub native: bool,
    /// Zone of moments.
    pub zone: Zone,
}

impl Default for Form {
    fn default() -> Self {
        Self { int64_as_string: false, native: true, zone: Zone::utc() }
    }
}

impl<'a> RowsJson<'a> {
    fn row(&self, row: usize) -> RowJson<'_> {
        let distance = self.distances.and_then(|d| d.get(row)).copied();
        RowJson { rows: self.rows, row, distance, form: &self.form }
    }
}

impl Serialize for RowsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.rows.len))?;
        for row in 0..self.rows.len {
            list.serialize_element(&self.row(row))?;
        }
        list.end()
    }
}

/// One row of an answer as a JSON object whose members a handler may add to.
pub fn hit_json(
    rows: &Rows,
    row: usize,
    distance: Option<f32>,
    int64_as_string: bool,
) -> serde_json::Map<String, serde_json::Value> {
    let form = Form { int64_as_string, ..Form::default() };
    let row = RowJson { rows, row, distance, form: &form };
    // Through text: a float32 keeps its short form (0.1, not 0.10000000149).
    let parsed = serde_json::to_string(&row).and_then(|text| serde_json::from_str(&text));
    parsed.unwrap_or_else(|error| {
        tracing::error!(%error, "a row could not be written as JSON");
        serde_json::Map::new()
    })
}

struct RowJson<'a> {
    rows: &'a Rows,
    row: usize,
    distance: Option<f32>,
    form: &'a Form,
}

impl Serialize for RowJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        let columns = self.rows.columns.iter();
        let value = |value| ValueJson { value, form: self.form };
        for column in columns.clone().filter(|c| c.primary) {
            object.serialize_entry(&column.name, &value(column.value(self.row)))?;
        }
        if let Some(distance) = self.distance {
            object.serialize_entry("distance", &distance)?;
        }
        for column in columns.filter(|c| !c.primary) {
            object.serialize_entry(&column.name, &value(column.value(self.row)))?;
        }
        for (key, json) in self.undeclared() {
            object.serialize_entry(&key, json)?;
        }
        object.end()
    }
}

impl RowJson<'_> {
    /// The undeclared keys that were asked for, their values untouched.
    fn undeclared(&self) -> Vec<(Cow<'_, str>, &RawValue)> {
        let Some(text) = self.rows.dynamic_json(self.row) else { return Vec::new() };
        let members = match crate::body::members(text) {
            Ok(members) => members,
            Err(error) => {
                tracing::error!(%error, "stored undeclared keys are not a JSON object");
                return Vec::new();
            }
        };
        let wanted = |key: &str| match &self.rows.dynamic_keys {
            DynamicKeys::AllBut(declared) => declared.iter().all(|name| name != key),
            DynamicKeys::None => false,
            DynamicKeys::Only(keys) => keys.iter().any(|k| k == key),
        };
        // The distance of a search is no member of the row: it wins.
        let shadowed = |key: &str| self.distance.is_some() && key == "distance";
        members.into_iter().filter(|(key, _)| wanted(key) && !shadowed(key)).collect()
    }
}

/// One value in Milvus's JSON form (the native one: JSON fields are values, not text).
struct ValueJson<'a> {
    value: OutputValue<'a>,
    form: &'a Form,
}

impl Serialize for ValueJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            OutputValue::Null => serializer.serialize_unit(),
            OutputValue::Bool(v) => serializer.serialize_bool(*v),
            OutputValue::Int64(v) if self.form.int64_as_string => serializer.collect_str(v),
            OutputValue::Int(v) | OutputValue::Int64(v) => serializer.serialize_i64(*v),
            OutputValue::Float(v) => serializer.serialize_f32(*v),
            OutputValue::Double(v) => serializer.serialize_f64(*v),
            OutputValue::Text(v) => serializer.serialize_str(v),
            OutputValue::Json(v) if !self.form.native => serializer.serialize_str(v),
            OutputValue::Json(v) => {
                let raw: &RawValue = serde_json::from_str(v).map_err(serde::ser::Error::custom)?;
                raw.serialize(serializer)
            }
            OutputValue::List(list) if !self.form.native => self.older_list(list, serializer),
            OutputValue::List(list) => {
                serializer.collect_seq(list.iter().map(|value| ValueJson { value, form: self.form }))
            }
            OutputValue::Moment(v) => serializer.serialize_str(&moment::format(*v, &self.form.zone)),
            OutputValue::Vector(v) => v.serialize(serializer),
            OutputValue::Packed(data_type, v) => {
                serializer.serialize_str(&BASE64_STANDARD.encode(packed::pack(*data_type, v)))
            }
            OutputValue::Bits(v) => serializer.serialize_str(&BASE64_STANDARD.encode(v)),
            OutputValue::Sparse(v) => serializer.collect_map(sparse::pairs(v)),
        }
    }
}

impl ValueJson<'_> {
    /// An array as Milvus 3.0.0 writes it: Go's form of a oneof.
    fn older_list<S: Serializer>(&self, list: &ListValue<'_>, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = match list.element_type() {
            DataType::Bool => "BoolData",
            DataType::Int8 | DataType::Int16 | DataType::Int32 => "IntData",
            DataType::Int64 => "LongData",
            DataType::Float => "FloatData",
            DataType::Double => "DoubleData",
            _ => "StringData",
        };
        let native = Form { native: true, int64_as_string: false, ..self.form.clone() };
        let items: Vec<ValueJson<'_>> = list.iter().map(|value| ValueJson { value, form: &native }).collect();
        let mut data = std::collections::BTreeMap::new();
        if !items.is_empty() {
            data.insert("data", items);
        }
        serializer.collect_map([("Data", std::collections::BTreeMap::from([(kind, data)]))])
    }
}

/// A name with its value, as Milvus lists parameters and properties.
#[derive(Debug, Serialize)]
pub(crate) struct KeyValue {
    /// The name.
    pub(crate) key: String,
    /// The value, always text.
    pub(crate) value: String,
}

impl KeyValue {
    pub(crate) fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use elanus_engine::row::{ColumnData, OutputColumn};

    use super::*;

    /// Rows made by hand, as the engine makes them.
    fn rows(keys: DynamicKeys) -> Rows {
        let column = |name: &str, data_type, primary, dim, values: &[f32]| OutputColumn {
            name: name.into(),
            data_type,
            primary,
            element_type: None,
            data: ColumnData::Vector { dim, values: values.to_vec(), present: None },
        };
        Rows {
            columns: vec![
                column("v", DataType::FloatVector, false, 2, &[0.1, 1.0, 2.0, 3.5]),
                column("id", DataType::FloatVector, true, 1, &[7.0, 8.0]),
            ],
            dynamic: Some(Arc::new(arrow_array::StringArray::from(vec![
                r#"{"big":1152921504606846977,"distance":3,"o":{"a":[1,null]}}"#,
                "{}",
            ]))),
            dynamic_keys: keys,
            partitions: None,
            len: 2,
        }
    }

    #[test]
    fn a_row_is_key_distance_fields_undeclared_keys() {
        let rows = rows(DynamicKeys::AllBut(vec!["id".into(), "v".into()]));
        let json = RowsJson { rows: &rows, distances: Some(&[0.5, 0.25]), form: Form::default() };
        assert_eq!(
            serde_json::to_string(&json).unwrap(),
            r#"[{"id":[7.0],"distance":0.5,"v":[0.1,1.0],"big":1152921504606846977,"o":{"a":[1,null]}},{"id":[8.0],"distance":0.25,"v":[2.0,3.5]}]"#
        );
    }

    #[test]
    fn a_key_that_was_declared_later_is_the_field_alone() {
        let map =
            hit_json(&rows(DynamicKeys::AllBut(vec!["id".into(), "v".into(), "o".into()])), 0, None, false);
        assert_eq!(map.keys().collect::<Vec<_>>(), ["id", "v", "big", "distance"]);
    }

    #[test]
    fn only_the_undeclared_keys_asked_for_are_shown() {
        let map = hit_json(&rows(DynamicKeys::Only(vec!["o".into(), "none".into()])), 0, Some(0.1), false);
        assert_eq!(map.keys().collect::<Vec<_>>(), ["id", "distance", "v", "o"]);
        assert_eq!(map["distance"].to_string(), "0.1");
        assert_eq!(hit_json(&rows(DynamicKeys::None), 1, None, false).len(), 2);
    }

    #[test]
    fn milvus_errors_have_status_200_but_for_timeouts_and_bugs() {
        let timeout = ApiError::new(10001, StatusCode::REQUEST_TIMEOUT, "request timeout");
        for (error, status) in [
            (ApiError::invalid("x"), 200),
            (ApiError::not_found("x"), 200),
            (ApiError::unavailable("x"), 200),
            (timeout, 408),
            (ApiError::internal("x"), 500),
        ] {
            assert_eq!(own_error(error.clone()).status(), error.status);
            assert_eq!(milvus(Err(error)).status(), status);
        }
    }

    #[test]
    fn int64_becomes_text_on_request() {
        let text = |value, int64_as_string| {
            let form = Form { int64_as_string, ..Form::default() };
            serde_json::to_string(&ValueJson { value, form: &form }).unwrap()
        };
        assert_eq!(text(OutputValue::Int64(i64::MAX), true), r#""9223372036854775807""#);
        assert_eq!(text(OutputValue::Int64(i64::MAX), false), "9223372036854775807");
        assert_eq!(text(OutputValue::Int(5), true), "5");
        assert_eq!(text(OutputValue::Float(0.1), false), "0.1");
        assert_eq!(text(OutputValue::Json(r#"{"a": 1}"#), false), r#"{"a": 1}"#);
        let mut headers = HeaderMap::new();
        assert!(!int64_as_string(&headers));
        headers.insert(ALLOW_INT64, HeaderValue::from_static("false"));
        assert!(int64_as_string(&headers));
    }
}
