//! What a process used, from `/proc`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::Result;

/// Clock ticks of `/proc/PID/stat` a second: fixed on Linux.
const TICKS: f64 = 100.0;
/// Most seconds by which a difference of [`cpu_seconds`] may be off: user and system time are each
/// cut to a tick.
const ROUNDING: f64 = 2.0 / TICKS;

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

/// Processor time of a process so far, as finely as the kernel tells.
#[derive(Clone, Debug)]
pub(super) struct Spent {
    /// Seconds of the whole process, of threads that ended too, in ticks.
    whole: f64,
    /// Nanoseconds of each thread that lives; empty where the kernel does not count them.
    threads: BTreeMap<u32, u64>,
}

impl Spent {
    /// By a process.
    ///
    /// # Errors
    /// If it is gone.
    pub(super) fn by(pid: u32) -> Result<Self> {
        Ok(Self {
            whole: cpu_seconds(pid)?,
            threads: threads(pid)?,
        })
    }

    /// Seconds since an earlier reading.
    ///
    /// That is the sum of the threads. It lacks those that ended meanwhile: where the process used
    /// more by more than rounding explains, its own time counts.
    pub(super) fn since(&self, before: &Self) -> f64 {
        let whole = self.whole - before.whole;
        let earlier = |thread: &u32| before.threads.get(thread).copied().unwrap_or(0);
        let nanos: u64 = self
            .threads
            .iter()
            .map(|(thread, now)| now.saturating_sub(earlier(thread)))
            .sum();
        let fine = Duration::from_nanos(nanos).as_secs_f64();
        if self.threads.is_empty() || whole - fine > ROUNDING {
            return whole;
        }
        fine
    }
}

/// Nanoseconds that each thread ran.
fn threads(pid: u32) -> Result<BTreeMap<u32, u64>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    // One may end meanwhile.
    Ok(tasks
        .flatten()
        .filter_map(|task| thread(&task.path()))
        .collect())
}

/// Id and nanoseconds of a thread; nothing if it is gone, or if the kernel does not count.
fn thread(task: &Path) -> Option<(u32, u64)> {
    let id: u32 = task.file_name()?.to_str()?.parse().ok()?;
    let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
    let nanos: u64 = text.split_whitespace().next()?.parse().ok()?;
    (nanos > 0).then_some((id, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(whole: f64, threads: &[(u32, u64)]) -> Spent {
        Spent {
            whole,
            threads: threads.iter().copied().collect(),
        }
    }

    fn millis(after: &Spent, before: &Spent) -> String {
        format!("{:.1}", after.since(before) * 1000.0)
    }

    #[test]
    fn threads_are_finer_than_ticks() {
        let before = spent(1.00, &[(1, 900_000_000), (2, 100_000_000)]);
        let after = spent(1.01, &[(1, 902_500_000), (2, 100_000_000), (3, 1_000_000)]);
        assert_eq!(millis(&after, &before), "3.5");
    }

    #[test]
    fn what_an_ended_thread_used_is_not_lost() {
        let before = spent(1.00, &[(1, 900_000_000), (2, 100_000_000)]);
        let after = spent(1.05, &[(1, 902_000_000)]);
        assert_eq!(millis(&after, &before), "50.0");
    }

    #[test]
    fn a_kernel_that_counts_no_threads_tells_ticks() {
        assert_eq!(millis(&spent(1.01, &[]), &spent(1.00, &[])), "10.0");
    }

    #[test]
    fn this_process_can_be_read() {
        let before = Spent::by(std::process::id()).unwrap();
        let after = Spent::by(std::process::id()).unwrap();
        assert!(after.since(&before) >= 0.0);
    }
}
