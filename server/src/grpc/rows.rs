//! Requests that carry rows. These messages are Milvus's, written down once more for one reason: vectors of floats are most of
//! their bytes, and need not be decoded number by number. A packed list of floats is, in the protocol, the bytes of the
//! matrix; here it stays what it is, a part of the message that was received.

use bytes::{Buf, BufMut, Bytes};
use prost::DecodeError;
use prost::encoding::{self, DecodeContext, WireType};

use super::wire_schema::{
    FieldPartialUpdateOp, ScalarField, SparseFloatArray, StructArrayField, VectorArray,
};

/// `milvus.proto.milvus.InsertRequest`, but for what means nothing here.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InsertRequest {
    #[prost(string, tag = "2")]
    pub(super) db_name: String,
    #[prost(string, tag = "3")]
    pub(super) collection_name: String,
    #[prost(string, tag = "4")]
    pub(super) partition_name: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) fields_data: Vec<FieldData>,
    #[prost(uint32, tag = "7")]
    pub(super) num_rows: u32,
    #[prost(uint64, tag = "8")]
    pub(super) schema_timestamp: u64,
}

/// `milvus.proto.milvus.UpsertRequest`, but for what means nothing here.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UpsertRequest {
    #[prost(string, tag = "2")]
    pub(super) db_name: String,
    #[prost(string, tag = "3")]
    pub(super) collection_name: String,
    #[prost(string, tag = "4")]
    pub(super) partition_name: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) fields_data: Vec<FieldData>,
    #[prost(uint32, tag = "7")]
    pub(super) num_rows: u32,
    #[prost(uint64, tag = "8")]
    pub(super) schema_timestamp: u64,
    #[prost(bool, tag = "9")]
    pub(super) partial_update: bool,
    #[prost(message, repeated, tag = "11")]
    pub(super) field_ops: Vec<FieldPartialUpdateOp>,
}

/// `milvus.proto.schema.FieldData`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FieldData {
    #[prost(int32, tag = "1")]
    pub(super) r#type: i32,
    #[prost(string, tag = "2")]
    pub(super) field_name: String,
    #[prost(oneof = "Values", tags = "3, 4, 8")]
    pub(super) values: Option<Values>,
    #[prost(bool, tag = "6")]
    pub(super) is_dynamic: bool,
    #[prost(bool, repeated, tag = "7")]
    pub(super) valid_data: Vec<bool>,
}

/// The values of a field.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Values {
    #[prost(message, tag = "3")]
    Scalars(ScalarField),
    #[prost(message, tag = "4")]
    Vectors(VectorField),
    #[prost(message, tag = "8")]
    StructArrays(StructArrayField),
}

/// `milvus.proto.schema.VectorField`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct VectorField {
    #[prost(int64, tag = "1")]
    pub(super) dim: i64,
    #[prost(oneof = "Vectors", tags = "2, 3, 4, 5, 6, 7, 8")]
    pub(super) data: Option<Vectors>,
    #[prost(bool, repeated, tag = "9")]
    pub(super) valid_data: Vec<bool>,
}

/// Vectors of one type.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Vectors {
    #[prost(message, tag = "2")]
    Float(Floats),
    #[prost(bytes = "bytes", tag = "3")]
    Binary(Bytes),
    #[prost(bytes = "bytes", tag = "4")]
    Float16(Bytes),
    #[prost(bytes = "bytes", tag = "5")]
    BFloat16(Bytes),
    #[prost(message, tag = "6")]
    Sparse(SparseFloatArray),
    #[prost(bytes = "bytes", tag = "7")]
    Int8(Bytes),
    #[prost(message, tag = "8")]
    Arrays(VectorArray),
}

/// `milvus.proto.schema.FloatArray`: little-endian floats, not aligned.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Floats {
    first: Bytes,
    /// What comes after the first part: the protocol allows a list in several parts, and floats one by one.
    more: Vec<u8>,
}

/// The list's number in its message.
const DATA: u32 = 1;

impl Floats {
    pub(super) fn into_bytes(self) -> Bytes {
        match self.more.is_empty() {
            true => self.first,
            false => [&self.first[..], &self.more].concat().into(),
        }
    }

    fn push(&mut self, part: Bytes) {
        if self.first.is_empty() && self.more.is_empty() {
            self.first = part;
        } else {
            self.more.extend_from_slice(&part);
        }
    }
}

impl prost::Message for Floats {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if self.encoded_len() > 0 {
            encoding::bytes::encode(DATA, &self.clone().into_bytes(), buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match (tag, wire_type) {
            (DATA, WireType::LengthDelimited) => {
                let mut part = Bytes::new();
                encoding::bytes::merge(wire_type, &mut part, buf, ctx)?;
                self.push(part);
            }
            (DATA, _) => {
                let mut value = 0.0;
                encoding::float::merge(wire_type, &mut value, buf, ctx)?;
                self.more.extend_from_slice(&value.to_le_bytes());
            }
            _ => encoding::skip_field(wire_type, tag, buf, ctx)?,
        }
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        match self.first.len() + self.more.len() {
            0 => 0,
            bytes => encoding::key_len(DATA) + encoding::encoded_len_varint(bytes as u64) + bytes,
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::grpc::wire_schema::FloatArray;

    proptest! {
        #[test]
        fn floats_are_read_as_any_reader_of_the_protocol_would(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec(-9f32..9.0, 0..5)), 0..4)
        ) {
            let mut bytes = Vec::new();
            for (packed, values) in &parts {
                match packed {
                    true => encoding::float::encode_packed(DATA, values, &mut bytes),
                    false => encoding::float::encode_repeated(DATA, values, &mut bytes),
                }
                // A field that nobody knows.
                encoding::string::encode(9, &"later".to_owned(), &mut bytes);
            }
            let expected = FloatArray::decode(bytes.as_slice()).unwrap();
            let list = Floats::decode(Bytes::from(bytes)).unwrap();
            prop_assert_eq!(list.encode_to_vec(), expected.encode_to_vec());
            prop_assert_eq!(list.encoded_len(), expected.encoded_len());
            let values: Vec<f32> =
                list.into_bytes().chunks(4).map(|v| f32::from_le_bytes(v.try_into().unwrap())).collect();
            prop_assert_eq!(values, expected.data);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = InsertRequest::decode(bytes.as_slice());
            let _ = FieldData::decode(bytes.as_slice());
            let _ = Floats::decode(bytes.as_slice());
        }
    }
}
