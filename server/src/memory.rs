//! How much memory this process uses that no file backs, and how much it may use: the machine's, or its container's.

/// Bytes in use and most bytes, where the system tells them (Linux).
pub(crate) fn measure() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let used = kib_of(&status, "RssAnon:")?;
    let machine = kib_of(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let most = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
        .fold(machine, u64::min);
    Some((used, most))
}

/// A line like `MemTotal:  16307200 kB`, in bytes.
fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        let text = "VmRSS:\t  100 kB\nRssAnon:\t   12 kB\nThreads: 1\n";
        assert_eq!(kib_of(text, "RssAnon:"), Some(12 << 10));
        assert_eq!(kib_of(text, "Threads:"), None);
        assert_eq!(kib_of(text, "MemTotal:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_some_and_less_than_there_is() {
        let (used, most) = measure().unwrap();
        assert!(used > 100 << 10 && used < most);
    }
}
