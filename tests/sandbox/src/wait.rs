//! Waiting for a condition, never for a time.

use std::future::Future;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Waits until `check` answers `Ok`, at most `deadline`.
///
/// While the condition does not hold, `check` answers `Err` with what it saw; the last of these is
/// in the error, beside what was waited for and where the logs are. Checks are 20 ms apart at
/// first, 500 ms at most.
///
/// # Errors
/// [`Error::Timeout`] when the deadline passed. `check` runs at least once.
pub fn eventually<T>(
    what: &str,
    deadline: Duration,
    logs: Option<&Path>,
    mut check: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    let mut wait = Wait::new(what, deadline, logs);
    loop {
        match check() {
            Ok(value) => return Ok(value),
            Err(last) => thread::sleep(wait.again(last)?),
        }
    }
}

/// [`eventually`] for asynchronous checks. `sleep` is the runtime's, so that this crate needs none.
///
/// # Errors
/// [`Error::Timeout`] when the deadline passed.
pub async fn eventually_async<T, C, S>(
    what: &str,
    deadline: Duration,
    logs: Option<&Path>,
    sleep: impl Fn(Duration) -> S,
    mut check: impl FnMut() -> C,
) -> Result<T>
where
    C: Future<Output = Result<T, String>>,
    S: Future<Output = ()>,
{
    let mut wait = Wait::new(what, deadline, logs);
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(last) => sleep(wait.again(last)?).await,
        }
    }
}

/// The bookkeeping of one wait.
struct Wait<'a> {
    what: &'a str,
    deadline: Duration,
    logs: Option<&'a Path>,
    started: Instant,
    pause: Duration,
}

impl<'a> Wait<'a> {
    fn new(what: &'a str, deadline: Duration, logs: Option<&'a Path>) -> Self {
        let pause = Duration::from_millis(20);
        Self {
            what,
            deadline,
            logs,
            started: Instant::now(),
            pause,
        }
    }

    /// How long to pause before the next check, or that there is none.
    fn again(&mut self, last: String) -> Result<Duration> {
        let waited = self.started.elapsed();
        if waited >= self.deadline {
            return Err(Error::Timeout {
                what: self.what.to_owned(),
                waited,
                last,
                logs: self.logs.map(Path::to_path_buf),
            });
        }
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(Duration::from_millis(500));
        Ok(pause.min(self.deadline.saturating_sub(waited)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_waited_for_the_last_value_and_the_logs() {
        let logs = Path::new("/logs/of/it");
        let mut seen = 0;
        let error = eventually("three", Duration::from_millis(50), Some(logs), || {
            seen += 1;
            Err::<(), _>(format!("saw {seen}"))
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("for three"), "{error}");
        assert!(error.contains(&format!("last: saw {seen}")), "{error}");
        assert!(error.contains("logs are in /logs/of/it"), "{error}");
    }

    #[test]
    fn answers_the_value() {
        let mut left = 3;
        let value = eventually("zero", Duration::from_secs(5), None, || {
            left -= 1;
            if left == 0 {
                Ok("there")
            } else {
                Err(left.to_string())
            }
        });
        assert_eq!(value.unwrap(), "there");
    }
}
