//! `common/run_analyzer`: how an analyzer cuts texts into words.

use std::sync::Arc;

use elanus_engine::text::Analyzer;
use serde_json::{Value, json};

use super::call::Call;
use super::spec;
use crate::body::Object;
use crate::error::ApiError;
use crate::reply::Envelope;

/// Texts of one call at most, and their bytes.
const MOST_TEXTS: usize = 1024;
const MOST_BYTES: usize = 512 << 10;

/// The words of each text, with their places if those are asked for.
pub(super) fn run(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::RUN_ANALYZER)?;
    let texts: Vec<String> = match body.required("text")?.get().starts_with('"') {
        true => vec![body.get_or_default("text")?],
        false => body.get_or_default("text")?,
    };
    check_size(&texts)?;
    let (detail, hash) = (body.get_or_default("withDetail")?, body.get_or_default("withHash")?);
    body.refuse(&["analyzerNames"])?;
    let analyzer = analyzer(call, &body)?;
    let results: Vec<Value> = texts.iter().map(|text| words(&analyzer, text, detail, hash)).collect();
    Envelope::new(json!({ "results": results })).into_bytes()
}

/// Refuses more text than a person looks at: the answer is many times as long.
fn check_size(texts: &[String]) -> Result<(), ApiError> {
    let bytes: usize = texts.iter().map(String::len).sum();
    if texts.len() <= MOST_TEXTS && bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "{} texts of {bytes} bytes are given, at most {MOST_TEXTS} of {MOST_BYTES} can be: invalid parameter",
        texts.len()
    )))
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
    let schema = call.collection(body)?.schema();
    let found = schema.field(&field).filter(|(_, field)| field.has_analyzer());
    let (_, field) = found
        .ok_or_else(|| ApiError::invalid(format!("field {field} has no analyzer: invalid parameter")))?;
    Ok(schema.analyzer(field)?)
}

fn words(analyzer: &Analyzer, text: &str, detail: bool, hash: bool) -> Value {
    let token = |token: elanus_engine::text::Token| {
        let mut shown = json!({ "token": token.text });
        if detail {
            shown["startOffset"] = token.start_offset.into();
            shown["endOffset"] = token.end_offset.into();
            shown["position"] = token.position.into();
            shown["positionLength"] = token.position_length.into();
        }
        if hash {
            shown["hash"] = elanus_engine::text::term::term_id(&token.text).into();
        }
        shown
    };
    json!({ "tokens": analyzer.analyze(text).into_iter().map(token).collect::<Vec<_>>() })
}
