//! Several searches whose hits are fused.

use std::time::Instant;

use elanus_engine::exec::{Fusion, GroupBy, HybridRequest};
use elanus_engine::row::Projection;
use elanus_engine::schema::Schema;
use elanus_engine::{Collection, SearchHits, SearchRequest};

use super::Context;
use super::search::in_milvus_words;
use crate::body::Object;
use crate::error::ApiError;
use crate::service::number::float_parameter;

/// Milvus's default for reciprocal rank fusion.
const DEFAULT_K: f64 = 60.0;

/// What is asked of all searches together.
pub(crate) struct Hybrid {
    pub(crate) fusion: Fusion,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) group_by: Option<GroupBy>,
    pub(crate) output_fields: Vec<String>,
}

impl Hybrid {
    /// The rows that several searches find best together.
    ///
    /// # Errors
    /// Whatever is wrong with the request, in Milvus's words.
    pub(crate) fn run(
        self,
        context: &Context<'_>,
        collection: &Collection,
        schema: &Schema,
        searches: Vec<SearchRequest>,
    ) -> Result<SearchHits, ApiError> {
        let request = HybridRequest {
            searches,
            fusion: self.fusion,
            limit: self.limit,
            offset: self.offset,
            group_by: self.group_by,
            projection: Projection::resolve(schema, &self.output_fields)?,
        };
        let started = Instant::now();
        let hits = collection.hybrid_search(&request).map_err(in_milvus_words)?;
        context.searched(collection, &hits, started.elapsed());
        Ok(hits)
    }
}

/// How hits are fused, from `strategy` and `params`; reciprocal rank fusion when nothing is said.
///
/// # Errors
/// 1100.
pub(crate) fn fusion(strategy: &str, params: &Object<'_>) -> Result<Fusion, ApiError> {
    match strategy {
        "" | "rrf" => {
            let k = params.raw("k").map(|raw| float_parameter("k", raw)).transpose()?;
            Ok(Fusion::Rrf { k: k.unwrap_or(DEFAULT_K) as f32 })
        }
        "weighted" => {
            let weights: Option<Vec<f32>> = params.get("weights")?;
            let weights = weights.ok_or_else(|| ApiError::invalid("weights not found in rank_params"))?;
            let normalized = params.get_or_default("norm_score")?;
            Ok(Fusion::Weighted { weights, normalized })
        }
        other => Err(ApiError::invalid(format!("unsupported rank type {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::spec::Request;

    fn read(strategy: &str, params: &str) -> Result<Fusion, ApiError> {
        fusion(strategy, &Object::parse(&Request::ANY, params.as_bytes()).unwrap())
    }

    #[test]
    fn strategies_are_read() {
        assert_eq!(read("", "{}").unwrap(), Fusion::Rrf { k: 60.0 });
        assert_eq!(read("rrf", r#"{"k":7}"#).unwrap(), Fusion::Rrf { k: 7.0 });
        assert_eq!(
            read("weighted", r#"{"weights":[0.5,1],"norm_score":true}"#).unwrap(),
            Fusion::Weighted { weights: vec![0.5, 1.0], normalized: true }
        );
        for (strategy, params, words) in [
            ("max", "{}", "unsupported rank type max"),
            ("weighted", "{}", "weights not found"),
            ("", r#"{"k":"x"}"#, "k must be a number"),
        ] {
            assert!(read(strategy, params).unwrap_err().message.contains(words), "{strategy} {params}");
        }
    }
}
