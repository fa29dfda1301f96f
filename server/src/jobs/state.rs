//! One job in memory: how far it is, and how fast it goes, for people who watch. States move in one direction; an end is
//! final.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

use super::record::{FailedFile, ImportTask, JobState, Record, Task};
use crate::images::ReduceRequest;

/// Refused files that a job lists; all are counted.
const MAX_LISTED: usize = 1000;
/// Refused files of each job in a list of jobs.
const MAX_IN_SUMMARY: usize = 20;
/// The rate is that of this last while.
const PACE_WINDOW: Duration = Duration::from_secs(15);
/// Moments remembered for the rate are at least this far apart.
const PACE_STEP: Duration = Duration::from_millis(250);

/// What a job does, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum TaskView {
    Import { folder: String },
    Reduce(ReduceRequest),
}

/// A job as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobView {
    id: String,
    state: JobState,
    total: u64,
    done: u64,
    failed: Vec<FailedFile>,
    /// Files a second.
    rate: f64,
    /// Seconds left; none while unknown.
    #[serde(rename = "eta_s")]
    eta_s: Option<u64>,
    collection: String,
    #[serde(flatten)]
    task: TaskView,
    failed_count: u64,
    skipped: u64,
    /// Milliseconds since 1970.
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// A job in memory.
#[derive(Debug)]
pub(crate) struct Job {
    record: Mutex<Record>,
    pace: Mutex<Pace>,
    /// Asks the thread to stop: cancelled, or the server ends.
    stop: AtomicBool,
}

impl Job {
    /// A job with this record.
    pub(crate) fn new(record: Record) -> Self {
        Self { record: Mutex::new(record), pace: Mutex::default(), stop: AtomicBool::new(false) }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u64 {
        self.record.lock().id
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> JobState {
        self.record.lock().state
    }

    /// Whether it imports a folder.
    pub(crate) fn is_import(&self) -> bool {
        matches!(self.record.lock().task, Task::Import(_))
    }

    /// Files handled, and files found.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let record = self.record.lock();
        (record.done, record.total)
    }

    /// A copy of everything.
    pub(crate) fn record(&self) -> Record {
        self.record.lock().clone()
    }

    /// Set once the thread should stop.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Whether the thread should stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// From queued to running; false when it is not queued.
    pub(crate) fn begin(&self) -> bool {
        let mut record = self.record.lock();
        let begins = record.state == JobState::Queued;
        if begins {
            record.state = JobState::Running;
            self.pace.lock().begin(Instant::now());
        }
        begins
    }

    /// From an active state to a final one; false when it has ended already.
    pub(crate) fn end(&self, state: JobState, message: Option<String>) -> bool {
        let mut record = self.record.lock();
        if !record.state.is_active() || state.is_active() {
            return false;
        }
        record.state = state;
        record.message = message;
        if state == JobState::Done {
            // The folder may have changed since it was counted.
            record.total = record.done;
        }
        self.stop.store(true, Ordering::Relaxed);
        let done = record.done;
        drop(record);
        self.pace.lock().end(Instant::now(), done);
        true
    }

    /// Asks the thread to stop without an end: the job goes on after a restart.
    pub(crate) fn interrupt(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Counts files that were found.
    pub(crate) fn count_found(&self, files: u64) {
        self.record.lock().total += files;
    }

    /// Counts files that are handled; `skipped` of them were stored before.
    pub(crate) fn count_done(&self, files: u64, skipped: u64) {
        self.count(self.record.lock(), files, skipped);
    }

    fn count(&self, mut record: MutexGuard<'_, Record>, files: u64, skipped: u64) {
        record.done += files;
        record.skipped += skipped;
        record.total = record.total.max(record.done);
        let done = record.done;
        drop(record);
        self.pace.lock().note(Instant::now(), done);
    }

    /// Counts a refused file, and lists it while there is room.
    pub(crate) fn count_failed(&self, name: String, reason: String) {
        let mut record = self.record.lock();
        record.failed_count += 1;
        if record.failed.len() < MAX_LISTED {
            record.failed.push(FailedFile { name, reason });
        }
        // In the same breath: whoever looks between would find more refused files than handled ones.
        self.count(record, 1, 0);
    }

    /// Files a second, and seconds left where that can be told.
    pub(crate) fn pace(&self) -> (f64, Option<u64>) {
        let (state, left, done) = {
            let record = self.record.lock();
            (record.state, record.total.saturating_sub(record.done), record.done)
        };
        let rate = self.pace.lock().rate(Instant::now(), done);
        (rate, (state == JobState::Running && rate > 0.0).then(|| (left as f64 / rate).ceil() as u64))
    }

    /// The job as lists show it: with the first few refused files.
    pub(crate) fn summary(&self) -> JobView {
        let mut view = self.view();
        view.failed.truncate(MAX_IN_SUMMARY);
        view
    }

    /// The job as the API shows it.
    pub(crate) fn view(&self) -> JobView {
        let (rate, eta) = self.pace();
        let record = self.record();
        let task = match record.task {
            Task::Import(ImportTask { folder, .. }) => TaskView::Import { folder },
            Task::Reduce(request) => TaskView::Reduce(request),
        };
        JobView {
            id: record.id.to_string(),
            state: record.state,
            total: record.total,
            done: record.done,
            failed: record.failed,
            rate: (rate * 100.0).round() / 100.0,
            eta_s: eta,
            collection: record.collection,
            task,
            failed_count: record.failed_count,
            skipped: record.skipped,
            created_at: record.created_ms,
            message: record.message,
        }
    }
}

/// How fast it goes: moments of the last while with the files done by then; for an ended job the whole time.
#[derive(Debug, Default)]
struct Pace {
    begun: Option<Instant>,
    moments: VecDeque<(Instant, u64)>,
    ended: Option<f64>,
}

impl Pace {
    fn begin(&mut self, now: Instant) {
        self.begun = Some(now);
        self.moments = VecDeque::from([(now, 0)]);
    }

    fn note(&mut self, now: Instant, done: u64) {
        if self.moments.back().is_none_or(|(last, _)| now.duration_since(*last) >= PACE_STEP) {
            self.moments.push_back((now, done));
        }
        // One moment before the window stays, so that it is always covered.
        while self.moments.get(1).is_some_and(|(second, _)| now.duration_since(*second) >= PACE_WINDOW) {
            self.moments.pop_front();
        }
    }

    fn end(&mut self, now: Instant, done: u64) {
        let seconds = self.begun.map_or(0.0, |begun| now.duration_since(begun).as_secs_f64());
        self.ended = Some(per_second(done, seconds));
    }

    fn rate(&self, now: Instant, done: u64) -> f64 {
        if let Some(rate) = self.ended {
            return rate;
        }
        let Some((since, before)) = self.moments.front() else { return 0.0 };
        per_second(done.saturating_sub(*before), now.duration_since(*since).as_secs_f64())
    }
}

fn per_second(files: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { files as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job::new(Record::new(7, "images".into(), Task::Import(ImportTask::new("/photos"))))
    }

    #[test]
    fn states_move_in_one_direction() {
        let job = job();
        assert!(!job.end(JobState::Running, None), "running is no end");
        assert!(job.begin() && !job.begin());
        assert!(job.end(JobState::Cancelled, None));
        assert!(job.is_stopped());
        assert!(!job.end(JobState::Done, None) && !job.begin());
        assert_eq!(job.state(), JobState::Cancelled);

        let waiting = self::job();
        assert!(waiting.end(JobState::Cancelled, None), "a job that waits can be cancelled");
        assert!(!waiting.begin());
    }

    #[test]
    fn counts_are_exact_where_the_list_is_bounded() {
        let job = job();
        job.begin();
        job.count_found(3000);
        for i in 0..1500 {
            job.count_failed(format!("{i}.jpg"), "broken".into());
        }
        job.count_done(500, 200);
        let view = job.view();
        assert_eq!((view.failed.len(), view.failed_count), (MAX_LISTED, 1500));
        assert_eq!((view.done, view.skipped, view.total), (2000, 200, 3000));
        assert_eq!(view.failed[0].name, "0.jpg");
        job.end(JobState::Done, None);
        assert_eq!(job.view().total, 2000, "files that have gone meanwhile are not waited for");
    }

    #[test]
    fn a_look_at_a_running_job_adds_up() {
        let job = job();
        job.begin();
        std::thread::scope(|scope| {
            let work =
                scope.spawn(|| (0..50_000).for_each(|_| job.count_failed(String::new(), String::new())));
            while !work.is_finished() {
                let record = job.record.lock();
                assert_eq!(record.done, record.failed_count);
            }
        });
    }

    #[test]
    fn a_restart_begins_active_jobs_again_and_keeps_ended_ones() {
        let asked = serde_json::from_str(r#"{"pooling": "gem"}"#).unwrap();
        let task =
            Task::Import(ImportTask { folder: "/photos".into(), may_create: false, descriptor: asked });
        let running = Job::new(Record { task: task.clone(), ..job().record() });
        running.begin();
        running.count_done(5, 1);
        let resumed = running.record().resumed();
        assert_eq!(resumed.task, task, "what was asked for stays");
        assert_eq!((resumed.state, resumed.done, resumed.id), (JobState::Queued, 0, 7));
        assert_eq!(resumed.created_ms, running.record().created_ms);
        running.end(JobState::Failed, Some("disk full".into()));
        assert_eq!(running.record().resumed(), running.record());
    }

    #[test]
    fn the_view_has_the_promised_names() {
        let json = serde_json::to_value(job().view()).unwrap();
        let names: Vec<&String> = json.as_object().unwrap().keys().collect();
        let promised = [
            "id",
            "state",
            "total",
            "done",
            "failed",
            "rate",
            "eta_s",
            "collection",
            "folder",
            "failedCount",
            "skipped",
            "createdAt",
        ];
        assert_eq!(names, promised);
        assert_eq!((json["id"].as_str(), json["state"].as_str()), (Some("7"), Some("queued")));
    }

    #[test]
    fn the_file_says_what_the_job_does() {
        let stored = |record: &Record| serde_json::to_value(record).unwrap();
        let import = stored(&job().record());
        assert_eq!(
            (import["folder"].as_str(), import["may_create"].as_bool()),
            (Some("/photos"), Some(true))
        );
        let request = ReduceRequest { to: "small".into(), dimension: 64, whiten: true };
        let record = Record { task: Task::Reduce(request), ..job().record() };
        assert_eq!(serde_json::from_value::<Record>(stored(&record)).unwrap(), record);
        let view = serde_json::to_value(Job::new(record).view()).unwrap();
        assert_eq!(
            (view["to"].as_str(), view["dimension"].as_u64(), view["whiten"].as_bool()),
            (Some("small"), Some(64), Some(true))
        );
        assert!(view.get("folder").is_none());
        // As files were before there were other jobs than imports.
        let old = serde_json::json!({"id": 1, "state": "done", "collection": "a", "folder": "/b", "created_ms": 1,
            "total": 0, "done": 0, "skipped": 0, "failed_count": 0, "failed": []});
        let old: Record = serde_json::from_value(old).unwrap();
        assert!(matches!(old.task, Task::Import(ImportTask { may_create: false, .. })));
    }

    #[test]
    fn the_rate_is_that_of_the_last_while() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut pace = Pace::default();
        assert_eq!(pace.rate(at(0), 0), 0.0);
        pace.begin(start);
        // A resumed job races through what is stored, then works.
        pace.note(at(1), 10_000);
        for second in 2..=100 {
            pace.note(at(second), 10_000 + 3 * (second - 1));
        }
        assert!((pace.rate(at(100), 10_000 + 3 * 99) - 3.0).abs() < 1e-9);
        assert!(pace.moments.len() < 70);
        pace.end(at(100), 10_297);
        assert!((pace.rate(at(500), 10_297) - 102.97).abs() < 1e-9);
    }
}
