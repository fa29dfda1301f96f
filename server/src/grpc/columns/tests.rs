//! Columns as clients send them, and as they get them back.

use std::sync::Arc;

use elanus_engine::row::Batch;
use elanus_engine::row::moment::Zone;
use elanus_engine::schema::{DYNAMIC_FIELD, DataType, Field, Schema};
use prost::Message as _;

use super::{Read, read};
use crate::error::ApiError;
use crate::grpc::rows;
use crate::grpc::schema::proto_type;
use crate::grpc::wire_schema::field_data::Field as Given;
use crate::grpc::wire_schema::scalar_field::Data;
use crate::grpc::wire_schema::vector_field::Data as VectorData;
use crate::grpc::wire_schema::{
    ArrayArray, FieldData, FloatArray, IntArray, JsonArray, LongArray, ScalarField, SparseFloatArray,
    StringArray, VectorField,
};

fn schema(auto_id: bool) -> Arc<Schema> {
    let fields = vec![
        Field::new("id", DataType::Int64).primary(auto_id),
        Field::new("v", DataType::FloatVector).dim(2),
        Field::new("n", DataType::Int16).nullable(),
        Field::new("tags", DataType::Array).elements(DataType::VarChar, 3).max_length(9).nullable(),
    ];
    Arc::new(Schema::new(fields, true, "").unwrap())
}

/// Through the protocol.
fn as_received(given: Vec<FieldData>) -> Vec<rows::FieldData> {
    let received = |data: FieldData| rows::FieldData::decode(data.encode_to_vec().as_slice()).unwrap();
    given.into_iter().map(received).collect()
}

fn scalar(name: &str, data_type: DataType, data: Data) -> FieldData {
    FieldData {
        r#type: proto_type(data_type).into(),
        field_name: name.into(),
        field: Some(Given::Scalars(ScalarField { data: Some(data), ..ScalarField::default() })),
        ..FieldData::default()
    }
}

fn keys(keys: &[i64]) -> FieldData {
    scalar("id", DataType::Int64, Data::LongData(LongArray { data: keys.to_vec() }))
}

fn vectors(dim: i64, values: &[f32]) -> FieldData {
    let data = Some(VectorData::FloatVector(FloatArray { data: values.to_vec() }));
    FieldData {
        r#type: proto_type(DataType::FloatVector).into(),
        field_name: "v".into(),
        field: Some(Given::Vectors(VectorField { dim, data, ..VectorField::default() })),
        ..FieldData::default()
    }
}

fn numbers(values: &[i32], valid: &[bool]) -> FieldData {
    let data = Data::IntData(IntArray { data: values.to_vec() });
    FieldData { valid_data: valid.to_vec(), ..scalar("n", DataType::Int16, data) }
}

fn dynamic(cells: &[&str]) -> FieldData {
    let data = cells.iter().map(|cell| cell.as_bytes().to_vec()).collect();
    let json = scalar(DYNAMIC_FIELD, DataType::Json, Data::JsonData(JsonArray { data }));
    FieldData { is_dynamic: true, ..json }
}

fn two_rows(more: Vec<FieldData>) -> Vec<FieldData> {
    [vec![keys(&[1, 2]), vectors(2, &[1.0, 2.0, 3.0, 4.0])], more].concat()
}

fn write(auto_id: bool, upsert: bool, given: Vec<FieldData>, rows: usize) -> Result<Batch, ApiError> {
    let schema = schema(auto_id);
    let how = Read { schema: &schema, zone: Zone::utc(), upsert, keys_allowed: false, source: None };
    read(&how, as_received(given), rows)
}

#[test]
fn columns_with_nulls_come_compact_or_in_full_length() {
    let column = |batch: &Batch| format!("{:?}", batch.column("n").unwrap());
    let full = write(false, false, two_rows(vec![numbers(&[0, 7], &[false, true])]), 2).unwrap();
    let compact = write(false, false, two_rows(vec![numbers(&[7], &[false, true])]), 2).unwrap();
    assert_eq!(column(&full), column(&compact));
    assert!(column(&full).contains("null") && column(&full).contains('7'));
    // Newer clients say within the values which rows have one.
    let mut inner = numbers(&[7], &[]);
    if let Some(Given::Scalars(scalars)) = &mut inner.field {
        scalars.valid_data = vec![false, true];
    }
    assert_eq!(column(&write(false, false, two_rows(vec![inner]), 2).unwrap()), column(&full));
    let all_null = write(false, false, two_rows(vec![numbers(&[], &[false, false])]), 2).unwrap();
    assert_eq!(all_null.column("n").unwrap().null_count(), 2);
}

#[test]
fn arrays_and_undeclared_keys_are_read() {
    let list = |words: &[&str]| {
        let data = words.iter().map(|word| (*word).to_owned()).collect();
        ScalarField { data: Some(Data::StringData(StringArray { data })), ..ScalarField::default() }
    };
    let data = vec![list(&["a", "b"]), list(&[])];
    let tags = scalar("tags", DataType::Array, Data::ArrayData(ArrayArray { data, element_type: 0 }));
    let batch = write(false, false, two_rows(vec![tags, dynamic(&[r#"{"x":1.50}"#, "{}"])]), 2).unwrap();
    let shown = format!("{:?} {:?}", batch.column("tags").unwrap(), batch.column(DYNAMIC_FIELD));
    assert!(shown.contains("\"b\"") && batch.rows() == 2, "{shown}");
}

#[test]
fn sparse_vectors_may_come_unsorted() {
    let fields =
        vec![Field::new("id", DataType::Int64).primary(true), Field::new("v", DataType::SparseFloatVector)];
    let schema = Arc::new(Schema::new(fields, false, "").unwrap());
    let pair = |index: u32, value: f32| [index.to_le_bytes(), value.to_le_bytes()].concat();
    let vector = |bytes: Vec<u8>| FieldData {
        r#type: proto_type(DataType::SparseFloatVector).into(),
        field_name: "v".into(),
        field: Some(Given::Vectors(VectorField {
            dim: 9,
            data: Some(VectorData::SparseFloatVector(SparseFloatArray { contents: vec![bytes], dim: 9 })),
            ..VectorField::default()
        })),
        ..FieldData::default()
    };
    let how = Read { schema: &schema, zone: Zone::utc(), upsert: false, keys_allowed: false, source: None };
    let read = |bytes: Vec<u8>| read(&how, as_received(vec![vector(bytes)]), 1);
    let sorted = read([pair(1, 0.5), pair(8, 2.0)].concat()).unwrap();
    let unsorted = read([pair(8, 2.0), pair(1, 0.5)].concat()).unwrap();
    assert_eq!(format!("{:?}", sorted.column("v")), format!("{:?}", unsorted.column("v")));
    for wrong in [vec![1, 2, 3], [pair(1, 1.0), pair(1, 2.0)].concat(), pair(1, f32::NAN)] {
        assert_eq!(read(wrong).unwrap_err().code, 1100);
    }
}

#[test]
fn what_does_not_fit_is_refused_in_milvus_words() {
    let cases: [(bool, bool, Vec<FieldData>, usize, &str); 16] = [
        (false, false, vec![], 0, "num_rows should be greater than 0"),
        (false, false, vec![keys(&[1])], 1, "fieldSchema(v) has no corresponding fieldData pass in"),
        (false, false, vec![vectors(2, &[1.0, 2.0])], 1, "fieldSchema(id) has no corresponding"),
        (
            false,
            false,
            two_rows(vec![]),
            3,
            "the num_rows (2) of field (id) is not equal to passed num_rows (3)",
        ),
        (
            false,
            false,
            vec![keys(&[1]), vectors(1, &[1.0])],
            1,
            "the dim (1) of field data(v) is not equal to schema dim (2)",
        ),
        (false, false, vec![keys(&[1]), vectors(2, &[1.0])], 1, "should divide the dim"),
        (false, false, vec![keys(&[1]), vectors(2, &[1.0, f32::NAN])], 1, "not a number"),
        (false, false, two_rows(vec![numbers(&[1, 40_000], &[])]), 2, "out of range"),
        (false, false, two_rows(vec![numbers(&[1], &[true, true])]), 2, "1 values for 2 of 2 rows"),
        (false, false, two_rows(vec![numbers(&[1, 2], &[]), numbers(&[1, 2], &[])]), 2, "two columns"),
        (false, false, two_rows(vec![dynamic(&[r#"{"n":1}"#, "{}"])]), 2, "dynamic field key n"),
        (false, false, two_rows(vec![dynamic(&["[1]", "{}"])]), 2, "no JSON object"),
        (
            false,
            false,
            two_rows(vec![scalar("x", DataType::Bool, Data::IntData(IntArray::default()))]),
            2,
            "fieldName x not exist",
        ),
        (
            false,
            false,
            two_rows(vec![scalar("n", DataType::Int64, Data::LongData(LongArray { data: vec![1, 2] }))]),
            2,
            "data type of n",
        ),
        (true, false, two_rows(vec![]), 2, "no need to pass pk field(id) when autoid == true"),
        (false, true, vec![keys(&[1, 1]), vectors(2, &[1.0; 4])], 2, "duplicate primary keys"),
    ];
    for (auto_id, upsert, given, rows, words) in cases {
        let error = write(auto_id, upsert, given, rows).unwrap_err();
        assert!(
            error.code == 1100 && error.message.contains(words),
            "{words}: {} {}",
            error.code,
            error.message
        );
    }
    let odd = |data| {
        scalar("tags", DataType::Array, Data::ArrayData(ArrayArray { data: vec![data; 2], element_type: 0 }))
    };
    let json = ScalarField { data: Some(Data::JsonData(JsonArray::default())), ..ScalarField::default() };
    let text = |cell: &str| StringArray { data: vec![cell.to_owned(); 2] };
    let untyped = FieldData {
        is_dynamic: true,
        ..scalar(DYNAMIC_FIELD, DataType::Json, Data::StringData(text("not json{")))
    };
    for (given, words) in [(odd(json), "elements of an array"), (untyped, "cannot store")] {
        let error = write(false, false, two_rows(vec![given]), 2).unwrap_err();
        assert!(error.code == 1100 && error.message.contains(words), "{words}: {}", error.message);
    }
    assert!(write(true, false, vec![vectors(2, &[1.0, 2.0])], 1).unwrap().needs_keys());
}
