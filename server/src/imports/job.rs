//! One import: what it shall do, how far it is, how it ended. States move in one direction; an end is final.

mod view;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::Serialize;

use super::source::Format;
pub(crate) use view::SummaryJson;

/// Where an import stands. The names are Milvus's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum State {
    /// Waits for its turn.
    Pending,
    /// At work.
    Importing,
    /// Every row is stored.
    Completed,
    /// Ended by a fault, or because somebody asked for it.
    Failed,
}

impl State {
    /// Whether there is work left.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Importing)
    }
}

/// Files that together hold some rows.
#[derive(Debug)]
pub(super) struct Group {
    /// Names as the request gave them.
    pub(super) names: Vec<String>,
    pub(super) format: Format,
    /// Bytes of all of them.
    pub(super) bytes: u64,
}

/// What a request asks for, checked.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) database: String,
    /// The collection's own name when the import was asked for, not an alias.
    pub(super) collection: String,
    /// Tells that collection from another one that gets its name later.
    pub(super) collection_id: u64,
    /// Empty for the default one.
    pub(super) partition: String,
    pub(super) groups: Vec<Group>,
}

/// An import in memory.
#[derive(Debug)]
pub(crate) struct Job {
    id: u64,
    task: Task,
    /// Where the files of each group are. Forgotten at the end.
    paths: Mutex<Vec<Vec<PathBuf>>>,
    created: i64,
    progress: Mutex<Progress>,
    stop: AtomicBool,
}

#[derive(Debug)]
struct Progress {
    state: State,
    completed: Option<i64>,
    reason: Option<String>,
    groups: Vec<Part>,
}

/// How far one group of files is.
#[derive(Debug, Clone, Default)]
struct Part {
    /// Bytes read while checking.
    checked: u64,
    total: Option<u64>,
    imported: u64,
    completed: Option<i64>,
    reason: Option<String>,
}

impl Job {
    pub(super) fn new(id: u64, task: Task, paths: Vec<Vec<PathBuf>>) -> Self {
        let groups = vec![Part::default(); task.groups.len()];
        let progress = Progress { state: State::Pending, completed: None, reason: None, groups };
        let (paths, progress) = (Mutex::new(paths), Mutex::new(progress));
        Self { id, task, paths, created: now(), progress, stop: AtomicBool::new(false) }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn task(&self) -> &Task {
        &self.task
    }

    /// The database of its collection.
    pub(crate) fn database(&self) -> &str {
        &self.task.database
    }

    /// Its collection's own name when it was asked for.
    pub(crate) fn collection(&self) -> &str {
        &self.task.collection
    }

    /// The number of that collection.
    pub(crate) fn collection_id(&self) -> u64 {
        self.task.collection_id
    }

    /// When it was asked for, in microseconds since 1970.
    pub(crate) fn created(&self) -> i64 {
        self.created
    }

    /// Where the files of each group are; nowhere when it has ended.
    pub(super) fn paths(&self) -> Vec<Vec<PathBuf>> {
        self.paths.lock().clone()
    }

    /// Whether it is going to read a file.
    pub(super) fn reads(&self, path: &Path) -> bool {
        self.paths.lock().iter().flatten().any(|read| read == path)
    }

    /// About how many bytes it takes while it is remembered.
    pub(super) fn bytes(&self) -> usize {
        let names = self.task.groups.iter().flat_map(|group| &group.names).map(String::len);
        let progress = self.progress.lock();
        let reasons = progress.groups.iter().map(|part| &part.reason).chain([&progress.reason]);
        names.sum::<usize>() + reasons.flatten().map(String::len).sum::<usize>()
    }

    pub(crate) fn state(&self) -> State {
        self.progress.lock().state
    }

    /// Whether the thread should stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks the thread to stop.
    pub(super) fn interrupt(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// From waiting to work; false when it has ended already.
    pub(super) fn begin(&self) -> bool {
        let mut progress = self.progress.lock();
        let begins = progress.state == State::Pending;
        if begins {
            progress.state = State::Importing;
        }
        begins
    }

    /// To the end, with a reason if it failed; false when it has ended already.
    pub(super) fn end(&self, outcome: Result<(), String>) -> bool {
        let mut progress = self.progress.lock();
        if !progress.state.is_active() {
            return false;
        }
        progress.completed = Some(now());
        progress.state = if outcome.is_ok() { State::Completed } else { State::Failed };
        progress.reason = outcome.err();
        self.paths.lock().clear();
        self.interrupt();
        true
    }

    /// Notes how many bytes of a group have been checked.
    pub(super) fn checked(&self, group: usize, bytes: u64) {
        self.with(group, |part| part.checked = bytes);
    }

    /// Notes how many rows a group has.
    pub(super) fn counted(&self, group: usize, rows: u64) {
        self.with(group, |part| part.total = Some(rows));
    }

    /// Notes that more rows of a group are stored.
    pub(super) fn imported(&self, group: usize, rows: u64) {
        self.with(group, |part| part.imported += rows);
    }

    /// Notes that a group is stored.
    pub(super) fn completed(&self, group: usize) {
        self.with(group, |part| part.completed = Some(now()));
    }

    /// Notes which group is to blame.
    pub(super) fn blame(&self, group: usize, reason: &str) {
        self.with(group, |part| part.reason = Some(reason.to_owned()));
    }

    fn with(&self, group: usize, change: impl FnOnce(&mut Part)) {
        if let Some(part) = self.progress.lock().groups.get_mut(group) {
            change(part);
        }
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let group = |bytes| Group { names: vec!["a.json".into()], format: Format::Json, bytes };
        let task = Task {
            database: "default".into(),
            collection: "c".into(),
            collection_id: 1,
            partition: String::new(),
            groups: vec![group(100), group(0)],
        };
        Job::new(7, task, vec![vec!["/a.json".into()], vec!["/b.json".into()]])
    }

    #[test]
    fn states_move_in_one_direction() {
        let job = job();
        assert_eq!(job.state(), State::Pending);
        assert!(job.reads(Path::new("/b.json")) && !job.reads(Path::new("/c.json")));
        assert!(job.begin() && !job.begin());
        assert!(job.end(Err("why".into())) && !job.end(Ok(())));
        assert!(job.is_stopped() && !job.begin());
        assert_eq!(job.view().reason.as_deref(), Some("why"));
        assert!(!job.reads(Path::new("/b.json")), "what has ended reads nothing");
        assert_eq!(job.bytes(), "a.json".len() * 2 + "why".len());
    }

    #[test]
    fn the_progress_grows_to_a_hundred() {
        let job = job();
        let mut last = 0;
        let mut grows = |now: u64| {
            assert!(now >= last, "{now} after {last}");
            last = now;
        };
        grows(job.view().progress);
        job.begin();
        job.checked(0, 60);
        grows(job.view().progress);
        job.counted(0, 10);
        job.counted(1, 0);
        grows(job.view().progress);
        job.imported(0, 10);
        job.completed(0);
        job.completed(1);
        grows(job.view().progress);
        assert_eq!(job.view().progress, 99);
        job.end(Ok(()));
        let view = serde_json::to_value(job.view()).unwrap();
        assert_eq!((&view["progress"], &view["state"]), (&100.into(), &"Completed".into()));
        assert_eq!(
            (&view["importedRows"], &view["totalRows"], &view["fileSize"]),
            (&10.into(), &10.into(), &100.into())
        );
        assert_eq!(view["details"][0]["fileName"], "a.json");
        assert!(view.get("reason").is_none());
        assert_eq!(view["jobId"], "7");
    }
}
