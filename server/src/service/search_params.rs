//! The `searchParams` of a search: flat, or nested under `params`, or both. Beside Milvus's parameters there are two of
//! our own: `recall`, the share of the true nearest rows to be found, and `explain`.

use elanus_engine::exec::GroupBy;
use elanus_engine::{Effort, MetricType};
use serde_json::value::RawValue;

use crate::body::Object;
use crate::error::ApiError;
use crate::service::number::{float_parameter, integer_parameter};

/// What this version lacks: each would change the rows of the answer.
const UNSUPPORTED: [&str; 7] = [
    "order_by_fields",
    "iterator",
    "search_iter_v2",
    "search_iter_batch_size",
    "search_iter_last_bound",
    "search_iter_id",
    "rank_group_scorer",
];

/// The parameters that are heeded.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct SearchParams {
    /// The metric as it was named: it must be that of the field.
    pub(crate) metric: Option<MetricType>,
    pub(crate) radius: Option<f32>,
    pub(crate) range_filter: Option<f32>,
    /// Digits after the point that distances are rounded to; none: all.
    pub(crate) round_decimal: Option<i32>,
    pub(crate) effort: Effort,
    pub(crate) group_by: Option<GroupBy>,
    /// Of sparse vectors: the share of small weights that need not find rows.
    pub(crate) drop_ratio: f32,
    /// Whether the answer says how it was found.
    pub(crate) explain: bool,
}

impl SearchParams {
    /// Reads the object `searchParams` of a body.
    ///
    /// # Errors
    /// 1100 for a wrong value, a contradiction, or a feature that is not there.
    pub(crate) fn read(body: &Object<'_>) -> Result<Self, ApiError> {
        Self::read_object(&body.object("searchParams")?)
    }

    /// Reads the parameters themselves.
    ///
    /// # Errors
    /// As [`SearchParams::read`].
    pub(crate) fn read_object(outer: &Object<'_>) -> Result<Self, ApiError> {
        let inner = match outer.raw("params") {
            Some(raw) if !raw.get().starts_with('{') => {
                return Err(ApiError::invalid("searchParams.params must be a dict: invalid parameter"));
            }
            _ => outer.object("params")?,
        };
        outer.refuse(&UNSUPPORTED)?;
        inner.refuse(&UNSUPPORTED)?;
        let find = |key: &str| merged(outer, &inner, key);
        let float = |key: &str| find(key)?.map(|raw| float_parameter(key, raw).map(|v| v as f32)).transpose();
        Ok(Self {
            metric: find("metric_type")?.map(metric).transpose()?.flatten(),
            radius: float("radius")?,
            range_filter: float("range_filter")?,
            round_decimal: find("round_decimal")?.map(round_decimal).transpose()?.flatten(),
            effort: effort(&find)?,
            group_by: group_by(&find)?,
            drop_ratio: float("drop_ratio_search")?.unwrap_or(0.0),
            explain: find("explain")?.map(|raw| flag("explain", raw)).transpose()?.unwrap_or(false),
        })
    }

    /// Rounds distances as asked.
    pub(crate) fn round(&self, distances: &mut [f32]) {
        let Some(digits) = self.round_decimal else { return };
        let scale = 10f64.powi(digits);
        for distance in distances {
            *distance = ((f64::from(*distance) * scale).round() / scale) as f32;
        }
    }
}

/// A parameter at either level; both must agree, as a number or as its text: some clients send each in both ways.
fn merged<'a>(outer: &Object<'a>, inner: &Object<'a>, key: &str) -> Result<Option<&'a RawValue>, ApiError> {
    match (outer.raw(key), inner.raw(key)) {
        (Some(a), Some(b)) if !said(a).eq_ignore_ascii_case(said(b)) => Err(ApiError::invalid(format!(
            "ambiguous parameter: {key}, in search_param: {}, in search_param.params: {}",
            a.get(),
            b.get()
        ))),
        (a, b) => Ok(a.or(b)),
    }
}

/// What a value says, be it text or not.
fn said(raw: &RawValue) -> &str {
    raw.get().trim_matches('"')
}

/// How a parameter is found.
type Find<'f, 'a> = dyn Fn(&str) -> Result<Option<&'a RawValue>, ApiError> + 'f;

fn effort(find: &Find<'_, '_>) -> Result<Effort, ApiError> {
    let count = |name: &str| {
        let value = find(name)?.map(|raw| integer_parameter(name, raw)).transpose()?;
        // Below zero is out of range like zero: the engine says so.
        Ok::<_, ApiError>(value.map(|value| usize::try_from(value).unwrap_or(0)))
    };
    let (ef, list) = (count("ef")?, count("search_list")?);
    let (ef, probes) = (ef.or(list), count("nprobe")?);
    let recall = find("recall")?.map(|raw| float_parameter("recall", raw)).transpose()?;
    match (recall, ef, probes) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => Err(ApiError::invalid(
            "recall says what is to be found, ef and nprobe how hard to try: give one or the other: invalid parameter",
        )),
        (Some(recall), None, None) => Ok(Effort::Recall(recall as f32)),
        (None, None, None) => Ok(Effort::Default),
        (None, ef, probes) => Ok(Effort::Asked { ef, probes }),
    }
}

fn group_by(find: &Find<'_, '_>) -> Result<Option<GroupBy>, ApiError> {
    let Some(field) = find("group_by_field")? else { return Ok(None) };
    let field: String = crate::body::typed("group_by_field", field)?;
    let size = find("group_size")?.map(|raw| integer_parameter("group_size", raw)).transpose()?.unwrap_or(1);
    let strict = find("strict_group_size")?.map(|raw| flag("strict_group_size", raw)).transpose()?;
    Ok(group(field, size, strict.unwrap_or(false)))
}

/// Grouping, where a field is named. A size that is none becomes 0, which the engine refuses.
pub(crate) fn group(field: String, size: i64, strict: bool) -> Option<GroupBy> {
    let size = usize::try_from(size).unwrap_or(0);
    (!field.is_empty()).then_some(GroupBy { field, size, strict })
}

fn flag(name: &str, raw: &RawValue) -> Result<bool, ApiError> {
    match raw.get().trim_matches('"').to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => {
            Err(ApiError::invalid(format!("{name} must be true or false, got {other}: invalid parameter")))
        }
    }
}

fn metric(raw: &RawValue) -> Result<Option<MetricType>, ApiError> {
    let name: String = crate::body::typed("metric_type", raw)?;
    if name.is_empty() {
        return Ok(None);
    }
    let refusal = |_| {
        ApiError::invalid(format!(
            "metric type not match: invalid parameter[expected=a metric type][actual={name}]"
        ))
    };
    name.parse().map(Some).map_err(refusal)
}

fn round_decimal(raw: &RawValue) -> Result<Option<i32>, ApiError> {
    match integer_parameter("round_decimal", raw)? {
        -1 => Ok(None),
        digits @ 0..=6 => Ok(i32::try_from(digits).ok()),
        other => Err(ApiError::invalid(format!(
            "round_decimal [{other}] is invalid, should be -1 or an integer in range [0, 6]: invalid parameter"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::spec;

    fn read(params: &str) -> Result<SearchParams, ApiError> {
        let text = format!(r#"{{"searchParams":{params}}}"#);
        SearchParams::read(&Object::parse(&spec::SEARCH, text.as_bytes()).unwrap())
    }

    #[test]
    fn flat_nested_and_mixed_are_the_same() {
        let wanted = SearchParams {
            metric: Some(MetricType::L2),
            radius: Some(0.5),
            range_filter: Some(0.25),
            effort: Effort::Asked { ef: Some(64), probes: Some(10) },
            ..SearchParams::default()
        };
        for params in [
            r#"{"metric_type":"L2","radius":0.5,"range_filter":"0.25","nprobe":10,"ef":64}"#,
            r#"{"metric_type":"l2","params":{"radius":0.5,"range_filter":0.25,"ef":64,"nprobe":"10"}}"#,
            r#"{"ef":"64","params":{"metric_type":"L2","radius":0.5,"range_filter":0.25,"nprobe":10,"ef":64}}"#,
            r#"{"radius":0.5,"ef":64,"params":{"metric_type":"L2","radius":0.5,"range_filter":0.25,"nprobe":10}}"#,
        ] {
            assert_eq!(read(params).unwrap(), wanted, "{params}");
        }
        assert_eq!(read("null").unwrap(), SearchParams::default());
    }

    #[test]
    fn contradictions_and_missing_features_are_refused() {
        for (params, words) in [
            (r#"{"radius":1,"params":{"radius":2}}"#, "ambiguous parameter: radius"),
            (r#"{"params":3}"#, "must be a dict"),
            (r#"{"metric_type":"NEAREST"}"#, "metric type not match"),
            (r#"{"radius":"far"}"#, "radius must be a number"),
            (r#"{"round_decimal":7}"#, "round_decimal [7] is invalid"),
            (r#"{"params":{"iterator":true}}"#, "iterator is not supported"),
            (r#"{"recall":0.9,"ef":10}"#, "give one or the other"),
            (r#"{"explain":1}"#, "explain must be true or false"),
        ] {
            let error = read(params).unwrap_err();
            assert!(error.code == 1100 && error.message.contains(words), "{}", error.message);
        }
    }

    #[test]
    fn effort_and_groups_are_read() {
        assert_eq!(read(r#"{"recall":"0.9"}"#).unwrap().effort, Effort::Recall(0.9));
        assert_eq!(
            read(r#"{"search_list":30}"#).unwrap().effort,
            Effort::Asked { ef: Some(30), probes: None }
        );
        let params = read(r#"{"explain":true,"params":{"group_by_field":"a","group_size":"3"}}"#).unwrap();
        assert!(params.explain);
        assert_eq!(params.group_by, Some(GroupBy { field: "a".into(), size: 3, strict: false }));
    }

    #[test]
    fn rounding() {
        let params = read(r#"{"round_decimal":2}"#).unwrap();
        let mut distances = [0.126, 1.0, -0.994_9];
        params.round(&mut distances);
        assert_eq!(distances, [0.13, 1.0, -0.99]);
    }
}
