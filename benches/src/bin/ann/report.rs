//! Tables for people and one JSON file for everything else.

use std::path::Path;

use elanus_benches::plot::{Chart, Corner, Line};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Result;
use crate::contender::Built;
use crate::curve::Curve;

/// Recalls below this are of no interest.
const LEAST_RECALL: f64 = 0.8;

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Value,
    pub(crate) builds: Vec<Value>,
    pub(crate) flat: Vec<Value>,
    pub(crate) filtered: Vec<Value>,
    pub(crate) curves: Vec<(String, Curve)>,
}

impl Report {
    pub(crate) fn build(&mut self, name: &str, threads: usize, built: Built) {
        let mib = built.bytes as f64 / 1e6;
        println!("build  {name:<18} {threads} threads  {:>8.2} s  {mib:>8.1} MB", built.seconds);
        self.builds.push(json!({
            "name": name, "threads": threads, "seconds": built.seconds, "bytes": built.bytes,
        }));
    }

    /// A table of one family: speeds at some recalls, and how they compare with the best of the others.
    pub(crate) fn table(&mut self, family: &str, recalls: &[f64], curves: Vec<Curve>) {
        let mut threads: Vec<usize> = curves.iter().map(|c| c.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        for threads in threads {
            let of = || curves.iter().filter(move |c| c.threads == threads);
            for &recall in recalls {
                println!("\n{family}, {threads} threads, queries a second at recall@10 {recall}");
                let best = |ours: bool| {
                    of().filter(|c| c.name.starts_with("elanus") == ours)
                        .filter_map(|c| c.qps_at(recall))
                        .fold(0.0, f64::max)
                };
                for curve in of() {
                    match curve.qps_at(recall) {
                        Some(qps) => println!("  {:<20} {qps:>10.0}", curve.name),
                        None => println!("  {:<20}  not reached", curve.name),
                    }
                }
                println!("  ratio to the best peer: {:.2}", best(true) / best(false));
            }
        }
        self.curves.extend(curves.into_iter().map(|curve| (family.to_owned(), curve)));
    }

    pub(crate) fn write(&self, folder: &Path, set: &str) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(format!("{set}.json")), serde_json::to_vec_pretty(self)?)?;
        let mut families: Vec<(&str, usize)> =
            self.curves.iter().map(|(family, curve)| (family.as_str(), curve.threads)).collect();
        families.sort_unstable();
        families.dedup();
        for (family, threads) in families {
            let curves: Vec<Curve> = self
                .curves
                .iter()
                .filter(|(f, c)| f == family && c.threads == threads)
                .map(|(_, curve)| curve.clone())
                .collect();
            if let Some(svg) = picture(&format!("{set}, {family}, {threads} threads"), &curves)? {
                std::fs::write(folder.join(format!("{set}-{family}-{threads}t.svg")), svg)?;
            }
        }
        Ok(())
    }
}

/// Recall to the right, queries a second upwards.
fn picture(title: &str, curves: &[Curve]) -> Result<Option<String>> {
    let line = |curve: &Curve| Line {
        name: curve.name.clone(),
        points: curve.points.iter().map(|p| (p.recall, p.qps)).collect(),
        emphasized: curve.name.starts_with("elanus"),
    };
    let lines: Vec<Line> = curves.iter().map(line).collect();
    let (x, y) = ("recall@10", "queries a second");
    Chart { title, x, y, range: LEAST_RECALL..1.0, legend: Corner::LowerLeft, lines: &lines }.svg()
}
