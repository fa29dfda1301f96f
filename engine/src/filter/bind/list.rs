//! Arrays as wholes: equality with a list, what they contain, how long they are.

use super::super::ast::{Argument, Quantity};
use super::super::constant::Constant;
use super::super::fault::Fault;
use super::super::json::ValueSet;
use super::super::membership::column_set;
use super::super::number::Number;
use super::super::operand::{Operand, Place};
use super::super::predicate::{Elements, JsonListTest, ListTest, Predicate, Source};
use super::{Binder, Bound, Result};
use crate::schema::DataType;

impl Binder<'_> {
    /// The term `operand == [items]`; `None` if the operand is no array.
    pub(super) fn same_list(operand: Operand, items: Vec<Constant>, at: usize) -> Result<Option<Predicate>> {
        if !operand.is_plain() {
            return Ok(None);
        }
        let column = match operand.place {
            Place::Json { column, path, .. } => {
                return Ok(Some(Predicate::JsonList { column, path, test: JsonListTest::Same(items) }));
            }
            Place::Declared(Source::Column(column)) if operand.data_type == DataType::Array => column,
            Place::Declared(_) => return Ok(None),
        };
        let element_type = operand.element_type.unwrap_or(DataType::Bool);
        if let Some(item) = items.iter().find(|item| !item.casts_to(element_type)) {
            let message =
                format!("comparisons between {element_type} and {} are not supported", item.type_name());
            return Err(Fault::new(at, message));
        }
        let test = elements(element_type, &items).map_or(ListTest::Never, ListTest::Same);
        Ok(Some(Predicate::List { column, test }))
    }

    pub(super) fn contains(
        &self,
        quantity: Quantity,
        arguments: &[Argument],
        at: usize,
    ) -> Result<Predicate> {
        let name = match quantity {
            Quantity::One => "Contains",
            Quantity::All => "ContainsAll",
            Quantity::Any => "ContainsAny",
        };
        let [Argument { label: None, value: array }, Argument { label: None, value }] = arguments else {
            let message = format!("{name} operation needs two arguments: an array field and what it holds");
            return Err(Fault::new(at, message));
        };
        let operand = match self.bind(array)? {
            Bound::Operand(operand)
                if operand.is_plain() && matches!(operand.data_type, DataType::Array | DataType::Json) =>
            {
                operand
            }
            other => {
                let message = format!(
                    "{name} operation are only supported on json or array fields now, got: {}",
                    other.type_name()
                );
                return Err(Fault::new(array.start, message));
            }
        };
        let values = match (quantity, self.constant(value)?) {
            (Quantity::One, value) => vec![value],
            (_, Constant::List(values)) => values,
            _ => return Err(Fault::new(value.start, format!("{name} operation element must be an array"))),
        };
        let all = quantity == Quantity::All;
        let column = match operand.place {
            Place::Json { column, path, .. } => {
                // An array in JSON holds no moments or intervals.
                if let Some(other) = values.iter().find(|v| !may_be_json(v)) {
                    let message = format!("{name} operation can't compare JSON and {}", other.type_name());
                    return Err(Fault::new(value.start, message));
                }
                let set = ValueSet::new(values);
                let test = if all { JsonListTest::All(set) } else { JsonListTest::Any(set) };
                return Ok(Predicate::JsonList { column, path, test });
            }
            Place::Declared(source) => source.column(),
        };
        let element_type = operand.element_type.unwrap_or(DataType::Bool);
        if let Some(other) = values.iter().find(|value| !value.compares_to(element_type)) {
            let message = format!(
                "{name} operation can't compare between array element type: {element_type} and {}",
                other.type_name()
            );
            return Err(Fault::new(value.start, message));
        }
        let test = if all {
            elements(element_type, &values).map_or(ListTest::Never, |e| ListTest::All(e.sorted()))
        } else {
            ListTest::Any(column_set(element_type, values))
        };
        Ok(Predicate::List { column, test })
    }

    pub(super) fn length(&self, arguments: &[Argument], at: usize) -> Result<Operand> {
        let [Argument { label: None, value: array }] = arguments else {
            return Err(Fault::new(at, "array_length needs one argument, an array field"));
        };
        let bound = self.bind(array)?;
        let data_type = bound.type_name();
        let length = if let Bound::Operand(operand) = bound { operand.length() } else { None };
        length.ok_or_else(|| {
            let message = format!(
                "array_length operation are only supported on json or array fields now, got: {data_type}"
            );
            Fault::new(array.start, message)
        })
    }
}

fn may_be_json(constant: &Constant) -> bool {
    match constant {
        Constant::List(items) => items.iter().all(may_be_json),
        Constant::Moment(_) | Constant::Interval(_) => false,
        _ => true,
    }
}

/// The constants in the elements' type; `None` if some can be no element.
fn elements(element_type: DataType, constants: &[Constant]) -> Option<Elements> {
    let numbers = || constants.iter().map(Constant::number);
    Some(match element_type {
        DataType::Bool => {
            let boolean = |c: &Constant| if let Constant::Bool(value) = c { Some(*value) } else { None };
            Elements::Bools(constants.iter().map(boolean).collect::<Option<_>>()?)
        }
        DataType::VarChar => {
            let text = |c: &Constant| if let Constant::Text(text) = c { Some(text.clone()) } else { None };
            Elements::Texts(constants.iter().map(text).collect::<Option<_>>()?)
        }
        // A Float element holds 32 bits: its 0.1 is the constant's 0.1.
        DataType::Float => {
            Elements::Singles(numbers().map(|n| n.map(|n| n.to_f64() as f32)).collect::<Option<_>>()?)
        }
        DataType::Double => {
            Elements::Doubles(numbers().map(|n| n.and_then(Number::to_double)).collect::<Option<_>>()?)
        }
        _ => Elements::Ints(numbers().map(|n| n.and_then(Number::to_i64)).collect::<Option<_>>()?),
    })
}
