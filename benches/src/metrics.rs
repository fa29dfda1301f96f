//! Numbers of a running server, as its admin port tells them to Prometheus.

use std::collections::HashMap;

/// Every number by its name, at one moment; those that differ only in labels are added up.
#[derive(Debug, Default, Clone)]
pub struct Metrics(HashMap<String, f64>);

impl Metrics {
    /// Reads Prometheus's text form; lines that are no samples are passed over.
    pub fn parse(text: &str) -> Self {
        let mut sums = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            // A label may hold anything but an unescaped quote; no label of ours holds a brace.
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let name = name.split('{').next().unwrap_or_default();
            if let Ok(value) = value.parse::<f64>() {
                *sums.entry(name.to_owned()).or_default() += value;
            }
        }
        Self(sums)
    }

    /// A number; zero when there is none of this name, as for a counter that was never touched.
    pub fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// How much it has grown since `before`.
    pub fn since(&self, before: &Self, name: &str) -> f64 {
        self.get(name) - before.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_added_up() {
        let text = "# HELP a words\na{x=\"1\",y=\"b c\"} 2\na{x=\"2\"} 0.5\nb 1e3\nbroken\n";
        let metrics = Metrics::parse(text);
        assert_eq!((metrics.get("a"), metrics.get("b"), metrics.get("c")), (2.5, 1000.0, 0.0));
        assert_eq!(metrics.since(&Metrics::parse("a 1"), "a"), 1.5);
    }
}
