//! What the system says of this process; nothing where it has no `/proc`.

use std::fs;

/// Bytes of resident memory.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Open descriptors, by the size of the directory that lists them: to read the list would take long when it is long.
/// Systems before Linux 6.2 do not know the size.
pub(super) fn descriptor_count() -> Option<u64> {
    let count = fs::metadata("/proc/self/fd").ok()?.len();
    (count > 0).then_some(count)
}
