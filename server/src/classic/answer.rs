//! The shapes of old answers: distances that grow with difference, and words for progress.

use elanus_engine::MetricType;
use http::HeaderMap;
use http::Uri;
use http::header::HOST;

use crate::images::Similar;
use crate::jobs::{JobState, Jobs};

/// Id and distance of every result, nearest first. The old servers compared normalised vectors by squared Euclidean
/// distance; for such vectors that is `2 - 2 * cosine`.
pub(super) fn distances(found: &Similar) -> Vec<(String, f64)> {
    let id = |row| found.rows.key(row).map(|key| key.to_key().to_string()).unwrap_or_default();
    let distances = found.distances.iter().map(|&distance| old_distance(found.metric, distance));
    distances.enumerate().map(|(row, distance)| (id(row), distance)).collect()
}

fn old_distance(metric: MetricType, distance: f32) -> f64 {
    match metric {
        MetricType::L2 => f64::from(distance),
        // Rounding can put the cosine of equal vectors a little above 1.
        _ => (2.0 - 2.0 * f64::from(distance)).max(0.0),
    }
}

/// `current: N, total: M` of the import that runs, or of the last one.
pub(super) fn progress(jobs: &Jobs) -> String {
    let mut all = jobs.list();
    all.retain(|job| job.is_import());
    let running = all.iter().find(|job| job.state() == JobState::Running);
    let (current, total) = running.or(all.first()).map_or((0, 0), |job| job.progress());
    format!("current: {current}, total: {total}")
}

/// The address under which the client reached this server, for links in answers; `fallback` when it did not say.
pub(super) fn host(headers: &HeaderMap, uri: &Uri, fallback: impl ToString) -> String {
    let given = headers.get(HOST).and_then(|host| host.to_str().ok());
    let given = given.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '[' | ']');
    given
        .filter(|host| !host.is_empty() && host.chars().all(harmless))
        .map_or_else(|| fallback.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_grow_with_difference() {
        assert_eq!(old_distance(MetricType::Cosine, 1.0), 0.0);
        assert_eq!(old_distance(MetricType::Cosine, 1.000_001), 0.0);
        assert_eq!(old_distance(MetricType::Cosine, 0.5), 1.0);
        assert_eq!(old_distance(MetricType::Ip, -1.0), 4.0);
        assert_eq!(old_distance(MetricType::L2, 0.25), 0.25);
    }

    #[test]
    fn links_lead_back_to_where_the_client_came() {
        let uri = |text: &'static str| Uri::from_static(text);
        let mut headers = HeaderMap::new();
        assert_eq!(host(&headers, &uri("/x"), "127.0.0.1:19530"), "127.0.0.1:19530");
        assert_eq!(host(&headers, &uri("http://h2.example:1/x"), "f"), "h2.example:1");
        headers.insert(HOST, "photos.example:8080".parse().unwrap());
        assert_eq!(host(&headers, &uri("/x"), "f"), "photos.example:8080");
        headers.insert(HOST, "evil\"/><script>".parse().unwrap());
        assert_eq!(host(&headers, &uri("/x"), "f"), "f");
    }
}
