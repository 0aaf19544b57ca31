//! What is being done, on standard error.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A step that runs longer than this says so again.
const AGAIN: Duration = Duration::from_secs(9);

/// Says what is being done. Clones share one writer.
///
/// libtest captures what the `print!` macros write, and nothing else: through a writer to
/// `std::io::stderr()` a person sees what a long test waits for.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    out: Mutex<Box<dyn Write + Send>>,
    steps: Mutex<Steps>,
    /// Dropped with the last clone, which ends the ticker.
    _alive: mpsc::Sender<()>,
}

#[derive(Default)]
struct Steps {
    next: u64,
    running: BTreeMap<u64, Running>,
}

struct Running {
    what: String,
    detail: String,
    since: Instant,
    said: Instant,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

impl Progress {
    /// Lines on standard error.
    pub fn stderr() -> Self {
        Self::to(std::io::stderr())
    }

    /// Says nothing.
    pub fn silent() -> Self {
        Self::to(std::io::sink())
    }

    /// Lines to any writer.
    pub fn to(out: impl Write + Send + 'static) -> Self {
        let (alive, ended) = mpsc::channel();
        let inner = Arc::new(Inner {
            out: Mutex::new(Box::new(out)),
            steps: Mutex::default(),
            _alive: alive,
        });
        let weak = Arc::downgrade(&inner);
        thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(Duration::from_secs(1)) {
                match weak.upgrade() {
                    Some(inner) => inner.remind(),
                    None => return,
                }
            }
        });
        Self(inner)
    }

    /// Writes one line.
    pub fn say(&self, line: impl AsRef<str>) {
        self.0.write(line.as_ref());
    }

    /// Says that a step begins, and again every few seconds until the answer is dropped.
    pub fn step(&self, what: impl Into<String>) -> Step {
        let what = what.into();
        self.say(&what);
        let now = Instant::now();
        let mut steps = self.0.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let id = steps.next;
        steps.next += 1;
        steps.running.insert(
            id,
            Running {
                what,
                detail: String::new(),
                since: now,
                said: now,
            },
        );
        Step {
            inner: Arc::clone(&self.0),
            id,
            since: now,
        }
    }
}

impl Inner {
    fn write(&self, line: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed standard error is no reason to stop.
        let _ = writeln!(out, "sandbox: {line}");
        let _ = out.flush();
    }

    fn remind(&self) {
        let now = Instant::now();
        let mut lines = Vec::new();
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        for step in steps.running.values_mut() {
            if now.duration_since(step.said) >= AGAIN {
                step.said = now;
                let seconds = now.duration_since(step.since).as_secs();
                let detail = if step.detail.is_empty() { "" } else { ": " };
                lines.push(format!(
                    "{} … {seconds} s{detail}{}",
                    step.what, step.detail
                ));
            }
        }
        drop(steps);
        for line in lines {
            self.write(&line);
        }
    }
}

/// A step that is under way; dropping it ends it.
pub struct Step {
    inner: Arc<Inner>,
    id: u64,
    since: Instant,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Step")
    }
}

impl Step {
    /// What the next reminder adds, for example a count.
    pub fn detail(&self, detail: impl Into<String>) {
        let mut steps = self
            .inner
            .steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(step) = steps.running.get_mut(&self.id) {
            step.detail = detail.into();
        }
    }

    /// Ends the step with a line that says how long it took.
    pub fn done(self, line: impl AsRef<str>) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.inner
            .write(&format!("{} ({seconds:.1} s)", line.as_ref()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let mut steps = self
            .inner
            .steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        steps.running.remove(&self.id);
    }
}
