//! One value of an Arrow column as a value of the engine.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use elanus_engine::row::Value;

/// Whether values of such a column can be read.
///
/// # Errors
/// A sentence for the others.
pub(super) fn check(data_type: &DataType) -> Result<(), String> {
    match data_type {
        DataType::List(item) if !matches!(item.data_type(), DataType::List(_)) => check(item.data_type()),
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::FixedSizeBinary(_)
        | DataType::Timestamp(..) => Ok(()),
        other => Err(format!("columns of type {other} are not supported")),
    }
}

/// The value in a row; the elements of a list are put into `items`.
///
/// # Errors
/// A sentence when no field can hold it.
pub(super) fn value<'a>(
    array: &'a dyn Array,
    row: usize,
    items: &'a mut Vec<Value<'a>>,
) -> Result<Value<'a>, String> {
    if row >= array.len() || array.is_null(row) {
        return Ok(Value::Null);
    }
    let DataType::List(_) = array.data_type() else { return single(array, row) };
    let lists = array.as_list::<i32>();
    let offsets = lists.value_offsets();
    let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
    let elements: &'a dyn Array = lists.values().as_ref();
    match elements.data_type() {
        // What has no nulls in it, as vectors do, needs no look at each element.
        DataType::UInt8 if elements.null_count() == 0 => {
            Ok(Value::Bytes(&elements.as_primitive::<UInt8Type>().values()[from..to]))
        }
        DataType::Float32 if elements.null_count() == 0 => {
            let values = &elements.as_primitive::<Float32Type>().values()[from..to];
            items.extend(values.iter().map(|&v| Value::Float(v.into())));
            Ok(Value::List(items))
        }
        _ => {
            for at in from..to {
                items.push(if elements.is_null(at) { Value::Null } else { single(elements, at)? });
            }
            Ok(Value::List(items))
        }
    }
}

fn single(array: &dyn Array, row: usize) -> Result<Value<'_>, String> {
    Ok(match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => integer::<Int8Type>(array, row),
        DataType::Int16 => integer::<Int16Type>(array, row),
        DataType::Int32 => integer::<Int32Type>(array, row),
        DataType::Int64 => integer::<Int64Type>(array, row),
        DataType::UInt8 => integer::<UInt8Type>(array, row),
        DataType::UInt16 => integer::<UInt16Type>(array, row),
        DataType::UInt32 => integer::<UInt32Type>(array, row),
        DataType::UInt64 => {
            let value = array.as_primitive::<UInt64Type>().value(row);
            Value::Int(i64::try_from(value).map_err(|_| format!("the value {value} is out of range"))?)
        }
        DataType::Float16 => Value::Float(array.as_primitive::<Float16Type>().value(row).into()),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row)),
        DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => Value::Bytes(array.as_fixed_size_binary().value(row)),
        DataType::Timestamp(unit, _) => moment(array, *unit, row)?,
        other => return Err(format!("columns of type {other} are not supported")),
    })
}

fn integer<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &dyn Array, row: usize) -> Value<'static> {
    Value::Int(array.as_primitive::<T>().value(row).into())
}

/// Microseconds since 1970.
fn moment(array: &dyn Array, unit: TimeUnit, row: usize) -> Result<Value<'static>, String> {
    let (ticks, factor) = match unit {
        TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 1_000_000),
        TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().value(row), 1000),
        TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().value(row), 1),
        TimeUnit::Nanosecond => {
            let ticks = array.as_primitive::<TimestampNanosecondType>().value(row);
            return Ok(Value::Int(ticks.div_euclid(1000)));
        }
    };
    ticks.checked_mul(factor).map(Value::Int).ok_or_else(|| format!("the moment {ticks} is out of range"))
}
