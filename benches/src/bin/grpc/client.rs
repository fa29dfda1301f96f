//! A client that sends messages as they are.

use std::error::Error;

use bytes::{Buf, BufMut, Bytes};
use elanus_benches::Result;
use elanus_benches::program::Program;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};

/// A connection.
pub(crate) struct Client(Grpc<Channel>);

impl Client {
    pub(crate) async fn open(server: &Program) -> Result<Self> {
        let channel = Endpoint::from_shared(server.base().to_owned())?.tcp_nodelay(true).connect().await?;
        Ok(Self(Grpc::new(channel).max_decoding_message_size(usize::MAX)))
    }

    /// The bytes of the answer to a message.
    pub(crate) async fn call(&mut self, method: &str, message: Bytes) -> Result<Bytes> {
        let path = format!("/milvus.proto.milvus.MilvusService/{method}");
        self.0.ready().await.map_err(|e| e.source().map_or_else(|| e.to_string(), ToString::to_string))?;
        let answer = self.0.unary(tonic::Request::new(message), PathAndQuery::try_from(path)?, Plain).await;
        Ok(answer.map_err(|status| format!("{method}: {status}"))?.into_inner())
    }
}

#[derive(Debug, Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> std::result::Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> std::result::Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
