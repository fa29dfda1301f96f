//! Names: fields, elements, JSON paths and dynamic keys; and whether something is there at all.

use super::super::ast::{Expr, FieldRef, Step};
use super::super::fault::Fault;
use super::super::operand::{Operand, Place};
use super::super::predicate::{Predicate, Source};
use super::{Binder, Bound, Result};
use crate::schema::{DYNAMIC_FIELD, DataType};

impl Binder<'_> {
    pub(super) fn field(&self, field: &FieldRef, at: usize) -> Result<Operand> {
        // Behind the last declared column.
        let dynamic_column = self.schema.column_fields().count();
        if field.name == DYNAMIC_FIELD && self.schema.dynamic() {
            return Ok(Operand::json(dynamic_column, field.path.clone()));
        }
        let Some((_, declared)) = self.schema.field(&field.name) else {
            if !self.schema.dynamic() {
                return Err(Fault::new(at, format!("field {} not exist", field.name)));
            }
            let key = std::iter::once(Step::Key(field.name.clone()));
            return Ok(Operand::json(dynamic_column, key.chain(field.path.iter().cloned()).collect()));
        };
        // A dense vector has no column; every use of one is refused by its type before the position is read.
        let column = self.schema.column_of(&declared.name).unwrap_or(usize::MAX);
        match (declared.data_type, field.path.as_slice()) {
            (DataType::Json, path) => Ok(Operand::json(column, path.to_vec())),
            (data_type, []) => {
                Ok(Operand::declared(Source::Column(column), data_type, declared.element_type))
            }
            (DataType::Array, [Step::Index(index)]) => {
                let element_type = declared.element_type.unwrap_or(DataType::Bool);
                Ok(Operand::declared(Source::Element(column, *index), element_type, None))
            }
            (DataType::Array, _) => Err(Fault::new(at, "can only access array field with integer index")),
            (data_type, _) => {
                Err(Fault::new(at, format!("{data_type} data type not supported accessed with []")))
            }
        }
    }

    pub(super) fn exists(&self, path: &Expr) -> Result<Predicate> {
        match self.bind(path)? {
            Bound::Operand(operand) if operand.data_type != DataType::Json => {
                let message =
                    format!("exists operations are only supportted on json field, got:{}", operand.data_type);
                Err(Fault::new(path.start, message))
            }
            Bound::Operand(Operand { place: Place::Json { column, path: steps, .. }, .. })
                if !steps.is_empty() =>
            {
                Ok(Predicate::Exists { column, path: steps })
            }
            _ => Err(Fault::new(path.start, "exists operations are only supportted on json key")),
        }
    }

    pub(super) fn is_null(&self, negated: bool, field: &Expr) -> Result<Predicate> {
        let Bound::Operand(operand) = self.bind(field)? else {
            return Err(Fault::new(field.start, "IsNull/IsNotNull operations need a field"));
        };
        if operand.data_type.is_vector() {
            return Err(Fault::new(
                field.start,
                "IsNull/IsNotNull operations are not supported on vector fields",
            ));
        }
        let is_null = match operand.place {
            Place::Declared(source) => Predicate::IsNull { source },
            Place::Json { column, path, .. } if path.is_empty() => {
                Predicate::IsNull { source: Source::Column(column) }
            }
            Place::Json { column, path, .. } => Predicate::Exists { column, path }.negated(),
        };
        Ok(if negated { is_null.negated() } else { is_null })
    }
}
