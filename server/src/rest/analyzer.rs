//! `common/run_analyzer`: how an analyzer cuts texts into words.

use std::sync::Arc;

use elanus_engine::text::{Analyzer, Token};
use serde_json::{Value, json};

use super::call::Call;
use super::spec;
use crate::body::Object;
use crate::error::ApiError;
use crate::reply::Envelope;
use crate::service;

/// The words of each text, with their places if those are asked for.
pub(super) fn run(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::RUN_ANALYZER)?;
    let texts: Vec<String> = match body.required("text")?.get().starts_with('"') {
        true => vec![body.get_or_default("text")?],
        false => body.get_or_default("text")?,
    };
    service::analyzer::check_size(&texts)?;
    let (detail, hash) = (body.get_or_default("withDetail")?, body.get_or_default("withHash")?);
    body.refuse(&["analyzerNames"])?;
    let analyzer = analyzer(call, &body)?;
    let results: Vec<Value> = texts.iter().map(|text| words(&analyzer, text, detail, hash)).collect();
    Envelope::new(json!({ "results": results })).into_bytes()
}

/// That of the parameters, or that of a field.
fn analyzer(call: &Call<'_>, body: &Object<'_>) -> Result<Arc<Analyzer>, ApiError> {
    let field: String = body.get_or_default("fieldName")?;
    if field.is_empty() {
        let params = match body.raw("analyzerParams") {
            None => String::new(),
            Some(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
            Some(_) => body.get_or_default("analyzerParams")?,
        };
        return Ok(Arc::new(Analyzer::from_json(&params)?));
    }
    let collection = call.collection(body)?;
    service::analyzer::of_field(&collection, &field)
}

fn words(analyzer: &Analyzer, text: &str, detail: bool, hash: bool) -> Value {
    let token = |token: Token| {
        let mut shown = json!({ "token": token.text });
        if detail {
            shown["startOffset"] = token.start_offset.into();
            shown["endOffset"] = token.end_offset.into();
            shown["position"] = token.position.into();
            shown["positionLength"] = token.position_length.into();
        }
        if hash {
            shown["hash"] = service::analyzer::hash(&token).into();
        }
        shown
    };
    json!({ "tokens": analyzer.analyze(text).into_iter().map(token).collect::<Vec<_>>() })
}
