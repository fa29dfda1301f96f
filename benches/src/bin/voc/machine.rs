//! What the benchmark runs on, as far as Linux tells it.

use serde::Serialize;

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// The processor's name; empty where nobody tells it.
    pub(crate) processor: String,
    /// Threads that can run at once.
    pub(crate) threads: usize,
    /// Bytes of memory; none where nobody tells it.
    pub(crate) memory: Option<u64>,
    pub(crate) system: &'static str,
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let value = |path: &str, key: &str| -> Option<String> {
            let text = std::fs::read_to_string(path).ok()?;
            let line =
                text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'))?;
            Some(line.trim().to_owned())
        };
        let kilobytes = value("/proc/meminfo", "MemTotal");
        let kilobytes = kilobytes.and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok());
        Self {
            processor: value("/proc/cpuinfo", "model name").unwrap_or_default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory: kilobytes.map(|kilobytes| kilobytes * 1024),
            system: std::env::consts::OS,
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let memory = self
            .memory
            .map_or_else(String::new, |bytes| format!(", {:.0} GiB", bytes as f64 / (1u64 << 30) as f64));
        format!("{} threads of {}{memory}, {}", self.threads, self.processor, self.system)
    }
}
