//! Upserts of some fields only: what the stored rows have is taken for the fields that a request leaves out. They are read a
//! few at a time, and no more of them than is needed.

use std::collections::HashMap;

use elanus_engine::row::{BatchBuilder, Key, Keys, OutputValue, Projection, Rows, Value};
use elanus_engine::schema::{DYNAMIC_FIELD, DataType, Field, Schema};
use elanus_engine::{Collection, EngineError};

use crate::error::ApiError;
use crate::service::json;

/// What a request does with the value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Its value takes the place of the stored one.
    Replace,
    /// Its elements are added behind the stored ones.
    Append,
    /// Its elements are taken out of the stored ones.
    Remove,
}

/// The operations of a request, by field.
#[derive(Debug, Default)]
pub(crate) struct Operations(HashMap<String, Operation>);

impl Operations {
    /// Notes an operation.
    ///
    /// # Errors
    /// 1100 when the field has one already.
    pub(crate) fn add(&mut self, field: String, operation: Operation) -> Result<(), ApiError> {
        if self.0.contains_key(&field) {
            return Err(ApiError::invalid(format!("field {field} has two field ops: invalid parameter")));
        }
        self.0.insert(field, operation);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that each is for a field that it can be done on.
    ///
    /// # Errors
    /// 1100 naming the field.
    pub(crate) fn check(&self, schema: &Schema) -> Result<(), ApiError> {
        for (name, operation) in &self.0 {
            let (_, field) = schema
                .field(name)
                .ok_or_else(|| ApiError::from(EngineError::FieldNotFound { name: name.clone() }))?;
            if *operation != Operation::Replace && field.data_type != DataType::Array {
                return Err(ApiError::invalid(format!(
                    "array operations need an Array field, {name} is {}: invalid parameter",
                    field.data_type
                )));
            }
        }
        Ok(())
    }
}

/// Stored rows that are read at once.
pub(crate) const ROWS_AT_ONCE: usize = 256;

/// Where the stored rows of a request are read, and what is done with their values.
pub(crate) struct Source<'c> {
    pub(crate) collection: &'c Collection,
    pub(crate) operations: Operations,
}

impl Source<'_> {
    /// Reads what some rows of a request leave out, by their keys.
    ///
    /// # Errors
    /// 1100 when the stored rows hold too much.
    pub(crate) fn read(
        &self,
        schema: &Schema,
        keys: &[Option<Key>],
        needed: &Needed<'_>,
    ) -> Result<Stored, ApiError> {
        let key_field = schema.primary();
        let mut wanted = Keys::empty(key_field.data_type);
        keys.iter().flatten().for_each(|key| wanted.push(key.as_ref()));
        let stored = self.collection.get(&wanted, &needed.projection()?).map_err(|error| match error {
            EngineError::AnswerTooLarge { limit } => ApiError::invalid(format!(
                "the fields that {} rows of a partial upsert leave out have more than {limit} bytes: upsert fewer rows at once",
                keys.len()
            )),
            other => other.into(),
        })?;
        let places: HashMap<Key, usize> =
            (0..stored.len).filter_map(|row| Some((stored.key(row)?.to_key(), row))).collect();
        // A row without a key is refused when it is read.
        let bases = keys.iter().map(|key| places.get(key.as_ref()?).copied()).collect();
        Ok(Stored { rows: stored, bases })
    }

    /// The operation that a field is to get.
    pub(crate) fn operation(&self, name: &str) -> Option<Operation> {
        self.operations.0.get(name).copied()
    }
}

/// The fields that any of some rows leaves out, or that are changed in their place.
pub(crate) struct Needed<'s> {
    schema: &'s Schema,
    fields: Vec<(&'s Field, bool)>,
}

impl<'s> Needed<'s> {
    pub(crate) fn new(schema: &'s Schema, operations: &Operations) -> Self {
        let changed = |field: &Field| {
            matches!(operations.0.get(&field.name), Some(Operation::Append | Operation::Remove))
        };
        // What a function fills is made anew.
        let stored = schema.fields().iter().filter(|field| !field.function_output);
        Self { schema, fields: stored.map(|field| (field, changed(field))).collect() }
    }

    /// Counts a row that carries these fields.
    pub(crate) fn add(&mut self, carries: impl Fn(&Field) -> bool) {
        self.fields.iter_mut().for_each(|(field, needed)| *needed |= !carries(field));
    }

    fn projection(&self) -> Result<Projection, EngineError> {
        let fields = self.fields.iter().filter(|(_, needed)| *needed);
        let mut names: Vec<&str> = fields.map(|(field, _)| field.name.as_str()).collect();
        // Which undeclared keys a row has is known only when it is read.
        names.extend(self.schema.dynamic().then_some(DYNAMIC_FIELD));
        Ok(Projection { partitions: true, ..Projection::resolve(self.schema, &names)? })
    }
}

/// Some stored rows, as far as the rows of a request leave them as they are.
pub(crate) struct Stored {
    rows: Rows,
    /// Which of them each row of the request changes.
    bases: Vec<Option<usize>>,
}

impl Stored {
    /// Which of the stored rows a row of the request changes, by its position among those that they were read for.
    pub(crate) fn base(&self, position: usize) -> Option<usize> {
        self.bases.get(position).copied().flatten()
    }

    /// Number of the partition of a stored row.
    pub(crate) fn partition(&self, row: usize) -> i32 {
        self.rows.partition(row)
    }

    /// Sets a field that the request leaves out.
    pub(crate) fn keep(
        &self,
        row: usize,
        builder: &mut BatchBuilder,
        position: usize,
        name: &str,
    ) -> Result<(), EngineError> {
        match self.rows.column(name) {
            Some(column) => builder.set_stored(position, &column.value(row)),
            None => Ok(()),
        }
    }

    /// The undeclared keys of a row, with their raw values.
    pub(crate) fn undeclared(&self, row: usize) -> Vec<(String, &str)> {
        let members = self.rows.dynamic_json(row).and_then(json::members);
        members.into_iter().flatten().filter_map(|(key, value)| Some((key?.into_owned(), value))).collect()
    }

    /// The elements that a field gets from those that a request gives.
    pub(crate) fn combine<'v>(
        &'v self,
        row: usize,
        name: &str,
        operation: Operation,
        given: &[Value<'v>],
    ) -> Option<Vec<Value<'v>>> {
        let before: Vec<Value<'v>> = match self.rows.column(name)?.value(row) {
            OutputValue::List(list) => list.iter().map(|item| item.as_value()).collect(),
            _ => Vec::new(),
        };
        match operation {
            Operation::Replace => None,
            Operation::Append => Some(before.into_iter().chain(given.iter().copied()).collect()),
            Operation::Remove => Some(before.into_iter().filter(|item| !given.contains(item)).collect()),
        }
    }
}
