//! The owner's side of a keeper.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::protocol::{Answer, Envelope, ExitInfo, Launch, ProcessInfo, Reply, Request, Signal};
use super::sweep::session_of;
use super::{KeeperCommand, OWNED};
use crate::error::{IoContext, tail};
use crate::{Error, Result};

/// The keeper answers at once; this is for a machine under heavy load.
const ANSWER: Duration = Duration::from_secs(30);

/// The socket in the fleet's folder, by a path that is short however long the folder's is.
pub(super) fn socket_path(folder: &File) -> PathBuf {
    format!("/proc/self/fd/{}/keeper.sock", folder.as_raw_fd()).into()
}

type Pending = Arc<Mutex<BTreeMap<u64, Sender<Reply>>>>;

/// A connection to a keeper. The one that started it owns it: dropping that ends everything.
pub struct Keeper {
    dir: PathBuf,
    address: Ipv4Addr,
    pid: u32,
    next: AtomicU64,
    pending: Pending,
    detached: AtomicBool,
    link: Mutex<Link>,
}

enum Link {
    Owner {
        child: Child,
        input: Option<ChildStdin>,
    },
    Guest(UnixStream),
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper")
            .field("dir", &self.dir)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Keeper {
    /// Starts a keeper for an empty folder. With `all`, the whole folder is the fleet's and goes
    /// with it; else only what [`Keeper::own`] names.
    pub(crate) fn start(command: &KeeperCommand, dir: &Path, all: bool) -> Result<Self> {
        let owned = if all {
            "*\n"
        } else {
            "keeper.sock\nkeeper.log\n"
        };
        fs::write(dir.join(OWNED), owned).io(|| format!("writing to {}", dir.display()))?;
        let log_path = dir.join("keeper.log");
        let log = File::create(&log_path).io(|| format!("making {}", log_path.display()))?;
        let mut child = std::process::Command::new(&command.path)
            .args(&command.args)
            .arg("run")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .io(|| format!("starting the keeper {}", command.path.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or_else(|| Error::Keeper("no output".to_owned()))?;
        Self::greet(dir, output, Link::Owner { child, input })
            .map_err(|error| Error::Keeper(format!("{error}; it said: {}", tail(&log_path, 5))))
    }

    /// Connects to the keeper of a folder.
    pub(crate) fn connect(dir: &Path) -> Result<Self> {
        let folder = File::open(dir).io(|| format!("opening {}", dir.display()))?;
        let stream = UnixStream::connect(socket_path(&folder))
            .io(|| format!("connecting to the keeper of {}", dir.display()))?;
        let input = stream
            .try_clone()
            .io(|| "duplicating a socket".to_owned())?;
        Self::greet(dir, input, Link::Guest(stream))
    }

    fn greet(dir: &Path, input: impl Read + Send + 'static, link: Link) -> Result<Self> {
        let pending = Pending::default();
        let hello = listen(input, Arc::clone(&pending));
        let (address, pid) = match hello.recv_timeout(ANSWER) {
            Ok(Reply::Hello { address, pid }) => (address, pid),
            Ok(other) => return Err(Error::Keeper(format!("said {other:?} instead of hello"))),
            Err(_) => return Err(Error::Keeper("it did not start".to_owned())),
        };
        let address = address
            .parse()
            .map_err(|_| Error::Keeper(format!("its address {address} is not one")))?;
        let (dir, next, link) = (dir.to_path_buf(), AtomicU64::new(1), Mutex::new(link));
        let detached = AtomicBool::new(false);
        Ok(Self {
            dir,
            address,
            pid,
            next,
            pending,
            detached,
            link,
        })
    }

    /// The first address of its block.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Adds a name to what is removed with the keeper.
    pub(crate) fn own(&self, name: &str) -> Result<()> {
        let path = self.dir.join(OWNED);
        let mut file = File::options()
            .append(true)
            .open(&path)
            .io(|| format!("opening {}", path.display()))?;
        writeln!(file, "{name}").io(|| format!("writing {}", path.display()))
    }

    /// Starts a process.
    pub(crate) fn spawn(self: &Arc<Self>, launch: Launch) -> Result<Process> {
        let (name, log) = (launch.name.clone(), launch.log.clone());
        match self.ask(Request::Spawn(launch), ANSWER)? {
            Reply::Started { .. } => Ok(Process {
                keeper: Arc::clone(self),
                name,
                log,
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// A process by its name.
    pub(crate) fn process(self: &Arc<Self>, name: &str) -> Result<Process> {
        let info = self.list()?.into_iter().find(|info| info.name == name);
        let info = info.ok_or_else(|| Error::Keeper(format!("there is no process {name}")))?;
        Ok(Process {
            keeper: Arc::clone(self),
            name: info.name,
            log: info.log,
        })
    }

    /// All processes, by name.
    ///
    /// # Errors
    /// [`Error::Keeper`] if the keeper is gone.
    pub fn list(&self) -> Result<Vec<ProcessInfo>> {
        match self.ask(Request::List, ANSWER)? {
            Reply::Processes(list) => Ok(list),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets the keeper outlive its owner.
    pub(crate) fn detach(&self) -> Result<()> {
        self.done(Request::Detach, ANSWER)?;
        self.detached.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Ends it and all that it owns, and waits for that.
    pub(crate) fn shutdown(&self) -> Result<()> {
        self.done(Request::Shutdown, ANSWER)?;
        // It answers last of all; after this, not even it is left.
        let until = Instant::now() + Duration::from_secs(5);
        while session_of(self.pid).is_some() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn done(&self, request: Request, patience: Duration) -> Result<()> {
        match self.ask(request, patience)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn ask(&self, request: Request, patience: Duration) -> Result<Reply> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tx, rx) = mpsc::channel();
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, tx);
        let mut line =
            serde_json::to_vec(&Envelope { id, request }).map_err(|source| Error::Json {
                what: "a request".to_owned(),
                source,
            })?;
        line.push(b'\n');
        self.write(&line)
            .io(|| format!("asking the keeper of {}", self.dir.display()))?;
        match rx.recv_timeout(patience) {
            Ok(Reply::Refused(why)) => Err(Error::Keeper(why)),
            Ok(reply) => Ok(reply),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Keeper(format!(
                "the keeper of {} is gone",
                self.dir.display()
            ))),
            Err(RecvTimeoutError::Timeout) => {
                Err(Error::Keeper(format!("no answer in {patience:?}")))
            }
        }
    }

    fn write(&self, line: &[u8]) -> std::io::Result<()> {
        match &mut *self.link.lock().unwrap_or_else(PoisonError::into_inner) {
            Link::Owner {
                input: Some(input), ..
            } => input.write_all(line),
            Link::Owner { input: None, .. } => Err(std::io::ErrorKind::BrokenPipe.into()),
            Link::Guest(stream) => stream.write_all(line),
        }
    }
}

impl Keeper {
    /// Ends what it owns, if this side started it and did not detach it, and waits for that.
    pub(crate) fn close(&self) {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let Link::Owner { child, input } = &mut *link else {
            return;
        };
        if input.take().is_none() {
            return;
        }
        // The closed pipe is the keeper's order to end; a detached one goes on.
        let until = Instant::now() + Duration::from_secs(10);
        while !self.detached.load(Ordering::Relaxed) && Instant::now() < until {
            match child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close();
    }
}

/// Reads replies until the other side ends; the answer yields the first line, the hello.
fn listen(input: impl Read + Send + 'static, pending: Pending) -> Receiver<Reply> {
    let (tx, rx) = mpsc::channel();
    pending
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(0, tx);
    thread::spawn(move || {
        for line in BufReader::new(input).lines().map_while(std::io::Result::ok) {
            if let Ok(Answer { id, reply }) = serde_json::from_str(&line) {
                let waiting = pending
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&id);
                if let Some(waiting) = waiting {
                    let _ = waiting.send(reply);
                }
            }
        }
        // Whoever still waits sees that the other side is gone.
        pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    });
    rx
}

fn unexpected(reply: &Reply) -> Error {
    Error::Keeper(format!("unexpected answer {reply:?}"))
}

/// A process that the keeper owns.
#[derive(Clone, Debug)]
pub struct Process {
    keeper: Arc<Keeper>,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Its name, for example `hub/apiserver`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its standard output and error, of all its runs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What the keeper knows of it.
    ///
    /// # Errors
    /// [`Error::Keeper`] if the keeper is gone.
    pub fn info(&self) -> Result<ProcessInfo> {
        let found = self
            .keeper
            .list()?
            .into_iter()
            .find(|info| info.name == self.name);
        found.ok_or_else(|| Error::Keeper(format!("there is no process {}", self.name)))
    }

    /// Its id, if it runs.
    ///
    /// # Errors
    /// [`Error::Keeper`] if the keeper is gone.
    pub fn pid(&self) -> Result<Option<u32>> {
        Ok(self.info()?.pid)
    }

    /// [`Error::Ended`], with the end of its log, if it does not run.
    ///
    /// # Errors
    /// That one, or [`Error::Keeper`].
    pub fn check(&self) -> Result<()> {
        let info = self.info()?;
        if info.pid.is_some() {
            return Ok(());
        }
        Err(Error::Ended {
            name: info.name,
            status: info
                .exit
                .map_or_else(|| "unknown".to_owned(), |exit| exit.to_string()),
            tail: tail(&info.log, 15),
            log: info.log,
        })
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// [`Error::Keeper`] if it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.keeper.done(
            Request::Signal {
                name: self.name.clone(),
                signal,
            },
            ANSWER,
        )
    }

    /// SIGKILL, and waits until it has ended.
    ///
    /// # Errors
    /// [`Error::Keeper`] if it does not run.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::Kill)?;
        match self.wait(Duration::from_secs(10))? {
            Some(_) => Ok(()),
            None => Err(Error::Keeper(format!("{} outlives SIGKILL", self.name))),
        }
    }

    /// SIGSTOP: it freezes, its connections stay open.
    ///
    /// # Errors
    /// [`Error::Keeper`] if it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::Stop)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// [`Error::Keeper`] if it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::Cont)
    }

    /// SIGTERM, after `grace` SIGKILL; answers how it ended.
    ///
    /// # Errors
    /// [`Error::Keeper`] if the keeper is gone.
    pub fn stop(&self, grace: Duration) -> Result<Option<ExitInfo>> {
        let request = Request::Stop {
            name: self.name.clone(),
            grace_ms: millis(grace),
        };
        self.exit(request, grace + ANSWER)
    }

    /// Starts it again with the arguments it had.
    ///
    /// # Errors
    /// [`Error::Keeper`] if it runs.
    pub fn start(&self) -> Result<()> {
        match self.keeper.ask(
            Request::Start {
                name: self.name.clone(),
            },
            ANSWER,
        )? {
            Reply::Started { .. } => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits until it has ended and answers how, or `None` when the time is over.
    ///
    /// # Errors
    /// [`Error::Keeper`] if the keeper is gone.
    pub fn wait(&self, timeout: Duration) -> Result<Option<ExitInfo>> {
        let request = Request::Wait {
            name: self.name.clone(),
            timeout_ms: millis(timeout),
        };
        self.exit(request, timeout + ANSWER)
    }

    fn exit(&self, request: Request, patience: Duration) -> Result<Option<ExitInfo>> {
        match self.keeper.ask(request, patience)? {
            Reply::Exit(exit) => Ok(exit),
            other => Err(unexpected(&other)),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
