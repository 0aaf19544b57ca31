//! What a process used, from `/proc`.

use super::Result;

/// Clock ticks of `/proc/PID/stat` a second: fixed on Linux.
const TICKS: f64 = 100.0;

/// Processor time of a process so far, in seconds.
///
/// # Errors
/// If it is gone.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold spaces; user and system time are fields 14 and 15.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |index: usize| -> f64 {
        rest.split_whitespace()
            .nth(index)
            .and_then(|t| t.parse().ok())
            .unwrap_or(0.0)
    };
    Ok((ticks(11) + ticks(12)) / TICKS)
}

/// The most memory that a process had resident, in mebibytes.
///
/// # Errors
/// If it is gone.
pub(super) fn peak_rss_mb(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0.0);
    Ok(kib / 1024.0)
}
