//! Constants as sets, converted to the type of the values that are looked up in them: for `in` and for what arrays
//! contain.

use super::condition::{BoolTest, ColumnTest, NumberTest, TextTest, ValueTest};
use super::constant::Constant;
use super::number::Number;
use super::set::IntegerSet;
use crate::schema::DataType;

/// The constant as a field of this type sees it: a Float field holds 32 bits, so `f == 0.1` means its 0.1.
pub(super) fn fitted(data_type: DataType, number: Number) -> Number {
    if data_type == DataType::Float { number.to_single() } else { number }
}

fn sorted_numbers(data_type: DataType, constants: &[Constant]) -> Vec<Number> {
    let numbers = constants.iter().filter_map(Constant::number);
    let mut numbers: Vec<Number> = numbers.map(|number| fitted(data_type, number)).collect();
    numbers.sort_by(|a, b| a.compare(*b));
    numbers.dedup_by(|a, b| a.compare(*b).is_eq());
    numbers
}

fn sorted_texts(constants: Vec<Constant>) -> Vec<String> {
    let text = |constant| if let Constant::Text(text) = constant { Some(text) } else { None };
    let mut texts: Vec<String> = constants.into_iter().filter_map(text).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn boolean_set(constants: &[Constant]) -> BoolTest {
    let holds = |boolean| constants.contains(&Constant::Bool(boolean));
    BoolTest { on_true: holds(true), on_false: holds(false) }
}

/// Membership among constants for values of a declared type, which they compare to.
pub(super) fn column_set(data_type: DataType, constants: Vec<Constant>) -> ColumnTest {
    let numbers = sorted_numbers(data_type, &constants);
    match data_type {
        DataType::Bool => ColumnTest::Bool(boolean_set(&constants)),
        DataType::Float => ColumnTest::SingleSet(numbers.iter().map(|n| n.to_f64() as f32).collect()),
        // An integer between two floats equals neither.
        DataType::Double => ColumnTest::DoubleSet(numbers.iter().filter_map(|n| n.to_double()).collect()),
        DataType::VarChar => ColumnTest::Text(TextTest::Set(sorted_texts(constants))),
        DataType::Timestamptz => {
            let moment = |c: &Constant| if let Constant::Moment(moment) = c { Some(*moment) } else { None };
            ColumnTest::IntSet(IntegerSet::new(constants.iter().filter_map(moment).collect()))
        }
        _ => ColumnTest::IntSet(IntegerSet::new(numbers.iter().filter_map(|n| n.to_i64()).collect())),
    }
}

/// Membership among constants of any types. With no constants a value of any type is known not to be among them.
pub(super) fn json_set(constants: Vec<Constant>) -> ValueTest {
    let none = constants.is_empty();
    let numbers = sorted_numbers(DataType::Json, &constants);
    let any_bool = constants.iter().any(Constant::is_bool);
    let boolean = boolean_set(&constants);
    let texts = sorted_texts(constants);
    ValueTest {
        number: (none || !numbers.is_empty()).then_some(NumberTest::Set(numbers)),
        text: (none || !texts.is_empty()).then_some(TextTest::Set(texts)),
        boolean: (none || any_bool).then_some(boolean),
    }
}
