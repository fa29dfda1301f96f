//! What a plan is made of: writes, sealing, compaction, backups and the like, and what happens in between.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use elanus_engine::row::{KeySource, Keys};
use elanus_engine::{BackupInfo, Collection, Definition, Durability, EngineError};
use elanus_storage::sim::{Faults, Random};

use crate::model::{all, batch, schema};
use crate::oracle::{Change, Model, State, difference};
use crate::world::{METRIC, NAMES, Outcome, Step, World};

impl World {
    pub(crate) fn create(&mut self) -> Step {
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

    pub(crate) fn drop_one(&mut self) -> Step {
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

    pub(crate) fn write(&mut self) -> Step {
        let change = put(&mut self.random);
        self.change(change)
    }

    pub(crate) fn delete(&mut self) -> Step {
        let change = delete(&mut self.random);
        self.change(change)
    }

    pub(crate) fn change(&mut self, change: Change) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        self.say(|| format!("{name}: {change:?}"));
        let written = write(&collection, &change);
        let mut outcome = self.outcome.lock().unwrap();
        note(&self.models, &name, change, &written, self.durability, &mut outcome);
        drop(outcome);
        self.say(|| format!("  {written:?}"));
        Ok(())
    }

    pub(crate) fn seal(&mut self) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        self.set_interlude(&name, &collection, Some(|c| drop(c.compact())));
        self.say(|| format!("seal {name}"));
        let sealed = collection.flush();
        self.vfs.set_interlude(None);
        self.say(|| format!("  {sealed:?}"));
        self.outcome.lock().unwrap().seals += u64::from(sealed.is_ok());
        Ok(())
    }

    pub(crate) fn compact(&mut self) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        self.set_interlude(&name, &collection, Some(|c| drop(c.flush())));
        let settle = self.random.below(3) == 0;
        self.say(|| format!("{} {name}", if settle { "settle" } else { "compact" }));
        let compacted = if settle { collection.settle() } else { collection.compact() };
        self.vfs.set_interlude(None);
        self.say(|| format!("  {compacted:?}"));
        self.outcome.lock().unwrap().compactions += u64::from(matches!(compacted, Ok(true)));
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        self.say(|| format!("sync {name}"));
        if collection.sync().is_ok() {
            self.models.lock().unwrap().get_mut(&name).into_iter().for_each(Model::synced);
        }
        Ok(())
    }

    /// What another thread could do meanwhile, before some of the next calls on files of rows: writes, and `other` where
    /// no lock stands against it.
    pub(crate) fn set_interlude(
        &mut self,
        name: &str,
        collection: &Arc<Collection>,
        other: Option<fn(&Collection)>,
    ) {
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

    pub(crate) fn back_up(&mut self) -> Step {
        let dir = PathBuf::from(format!("backup-{}", self.vfs.calls()));
        // What it may hold: the state before, or after any of the writes that come between.
        *self.history.lock().unwrap() = vec![self.visible()];
        if let Some((name, collection)) = self.collection() {
            self.set_interlude(&name, &collection, None);
        }
        self.say(|| format!("back up into {}", dir.display()));
        let made = self.engine().backup(&dir, &mut |_| Ok(BTreeMap::new()));
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
    pub(crate) fn check_backup(&mut self, dir: &Path, info: &BackupInfo) -> Step {
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

    pub(crate) fn restore(&mut self) -> Step {
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
}

pub(crate) fn visible(models: &Mutex<BTreeMap<String, Model>>) -> BTreeMap<String, State> {
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
        Change::Put(rows) => collection.insert(batch(&collection.schema(), KeySource::Given, rows)).map(drop),
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
