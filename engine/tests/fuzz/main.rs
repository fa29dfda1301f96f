//! Fuzzing of everything that is read from disk: a small data directory is made, one of its files is changed at random,
//! often with its checksums put right again, so that the change gets past them; then the directory is examined, opened,
//! read, searched, written and repaired. Whatever happens must be an answer or a typed error. The corpus is what the
//! program itself writes; a finding is replayed by its seed.
//!
//! ```sh
//! cargo test --workspace --test fuzz                                         # a short run of every target
//! cargo test --workspace --test fuzz -- --target log --seed 17               # one
//! cargo test --release --workspace --test fuzz -- --seconds 600              # ten minutes each
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[path = "../model/mod.rs"]
mod model;
mod mutate;
mod repair;
mod target;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use target::{TARGETS, Target};

/// Changes of each target in a run without arguments.
const SEEDS: u64 = 400;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1).cloned();
    let number = |name: &str| value(name).map(|text| text.parse::<u64>().expect("a number"));
    let chosen = value("--target");
    let one = number("--seed");
    if one.is_none() {
        std::panic::set_hook(Box::new(|_| ()));
    }
    let budget = number("--seconds").map(Duration::from_secs);
    let start = number("--from").unwrap_or(0);
    let corpus = target::corpus();
    let mut failed = false;
    for target in TARGETS.iter().filter(|t| chosen.as_ref().is_none_or(|name| name == t.name)) {
        let began = Instant::now();
        let more = |seed: u64| match (one, budget) {
            (Some(_), _) => seed == start,
            (None, Some(budget)) => began.elapsed() < budget,
            (None, None) => seed < start + SEEDS,
        };
        let mut seed = start;
        while more(seed) {
            failed |= !passes(target, &corpus, one.unwrap_or(seed));
            seed += 1;
        }
        println!("fuzz {}: {} changes in {:?}", target.name, seed - start, began.elapsed());
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn passes(target: &Target, corpus: &target::Files, seed: u64) -> bool {
    let result = catch_unwind(AssertUnwindSafe(|| target::run(target, corpus, seed)));
    let reason = match result {
        Ok(Ok(())) => return true,
        Ok(Err(reason)) => reason,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
        }
    };
    println!("fuzz {} seed {seed}: {reason}", target.name);
    println!("  replay: cargo test --workspace --test fuzz -- --target {} --seed {seed}", target.name);
    false
}
