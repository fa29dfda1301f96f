//! The engine's part of the configuration: from words and numbers to its options.

use std::time::Duration;

use elanus_engine::{Durability, EngineOptions};
use elanus_storage::quota::QuotaLimits;

use super::settings::{QuotaSettings, SearchSettings, StorageSettings, refuse};
use super::{Config, ConfigError};

/// Smallest sealing size that makes sense: below it every batch would become a file.
const MIN_SEAL_BYTES: usize = 64 << 10;

/// Options from the places that say them.
pub(super) fn options(
    sync: Option<&str>,
    storage: StorageSettings,
    search: SearchSettings,
    quota: &QuotaSettings,
) -> Result<EngineOptions, ConfigError> {
    let default = Config::default().engine;
    let seal_bytes = storage.seal_bytes.unwrap_or(default.seal_bytes);
    if seal_bytes < MIN_SEAL_BYTES {
        return Err(refuse(
            "storage.seal_bytes",
            &seal_bytes.to_string(),
            format!("must be at least {MIN_SEAL_BYTES}"),
        ));
    }
    Ok(EngineOptions {
        durability: sync.map_or(Ok(default.durability), durability)?,
        group_window: storage.group_window_us.map_or(default.group_window, Duration::from_micros),
        seal_bytes,
        seal_age: storage.seal_age_s.map_or(default.seal_age, Duration::from_secs),
        segment_bytes: storage.segment_bytes.unwrap_or(default.segment_bytes),
        compaction_rate: storage.compaction_bytes_per_s.unwrap_or(default.compaction_rate),
        search_threads: search.threads.unwrap_or(default.search_threads),
        index_threads: search.index_threads.unwrap_or(default.index_threads),
        search_queue: search.queue.unwrap_or(default.search_queue).max(1),
        quota: quota_limits(quota)?,
        ..default
    })
}

fn durability(text: &str) -> Result<Durability, ConfigError> {
    if text == "every-write" {
        return Ok(Durability::EveryWrite);
    }
    let interval = text.strip_prefix("interval:").and_then(|ms| ms.trim_end_matches("ms").parse().ok());
    match interval {
        Some(ms @ 1..=60_000) => Ok(Durability::Interval(Duration::from_millis(ms))),
        _ => Err(refuse("sync", text, "is neither every-write nor interval:<1 to 60000 milliseconds>")),
    }
}

fn quota_limits(settings: &QuotaSettings) -> Result<QuotaLimits, ConfigError> {
    let default = QuotaLimits::default();
    let percent = |what: &str, given: Option<u8>, default: u8| match given {
        Some(share @ (0 | 101..)) => Err(refuse(what, &share.to_string(), "must be 1 to 100")),
        given => Ok(given.unwrap_or(default)),
    };
    Ok(QuotaLimits {
        disk_bytes: settings.disk_bytes.or(default.disk_bytes),
        disk_percent: percent("quota.disk_percent", settings.disk_percent, default.disk_percent)?,
        memory_bytes: settings.memory_bytes.or(default.memory_bytes),
        memory_percent: percent("quota.memory_percent", settings.memory_percent, default.memory_percent)?,
        compaction_reserve: settings.compaction_reserve.unwrap_or(default.compaction_reserve),
    })
}
