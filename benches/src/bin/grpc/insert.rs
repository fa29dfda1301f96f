//! Inserts of rows of vectors, each request synced before its answer.

use std::time::Instant;

use bytes::Bytes;
use elanus_benches::Result;
use elanus_benches::program::Program;
use milvus::proto::milvus::{InsertRequest, MutationResult};
use milvus::proto::schema::field_data::Field;
use milvus::proto::schema::scalar_field::Data;
use milvus::proto::schema::vector_field::Data as VectorData;
use milvus::proto::schema::{DataType, FieldData, FloatArray, LongArray, ScalarField, VectorField};
use prost::Message;
use serde_json::json;

use crate::client::Client;

/// Bytes of vectors in all, and rows of a request.
const BYTES: usize = 1 << 30;
const ROWS: usize = 5_000;

pub(crate) async fn measure(server: &Program) -> Result<()> {
    for dim in [128, 512] {
        let name = format!("rows{dim}");
        // Without an index: to build one is work of its own, in the background.
        let fields = json!([
            {"fieldName": "id", "dataType": "Int64", "isPrimary": true},
            {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": dim}},
        ]);
        let collection = json!({"collectionName": name, "schema": {"fields": fields}});
        server.post("/v2/vectordb/collections/create", &collection)?;
        let requests = BYTES / (ROWS * dim * 4);
        // A few different messages, told apart by their keys: making them all would need the memory of all.
        let vectors: Vec<f32> = (0..ROWS * dim).map(|i| (i as f32 * 0.618).sin()).collect();
        let mut client = Client::open(server).await?;
        let (mut seconds, mut cpu) = (0.0, 0.0);
        for number in 0..requests {
            let message = request(&name, number, dim, vectors.clone());
            let (before, began) = (server.cpu_seconds()?, Instant::now());
            let answer = MutationResult::decode(client.call("Insert", message).await?)?;
            seconds += began.elapsed().as_secs_f64();
            cpu += server.cpu_seconds()? - before;
            if answer.insert_cnt != ROWS as i64 {
                return Err(format!("{:?}", answer.status).into());
            }
        }
        let bytes = (requests * ROWS * dim * 4) as f64 / 1e6;
        println!(
            "insert of {ROWS} rows of {dim} floats a request, one connection: {:.0} rows/s, {:.0} MB/s of vectors; {:.0} MB \
             for each second of processor time (the log, its syncs and sealing included)",
            (requests * ROWS) as f64 / seconds,
            bytes / seconds,
            bytes / cpu
        );
    }
    Ok(())
}

fn request(name: &str, number: usize, dim: usize, vectors: Vec<f32>) -> Bytes {
    let keys = (number * ROWS..(number + 1) * ROWS).map(|key| key as i64).collect();
    let key = FieldData {
        r#type: DataType::Int64.into(),
        field_name: "id".into(),
        field: Some(Field::Scalars(ScalarField {
            data: Some(Data::LongData(LongArray { data: keys })),
            ..ScalarField::default()
        })),
        ..FieldData::default()
    };
    let vector = FieldData {
        r#type: DataType::FloatVector.into(),
        field_name: "vector".into(),
        field: Some(Field::Vectors(VectorField {
            dim: dim as i64,
            data: Some(VectorData::FloatVector(FloatArray { data: vectors })),
            ..VectorField::default()
        })),
        ..FieldData::default()
    };
    let request = InsertRequest {
        collection_name: name.into(),
        fields_data: vec![key, vector],
        num_rows: ROWS as u32,
        ..InsertRequest::default()
    };
    request.encode_to_vec().into()
}
