//! One job: what it shall do, how far it is, how it ended. States move in one direction; an end is final. The record is
//! what the file holds and what survives; the pace is for people who watch.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::images::AskedDescriptor;

/// Refused files that a job lists; all are counted.
const MAX_LISTED: usize = 1000;
/// Refused files of each job in a list of jobs.
const MAX_IN_SUMMARY: usize = 20;
/// The rate is that of this last while.
const PACE_WINDOW: Duration = Duration::from_secs(15);
/// Moments remembered for the rate are at least this far apart.
const PACE_STEP: Duration = Duration::from_millis(250);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobState {
    /// Waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Every file was looked at.
    Done,
    /// Stopped by a request.
    Cancelled,
    /// Stopped by a fault that no single file is to blame for.
    Failed,
}

impl JobState {
    /// Whether there is work left.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// As in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// A file that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedFile {
    /// Its name below the folder.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
}

/// What the job's file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) state: JobState,
    pub(crate) collection: String,
    /// Absolute path.
    pub(crate) folder: String,
    /// Whether who began it may make the collection, should it not be there when the job runs.
    #[serde(default)]
    pub(crate) may_create: bool,
    /// How the images of the collection shall become vectors, as far as that was said.
    #[serde(default)]
    pub(crate) descriptor: AskedDescriptor,
    /// Milliseconds since 1970.
    pub(crate) created_ms: u64,
    /// Files found that may be images.
    pub(crate) total: u64,
    /// Files handled: stored, found stored already, or refused.
    pub(crate) done: u64,
    /// Of those, found stored already.
    pub(crate) skipped: u64,
    /// Of those, refused.
    pub(crate) failed_count: u64,
    /// The first refused ones.
    pub(crate) failed: Vec<FailedFile>,
    /// Why the job failed.
    #[serde(default)]
    pub(crate) message: Option<String>,
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
    folder: String,
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

impl Record {
    /// A job that waits.
    pub(crate) fn new(id: u64, collection: String, folder: String) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id,
            state: JobState::Queued,
            collection,
            folder,
            may_create: true,
            descriptor: AskedDescriptor::default(),
            created_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            total: 0,
            done: 0,
            skipped: 0,
            failed_count: 0,
            failed: Vec::new(),
            message: None,
        }
    }

    /// As it starts after a restart: what was under way begins again.
    pub(crate) fn resumed(self) -> Self {
        if !self.state.is_active() {
            return self;
        }
        let Self { created_ms, may_create, descriptor, .. } = self;
        Self { created_ms, may_create, descriptor, ..Self::new(self.id, self.collection, self.folder) }
    }
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
        let mut record = self.record.lock();
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
        drop(record);
        self.count_done(1, 0);
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
        JobView {
            id: record.id.to_string(),
            state: record.state,
            total: record.total,
            done: record.done,
            failed: record.failed,
            rate: (rate * 100.0).round() / 100.0,
            eta_s: eta,
            collection: record.collection,
            folder: record.folder,
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
        Job::new(Record::new(7, "images".into(), "/photos".into()))
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
    fn a_restart_begins_active_jobs_again_and_keeps_ended_ones() {
        let asked = serde_json::from_str(r#"{"pooling": "gem"}"#).unwrap();
        let record = Record { may_create: false, descriptor: asked, ..job().record() };
        let running = Job::new(record);
        running.begin();
        running.count_done(5, 1);
        let resumed = running.record().resumed();
        assert_eq!((resumed.may_create, resumed.descriptor), (false, asked), "what was asked for stays");
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
