//! The crash simulator. A seed decides everything: a plan of writes, searches, sealings, compactions, backups and
//! restarts on a simulated disk, with power failures at any call, lost and torn writes, full disks, failing reads,
//! writes and syncs, and flipped bits. After each recovery every acknowledged write must be there and no other half
//! there. A failure prints the one command that replays it.
//!
//! ```sh
//! cargo test --workspace --test crash                                # 2,000 seeds; some twice; and a broken disk
//! cargo test --workspace --test crash -- --seed 17 --verbose         # one, step by step
//! cargo test --release --workspace --test crash -- --seeds 0..100000
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[path = "../model/mod.rs"]
mod model;
mod oracle;
mod steps;
mod verify;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Outcome, Settings, World};

const SEEDS: Range<u64> = 0..2000;
/// Every how many seeds one is run a second time, to see that it does the same.
const TWICE_EVERY: u64 = 50;
/// A disk whose syncs do nothing must be found out within so many seeds.
const LIES_FOUND_WITHIN: u64 = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1).cloned();
    let flag = |name: &str| arguments.iter().any(|a| a == name);
    // Panics are findings, told with their seed; their own messages would come between.
    let quiet = !flag("--verbose");
    if quiet {
        std::panic::set_hook(Box::new(|_| ()));
    }
    let settings = Settings { lying_syncs: flag("--lying-syncs"), verbose: !quiet };
    if let Some(seed) = value("--seed") {
        let seed = seed.parse().expect("--seed takes a number");
        return report(&run_all(seed..seed + 1, settings));
    }
    if let Some(range) = value("--seeds") {
        let (start, end) = range.split_once("..").expect("--seeds takes FROM..TO");
        let range = start.parse().expect("a number")..end.parse().expect("a number");
        return report(&run_all(range, settings));
    }
    let lies = Settings { lying_syncs: true, verbose: false };
    if run_all(0..LIES_FOUND_WITHIN, lies).failures.is_empty() {
        println!("crash simulator: a disk whose syncs do nothing was not found out: the simulator is blind");
        return ExitCode::FAILURE;
    }
    report(&run_all(SEEDS, settings))
}

#[derive(Default)]
struct Summary {
    seeds: u64,
    failures: Vec<(u64, String)>,
    total: Outcome,
}

fn run_all(seeds: Range<u64>, settings: Settings) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, settings);
                    let mut summary = summary.lock().unwrap();
                    summary.seeds += 1;
                    match outcome {
                        Ok(outcome) => summary.total.add(&outcome),
                        Err(reason) => summary.failures.push((seed, reason)),
                    }
                }
            });
        }
    });
    summary.into_inner().unwrap()
}

fn run(seed: u64, settings: Settings) -> Result<Outcome, String> {
    let once = || {
        let result = catch_unwind(AssertUnwindSafe(|| World::new(seed, settings).run()));
        result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        })
    };
    let first = once()?;
    if seed.is_multiple_of(TWICE_EVERY) && !settings.verbose {
        let second = once()?;
        if first != second {
            return Err(format!("not the same twice: {first:?}, then {second:?}"));
        }
    }
    Ok(first)
}

fn report(summary: &Summary) -> ExitCode {
    println!("crash simulator: {} seeds, {:?}", summary.seeds, summary.total);
    for (seed, reason) in summary.failures.iter().take(10) {
        println!(
            "seed {seed}: {reason}\n  replay: cargo test --workspace --test crash -- --seed {seed} --verbose"
        );
    }
    match summary.failures.len() {
        0 => ExitCode::SUCCESS,
        failed => {
            println!("{failed} seeds failed");
            ExitCode::FAILURE
        }
    }
}
