//! The progress of the imports that began with the server, for the person at the terminal: a bar for each where there is
//! a terminal, a line in the log every few seconds where there is none. Files that were refused are told at the end.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::record::{Record, Task};
use super::state::Job;

/// How often bars move.
const TICK: Duration = Duration::from_millis(200);
/// How often a line is logged.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Refused files that are told one by one.
const MAX_TOLD: usize = 20;
/// Longest part of a folder's name in front of a bar, in characters.
const LABEL_CHARS: usize = 28;

/// Shows the progress of these jobs until they have ended or were interrupted, from a thread of its own.
pub(super) fn show(jobs: Vec<Arc<Job>>) {
    if jobs.is_empty() {
        return;
    }
    let terminal = std::io::stderr().is_terminal();
    let watch = move || if terminal { bars(&jobs) } else { lines(&jobs) };
    if let Err(error) = std::thread::Builder::new().name("progress".to_owned()).spawn(watch) {
        tracing::warn!(%error, "no thread to show the progress of imports");
    }
}

fn is_over(job: &Job) -> bool {
    !job.state().is_active() || job.is_stopped()
}

fn bars(jobs: &[Arc<Job>]) {
    let all = MultiProgress::new();
    let mut watched: Vec<(&Arc<Job>, ProgressBar)> =
        jobs.iter().map(|job| (job, all.add(bar(job)))).collect();
    while !watched.is_empty() {
        std::thread::sleep(TICK);
        watched.retain(|(job, bar)| {
            let record = job.record();
            bar.set_length(record.total);
            bar.set_position(record.done);
            bar.set_message(in_words(&job.pace(), &record));
            if is_over(job) {
                bar.finish();
                for line in outcome(&record) {
                    bar.println(line);
                }
            }
            !is_over(job)
        });
    }
}

fn bar(job: &Job) -> ProgressBar {
    let bar = ProgressBar::new(0).with_prefix(label(folder(&job.record())));
    // The template is a constant: if it were wrong, the plain style would do.
    match ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn lines(jobs: &[Arc<Job>]) {
    let mut last = Instant::now();
    let mut watched: Vec<&Arc<Job>> = jobs.iter().collect();
    while !watched.is_empty() {
        std::thread::sleep(TICK);
        let due = last.elapsed() >= LOG_EVERY;
        watched.retain(|job| {
            let record = job.record();
            if is_over(job) {
                outcome(&record).iter().for_each(|line| tracing::info!("{line}"));
            } else if due {
                let words = in_words(&job.pace(), &record);
                tracing::info!(folder = folder(&record), "imported {}/{} {words}", record.done, record.total);
            }
            !is_over(job)
        });
        if due {
            last = Instant::now();
        }
    }
}

/// Rate, time left and refused files.
fn in_words((rate, eta): &(f64, Option<u64>), record: &Record) -> String {
    let mut words = format!("{rate:.1} photos/s");
    if let Some(eta) = eta {
        words.push_str(&format!(", {} left", duration(*eta)));
    }
    if record.failed_count > 0 {
        words.push_str(&format!(", {} refused", record.failed_count));
    }
    words
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

/// The folder that an import reads: no other job begins with the server.
fn folder(record: &Record) -> &str {
    match &record.task {
        Task::Import(task) => &task.folder,
        Task::Reduce(_) => &record.collection,
    }
}

/// How an import ended, and which files were refused.
fn outcome(record: &Record) -> Vec<String> {
    let stored = record.done.saturating_sub(record.skipped).saturating_sub(record.failed_count);
    let mut lines = vec![format!(
        "{}: {} ({} new, {} already there, {} refused)",
        folder(record),
        if record.state.is_active() { "interrupted, goes on at the next start" } else { record.state.name() },
        stored,
        record.skipped,
        record.failed_count
    )];
    lines.extend(record.message.iter().cloned());
    lines.extend(record.failed.iter().take(MAX_TOLD).map(|file| format!("  {}: {}", file.name, file.reason)));
    let told = record.failed.len().min(MAX_TOLD) as u64;
    if record.failed_count > told {
        lines.push(format!("  and {} more, listed by /v1/jobs/{}", record.failed_count - told, record.id));
    }
    lines
}

/// The end of a path, which says more than its beginning.
fn label(folder: &str) -> String {
    let chars = folder.chars().count();
    if chars <= LABEL_CHARS {
        return folder.to_owned();
    }
    let end: String = folder.chars().skip(chars - LABEL_CHARS + 3).collect();
    format!("...{end}")
}

#[cfg(test)]
mod tests {
    use super::super::record::{FailedFile, ImportTask, JobState};
    use super::*;

    #[test]
    fn the_outcome_adds_up_and_is_bounded() {
        let mut record = Record::new(3, "images".into(), Task::Import(ImportTask::new("/photos")));
        (record.state, record.done, record.skipped, record.failed_count) = (JobState::Done, 100, 30, 25);
        record.failed = (0..25)
            .map(|i| FailedFile { name: format!("{i}.jpg"), reason: "the file is empty".into() })
            .collect();
        let lines = outcome(&record);
        assert_eq!(lines[0], "/photos: done (45 new, 30 already there, 25 refused)");
        assert_eq!(lines[1], "  0.jpg: the file is empty");
        assert_eq!(lines.len(), 22);
        assert_eq!(lines[21], "  and 5 more, listed by /v1/jobs/3");
    }

    #[test]
    fn words_for_people() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(601), "11 min");
        assert_eq!(duration(7200), "2.0 h");
        assert_eq!(label("/home/someone/photos/图片"), "/home/someone/photos/图片");
        let long = label("/a/very/long/path/to/many/photos/2012");
        assert_eq!(long.chars().count(), LABEL_CHARS);
        assert!(long.starts_with("...") && long.ends_with("photos/2012"));
    }
}
