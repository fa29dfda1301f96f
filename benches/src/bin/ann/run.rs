//! The order of measurements: builds first, then rounds in which every contender has its turn.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;

use crate::contender::{Contender, Load, Pass};
use crate::curve::{Curve, Point, median};
use crate::elanus::Elanus;
use crate::memory::read_bandwidth;
use crate::peers::{Peer, Peers};
use crate::report::Report;
use crate::{Options, Result};
use elanus_benches::data::DataSet;

const GRAPH_EFFORTS: [usize; 12] = [10, 12, 16, 24, 32, 48, 64, 96, 128, 200, 300, 400];
const LIST_EFFORTS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const LISTS: usize = 1024;
const M: usize = 16;
const EF_CONSTRUCTION: usize = 200;

pub(crate) fn run(options: &Options) -> Result<()> {
    let data = DataSet::read(&options.data, &options.set)?;
    println!("{}: {} × {}, {}", data.name, data.rows(), data.dim, data.metric);
    let peers =
        options.peers.as_ref().map(|python| Peers::start(python, &options.data, &options.set)).transpose()?;
    let mut report = Report {
        machine: json!({
            "kernel": elanus_engine::kernel::active().name(),
            "read_gbs": options.threads.iter().map(|&t| read_bandwidth(t) / 1e9).collect::<Vec<_>>(),
            "peers": peers.as_ref().map(|p| p.borrow().versions.clone()),
        }),
        ..Report::default()
    };
    println!("{}", report.machine);
    let wants = |part: &str| options.parts.iter().any(|p| p == part);
    if wants("flat") {
        flat(options, &data, peers.as_ref(), &mut report)?;
    }
    if wants("ivf") {
        let ours: [Box<dyn Contender>; 2] = [
            Box::new(Elanus::new(&data, "IVF_FLAT", &[("nlist", LISTS)])),
            Box::new(Elanus::new(&data, "IVF_SQ8", &[("nlist", LISTS)])),
        ];
        let libs = ["ivf".to_owned(), "ivf_sq8".to_owned()];
        family(options, "ivf", ours, &libs, peers.as_ref(), &LIST_EFFORTS, &[0.9, 0.95], &mut report)?;
    }
    if wants("hnsw") || wants("filter") {
        let hnsw = Elanus::new(&data, "HNSW", &[("M", M), ("efConstruction", EF_CONSTRUCTION)]);
        let ours: [Box<dyn Contender>; 1] = [Box::new(hnsw)];
        let mut contenders = contenders(ours, &options.graphs, peers.as_ref());
        contenders.retain_mut(|c| build(options, c.as_mut(), &mut report));
        if wants("hnsw") {
            let curves = curves(options, &mut contenders, &GRAPH_EFFORTS)?;
            report.table("hnsw", &[0.95, 0.99], curves);
        }
        if wants("filter") {
            filtered(options, &mut contenders, peers.as_ref(), &mut report)?;
        }
    }
    if let Some(folder) = &options.out {
        report.write(folder, &data.name)?;
    }
    Ok(())
}

fn contenders<'a>(
    ours: impl IntoIterator<Item = Box<dyn Contender + 'a>>,
    libs: &[String],
    peers: Option<&Rc<RefCell<Peers>>>,
) -> Vec<Box<dyn Contender + 'a>> {
    let mut contenders: Vec<Box<dyn Contender + 'a>> = ours.into_iter().collect();
    if let Some(peers) = peers {
        for lib in libs {
            contenders.push(Box::new(Peer { peers: Rc::clone(peers), lib: lib.clone() }));
        }
    }
    contenders
}

/// Builds with each number of threads; false when the contender can't.
fn build(options: &Options, contender: &mut dyn Contender, report: &mut Report) -> bool {
    for &threads in &options.threads {
        match contender.build(threads) {
            Ok(built) => report.build(&contender.name(), threads, built),
            Err(error) => {
                println!("build  {:<18} {error}", contender.name());
                return false;
            }
        }
    }
    true
}

#[allow(clippy::too_many_arguments, reason = "each names one thing of the table")]
fn family<'a>(
    options: &Options,
    name: &str,
    ours: impl IntoIterator<Item = Box<dyn Contender + 'a>>,
    libs: &[String],
    peers: Option<&Rc<RefCell<Peers>>>,
    efforts: &[usize],
    recalls: &[f64],
    report: &mut Report,
) -> Result<()> {
    let mut contenders = contenders(ours, libs, peers);
    contenders.retain_mut(|c| build(options, c.as_mut(), report));
    let curves = curves(options, &mut contenders, efforts)?;
    report.table(name, recalls, curves);
    Ok(())
}

/// Every effort of every contender, in rounds.
fn curves(
    options: &Options,
    contenders: &mut [Box<dyn Contender + '_>],
    efforts: &[usize],
) -> Result<Vec<Curve>> {
    let efforts = if options.efforts.is_empty() { efforts } else { &options.efforts };
    let mut curves = Vec::new();
    for &threads in &options.threads {
        let mut passes = vec![vec![Vec::<Pass>::new(); efforts.len()]; contenders.len()];
        for _ in 0..options.rounds {
            for (contender, passes) in contenders.iter_mut().zip(&mut passes) {
                for (&effort, passes) in efforts.iter().zip(passes) {
                    let load = Load { effort, threads, filter: None, single: false };
                    passes.push(contender.search(load)?);
                }
            }
        }
        for (contender, passes) in contenders.iter().zip(passes) {
            let points = efforts.iter().zip(passes).map(|(&effort, passes)| point(effort, &passes)).collect();
            let curve = Curve { name: contender.name(), threads, points };
            for p in &curve.points {
                println!(
                    "{:<18} {threads}T effort {:>4}  recall {:.4}  {:>9.0} q/s  ({:.0} to {:.0})",
                    curve.name, p.effort, p.recall, p.qps, p.spread.0, p.spread.1
                );
            }
            curves.push(curve);
        }
    }
    Ok(curves)
}

fn point(effort: usize, passes: &[Pass]) -> Point {
    let mut speeds: Vec<f64> = passes.iter().map(|p| p.queries as f64 / p.seconds).collect();
    let qps = median(&mut speeds);
    let spread = (speeds.first().copied().unwrap_or(qps), speeds.last().copied().unwrap_or(qps));
    Point { effort, recall: passes.first().map_or(0.0, |p| p.recall), qps, spread }
}

/// Exact search: one query at a time against the memory's speed, and all at once against Faiss.
fn flat(
    options: &Options,
    data: &DataSet,
    peers: Option<&Rc<RefCell<Peers>>>,
    report: &mut Report,
) -> Result<()> {
    let ours: [Box<dyn Contender>; 1] = [Box::new(Elanus::new(data, "FLAT", &[]))];
    let mut contenders = contenders(ours, &["flat".to_owned()], peers);
    for contender in &mut contenders {
        contender.build(2)?;
    }
    for &threads in &options.threads {
        let bandwidth = read_bandwidth(threads);
        for single in [true, false] {
            let mut speeds = vec![Vec::new(); contenders.len()];
            for _ in 0..options.rounds {
                for (contender, speeds) in contenders.iter_mut().zip(&mut speeds) {
                    let pass = contender.search(Load { effort: 1, threads, filter: None, single })?;
                    let each = pass.p50_us.map_or(pass.seconds / pass.queries as f64, |us| us / 1e6);
                    speeds.push(1.0 / each);
                    if let Some(p99) = pass.p99_us {
                        println!("flat   {:<16} {threads}T one by one, p99 {p99:.0} us", contender.name());
                    }
                }
            }
            for (contender, speeds) in contenders.iter().zip(&mut speeds) {
                let qps = median(speeds);
                let read = qps * (data.base.len() * size_of::<f32>()) as f64;
                println!(
                    "flat   {:<16} {threads}T {}  {qps:>8.0} q/s  {:>6.1} GB/s, {:.2} of what memory gives",
                    contender.name(),
                    if single { "one by one" } else { "all at once" },
                    read / 1e9,
                    read / bandwidth
                );
                report.flat.push(json!({
                    "name": contender.name(), "threads": threads, "single": single, "qps": qps,
                    "of_read_bandwidth": read / bandwidth,
                }));
            }
        }
    }
    Ok(())
}

/// The fastest effort of each contender that reaches a recall of 0.95 beside a filter.
fn filtered(
    options: &Options,
    contenders: &mut Vec<Box<dyn Contender + '_>>,
    peers: Option<&Rc<RefCell<Peers>>>,
    report: &mut Report,
) -> Result<()> {
    if let Some(peers) = peers {
        for lib in ["ivf", "flat"] {
            let mut peer = Peer { peers: Rc::clone(peers), lib: lib.into() };
            peer.build(2)?;
            contenders.push(Box::new(peer));
        }
    }
    for &threads in &options.threads {
        for percent in [1, 10, 50] {
            println!("\nfiltered to {percent} %, {threads} threads, recall@10 at least 0.95");
            let mut best: Vec<(String, f64)> = Vec::new();
            for contender in contenders.iter_mut() {
                match fastest(options, contender.as_mut(), threads, percent) {
                    Ok(Some(point)) => {
                        println!(
                            "  {:<18} effort {:>4}  recall {:.4}  {:>9.0} q/s",
                            contender.name(),
                            point.effort,
                            point.recall,
                            point.qps
                        );
                        report.filtered.push(json!({
                            "name": contender.name(), "threads": threads, "percent": percent, "point": point,
                        }));
                        best.push((contender.name(), point.qps));
                    }
                    Ok(None) => println!("  {:<18} not reached", contender.name()),
                    Err(error) => println!("  {:<18} {error}", contender.name()),
                }
            }
            let most = |ours: bool| {
                best.iter()
                    .filter(|(n, _)| n.starts_with("elanus") == ours)
                    .fold(0.0, |a, (_, q)| f64::max(a, *q))
            };
            println!("  ratio to the best peer: {:.2}", most(true) / most(false));
        }
    }
    Ok(())
}

fn fastest(
    options: &Options,
    contender: &mut dyn Contender,
    threads: usize,
    percent: u32,
) -> Result<Option<Point>> {
    for effort in GRAPH_EFFORTS.into_iter().chain([800, 1600]) {
        let load = Load { effort, threads, filter: Some(percent), single: false };
        let mut passes = vec![contender.search(load)?];
        if passes[0].recall >= 0.95 {
            for _ in 1..options.rounds {
                passes.push(contender.search(load)?);
            }
            return Ok(Some(point(effort, &passes)));
        }
    }
    Ok(None)
}
