//! Which index may be on which field, by Milvus's names and in its words. What dense ones stand for is in
//! [`params`](super::params).

use super::params::INDEX_TYPES;
use crate::collection::IndexDefinition;
use crate::error::{EngineError, Result};
use crate::schema::{DataType, Field};

/// Index types of binary vectors: all rows are compared, whichever is asked for.
const BINARY_TYPES: [&str; 3] = ["BIN_FLAT", "BIN_IVF_FLAT", "MINHASH_LSH"];
/// Index types of sparse vectors: lists of rows by index, whichever is asked for.
const SPARSE_TYPES: [&str; 2] = ["SPARSE_INVERTED_INDEX", "SPARSE_WAND"];
/// Index types of scalar fields.
const SCALAR_TYPES: [&str; 6] = ["INVERTED", "STL_SORT", "TRIE", "BITMAP", "NGRAM", "FMINDEX"];

/// Checks type and metric of an index on a vector field.
///
/// # Errors
/// `InvalidParameter` in Milvus's words.
pub(crate) fn check_type(index: &IndexDefinition, field: &Field) -> Result<()> {
    let name = index.index_type.to_ascii_uppercase();
    let dense = INDEX_TYPES.contains(&name.as_str()) || name.starts_with("GPU_");
    let binary = BINARY_TYPES.contains(&name.as_str());
    let sparse = SPARSE_TYPES.contains(&name.as_str());
    let auto = matches!(name.as_str(), "" | "AUTOINDEX");
    if !dense && !binary && !sparse && !SCALAR_TYPES.contains(&name.as_str()) {
        return Err(unknown(&index.index_type));
    }
    let fits = match field.data_type {
        DataType::BinaryVector => auto || binary,
        DataType::SparseFloatVector => auto || sparse,
        _ => dense,
    };
    if !fits {
        return Err(EngineError::invalid(format!(
            "data type {} can't build with this index {}",
            field.data_type, index.index_type
        )));
    }
    // Some clients also send all parameters, which may be none, as one JSON object.
    let ours = ["recall", "mmap.enabled", "warmup", "params"];
    if auto && index.params.keys().any(|key| !ours.contains(&key.as_str())) {
        return Err(EngineError::invalid("only metric type can be passed when use AutoIndex"));
    }
    check_metric(index, field)
}

fn check_metric(index: &IndexDefinition, field: &Field) -> Result<()> {
    const TAIL: &str = "invalid parameter[expected=valid index params][actual=invalid index params]";
    let Some(metric) = index.metric else {
        return Err(EngineError::invalid(format!("metric type not set for vector index: {TAIL}")));
    };
    if !metric.fits(field.data_type) {
        return Err(EngineError::invalid(match field.data_type {
            DataType::BinaryVector => {
                format!("binary vector index does not support metric type: {metric}: {TAIL}")
            }
            DataType::SparseFloatVector => {
                format!("only IP&BM25 is the supported metric type for sparse index: {TAIL}")
            }
            _ => format!("float vector index does not support metric type: {metric}: {TAIL}"),
        }));
    }
    let words = metric == crate::MetricType::Bm25;
    if words != (field.function_output && field.data_type == DataType::SparseFloatVector) {
        return Err(EngineError::invalid(if words {
            format!("only BM25 Function output field support BM25 metric type: {TAIL}")
        } else {
            format!("index metric type of BM25 function output field must be BM25, got {metric}")
        }));
    }
    Ok(())
}

/// What the values on a path in JSON can be taken for, in lower case.
const JSON_CASTS: [&str; 7] =
    ["bool", "double", "varchar", "array_bool", "array_double", "array_varchar", "json"];

/// Checks the type of an index on a scalar field.
///
/// # Errors
/// `InvalidParameter` in Milvus's words.
pub(crate) fn check_scalar(index: &IndexDefinition, field: &Field) -> Result<()> {
    let name = index.index_type.to_ascii_uppercase();
    let data_type = field.data_type;
    if let Some(cast) = index.params.get("json_cast_type")
        && !JSON_CASTS.contains(&cast.to_ascii_lowercase().as_str())
    {
        return Err(EngineError::invalid(format!("json_cast_type is not supported: {cast}")));
    }
    let text = data_type == DataType::VarChar;
    let element = field.element_type.unwrap_or(data_type);
    let refuse = |words: String| Err(EngineError::invalid(words));
    match name.as_str() {
        "" | "AUTOINDEX" | "INVERTED" => Ok(()),
        "STL_SORT" if data_type.is_numeric() || text || data_type == DataType::Timestamptz => Ok(()),
        "STL_SORT" => refuse(format!(
            "STL_SORT are only supported on numeric, varchar or timestamptz field, got {data_type}"
        )),
        "TRIE" if text => Ok(()),
        "TRIE" => refuse(format!("TRIE are only supported on varchar field, got {data_type}")),
        "FMINDEX" if text => Ok(()),
        "BITMAP" if field.primary => refuse("create bitmap index on primary key not supported".into()),
        "BITMAP" if element.is_integer() || matches!(element, DataType::Bool | DataType::VarChar) => Ok(()),
        "BITMAP" => refuse("bitmap index are only supported on bool, int, string and array field".into()),
        "NGRAM" if text || data_type == DataType::Json => Ok(()),
        "NGRAM" => {
            refuse(format!("NGRAM index can only be created on VARCHAR or JSON field, got {data_type}"))
        }
        _ if INDEX_TYPES.contains(&name.as_str())
            || SPARSE_TYPES.contains(&name.as_str())
            || BINARY_TYPES.contains(&name.as_str()) =>
        {
            refuse(format!("data type {data_type} can't build with this index {}", index.index_type))
        }
        _ => Err(unknown(&index.index_type)),
    }
}

fn unknown(index_type: &str) -> EngineError {
    EngineError::invalid(format!(
        "invalid parameter[expected=valid index][actual=invalid index type: {index_type}]"
    ))
}
