//! What must hold: what reads show, what a restart leaves, what an examination finds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_engine::EngineError;
use elanus_engine::check::{self, Severity};
use elanus_engine::row::Projection;
use elanus_storage::sim::SimVfs;
use elanus_storage::{Vfs, data_dir};

use crate::model::{all, check_search, collect};
use crate::oracle::{Change, Model, State, difference};
use crate::steps::visible;
use crate::world::{METRIC, ROOT, Step, World};

impl World {
    pub(crate) fn search(&mut self) -> Step {
        let Some((name, collection)) = self.collection() else { return Ok(()) };
        let (seed, limit) = (self.random.below(1000) as i64, 1 + self.random.below(20) as usize);
        let tag = self.random.chance(300).then(|| self.random.below(10) as i64);
        let expected = self.models.lock().unwrap()[&name].visible();
        check_search(&collection, &expected, METRIC, seed, limit, tag);
        Ok(())
    }

    pub(crate) fn visible(&self) -> BTreeMap<String, State> {
        visible(&self.models)
    }

    pub(crate) fn check_counts(&self) -> Step {
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

    pub(crate) fn check_everything(&mut self) -> Step {
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
    pub(crate) fn settle(&mut self, power_lost: bool) -> Step {
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

    pub(crate) fn examine(&self) -> Step {
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
    pub(crate) fn flip_a_bit(&mut self) -> Step {
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
            let projection = Projection::resolve(&collection.schema(), &["tag", "seed"]).unwrap();
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
