//! Dense vectors of narrow numbers. In memory each value is a 32-bit float that the narrow type holds exactly; on the
//! wire it has the type's own bytes, little-endian.

use half::{bf16, f16};

use crate::schema::DataType;

/// Bytes of one value of a dense vector type.
pub fn width(data_type: DataType) -> usize {
    match data_type {
        DataType::Float16Vector | DataType::BFloat16Vector => 2,
        DataType::Int8Vector => 1,
        _ => 4,
    }
}

/// The nearest value that the type holds; `None` if there is none (too large, or no whole number).
pub(crate) fn fit(data_type: DataType, value: f32) -> Option<f32> {
    let fitted = match data_type {
        DataType::Float16Vector => f16::from_f32(value).to_f32(),
        DataType::BFloat16Vector => bf16::from_f32(value).to_f32(),
        DataType::Int8Vector => {
            return (value.fract() == 0.0 && (-128.0..=127.0).contains(&value)).then_some(value + 0.0);
        }
        _ => value,
    };
    fitted.is_finite().then_some(fitted)
}

/// Appends the values that `bytes` hold; false when they are no whole number of values.
pub fn unpack(data_type: DataType, bytes: &[u8], out: &mut Vec<f32>) -> bool {
    if !bytes.len().is_multiple_of(width(data_type)) {
        return false;
    }
    match data_type {
        DataType::Float16Vector => {
            out.extend(bytes.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()));
        }
        DataType::BFloat16Vector => {
            out.extend(bytes.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()));
        }
        DataType::Int8Vector => out.extend(bytes.iter().map(|&b| f32::from(b as i8))),
        _ => out.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
    }
    true
}

/// The bytes of values that fit the type.
pub fn pack(data_type: DataType, values: &[f32]) -> Vec<u8> {
    match data_type {
        DataType::Float16Vector => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
        DataType::BFloat16Vector => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        DataType::Int8Vector => values.iter().map(|&v| v as i8 as u8).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPES: [DataType; 4] =
        [DataType::FloatVector, DataType::Float16Vector, DataType::BFloat16Vector, DataType::Int8Vector];

    #[test]
    fn what_a_type_cannot_hold_is_refused() {
        assert_eq!(fit(DataType::Int8Vector, 127.0), Some(127.0));
        for wrong in [128.0, -129.0, 0.5, f32::NAN, f32::INFINITY] {
            assert_eq!(fit(DataType::Int8Vector, wrong), None);
        }
        assert_eq!(fit(DataType::Float16Vector, 70_000.0), None);
        assert_eq!(fit(DataType::Float16Vector, 0.1), Some(0.099_975_586));
    }

    proptest! {
        #[test]
        fn packing_keeps_what_fits(value in prop::num::f32::NORMAL) {
            for data_type in TYPES {
                let Some(fitted) = fit(data_type, value) else { continue };
                prop_assert_eq!(fit(data_type, fitted), Some(fitted));
                let bytes = pack(data_type, &[fitted]);
                prop_assert_eq!(bytes.len(), width(data_type));
                let mut back = Vec::new();
                prop_assert!(unpack(data_type, &bytes, &mut back));
                prop_assert_eq!(back, vec![fitted]);
            }
        }
    }
}
