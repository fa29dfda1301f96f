//! What a message may become in memory. A message of a few bytes can announce itself as many: a field of two bytes is an
//! empty message, which takes hundreds of bytes once it is decoded. So fields are counted before anything is decoded,
//! without knowing the schema: whatever can be read as fields is taken for such.

use bytes::Buf;

use crate::error::ApiError;

/// Fields at the top of a message, where the largest structures are.
const MOST_AT_TOP: usize = 1 << 16;
/// Fields of all depths: so many at any rate, and one for so many bytes.
const MOST_AT_ANY_RATE: usize = 1 << 18;
const BYTES_A_FIELD: usize = 8;
/// Messages within messages that are looked into: no request of Milvus's has data deeper.
const DEPTH: usize = 8;

struct Counted {
    at_top: usize,
    all: usize,
    most: usize,
}

/// Refuses a message with more fields than any request has reason for.
///
/// # Errors
/// 1100.
pub(super) fn check(message: &[u8]) -> Result<(), ApiError> {
    let most = MOST_AT_ANY_RATE + message.len() / BYTES_A_FIELD;
    let mut counted = Counted { at_top: 0, all: 0, most };
    let _ = count(message, 0, &mut counted);
    let Counted { at_top, all, .. } = counted;
    if at_top <= MOST_AT_TOP && all <= most {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "the message has more fields than any request needs ({at_top} at the top, {all} in all): send less at once: \
         invalid parameter"
    )))
}

/// Counts fields with a length of their own, by depth, until there are too many or what follows is no field.
fn count(mut bytes: &[u8], depth: usize, counted: &mut Counted) -> Option<()> {
    while !bytes.is_empty() && counted.all <= counted.most {
        let key = prost::encoding::decode_varint(&mut bytes).ok()?;
        match key & 7 {
            _ if key >> 3 == 0 => return None,
            0 => drop(prost::encoding::decode_varint(&mut bytes).ok()?),
            1 => bytes = bytes.get(8..)?,
            5 => bytes = bytes.get(4..)?,
            2 => {
                let length = usize::try_from(prost::encoding::decode_varint(&mut bytes).ok()?).ok()?;
                let inner = bytes.get(..length)?;
                counted.all += 1;
                counted.at_top += usize::from(depth == 0);
                if depth < DEPTH {
                    // Of text and numbers a few may look like fields; a decoder, too, takes what comes before a fault.
                    let _ = count(inner, depth + 1, counted);
                }
                bytes.advance(length);
            }
            _ => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::grpc::messages::{HybridSearchRequest, InsertRequest, SearchRequest};
    use crate::grpc::wire_schema::field_data::Field;
    use crate::grpc::wire_schema::scalar_field::Data;
    use crate::grpc::wire_schema::vector_field::Data as VectorData;
    use crate::grpc::wire_schema::{FieldData, FloatArray, ScalarField, StringArray, VectorField};

    #[test]
    fn requests_pass_and_floods_do_not() {
        let texts = |text: &str, count: usize| {
            let data = vec![text.to_owned(); count];
            let data = Some(Data::StringData(StringArray { data }));
            FieldData {
                field: Some(Field::Scalars(ScalarField { data, ..ScalarField::default() })),
                ..FieldData::default()
            }
        };
        let floats = |count: usize| {
            let data = (0..count).map(|i| (i as f32).sin()).collect();
            let data = Some(VectorData::FloatVector(FloatArray { data }));
            FieldData {
                field: Some(Field::Vectors(VectorField { dim: 8, data, ..VectorField::default() })),
                ..FieldData::default()
            }
        };
        let insert = |fields_data| InsertRequest { fields_data, ..InsertRequest::default() }.encode_to_vec();
        check(&insert(vec![texts("cat", 100_000), texts("", 100_000), floats(800_000)])).unwrap();
        check(&insert(vec![texts("a text of some length", 500_000)])).unwrap();
        assert_eq!(check(&insert(vec![texts("", 1_000_000)])).unwrap_err().code, 1100);
        let requests = vec![SearchRequest::default(); 100_000];
        let flood = HybridSearchRequest { requests, ..HybridSearchRequest::default() }.encode_to_vec();
        assert_eq!(check(&flood).unwrap_err().code, 1100);
        check(&[]).unwrap();
        check(&[0xff; 100]).unwrap();
    }

    #[test]
    fn messages_within_messages_end() {
        let mut nested = Vec::new();
        for _ in 0..10_000 {
            let mut outer = vec![0x0a];
            prost::encoding::encode_varint(nested.len() as u64, &mut outer);
            outer.extend(nested);
            nested = outer;
        }
        check(&nested).unwrap();
    }
}
