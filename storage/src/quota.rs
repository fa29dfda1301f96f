//! The guard in front of writes that grow the data: how much disk and memory may be in use. Usage is measured now and
//! then by the owner and estimated in between by what was admitted. Over the limit growth is refused with a typed error;
//! deletes, drops and compaction never ask. Growth is admitted again only some way below the limit, so that the answer
//! does not flicker, and without a restart.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Resource, Result, StorageError};
use crate::vfs::Space;

/// How much may be in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Most bytes of the data directory, what compaction needs for a while included; none: as many as the disk has.
    pub disk_bytes: Option<u64>,
    /// Most of the disk that may be in use, by whomever, in percent. The rest is the reserve in which deletes and
    /// compaction work.
    pub disk_percent: u8,
    /// Most bytes of memory of this process that no file backs; none: by `memory_percent` alone.
    pub memory_bytes: Option<u64>,
    /// The same in percent of what the machine (or its container) has.
    pub memory_percent: u8,
    /// Bytes below `disk_bytes` that are kept free for compaction.
    pub compaction_reserve: u64,
}

impl Default for QuotaLimits {
    fn default() -> Self {
        Self {
            disk_bytes: None,
            disk_percent: 95,
            memory_bytes: None,
            memory_percent: 85,
            compaction_reserve: 512 << 20,
        }
    }
}

/// What is in use, as measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the data directory.
    pub data: u64,
    /// The disk it lies on.
    pub space: Space,
    /// Bytes of memory of this process that no file backs, and how many it may have at most; none where unknown.
    pub memory: Option<(u64, u64)>,
}

/// One limit.
#[derive(Debug)]
struct Meter {
    resource: Resource,
    used: AtomicU64,
    /// Admitted since it was measured.
    since: AtomicU64,
    limit: AtomicU64,
    over: AtomicBool,
}

impl Meter {
    fn new(resource: Resource) -> Self {
        let unlimited = AtomicU64::new(u64::MAX);
        Self { resource, used: 0.into(), since: 0.into(), limit: unlimited, over: false.into() }
    }

    fn measured(&self, used: u64, limit: u64) {
        self.used.store(used, Ordering::SeqCst);
        self.since.store(0, Ordering::SeqCst);
        self.limit.store(limit, Ordering::SeqCst);
        // 2 % below, at most 1 GiB: on a large disk nobody wants to delete more than that to go on.
        let resume = limit - (limit / 50).min(1 << 30);
        if used >= limit {
            self.over.store(true, Ordering::SeqCst);
        } else if used < resume {
            self.over.store(false, Ordering::SeqCst);
        }
    }

    /// Whether so many bytes more are within the limit, and nothing has been over it.
    fn check(&self, bytes: u64) -> Result<()> {
        let limit = self.limit.load(Ordering::SeqCst);
        let estimate = self.used.load(Ordering::SeqCst).saturating_add(self.since.load(Ordering::SeqCst));
        let used = estimate.saturating_add(bytes);
        if used > limit || self.over.load(Ordering::SeqCst) {
            return Err(StorageError::QuotaExceeded { resource: self.resource, used, limit });
        }
        Ok(())
    }

    fn admit(&self, bytes: u64) -> Result<()> {
        // Over the limit once, nothing is admitted until some way below it.
        self.check(bytes).inspect_err(|_| self.over.store(true, Ordering::SeqCst))?;
        self.since.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }
}

/// The guard. Shared by everything that writes to one data directory.
#[derive(Debug)]
pub struct Quota {
    limits: QuotaLimits,
    data: Meter,
    disk: Meter,
    memory: Meter,
}

impl Quota {
    /// A guard that admits everything until [`Quota::measured`] is called.
    pub fn new(limits: QuotaLimits) -> Self {
        let [data, disk] = [Meter::new(Resource::Disk), Meter::new(Resource::Disk)];
        Self { limits, data, disk, memory: Meter::new(Resource::Memory) }
    }

    /// Takes note of what is in use. To be called every second or so.
    pub fn measured(&self, usage: Usage) {
        if let Some(most) = self.limits.disk_bytes {
            let reserve = self.limits.compaction_reserve.min(most / 10);
            self.data.measured(usage.data, most - reserve);
        }
        let Space { free, total } = usage.space;
        self.disk.measured(total.saturating_sub(free), percent(total, self.limits.disk_percent));
        if let Some((used, most)) = usage.memory {
            let share = percent(most, self.limits.memory_percent);
            self.memory.measured(used, self.limits.memory_bytes.map_or(share, |bytes| bytes.min(share)));
        }
    }

    /// Asks whether the data may grow by so many bytes.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub fn admit(&self, bytes: u64) -> Result<()> {
        [&self.data, &self.disk, &self.memory].into_iter().try_for_each(|meter| meter.admit(bytes))
    }

    /// Asks whether files may grow by so many bytes that never lie in memory together.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub fn admit_disk(&self, bytes: u64) -> Result<()> {
        [&self.data, &self.disk].into_iter().try_for_each(|meter| meter.admit(bytes))
    }

    /// Looks whether so many bytes would be admitted to the disk, without counting them: somebody says that they come.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub fn check_disk(&self, bytes: u64) -> Result<()> {
        [&self.data, &self.disk].into_iter().try_for_each(|meter| meter.check(bytes))
    }

    /// Somebody was told that the disk is full, whatever was measured: nothing is admitted until the next measurement.
    pub fn disk_is_full(&self) {
        self.disk.over.store(true, Ordering::SeqCst);
        // What was measured is not true any more.
        self.disk.used.store(self.disk.limit.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// What nothing more is admitted of now.
    pub fn exceeded(&self) -> Vec<Resource> {
        let over = |meter: &&Meter| meter.over.load(Ordering::SeqCst);
        let mut resources: Vec<Resource> = [&self.data, &self.disk, &self.memory]
            .into_iter()
            .filter(over)
            .map(|meter| meter.resource)
            .collect();
        resources.dedup();
        resources
    }
}

fn percent(of: u64, share: u8) -> u64 {
    (u128::from(of) * u128::from(share.min(100)) / 100) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn usage(data: u64, free: u64) -> Usage {
        Usage { data, space: Space { free, total: 1000 * MIB }, memory: Some((0, 1000 * MIB)) }
    }

    #[test]
    fn growth_stops_at_the_limit_and_goes_on_some_way_below() {
        let limits = QuotaLimits { disk_bytes: Some(100 * MIB), ..QuotaLimits::default() };
        let quota = Quota::new(limits);
        quota.measured(usage(80 * MIB, 900 * MIB));
        quota.admit(5 * MIB).unwrap();
        // 90 MiB: a tenth is kept for compaction.
        let refused = quota.admit(6 * MIB).unwrap_err();
        assert!(matches!(refused, StorageError::QuotaExceeded { resource: Resource::Disk, .. }), "{refused}");
        quota.admit(1).unwrap_err();
        assert_eq!(quota.exceeded(), [Resource::Disk]);
        quota.measured(usage(89 * MIB, 900 * MIB));
        quota.admit(1).unwrap_err();
        quota.measured(usage(80 * MIB, 900 * MIB));
        quota.admit(1).unwrap();
        assert_eq!(quota.exceeded(), []);
    }

    #[test]
    fn files_ask_for_the_disk_alone_and_a_look_changes_nothing() {
        let quota = Quota::new(QuotaLimits::default());
        quota.measured(Usage { memory: Some((900 * MIB, 1000 * MIB)), ..usage(0, 900 * MIB) });
        quota.admit_disk(MIB).unwrap();
        quota.check_disk(u64::MAX).unwrap_err();
        quota.check_disk(100 * MIB).unwrap();
        assert_eq!(quota.exceeded(), [Resource::Memory]);
        quota.admit_disk(u64::MAX).unwrap_err();
        quota.check_disk(1).unwrap_err();
    }

    #[test]
    fn the_disk_and_memory_count_whoever_uses_them() {
        let quota = Quota::new(QuotaLimits::default());
        quota.admit(u64::MAX / 2).unwrap();
        quota.measured(usage(0, 49 * MIB));
        quota.admit(1).unwrap_err();
        quota.measured(usage(0, 100 * MIB));
        quota.admit(1).unwrap();
        quota.measured(Usage { memory: Some((900 * MIB, 1000 * MIB)), ..usage(0, 100 * MIB) });
        assert_eq!(quota.exceeded(), [Resource::Memory]);
        quota.measured(usage(0, 100 * MIB));
        quota.disk_is_full();
        quota.admit(1).unwrap_err();
        quota.measured(usage(0, 100 * MIB));
        quota.admit(1).unwrap();
    }
}
