//! From the columns of an insert or upsert to a batch, value by value through the engine's own checks. A wrong row
//! refuses the whole request; nothing of it is stored.

use std::collections::HashSet;
use std::sync::Arc;

use elanus_engine::EngineError;
use elanus_engine::row::moment::Zone;
use elanus_engine::row::{Batch, BatchBuilder, Key, KeySource, Value};
use elanus_engine::schema::{DYNAMIC_FIELD, DataType, Field, Schema};

use super::cells::{Change, Column};
use crate::error::ApiError;
use crate::grpc::rows::FieldData;
use crate::service::json;
use crate::service::partial::{Needed, ROWS_AT_ONCE, Source, Stored};
use crate::service::stored_json::check_json;

/// How columns are read.
pub(in crate::grpc) struct Read<'a> {
    pub(in crate::grpc) schema: &'a Arc<Schema>,
    pub(in crate::grpc) zone: Zone,
    /// Whether rows replace those with their keys: then each carries one, and no two the same.
    pub(in crate::grpc) upsert: bool,
    /// Whether rows of a collection that gives out the keys may carry them.
    pub(in crate::grpc) keys_allowed: bool,
    /// Where stored rows are read, of which rows leave out fields that stay as they are.
    pub(in crate::grpc) source: Option<&'a Source<'a>>,
}

/// Reads the columns.
///
/// # Errors
/// 1100 in Milvus's words.
pub(in crate::grpc) fn read(how: &Read<'_>, given: Vec<FieldData>, rows: usize) -> Result<Batch, ApiError> {
    if rows == 0 {
        return Err(ApiError::invalid("the num_rows should be greater than 0: invalid parameter"));
    }
    let mut reader = Reader::new(how, given, rows)?;
    let mut begin = 0;
    while begin < rows {
        let end = rows.min(begin + ROWS_AT_ONCE);
        if let Some(source) = how.source {
            reader.stored = Some((begin, reader.read_stored(source, begin, end)?));
        }
        (begin..end).try_for_each(|row| reader.row(row))?;
        begin = end;
    }
    let partitions = std::mem::take(&mut reader.partitions);
    let batch = reader.builder.finish()?;
    Ok(if how.source.is_some() { batch.in_partitions(partitions)? } else { batch })
}

struct Reader<'a> {
    how: &'a Read<'a>,
    builder: BatchBuilder,
    /// By the position of the field; none where the request has no column for it.
    columns: Vec<Option<Column>>,
    dynamic: Option<Column>,
    /// Some stored rows, from the row of the request that the first belongs to on.
    stored: Option<(usize, Stored)>,
    partitions: Vec<i32>,
    keys: HashSet<Key>,
}

fn refuse(reason: impl std::fmt::Display) -> ApiError {
    ApiError::invalid(format!("{reason}: invalid parameter"))
}

impl<'a> Reader<'a> {
    fn new(how: &'a Read<'a>, given: Vec<FieldData>, rows: usize) -> Result<Self, ApiError> {
        let schema = how.schema;
        let mut columns: Vec<Option<Column>> = schema.fields().iter().map(|_| None).collect();
        let mut dynamic = None;
        for data in given {
            if data.is_dynamic || data.field_name == DYNAMIC_FIELD {
                if !schema.dynamic() {
                    return Err(refuse("has pass more field without dynamic schema, please check it"));
                }
                let meta = Field::new(DYNAMIC_FIELD, DataType::Json);
                dynamic = Some(Column::new(&meta, data, rows).map_err(refuse)?);
                continue;
            }
            let Some((position, field)) = schema.field(&data.field_name) else {
                let message = format!("fieldName {} not exist in collection schema", data.field_name);
                return Err(refuse(message));
            };
            let column = Column::new(field, data, rows).map_err(refuse)?;
            if let Some(place) = columns.get_mut(position)
                && place.replace(column).is_some()
            {
                return Err(refuse(format!("field {} has two columns", field.name)));
            }
        }
        let keys = Self::key_source(how, &mut columns)?;
        let fields = schema.fields().iter().zip(&columns);
        let missing = fields.filter(|(field, column)| {
            let filled = field.nullable || field.default.is_some() || field.function_output;
            let generated = field.primary && keys == KeySource::Generated;
            column.is_none() && !filled && !generated && (how.source.is_none() || field.primary)
        });
        if let Some((field, _)) = missing.into_iter().next() {
            return Err(refuse(format!(
                "fieldSchema({}) has no corresponding fieldData pass in",
                field.name
            )));
        }
        let mut builder = BatchBuilder::new(schema, keys);
        for (position, column) in columns.iter().enumerate() {
            builder.reserve(position, column.as_ref().map_or(0, Column::dense));
        }
        Ok(Self {
            how,
            builder,
            columns,
            dynamic,
            stored: None,
            partitions: Vec::new(),
            keys: HashSet::new(),
        })
    }

    /// Where the keys come from.
    fn key_source(how: &Read<'_>, columns: &mut [Option<Column>]) -> Result<KeySource, ApiError> {
        let key = how.schema.primary();
        let position = how.schema.field(&key.name).map_or(0, |(position, _)| position);
        let carried = columns.get(position).is_some_and(Option::is_some);
        match (key.auto_id && !how.upsert, carried) {
            (true, true) if !how.keys_allowed => {
                Err(refuse(format!("no need to pass pk field({}) when autoid == true in insert", key.name)))
            }
            (true, false) => Ok(KeySource::Generated),
            _ => Ok(KeySource::Given),
        }
    }

    /// Reads what some rows leave out.
    fn read_stored(&self, source: &Source<'_>, begin: usize, end: usize) -> Result<Stored, ApiError> {
        let schema = self.how.schema;
        let mut needed = Needed::new(schema, &source.operations);
        let carried = |field: &Field| self.column(&field.name).is_some();
        needed.add(carried);
        let keys: Vec<Option<Key>> = (begin..end).map(|row| self.key(row)).collect();
        source.read(schema, &keys, &needed)
    }

    fn column(&self, name: &str) -> Option<&Column> {
        let (position, _) = self.how.schema.field(name)?;
        self.columns.get(position)?.as_ref()
    }

    /// The key that a row carries.
    fn key(&self, row: usize) -> Option<Key> {
        match self.column(&self.how.schema.primary().name)?.key(row)? {
            Value::Int(key) => Some(Key::Int(key)),
            Value::Text(key) => Some(Key::Text(key.to_owned())),
            _ => None,
        }
    }

    fn row(&mut self, row: usize) -> Result<(), ApiError> {
        if self.how.upsert
            && let Some(key) = self.key(row)
            && !self.keys.insert(key)
        {
            return Err(refuse("duplicate primary keys are not allowed in the same batch"));
        }
        let stored = self.stored.as_ref().map(|(first, stored)| (stored, stored.base(row - first)));
        if let Some((stored, base)) = stored {
            self.partitions.push(base.map_or(0, |base| stored.partition(base)));
        }
        let stored = stored.and_then(|(stored, base)| Some((stored, base?)));
        for (position, (field, column)) in self.how.schema.fields().iter().zip(&mut self.columns).enumerate()
        {
            let operation = self.how.source.and_then(|source| source.operation(&field.name));
            let change =
                stored.zip(operation).map(|((stored, base), operation)| Change { stored, base, operation });
            let set = match (column, stored) {
                (Some(column), _) => {
                    column.set(&mut self.builder, position, field, &self.how.zone, change.as_ref())
                }
                (None, Some((stored, base))) if !field.primary && !field.function_output => {
                    stored.keep(base, &mut self.builder, position, &field.name)
                }
                (None, _) => Ok(()),
            };
            set.map_err(refused_row)?;
        }
        set_dynamic(&mut self.builder, self.how.schema, self.dynamic.as_mut(), stored, row)?;
        self.builder.end_row().map_err(refused_row)
    }
}

/// Sets the undeclared keys of the row under construction: those that the request carries, and those of the stored row that
/// it leaves as they are. There, null takes a key away.
fn set_dynamic(
    builder: &mut BatchBuilder,
    schema: &Schema,
    column: Option<&mut Column>,
    stored: Option<(&Stored, usize)>,
    row: usize,
) -> Result<(), ApiError> {
    let mut carried = HashSet::new();
    let text = column.map(|column| column.json(row)).transpose().map_err(refuse)?.flatten();
    if let Some(text) = text {
        check_json(text).map_err(refuse)?;
        let members = json::members(text).ok_or_else(|| refuse("the dynamic field is no JSON object"))?;
        for (key, value) in members {
            let key = key.ok_or_else(|| refuse("a key of the dynamic field is no text"))?;
            if schema.field(&key).is_some() {
                return Err(refuse(format!(
                    "dynamic field key {key} is the name of a declared field: it can't be given twice"
                )));
            }
            if stored.is_none() || value != "null" {
                builder.set_dynamic(&key, value).map_err(refused_row)?;
            }
            carried.insert(key.into_owned());
        }
    }
    let Some((stored, base)) = stored else { return Ok(()) };
    for (key, value) in stored.undeclared(base) {
        if !carried.contains(&key) {
            builder.set_dynamic(&key, value).map_err(refused_row)?;
        }
    }
    Ok(())
}

/// A row that does not fit, in Milvus's code for it over gRPC.
fn refused_row(error: EngineError) -> ApiError {
    match error {
        EngineError::InvalidRow { .. } => refuse(error),
        other => other.into(),
    }
}
