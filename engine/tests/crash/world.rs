//! One seed: a simulated disk, an engine on it, the oracle, and a plan drawn step by step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elanus_engine::check::{self, Severity};
use elanus_engine::row::{KeySource, Keys, Projection};
use elanus_engine::{
    BackupInfo, Collection, Definition, Durability, Engine, EngineError, EngineOptions, Metric,
};
use elanus_storage::sim::{Faults, Random, SimVfs};
use elanus_storage::{Vfs, data_dir};

use crate::model::{all, batch, check_search, collect, schema};
use crate::oracle::{Change, Model, State, difference};

const ROOT: &str = "data";
const NAMES: [&str; 3] = ["a", "b", "c"];
const METRIC: Metric = Metric::L2;

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
    random: Random,
    settings: Settings,
    vfs: SimVfs,
    engine: Option<Arc<Engine>>,
    durability: Durability,
    /// Shared with interludes, which write while something else goes on.
    models: Arc<Mutex<BTreeMap<String, Model>>>,
    /// Collections whose creation failed: they may be there, empty, after a restart.
    may_exist: Vec<String>,
    backups: Vec<(PathBuf, BTreeMap<String, State>)>,
    /// What was visible, after each write of an interlude.
    history: Arc<Mutex<Vec<BTreeMap<String, State>>>>,
    outcome: Arc<Mutex<Outcome>>,
}

type Step = Result<(), String>;

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
    fn live(&mut self) -> Step {
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

    fn say(&self, text: impl FnOnce() -> String) {
        if self.settings.verbose {
            println!("[call {}] {}", self.vfs.calls(), text());
        }
    }

    fn set_faults(&mut self) {
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

    fn end_life(&mut self) -> Step {
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

    fn options(&self) -> EngineOptions {
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

    fn open_at(&self, root: &Path) -> Result<Arc<Engine>, String> {
        let data = data_dir::open_on(Arc::new(self.vfs.clone()), root).map_err(|e| e.to_string())?;
        Engine::open(data, self.options()).map_err(|e| e.to_string())
    }

    fn open(&mut self) -> Step {
        if self.engine.is_none() {
            let engine = self.open_at(Path::new(ROOT))?;
            if let Some((name, reason)) = engine.failed().first() {
                return Err(format!("collection {name} does not open: {reason}"));
            }
            self.engine = Some(engine);
        }
        Ok(())
    }

    fn close(&mut self) -> Step {
        if let Some(engine) = self.engine.take() {
            engine.close();
            // Nothing was wrong with the disk in the end, so all of it was synced, unless a log was poisoned before.
            if engine.faults().is_empty() {
                self.models.lock().unwrap().values_mut().for_each(Model::synced);
            }
        }
        Ok(())
    }

    fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.engine.as_ref().expect("open"))
    }

    fn collection(&mut self) -> Option<(String, Arc<Collection>)> {
        let names: Vec<String> = self.models.lock().unwrap().keys().cloned().collect();
        let name = names.get(self.random.below(names.len() as u64) as usize)?.clone();
        let collection = self.engine().collection(&name).ok()?;
        Some((name, collection))
    }

    fn step(&mut self) -> Step {
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

    fn create(&mut self) -> Step {
        let name = NAMES[self.random.below(3) as usize];
        let definition = Definition::new(name, schema(false)).index("vector", METRIC);
        self.say(|| format!("create {name}"));
        match self.engine().create(definition) {
            Ok(_) => {
                self.models.lock().unwrap().entry(name.to_owned()).or_default();
            }
            Err(_) => self.may_exist.push(name.to_owned()),
        }
        Ok(())
    }

    fn drop_one(&mut self) -> Step {
        let Some((name, _)) = self.collection() else { return Ok(()) };
        self.say(|| format!("drop {name}"));
        let dropped = self.engine().drop_collection(&name);
        let mut models = self.models.lock().unwrap();
        if dropped.is_ok() {
            models.remove(&name);
        } else if let Some(model) = models.get_mut(&name) {
            model.may_be_gone = true;
        }
        Ok(())
    }

    fn write(&mut self) -> Step {
        let change = put(&mut self.random);
        self.change(change)
    }

    fn delete(&mut self) -> Step {
        let change = delete(&mut self.random);
        self.change(change)
    }

    fn change(&mut self, change: Change) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        self.say(|| format!("{name}: {change:?}"));
        let written = write(&collection, &change);
        let mut outcome = self.outcome.lock().unwrap();
        note(&self.models, &name, change, &written, self.durability, &mut outcome);
        drop(outcome);
        self.say(|| format!("  {written:?}"));
        Ok(())
    }

    fn seal(&mut self) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        self.set_interlude(&name, &collection, Some(|c| drop(c.compact())));
        self.say(|| format!("seal {name}"));
        let sealed = collection.flush();
        self.vfs.set_interlude(None);
        self.say(|| format!("  {sealed:?}"));
        self.outcome.lock().unwrap().seals += u64::from(sealed.is_ok());
        Ok(())
    }

    fn compact(&mut self) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        self.set_interlude(&name, &collection, Some(|c| drop(c.flush())));
        self.say(|| format!("compact {name}"));
        let compacted = collection.compact();
        self.vfs.set_interlude(None);
        self.say(|| format!("  {compacted:?}"));
        self.outcome.lock().unwrap().compactions += u64::from(matches!(compacted, Ok(true)));
        Ok(())
    }

    fn sync(&mut self) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        self.say(|| format!("sync {name}"));
        if collection.sync().is_ok() {
            self.models.lock().unwrap().get_mut(&name).into_iter().for_each(Model::synced);
        }
        Ok(())
    }

    /// What another thread could do meanwhile, before some of the next calls on files of rows: writes, and `other` where
    /// no lock stands against it.
    fn set_interlude(&mut self, name: &str, collection: &Arc<Collection>, other: Option<fn(&Collection)>) {
        if self.random.chance(400) {
            return;
        }
        let mut random = Random::new(self.random.next());
        let mut wait = random.below(12);
        let (name, collection, models) = (name.to_owned(), Arc::clone(collection), Arc::clone(&self.models));
        let (durability, verbose) = (self.durability, self.settings.verbose);
        let (outcome, history) = (Arc::clone(&self.outcome), Arc::clone(&self.history));
        self.vfs.set_interlude(Some(Box::new(move |op, path| {
            let text = path.to_string_lossy();
            let rows = text.contains("truth");
            if !rows || wait > 0 {
                wait = wait.saturating_sub(u64::from(rows));
                return;
            }
            wait = random.below(6);
            let mut outcome = outcome.lock().unwrap();
            outcome.interludes += 1;
            // While files of rows are written no lock but that of the sealing or compaction itself is held.
            let free = op == "write" && (text.contains(".vectors") || text.contains(".columns"));
            match (random.below(6), other) {
                (0 | 1, Some(other)) if free => other(&collection),
                (n, _) => {
                    let change = if n < 4 { put(&mut random) } else { delete(&mut random) };
                    let written = write(&collection, &change);
                    if verbose {
                        println!("  before {op} {text}: {change:?}: {written:?}");
                    }
                    note(&models, &name, change, &written, durability, &mut outcome);
                    history.lock().unwrap().push(visible(&models));
                }
            }
        })));
    }
}

fn visible(models: &Mutex<BTreeMap<String, Model>>) -> BTreeMap<String, State> {
    models.lock().unwrap().iter().map(|(name, model)| (name.clone(), model.visible())).collect()
}

fn rows(random: &mut Random) -> Vec<(i64, i64)> {
    let most = if random.chance(100) { 120 } else { 12 };
    let count = 1 + random.below(most);
    (0..count).map(|_| (random.below(60) as i64, random.below(1000) as i64)).collect()
}

fn put(random: &mut Random) -> Change {
    Change::Put(rows(random))
}

fn delete(random: &mut Random) -> Change {
    let most = if random.chance(300) { 60 } else { 8 };
    let count = 1 + random.below(most);
    Change::Delete((0..count).map(|_| random.below(70) as i64).collect())
}

fn write(collection: &Collection, change: &Change) -> Result<(), EngineError> {
    match change {
        Change::Put(rows) => collection.insert(batch(collection.schema(), KeySource::Given, rows)).map(drop),
        Change::Delete(keys) => collection.delete_keys(Keys::Int(keys.clone())).map(drop),
    }
}

fn note(
    models: &Mutex<BTreeMap<String, Model>>,
    name: &str,
    change: Change,
    written: &Result<(), EngineError>,
    durability: Durability,
    outcome: &mut Outcome,
) {
    let mut models = models.lock().unwrap();
    let Some(model) = models.get_mut(name) else { return };
    match written {
        Ok(()) => {
            outcome.writes += 1;
            model.acknowledged(change, durability == Durability::EveryWrite);
        }
        Err(_) => {
            outcome.failed_writes += 1;
            model.failed(change);
        }
    }
}

impl World {
    fn back_up(&mut self) -> Step {
        let dir = PathBuf::from(format!("backup-{}", self.vfs.calls()));
        // What it may hold: the state before, or after any of the writes that come between.
        *self.history.lock().unwrap() = vec![self.visible()];
        if let Some((name, collection)) = self.collection() {
            self.set_interlude(&name, &collection, None);
        }
        self.say(|| format!("back up into {}", dir.display()));
        let made = self.engine().backup(&dir, &mut |_| Ok(()));
        self.vfs.set_interlude(None);
        self.say(|| format!("  {made:?}"));
        if self.vfs.is_down() {
            return Ok(());
        }
        match made {
            Ok(info) => {
                self.outcome.lock().unwrap().backups += 1;
                self.check_backup(&dir, &info)
            }
            Err(_) => Ok(()),
        }
    }

    /// A backup holds what its description says, which is what was visible at one moment of its making.
    fn check_backup(&mut self, dir: &Path, info: &BackupInfo) -> Step {
        let faults = self.vfs.swap_faults(Faults::default());
        let engine = self.open_at(dir)?;
        let mut states = BTreeMap::new();
        for described in &info.collections {
            let collection = engine.collection(&described.name).map_err(|e| format!("backup: {e}"))?;
            let state = all(&collection);
            if state.len() as u64 != described.rows {
                return Err(format!("the backup says {} rows and holds {}", described.rows, state.len()));
            }
            states.insert(described.name.clone(), state);
        }
        engine.close();
        drop(engine);
        self.vfs.set_faults(faults);
        // A collection whose log takes nothing more is left out, and that is said.
        if info.left_out.is_empty() && !self.history.lock().unwrap().contains(&states) {
            return Err(format!("the backup is no state that ever was: {states:?}"));
        }
        self.backups.push((dir.to_owned(), states));
        Ok(())
    }

    fn restore(&mut self) -> Step {
        let chosen = self.random.below(self.backups.len() as u64) as usize;
        let Some((dir, states)) = self.backups.get(chosen).cloned() else { return Ok(()) };
        let names: Vec<&String> = states.keys().collect();
        let Some(name) = names.get(self.random.below(names.len() as u64) as usize) else { return Ok(()) };
        let new_name = "restored";
        self.say(|| format!("restore {name} of {} as {new_name}", dir.display()));
        match self.engine().restore(&self.vfs.clone(), &dir, name, new_name) {
            Ok(collection) => {
                let found = all(&collection);
                if found != states[*name] {
                    return Err(format!("restored: {}", difference(&states[*name], &found)));
                }
                self.outcome.lock().unwrap().restores += 1;
                let mut model = Model::default();
                model.acknowledged(Change::Put(found.into_iter().collect()), true);
                self.models.lock().unwrap().insert(new_name.to_owned(), model);
            }
            Err(error) => {
                self.say(|| format!("  {error}"));
                let exists = matches!(error, EngineError::CollectionExists { .. });
                if !exists {
                    self.may_exist.push(new_name.to_owned());
                }
            }
        }
        Ok(())
    }

    fn search(&mut self) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        let (seed, limit) = (self.random.below(1000) as i64, 1 + self.random.below(20) as usize);
        let tag = self.random.chance(300).then(|| self.random.below(10) as i64);
        let expected = self.models.lock().unwrap()[&name].visible();
        check_search(&collection, &expected, METRIC, seed, limit, tag);
        Ok(())
    }

    fn visible(&self) -> BTreeMap<String, State> {
        visible(&self.models)
    }

    fn check_counts(&self) -> Step {
        for (name, expected) in self.visible() {
            let collection = match self.engine().collection(&name) {
                // Dropping it has failed halfway: it takes nothing more.
                Err(EngineError::CollectionFailed { .. })
                    if self.models.lock().unwrap()[&name].may_be_gone =>
                {
                    continue;
                }
                other => other.map_err(|e| e.to_string())?,
            };
            if collection.count() != expected.len() as u64 {
                return Err(format!("{name}: {}", difference(&expected, &all(&collection))));
            }
        }
        Ok(())
    }

    fn check_everything(&mut self) -> Step {
        for (name, expected) in self.visible() {
            let collection = self.engine().collection(&name).map_err(|e| e.to_string())?;
            let found = all(&collection);
            if found != expected {
                return Err(format!("{name}: {}", difference(&expected, &found)));
            }
            check_search(&collection, &expected, METRIC, 7, 10, None);
            check_search(&collection, &expected, METRIC, 8, 5, Some(3));
        }
        Ok(())
    }

    /// After a restart: what is there must be one of the things that may be there, and is the truth from now on.
    fn settle(&mut self, power_lost: bool) -> Step {
        let engine = self.engine();
        let mut models = self.models.lock().unwrap();
        let names = engine.names();
        models.retain(|name, model| names.contains(name) || !model.may_be_gone);
        for (name, model) in models.iter_mut() {
            let collection = engine.collection(name).map_err(|e| e.to_string())?;
            model
                .settle(&all(&collection), power_lost)
                .map_err(|e| format!("{name} after a restart: {e}"))?;
        }
        for name in names {
            if models.contains_key(&name) {
                continue;
            }
            if !self.may_exist.contains(&name) {
                return Err(format!("collection {name} came from nowhere"));
            }
            let collection = engine.collection(&name).map_err(|e| e.to_string())?;
            let found = all(&collection);
            if name != "restored" && !found.is_empty() {
                return Err(format!("collection {name} was never acknowledged and has rows"));
            }
            let mut model = Model::default();
            model.acknowledged(Change::Put(found.into_iter().collect()), true);
            models.insert(name, model);
        }
        self.may_exist.clear();
        Ok(())
    }

    fn examine(&self) -> Step {
        let root = Path::new(ROOT);
        if !self.vfs.exists(&root.join("FORMAT")).map_err(|e| e.to_string())? {
            return Ok(());
        }
        let vfs: Arc<dyn Vfs> = Arc::new(self.vfs.clone());
        let data = data_dir::open_to_examine(vfs, root).map_err(|e| e.to_string())?;
        let report = check::check(&data, false, &mut |_| Ok(())).map_err(|e| e.to_string())?;
        match report.findings.iter().find(|finding| finding.severity == Severity::Damage) {
            Some(finding) => Err(format!("after a crash: {finding:?}")),
            None => Ok(()),
        }
    }

    /// One bit of one cold file flips: the examination finds it, repair makes the rest usable, nothing panics.
    fn flip_a_bit(&mut self) -> Step {
        let below = |path: &PathBuf| {
            path.starts_with(ROOT) && !["LOCK", "FORMAT", "RESERVE"].iter().any(|name| path.ends_with(name))
        };
        let files: Vec<PathBuf> = self.vfs.files().into_iter().filter(below).collect();
        let Some(path) = files.get(self.random.below(files.len() as u64) as usize).cloned() else {
            return Ok(());
        };
        let place = self.random.next();
        self.vfs.damage(&path, |bytes| {
            if !bytes.is_empty() {
                let bit = place as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        });
        self.outcome.lock().unwrap().damaged_files += 1;
        self.say(|| format!("a bit flips in {}", path.display()));
        let data = |vfs: &SimVfs| {
            data_dir::open_to_examine(Arc::new(vfs.clone()), Path::new(ROOT)).map_err(|e| e.to_string())
        };
        let examine = |repair| -> Result<check::Report, String> {
            check::check(&data(&self.vfs)?, repair, &mut |examined| {
                let schema = Arc::new(examined.definition.schema.clone());
                let projection = Projection::resolve(&schema, &["tag", "seed"])?;
                examined.scan(&projection, &mut |_| Ok(()))
            })
            .map_err(|e| e.to_string())
        };
        let report = examine(false)?;
        // The end of a log can't be told from a write that was torn; everything else can.
        let is_log = path.extension().is_some_and(|e| e == "log");
        if report.findings.is_empty() && !is_log {
            return Err(format!("nobody noticed a flipped bit in {}", path.display()));
        }
        // With the damage the others must open, and nothing may panic.
        drop(self.open_at(Path::new(ROOT)));
        let repaired = examine(true)?;
        if !repaired.is_sound() {
            return Err(format!("not repaired: {:?}", repaired.findings));
        }
        let engine = self.open_at(Path::new(ROOT))?;
        if let Some((name, reason)) = engine.failed().first() {
            return Err(format!("after repair {name} does not open: {reason}"));
        }
        for name in engine.names() {
            let mut found = BTreeMap::new();
            let collection = engine.collection(&name).map_err(|e| e.to_string())?;
            let projection = Projection::resolve(collection.schema(), &["tag", "seed"]).unwrap();
            collection
                .scan(&projection, &mut |rows| {
                    collect(&rows, &mut found);
                    Ok(())
                })
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}
