//! From rows to the columns of an answer: as many values as rows, with a filler where a row has none, but for vectors,
//! which are left out there.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use elanus_engine::exec::Cell;
use elanus_engine::row::moment::{self, Zone};
use elanus_engine::row::{ColumnData, DynamicKeys, OutputColumn, OutputValue, Rows, packed, sparse};
use elanus_engine::schema::{DYNAMIC_FIELD, DataType, Schema};

use crate::grpc::schema::proto_type;
use crate::grpc::wire_schema::field_data::Field as Given;
use crate::grpc::wire_schema::scalar_field::Data;
use crate::grpc::wire_schema::vector_field::Data as VectorData;
use crate::grpc::wire_schema::{
    ArrayArray, BoolArray, DataType as ProtoType, DoubleArray, FieldData, FloatArray, IntArray, JsonArray,
    LongArray, ScalarField, SparseFloatArray, StringArray, VectorField,
};

/// How rows are shown.
pub(in crate::grpc) struct Shown<'a> {
    pub(in crate::grpc) schema: &'a Schema,
    /// The zone of moments.
    pub(in crate::grpc) zone: &'a Zone,
    /// Whether the primary key is among the columns.
    pub(in crate::grpc) key: bool,
}

/// The columns of an answer, the dynamic field last.
pub(in crate::grpc) fn columns(shown: &Shown<'_>, rows: Rows) -> Vec<FieldData> {
    let Rows { columns, dynamic, dynamic_keys, len, .. } = rows;
    let wanted = columns.into_iter().filter(|column| shown.key || !column.primary);
    let mut all: Vec<FieldData> = wanted.map(|column| self::column(shown, column, len)).collect();
    if let Some(dynamic) = dynamic {
        all.push(dynamic_column(dynamic.as_ref(), &dynamic_keys, len));
    }
    all
}

fn column(shown: &Shown<'_>, column: OutputColumn, rows: usize) -> FieldData {
    let (id, nullable, dim) = shown
        .schema
        .field(&column.name)
        .map_or((0, false, 0), |(_, f)| (f.id, f.nullable, f.dim.unwrap_or(0)));
    let valid = |column: &OutputColumn| match nullable {
        true => (0..rows).map(|row| column.value(row) != OutputValue::Null).collect(),
        false => Vec::new(),
    };
    let (name, data_type) = (column.name.clone(), column.data_type);
    let valid_data = valid(&column);
    let field = match data_type.is_vector() {
        true => Given::Vectors(vectors(column, dim, rows)),
        false => Given::Scalars(ScalarField {
            data: Some(scalars(&column, rows, shown.zone)),
            ..ScalarField::default()
        }),
    };
    FieldData {
        r#type: proto_type(data_type).into(),
        field_name: name,
        field: Some(field),
        field_id: id,
        is_dynamic: false,
        valid_data,
    }
}

fn scalars(column: &OutputColumn, rows: usize, zone: &Zone) -> Data {
    match column.data_type {
        DataType::Array => {
            let element_type = column.element_type.unwrap_or(DataType::Bool);
            let list = |value: OutputValue<'_>| match value {
                OutputValue::List(list) => Some(ScalarField {
                    data: Some(elements(element_type, list.iter().collect(), zone)),
                    ..Default::default()
                }),
                _ => None,
            };
            let empty = || ScalarField {
                data: Some(elements(element_type, Vec::new(), zone)),
                ..ScalarField::default()
            };
            let data = (0..rows).map(|row| list(column.value(row)).unwrap_or_else(empty)).collect();
            Data::ArrayData(ArrayArray { data, element_type: proto_type(element_type).into() })
        }
        data_type => elements(data_type, (0..rows).map(|row| column.value(row)).collect(), zone),
    }
}

/// Single values of one type.
fn elements(data_type: DataType, values: Vec<OutputValue<'_>>, zone: &Zone) -> Data {
    fn each<T: Default>(values: Vec<OutputValue<'_>>, take: impl Fn(OutputValue<'_>) -> Option<T>) -> Vec<T> {
        values.into_iter().map(|value| take(value).unwrap_or_default()).collect()
    }
    match data_type {
        DataType::Bool => Data::BoolData(BoolArray {
            data: each(values, |value| if let OutputValue::Bool(v) = value { Some(v) } else { None }),
        }),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Data::IntData(IntArray {
            data: each(values, |value| match value {
                OutputValue::Int(v) => i32::try_from(v).ok(),
                _ => None,
            }),
        }),
        DataType::Int64 => Data::LongData(LongArray {
            data: each(values, |value| if let OutputValue::Int64(v) = value { Some(v) } else { None }),
        }),
        DataType::Float => Data::FloatData(FloatArray {
            data: each(values, |value| if let OutputValue::Float(v) = value { Some(v) } else { None }),
        }),
        DataType::Double => Data::DoubleData(DoubleArray {
            data: each(values, |value| if let OutputValue::Double(v) = value { Some(v) } else { None }),
        }),
        DataType::Json => Data::JsonData(JsonArray { data: values.into_iter().map(json_bytes).collect() }),
        DataType::Timestamptz => Data::StringData(StringArray {
            data: each(values, |value| match value {
                OutputValue::Moment(v) => Some(moment::format(v, zone)),
                _ => None,
            }),
        }),
        _ => Data::StringData(StringArray {
            data: each(values, |value| match value {
                OutputValue::Text(v) => Some(v.to_owned()),
                _ => None,
            }),
        }),
    }
}

fn json_bytes(value: OutputValue<'_>) -> Vec<u8> {
    match value {
        OutputValue::Json(text) => text.as_bytes().to_vec(),
        _ => b"{}".to_vec(),
    }
}

fn vectors(column: OutputColumn, dim: usize, rows: usize) -> VectorField {
    let data_type = column.data_type;
    let mut dim = i64::try_from(dim).unwrap_or(i64::MAX);
    let data = match data_type {
        DataType::FloatVector => VectorData::FloatVector(FloatArray { data: present(column, rows) }),
        DataType::Float16Vector => VectorData::Float16Vector(packed::pack(data_type, &present(column, rows))),
        DataType::BFloat16Vector => {
            VectorData::Bfloat16Vector(packed::pack(data_type, &present(column, rows)))
        }
        DataType::Int8Vector => VectorData::Int8Vector(packed::pack(data_type, &present(column, rows))),
        DataType::BinaryVector => {
            let mut bytes = Vec::new();
            for row in 0..rows {
                if let OutputValue::Bits(bits) = column.value(row) {
                    bytes.extend_from_slice(bits);
                }
            }
            VectorData::BinaryVector(bytes)
        }
        _ => {
            let vector = |value: OutputValue<'_>| match value {
                OutputValue::Sparse(bytes) => Some(bytes.to_vec()),
                _ => None,
            };
            let contents: Vec<Vec<u8>> = (0..rows).filter_map(|row| vector(column.value(row))).collect();
            let last =
                |bytes: &Vec<u8>| sparse::pairs(bytes).last().map_or(0, |(index, _)| i64::from(index) + 1);
            dim = contents.iter().map(last).max().unwrap_or(0);
            VectorData::SparseFloatVector(SparseFloatArray { contents, dim })
        }
    };
    VectorField { dim, data: Some(data), ..VectorField::default() }
}

/// The dense vectors that there are, one after the other.
fn present(column: OutputColumn, rows: usize) -> Vec<f32> {
    match column.data {
        ColumnData::Vector { values, present: None, .. } => values,
        ColumnData::Vector { dim, values, present: Some(has) } => {
            let rows = (0..rows).filter(|row| *row < has.len() && has.value(*row));
            rows.filter_map(|row| values.get(row * dim..(row + 1) * dim)).flatten().copied().collect()
        }
        ColumnData::Scalar(_) => Vec::new(),
    }
}

/// The undeclared keys of each row, as one JSON object.
fn dynamic_column(texts: &dyn Array, keys: &DynamicKeys, rows: usize) -> FieldData {
    let text = |row: usize| match texts.as_string_opt::<i32>() {
        Some(texts) if row < texts.len() && !texts.is_null(row) => texts.value(row),
        _ => "{}",
    };
    let data = (0..rows).map(|row| wanted(text(row), keys).into_bytes()).collect();
    FieldData {
        r#type: ProtoType::Json.into(),
        field_name: DYNAMIC_FIELD.to_owned(),
        field: Some(Given::Scalars(ScalarField {
            data: Some(Data::JsonData(JsonArray { data })),
            ..ScalarField::default()
        })),
        is_dynamic: true,
        ..FieldData::default()
    }
}

/// A stored object without the keys that were not asked for.
fn wanted(object: &str, keys: &DynamicKeys) -> String {
    let shown = |key: &str| match keys {
        DynamicKeys::None => false,
        DynamicKeys::Only(only) => only.iter().any(|name| name == key),
        DynamicKeys::AllBut(hidden) => !hidden.iter().any(|name| name == key),
    };
    let members = crate::service::json::members(object).into_iter().flatten();
    let kept = members.filter_map(|(key, value)| {
        let key = key?;
        shown(&key).then(|| format!("{}:{value}", serde_json::Value::from(key.as_ref())))
    });
    format!("{{{}}}", kept.collect::<Vec<_>>().join(","))
}

/// A column of computed values. Its type is that of the first that is one, or `otherwise`.
pub(in crate::grpc) fn cells<'c>(
    name: &str,
    cells: impl Iterator<Item = &'c Cell> + Clone,
    otherwise: DataType,
) -> FieldData {
    let valid: Vec<bool> = cells.clone().map(|cell| *cell != Cell::Null).collect();
    let (data_type, data) = match cells.clone().find(|cell| **cell != Cell::Null) {
        Some(Cell::Bool(_)) => {
            let data = cells.map(|cell| matches!(cell, Cell::Bool(true))).collect();
            (DataType::Bool, Data::BoolData(BoolArray { data }))
        }
        Some(Cell::Text(_)) => {
            let text = |cell: &Cell| if let Cell::Text(text) = cell { text.clone() } else { String::new() };
            (DataType::VarChar, Data::StringData(StringArray { data: cells.map(text).collect() }))
        }
        Some(Cell::Float(_)) => {
            (DataType::Double, Data::DoubleData(DoubleArray { data: cells.map(float).collect() }))
        }
        Some(Cell::Int(_)) if cells.clone().any(|cell| matches!(cell, Cell::Float(_))) => {
            (DataType::Double, Data::DoubleData(DoubleArray { data: cells.map(float).collect() }))
        }
        Some(Cell::Int(_)) if matches!(otherwise, DataType::Int8 | DataType::Int16 | DataType::Int32) => {
            let narrow =
                |cell: &Cell| if let Cell::Int(v) = cell { i32::try_from(*v).unwrap_or(0) } else { 0 };
            (otherwise, Data::IntData(IntArray { data: cells.map(narrow).collect() }))
        }
        _ => {
            let whole = |cell: &Cell| if let Cell::Int(v) = cell { *v } else { 0 };
            (DataType::Int64, Data::LongData(LongArray { data: cells.map(whole).collect() }))
        }
    };
    FieldData {
        r#type: proto_type(data_type).into(),
        field_name: name.to_owned(),
        field: Some(Given::Scalars(ScalarField { data: Some(data), ..ScalarField::default() })),
        valid_data: if valid.iter().all(|valid| *valid) { Vec::new() } else { valid },
        ..FieldData::default()
    }
}

fn float(cell: &Cell) -> f64 {
    match cell {
        Cell::Int(v) => *v as f64,
        Cell::Float(v) => *v,
        _ => 0.0,
    }
}
