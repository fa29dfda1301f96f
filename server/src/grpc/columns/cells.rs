//! The values of one column that a client sends, and which row each belongs to. A column that may be null comes either
//! with a value for every row, or with values for those rows alone that have one.

use bytes::Bytes;
use elanus_engine::row::moment::{self, Zone};
use elanus_engine::row::{BatchBuilder, Value, packed, sparse};
use elanus_engine::schema::{DataType, Field};
use elanus_engine::{EngineError, Result};

use crate::grpc::rows::{FieldData, Values, VectorField, Vectors};
use crate::grpc::schema::data_type;
use crate::grpc::wire_schema::ScalarField;
use crate::grpc::wire_schema::scalar_field::Data;
use crate::service::partial::{Operation, Stored};
use crate::service::stored_json::check_json;

/// A column of a request, for one field.
pub(super) struct Column {
    cells: Cells,
    /// Which rows have a value; empty: all.
    valid: Vec<bool>,
    /// Whether there are values for those rows alone.
    compact: bool,
    /// The next value of a compact column.
    next: usize,
}

/// What an array of a request does to that of a stored row.
pub(super) struct Change<'s> {
    pub(super) stored: &'s Stored,
    pub(super) base: usize,
    pub(super) operation: Operation,
}

enum Cells {
    Bool(Vec<bool>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Text(Vec<String>),
    Bytes(Vec<Vec<u8>>),
    Lists(Vec<ScalarField>),
    /// Floats of four bytes each, little-endian, as many as `width` bytes for a vector.
    Dense {
        width: usize,
        bytes: Bytes,
    },
    /// Dense vectors of a narrow type, or bits: so many bytes each.
    Packed {
        width: usize,
        bytes: Bytes,
    },
    Sparse(Vec<Vec<u8>>),
    /// No value at all: of a column whose rows are all null.
    Nothing,
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Long(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Double(v) => v.len(),
            Self::Text(v) => v.len(),
            Self::Bytes(v) | Self::Sparse(v) => v.len(),
            Self::Lists(v) => v.len(),
            Self::Dense { width, bytes } | Self::Packed { width, bytes } => bytes.len() / width,
            Self::Nothing => 0,
        }
    }
}

impl Column {
    /// The column of a field, which has a value or null for each of `rows` rows.
    ///
    /// # Errors
    /// What is wrong with it, in Milvus's words.
    pub(super) fn new(field: &Field, given: FieldData, rows: usize) -> Result<Self, String> {
        let said = data_type(given.r#type).map_err(|error| error.message)?;
        if said != field.data_type {
            return Err(format!(
                "the field data type of {} is {said}, but the schema says {}",
                field.name, field.data_type
            ));
        }
        let mut valid = given.valid_data;
        let cells = match given.values {
            Some(Values::Scalars(scalars)) => {
                prefer(&mut valid, scalars.valid_data);
                scalar_cells(scalars.data)
            }
            Some(Values::Vectors(mut vectors)) => {
                prefer(&mut valid, std::mem::take(&mut vectors.valid_data));
                vector_cells(field, vectors)?
            }
            Some(Values::StructArrays(_)) => return Err("a field of structs is not supported".to_owned()),
            None => Cells::Nothing,
        };
        let (count, present) = (cells.len(), valid.iter().filter(|valid| **valid).count());
        let (logical, compact) = match valid.len() {
            0 => (count, false),
            all if count == all => (all, false),
            all if count == present => (all, true),
            _ => {
                return Err(format!(
                    "field {} has {count} values for {present} of {} rows that are not null",
                    field.name,
                    valid.len()
                ));
            }
        };
        if logical != rows {
            return Err(format!(
                "the num_rows ({logical}) of field ({}) is not equal to passed num_rows ({rows})",
                field.name
            ));
        }
        Ok(Self { cells, valid, compact, next: 0 })
    }

    /// Vectors of floats that it has; 0: it has none.
    pub(super) fn dense(&self) -> usize {
        match &self.cells {
            Cells::Dense { .. } => self.cells.len(),
            _ => 0,
        }
    }

    /// The position of the value for a row; rows are asked for in order. None: null.
    fn place(&mut self, row: usize) -> Option<usize> {
        if !self.valid.get(row).copied().unwrap_or(true) {
            return None;
        }
        self.next += 1;
        Some(if self.compact { self.next - 1 } else { row })
    }

    /// The value of a row where it is a whole number or a text, of a column without nulls.
    pub(super) fn key(&self, row: usize) -> Option<Value<'_>> {
        match &self.cells {
            Cells::Long(v) => v.get(row).copied().map(Value::Int),
            Cells::Text(v) => v.get(row).map(|text| Value::Text(text)),
            _ => None,
        }
    }

    /// The JSON text of a row of the dynamic field.
    pub(super) fn json(&mut self, row: usize) -> Result<Option<&str>, String> {
        let Some(place) = self.place(row) else { return Ok(None) };
        let text = match &self.cells {
            Cells::Bytes(cells) => {
                std::str::from_utf8(cells.get(place).map(Vec::as_slice).unwrap_or_default())
                    .map_err(|_| "the dynamic field is no text".to_owned())?
            }
            Cells::Text(cells) => cells.get(place).map(String::as_str).unwrap_or_default(),
            _ => return Err("the dynamic field is no JSON".to_owned()),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Sets the field of the row under construction.
    ///
    /// # Errors
    /// `InvalidRow` for a value that does not fit.
    pub(super) fn set(
        &mut self,
        builder: &mut BatchBuilder,
        position: usize,
        field: &Field,
        zone: &Zone,
        change: Option<&Change<'_>>,
    ) -> Result<()> {
        let row = builder.rows();
        let Some(place) = self.place(row) else { return Ok(()) };
        let refuse = |reason: String| EngineError::InvalidRow { field: field.name.clone(), row, reason };
        let short = || refuse("the column is too short".to_owned());
        match &self.cells {
            Cells::Dense { width, bytes } => {
                let vector = bytes.get(place * width..(place + 1) * width).ok_or_else(short)?;
                builder.set_vector(position, |matrix| {
                    let (values, _) = vector.as_chunks::<4>();
                    matrix.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
                    Ok(())
                })
            }
            Cells::Packed { width, bytes } => {
                let vector = bytes.get(place * width..(place + 1) * width).ok_or_else(short)?;
                if field.data_type == DataType::BinaryVector {
                    return builder.set(position, Value::Bytes(vector));
                }
                builder.set_vector(position, |matrix| match packed::unpack(field.data_type, vector, matrix) {
                    true => Ok(()),
                    false => Err(refuse("the bytes are no whole vector".to_owned())),
                })
            }
            Cells::Sparse(vectors) => {
                let vector = vectors.get(place).ok_or_else(short)?;
                match sorted(vector) {
                    true => builder.set(position, Value::Bytes(vector)),
                    // Not every client sorts.
                    false => {
                        let sorted = sparse::encode(sparse::pairs(vector).collect()).map_err(refuse)?;
                        builder.set(position, Value::Bytes(&sorted))
                    }
                }
            }
            Cells::Lists(lists) => {
                let list = elements(lists.get(place).ok_or_else(short)?);
                let list =
                    list.ok_or_else(|| refuse("the elements of an array are of no type it can hold".into()))?;
                let changed = change.and_then(|c| c.stored.combine(c.base, &field.name, c.operation, &list));
                builder.set(position, Value::List(changed.as_deref().unwrap_or(&list)))
            }
            Cells::Bool(v) => builder.set(position, Value::Bool(*v.get(place).ok_or_else(short)?)),
            Cells::Int(v) => builder.set(position, Value::Int((*v.get(place).ok_or_else(short)?).into())),
            Cells::Long(v) => {
                let value = *v.get(place).ok_or_else(short)?;
                if field.data_type == DataType::Timestamptz && !moment::is_in_range(value) {
                    return Err(refuse(format!("the moment {value} is out of range")));
                }
                builder.set(position, Value::Int(value))
            }
            Cells::Float(v) => builder.set(position, Value::Float((*v.get(place).ok_or_else(short)?).into())),
            Cells::Double(v) => builder.set(position, Value::Float(*v.get(place).ok_or_else(short)?)),
            Cells::Text(v) => {
                let text = v.get(place).ok_or_else(short)?;
                if field.data_type == DataType::Timestamptz {
                    let moment = moment::parse(text, zone);
                    let wrong = || refuse(format!("got invalid timestamptz string '{text}'"));
                    return builder.set(position, Value::Int(moment.ok_or_else(wrong)?));
                }
                set_text(builder, position, field, text)
            }
            Cells::Bytes(v) => {
                let bytes = v.get(place).ok_or_else(short)?;
                let text = std::str::from_utf8(bytes).map_err(|_| refuse("the bytes are no text".into()))?;
                set_text(builder, position, field, text)
            }
            Cells::Nothing => Err(short()),
        }
    }
}

/// Sets a text, or JSON, which must be such. As over REST, null is the absence of a value.
fn set_text(builder: &mut BatchBuilder, position: usize, field: &Field, text: &str) -> Result<()> {
    if field.data_type == DataType::Json {
        let row = builder.rows();
        let refuse = |reason| EngineError::InvalidRow { field: field.name.clone(), row, reason };
        check_json(text).map_err(refuse)?;
        if text.trim() == "null" {
            return Ok(());
        }
    }
    builder.set(position, Value::Text(text))
}

/// Newer clients say within the values which rows have one.
fn prefer(valid: &mut Vec<bool>, inner: Vec<bool>) {
    if !inner.is_empty() {
        *valid = inner;
    }
}

fn scalar_cells(data: Option<Data>) -> Cells {
    match data {
        Some(Data::BoolData(v)) => Cells::Bool(v.data),
        Some(Data::IntData(v)) => Cells::Int(v.data),
        Some(Data::LongData(v)) => Cells::Long(v.data),
        Some(Data::FloatData(v)) => Cells::Float(v.data),
        Some(Data::DoubleData(v)) => Cells::Double(v.data),
        Some(Data::StringData(v)) => Cells::Text(v.data),
        Some(Data::BytesData(v)) => Cells::Bytes(v.data),
        Some(Data::JsonData(v)) => Cells::Bytes(v.data),
        Some(Data::ArrayData(v)) => Cells::Lists(v.data),
        Some(Data::TimestamptzData(v)) => Cells::Long(v.data),
        _ => Cells::Nothing,
    }
}

fn vector_cells(field: &Field, vectors: VectorField) -> Result<Cells, String> {
    let dim = field.dim.unwrap_or_default();
    let said = usize::try_from(vectors.dim).unwrap_or_default();
    if field.data_type != DataType::SparseFloatVector && said != dim {
        return Err(format!(
            "the dim ({said}) of field data({}) is not equal to schema dim ({dim})",
            field.name
        ));
    }
    let whole = |length: usize, unit: usize| match unit > 0 && length.is_multiple_of(unit) {
        true => Ok(()),
        false => {
            Err(format!("the length ({length}) of field data({}) should divide the dim ({dim})", field.name))
        }
    };
    let kind = |wanted: DataType| match wanted == field.data_type {
        true => Ok(()),
        false => Err(format!("the vectors of field {} are {wanted}, not {}", field.name, field.data_type)),
    };
    let narrow = |wanted: DataType, bytes: Bytes| {
        kind(wanted)?;
        let width = if wanted == DataType::BinaryVector { dim / 8 } else { dim * packed::width(wanted) };
        whole(bytes.len(), width)?;
        Ok(Cells::Packed { width, bytes })
    };
    match vectors.data {
        Some(Vectors::Float(floats)) => {
            kind(DataType::FloatVector)?;
            let bytes = floats.into_bytes();
            if !bytes.len().is_multiple_of(size_of::<f32>()) {
                return Err(format!("field data({}) is no whole number of floats", field.name));
            }
            whole(bytes.len() / size_of::<f32>(), dim)?;
            Ok(Cells::Dense { width: dim * size_of::<f32>(), bytes })
        }
        Some(Vectors::Binary(bytes)) => narrow(DataType::BinaryVector, bytes),
        Some(Vectors::Float16(bytes)) => narrow(DataType::Float16Vector, bytes),
        Some(Vectors::BFloat16(bytes)) => narrow(DataType::BFloat16Vector, bytes),
        Some(Vectors::Int8(bytes)) => narrow(DataType::Int8Vector, bytes),
        Some(Vectors::Sparse(v)) => {
            kind(DataType::SparseFloatVector)?;
            Ok(Cells::Sparse(v.contents))
        }
        Some(Vectors::Arrays(_)) => Err("an array of vectors is not supported".to_owned()),
        None => Ok(Cells::Nothing),
    }
}

/// Whether the indices of a sparse vector ascend; what is no vector at all is refused elsewhere.
fn sorted(bytes: &[u8]) -> bool {
    !bytes.len().is_multiple_of(8) || sparse::pairs(bytes).is_sorted_by(|a, b| a.0 < b.0)
}

/// The elements of an array; none when they are no single values.
fn elements(list: &ScalarField) -> Option<Vec<Value<'_>>> {
    Some(match &list.data {
        Some(Data::BoolData(v)) => v.data.iter().map(|v| Value::Bool(*v)).collect(),
        Some(Data::IntData(v)) => v.data.iter().map(|v| Value::Int((*v).into())).collect(),
        Some(Data::LongData(v)) => v.data.iter().map(|v| Value::Int(*v)).collect(),
        Some(Data::FloatData(v)) => v.data.iter().map(|v| Value::Float((*v).into())).collect(),
        Some(Data::DoubleData(v)) => v.data.iter().map(|v| Value::Float(*v)).collect(),
        Some(Data::StringData(v)) => v.data.iter().map(|v| Value::Text(v)).collect(),
        // Not every client says the type of what is empty.
        None => Vec::new(),
        Some(_) => return None,
    })
}
