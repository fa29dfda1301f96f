//! One seed: a simulated disk, an engine on it, the oracle, and a plan drawn step by step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elanus_engine::{Collection, Durability, Engine, EngineOptions, Metric};
use elanus_storage::sim::{Faults, Random, SimVfs};
use elanus_storage::{Vfs, data_dir};

use crate::oracle::{Model, State};

pub(crate) const ROOT: &str = "data";
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];
pub(crate) const METRIC: Metric = Metric::L2;

/// How seeds are run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) lying_syncs: bool,
    pub(crate) verbose: bool,
}

/// What a seed went through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) calls: u64,
    pub(crate) writes: u64,
    pub(crate) failed_writes: u64,
    pub(crate) power_losses: u64,
    pub(crate) kills: u64,
    pub(crate) seals: u64,
    pub(crate) compactions: u64,
    pub(crate) backups: u64,
    pub(crate) restores: u64,
    pub(crate) interludes: u64,
    pub(crate) damaged_files: u64,
    trace: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.writes += other.writes;
        self.failed_writes += other.failed_writes;
        self.power_losses += other.power_losses;
        self.kills += other.kills;
        self.seals += other.seals;
        self.compactions += other.compactions;
        self.backups += other.backups;
        self.restores += other.restores;
        self.interludes += other.interludes;
        self.damaged_files += other.damaged_files;
        self.trace ^= other.trace;
    }
}

/// Everything of one seed.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) settings: Settings,
    pub(crate) vfs: SimVfs,
    pub(crate) engine: Option<Arc<Engine>>,
    pub(crate) durability: Durability,
    /// Shared with interludes, which write while something else goes on.
    pub(crate) models: Arc<Mutex<BTreeMap<String, Model>>>,
    /// Collections whose creation failed: they may be there, empty, after a restart.
    pub(crate) may_exist: Vec<String>,
    pub(crate) backups: Vec<(PathBuf, BTreeMap<String, State>)>,
    /// What was visible, after each write of an interlude.
    pub(crate) history: Arc<Mutex<Vec<BTreeMap<String, State>>>>,
    pub(crate) outcome: Arc<Mutex<Outcome>>,
}

pub(crate) type Step = Result<(), String>;

impl World {
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        let mut random = Random::new(seed);
        let durability = match random.below(5) {
            0 => Durability::Interval(Duration::from_secs(1)),
            _ => Durability::EveryWrite,
        };
        Self {
            vfs: SimVfs::new(random.next()),
            random,
            settings,
            engine: None,
            durability,
            models: Arc::default(),
            may_exist: Vec::new(),
            backups: Vec::new(),
            history: Arc::default(),
            outcome: Arc::default(),
        }
    }

    pub(crate) fn run(mut self) -> Result<Outcome, String> {
        if self.settings.verbose {
            self.vfs.tell_calls();
        }
        let lives = 2 + self.random.below(3);
        for _ in 0..lives {
            self.live()?;
        }
        // The last life has no faults: everything must work.
        self.open()?;
        self.check_everything()?;
        self.close()?;
        self.flip_a_bit()?;
        let mut outcome = self.outcome.lock().unwrap().clone();
        (outcome.calls, outcome.trace) = (self.vfs.calls(), self.vfs.trace());
        Ok(outcome)
    }

    /// From a start to a stop, a kill or a loss of power.
    pub(crate) fn live(&mut self) -> Step {
        self.open()?;
        self.check_everything()?;
        self.set_faults();
        for _ in 0..5 + self.random.below(25) {
            self.step()?;
            if self.vfs.is_down() {
                break;
            }
        }
        self.end_life()
    }

    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.settings.verbose {
            println!("[call {}] {}", self.vfs.calls(), text());
        }
    }

    pub(crate) fn set_faults(&mut self) {
        let random = &mut self.random;
        let mut faults =
            Faults { short_reads: 200, lying_syncs: self.settings.lying_syncs, ..Faults::default() };
        if random.chance(600) {
            faults.crash_at = Some(self.vfs.calls() + 1 + random.below(400));
        }
        match random.below(6) {
            0 => faults.failing_writes = 30,
            1 => faults.failing_syncs = 40,
            2 => faults.failing_names = 20,
            3 => {
                let space = self.vfs.space(Path::new(ROOT)).expect("no faults yet");
                faults.capacity = Some(space.total - space.free + random.below(60_000));
            }
            _ => {}
        }
        self.say(|| format!("faults: {faults:?}"));
        self.vfs.set_faults(faults);
    }

    pub(crate) fn end_life(&mut self) -> Step {
        self.vfs.set_interlude(None);
        let power_lost = self.vfs.is_down() || self.random.chance(500);
        if !power_lost && self.random.chance(300) {
            self.vfs.set_faults(Faults::default());
            self.close()?;
        } else {
            // As a killed process: nobody says goodbye. With the power off its last calls do nothing.
            self.vfs.set_faults(Faults { crash_at: Some(0), ..Faults::default() });
            self.engine = None;
        }
        let mut outcome = self.outcome.lock().unwrap();
        if power_lost {
            outcome.power_losses += 1;
            self.vfs.restart_after_power_loss();
        } else {
            outcome.kills += 1;
            self.vfs.restart_after_kill();
        }
        drop(outcome);
        self.say(|| format!("restart, power lost: {power_lost}"));
        // A directory that nobody has opened since the crash holds no damage.
        self.examine()?;
        self.open()?;
        self.settle(power_lost)
    }

    pub(crate) fn options(&self) -> EngineOptions {
        EngineOptions {
            durability: self.durability,
            // Sealing and compaction are steps of the plan.
            seal_bytes: 1 << 20,
            segment_bytes: 1 << 20,
            search_threads: 1,
            background: false,
            reserve_bytes: 4096,
            ..EngineOptions::default()
        }
    }

    pub(crate) fn open_at(&self, root: &Path) -> Result<Arc<Engine>, String> {
        let data = data_dir::open_on(Arc::new(self.vfs.clone()), root).map_err(|e| e.to_string())?;
        Engine::open(data, self.options()).map_err(|e| e.to_string())
    }

    pub(crate) fn open(&mut self) -> Step {
        if self.engine.is_none() {
            let engine = self.open_at(Path::new(ROOT))?;
            if let Some((name, reason)) = engine.failed().first() {
                return Err(format!("collection {name} does not open: {reason}"));
            }
            self.engine = Some(engine);
        }
        Ok(())
    }

    pub(crate) fn close(&mut self) -> Step {
        if let Some(engine) = self.engine.take() {
            engine.close();
            // Nothing was wrong with the disk in the end, so all of it was synced, unless a log was poisoned before.
            if engine.faults().is_empty() {
                self.models.lock().unwrap().values_mut().for_each(Model::synced);
            }
        }
        Ok(())
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.engine.as_ref().expect("open"))
    }

    pub(crate) fn collection(&mut self) -> Option<(String, Arc<Collection>)> {
        let names: Vec<String> = self.models.lock().unwrap().keys().cloned().collect();
        let name = names.get(self.random.below(names.len() as u64) as usize)?.clone();
        let collection = self.engine().collection(&name).ok()?;
        Some((name, collection))
    }

    pub(crate) fn step(&mut self) -> Step {
        match self.random.below(100) {
            0..8 => self.create(),
            8..40 => self.write(),
            40..50 => self.delete(),
            50..65 => self.seal(),
            65..78 => self.compact(),
            78..80 => self.drop_one(),
            80..84 => self.back_up(),
            84..87 => self.restore(),
            87..90 => self.sync(),
            _ => self.search(),
        }?;
        if self.vfs.is_down() { Ok(()) } else { self.check_counts() }
    }
}
