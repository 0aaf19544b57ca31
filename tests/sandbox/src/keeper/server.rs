//! The keeper's main loop.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};

use super::protocol::{Answer, Envelope, ExitInfo, Launch, ProcessInfo, Reply, Request, Signal};
use super::sweep;
use crate::error::IoContext;
use crate::{Error, Result, address, preflight};

/// One connection: the owner's pipes or a socket.
struct Client(Mutex<Box<dyn Write + Send>>);

impl Client {
    fn send(&self, id: u64, reply: Reply) {
        let Ok(mut line) = serde_json::to_vec(&Answer { id, reply }) else {
            return;
        };
        line.push(b'\n');
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asked may be gone.
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}

enum Event {
    Request(Arc<Client>, Envelope),
    Garbage(Arc<Client>, String),
    Ended(String, Pid),
    OwnerGone,
}

struct Entry {
    launch: Launch,
    child: Option<Child>,
    exit: Option<ExitInfo>,
    starts: u32,
}

struct Waiter {
    client: Arc<Client>,
    id: u64,
    name: String,
    until: Instant,
    /// Kill it when the time is over, and go on waiting.
    kill: bool,
}

struct Server {
    setpriv: PathBuf,
    entries: BTreeMap<String, Entry>,
    waiters: Vec<Waiter>,
    events: Sender<Event>,
    detached: bool,
}

/// Serves until the owner is gone or asks for the end.
pub(super) fn run(dir: PathBuf, own_args: usize) -> Result<()> {
    if rustix::thread::gettid() != rustix::process::getpid() {
        return Err(Error::Keeper(
            "keeper_main must run on the main thread".to_owned(),
        ));
    }
    // Ctrl-C in the owner's terminal is for the owner; the keeper sees the pipe close.
    // It fails for the leader of a process group alone. Going on in that one's session would be
    // fatal: the sweeper kills a whole session.
    let session = rustix::process::setsid()
        .io(|| "making a session (the keeper must not lead a process group)".to_owned())?;
    let mut sweeper = start_sweeper(&dir, own_args, session)?;
    let claim = address::claim()?;
    let (events, queue) = mpsc::channel();
    let hello = Reply::Hello {
        address: claim.ip.to_string(),
        pid: std::process::id(),
    };
    let hello = serde_json::to_string(&Answer {
        id: 0,
        reply: hello,
    })
    .map_err(|source| Error::Json {
        what: "hello".to_owned(),
        source,
    })?;
    listen(&dir, events.clone(), hello.clone())?;
    serve(
        io::stdin(),
        io::stdout(),
        &hello,
        events.clone(),
        Some(Event::OwnerGone),
    );
    let setpriv = preflight::find("setpriv")
        .ok_or_else(|| Error::Missing("setpriv is not on PATH".to_owned()))?;
    let mut server = Server {
        setpriv,
        entries: BTreeMap::new(),
        waiters: Vec::new(),
        events,
        detached: false,
    };
    let farewell = server.serve(&queue);
    server.kill_all();
    sweep::sweep(&dir);
    // Nothing is left for it; and when this process answers, nothing of it runs but itself.
    let _ = sweeper.kill().and_then(|()| sweeper.wait());
    if let Some((client, id)) = farewell {
        client.send(id, Reply::Done);
    }
    Ok(())
}

/// The same executable again, holding the end of a pipe that closes when this process dies.
fn start_sweeper(dir: &Path, own_args: usize, session: Pid) -> Result<Child> {
    let exe = env::current_exe().io(|| "finding this executable".to_owned())?;
    let all: Vec<OsString> = env::args_os().skip(1).collect();
    let prefix = &all[..all.len().saturating_sub(own_args)];
    Command::new(exe)
        .args(prefix)
        .arg("sweep")
        .arg(dir)
        .arg(session.as_raw_nonzero().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .io(|| "starting the sweeper".to_owned())
}

/// The socket through which others than the owner talk to the keeper.
fn listen(dir: &Path, events: Sender<Event>, hello: String) -> Result<()> {
    // Not by its full path: that may be longer than a socket's address can hold.
    let folder = File::open(dir).io(|| format!("opening {}", dir.display()))?;
    let socket = UnixListener::bind(super::client::socket_path(&folder))
        .io(|| format!("making the socket in {}", dir.display()))?;
    thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            if let Ok(reader) = stream.try_clone() {
                serve(reader, stream, &hello, events.clone(), None);
            }
        }
    });
    Ok(())
}

fn serve(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    hello: &str,
    events: Sender<Event>,
    at_end: Option<Event>,
) {
    let mut output: Box<dyn Write + Send> = Box::new(output);
    let _ = writeln!(output, "{hello}").and_then(|()| output.flush());
    let client = Arc::new(Client(Mutex::new(output)));
    thread::spawn(move || {
        for line in BufReader::new(input).lines().map_while(io::Result::ok) {
            let event = match serde_json::from_str(&line) {
                Ok(envelope) => Event::Request(Arc::clone(&client), envelope),
                Err(error) => Event::Garbage(Arc::clone(&client), error.to_string()),
            };
            if events.send(event).is_err() {
                return;
            }
        }
        if let Some(event) = at_end {
            let _ = events.send(event);
        }
    });
}

impl Server {
    /// Answers whom to tell when everything is down.
    fn serve(&mut self, queue: &Receiver<Event>) -> Option<(Arc<Client>, u64)> {
        loop {
            let now = Instant::now();
            let next = self.waiters.iter().map(|waiter| waiter.until).min();
            let event = match next {
                None => queue.recv().ok(),
                Some(until) => queue
                    .recv_timeout(until.saturating_duration_since(now))
                    .ok(),
            };
            match event {
                Some(Event::OwnerGone) if self.detached => {}
                Some(Event::OwnerGone) => return None,
                Some(Event::Garbage(client, error)) => client.send(0, Reply::Refused(error)),
                Some(Event::Ended(name, pid)) => self.ended(&name, pid),
                Some(Event::Request(
                    client,
                    Envelope {
                        id,
                        request: Request::Shutdown,
                    },
                )) => {
                    return Some((client, id));
                }
                Some(Event::Request(client, Envelope { id, request })) => {
                    if let Some(reply) = self.handle(&client, id, request) {
                        client.send(id, reply);
                    }
                }
                None => self.expire(),
            }
        }
    }

    /// The reply, unless it comes later.
    fn handle(&mut self, client: &Arc<Client>, id: u64, request: Request) -> Option<Reply> {
        let result = match request {
            Request::Spawn(launch) => self.spawn(launch),
            Request::Start { name } => match self.entries.get(&name) {
                Some(entry) => self.spawn(entry.launch.clone()),
                None => Err(unknown(&name)),
            },
            Request::Signal { name, signal } => self.signal(&name, signal),
            Request::Stop { name, grace_ms } => {
                return self.await_end(client, id, name, grace_ms, true);
            }
            Request::Wait { name, timeout_ms } => {
                return self.await_end(client, id, name, timeout_ms, false);
            }
            Request::List => Ok(Reply::Processes(self.list())),
            Request::Detach => {
                self.detached = true;
                Ok(Reply::Done)
            }
            // Handled by the loop.
            Request::Shutdown => Ok(Reply::Done),
        };
        Some(result.unwrap_or_else(|error| Reply::Refused(error.to_string())))
    }

    fn spawn(&mut self, launch: Launch) -> Result<Reply> {
        let name = launch.name.clone();
        let starts = match self.entries.get(&name) {
            Some(entry) if entry.child.is_some() => {
                return Err(Error::Keeper(format!("{name} runs already")));
            }
            Some(entry) => entry.starts,
            None => 0,
        };
        let log = File::options()
            .create(true)
            .append(true)
            .open(&launch.log)
            .io(|| format!("opening {}", launch.log.display()))?;
        let both = log.try_clone().io(|| "duplicating a log".to_owned())?;
        let mut command = Command::new(&self.setpriv);
        command
            .args(&launch.setpriv)
            .args(["--pdeathsig", "KILL", "--"])
            .args(&launch.argv);
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(both);
        for name in ["PATH", "HOME", "TMPDIR", "LANG"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        let child = command
            .envs(&launch.env)
            .spawn()
            .io(|| format!("starting {name}"))?;
        let pid = child.id();
        self.watch(name.clone(), pid);
        let entry = Entry {
            launch,
            child: Some(child),
            exit: None,
            starts: starts + 1,
        };
        self.entries.insert(name, entry);
        Ok(Reply::Started { pid })
    }

    /// A thread that sees the child end but leaves its id taken, so that no signal can hit another.
    fn watch(&self, name: String, pid: u32) {
        let events = self.events.clone();
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return;
        };
        thread::spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
            let _ = events.send(Event::Ended(name, pid));
        });
    }

    fn ended(&mut self, name: &str, pid: Pid) {
        let Some(entry) = self.entries.get_mut(name) else {
            return;
        };
        let same = entry
            .child
            .as_ref()
            .is_some_and(|child| raw(child) == Some(pid));
        if !same {
            return;
        }
        if let Some(mut child) = entry.child.take() {
            let status = child.wait().ok();
            entry.exit = Some(ExitInfo {
                code: status.and_then(|status| status.code()),
                signal: status.and_then(|status| status.signal()),
            });
        }
        let exit = entry.exit;
        for waiter in self.waiters.extract_if(.., |waiter| waiter.name == name) {
            waiter.client.send(waiter.id, Reply::Exit(exit));
        }
    }

    fn signal(&mut self, name: &str, signal: Signal) -> Result<Reply> {
        let entry = self.entries.get(name).ok_or_else(|| unknown(name))?;
        let pid = entry.child.as_ref().and_then(raw);
        let pid = pid.ok_or_else(|| Error::Keeper(format!("{name} does not run")))?;
        kill_process(pid, signal.raw()).io(|| format!("signalling {name}"))?;
        Ok(Reply::Done)
    }

    fn await_end(
        &mut self,
        client: &Arc<Client>,
        id: u64,
        name: String,
        ms: u64,
        stop: bool,
    ) -> Option<Reply> {
        let Some(entry) = self.entries.get(&name) else {
            return Some(Reply::Refused(unknown(&name).to_string()));
        };
        if entry.child.is_none() {
            return Some(Reply::Exit(entry.exit));
        }
        if stop {
            // A frozen process would not see the first.
            let _ = self.signal(&name, Signal::Term);
            let _ = self.signal(&name, Signal::Cont);
        }
        let until = Instant::now() + Duration::from_millis(ms);
        self.waiters.push(Waiter {
            client: Arc::clone(client),
            id,
            name,
            until,
            kill: stop,
        });
        None
    }

    fn expire(&mut self) {
        let now = Instant::now();
        let due: Vec<Waiter> = self
            .waiters
            .extract_if(.., |waiter| waiter.until <= now)
            .collect();
        for mut waiter in due {
            if waiter.kill {
                let _ = self.signal(&waiter.name, Signal::Kill);
                waiter.kill = false;
                waiter.until = now + Duration::from_secs(10);
                self.waiters.push(waiter);
            } else {
                waiter.client.send(waiter.id, Reply::Exit(None));
            }
        }
    }

    fn list(&self) -> Vec<ProcessInfo> {
        let info = |(name, entry): (&String, &Entry)| ProcessInfo {
            name: name.clone(),
            pid: entry.child.as_ref().map(Child::id),
            exit: entry.exit,
            starts: entry.starts,
            log: entry.launch.log.clone(),
        };
        self.entries.iter().map(info).collect()
    }

    fn kill_all(&mut self) {
        for pid in self
            .entries
            .values()
            .filter_map(|entry| entry.child.as_ref().and_then(raw))
        {
            let _ = kill_process(pid, rustix::process::Signal::KILL);
        }
        for child in self
            .entries
            .values_mut()
            .filter_map(|entry| entry.child.as_mut())
        {
            let _ = child.wait();
        }
    }
}

fn raw(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn unknown(name: &str) -> Error {
    Error::Keeper(format!("there is no process {name}"))
}
