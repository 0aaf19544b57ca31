//! A PostgreSQL of the tests' own, from the machine's binaries.
//!
//! A keeper, a shell that waits for its standard input to end, stops the server and removes its
//! folder: the other end of that pipe closes when the test process dies, however it dies.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// Its superuser, and the database that is there from the start.
const USER: &str = "heyun";

/// A running server that listens on a socket in its folder and on no port.
#[derive(Debug)]
pub(crate) struct Server {
    bin: PathBuf,
    dir: PathBuf,
    as_postgres: bool,
    /// Its standard input is the pipe that keeps the server alive.
    keeper: Child,
}

impl Server {
    /// The server that the checks share, which lives as long as this process; `None` where the
    /// machine has no PostgreSQL and none is required.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// A server of the caller's own; `None` as for [`Server::shared`].
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = find_bin() else {
            let required = std::env::var("HEYUN_REQUIRE").unwrap_or_default();
            assert!(
                !required.split([',', ' ']).any(|it| it == "postgres"),
                "HEYUN_REQUIRE=postgres, and there is no initdb in PG_BIN, PATH or \
                 /usr/lib/postgresql/*/bin; install postgresql"
            );
            // Past the capture of the test harness: that a check did not run must be seen.
            let _ = writeln!(std::io::stderr(), "skipped: no PostgreSQL");
            return None;
        };
        let dir = tempfile::Builder::new()
            .prefix("heyun-pg-")
            .tempdir()
            .unwrap()
            .keep();
        let as_postgres = run(Command::new("id").arg("-u")).stdout == b"0\n";
        if as_postgres {
            run(Command::new("chown").arg("postgres").arg(&dir));
        }
        let mut server = Self {
            keeper: keeper(&bin, &dir, as_postgres),
            bin,
            dir,
            as_postgres,
        };
        let data = server.data();
        run(server
            .tool("initdb")
            .args([
                "--no-sync",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-U",
                USER,
                "-D",
            ])
            .arg(data));
        server.up();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn tool(&self, name: &str) -> Command {
        tool(&self.bin, name, self.as_postgres)
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn up(&mut self) {
        // Commits are not forced to the disk: a crash of the server loses nothing, only one of
        // the machine would.
        let options = format!(
            "-c listen_addresses= -c fsync=off -k {}",
            self.dir.display()
        );
        run(self
            .tool("pg_ctl")
            .args(["start", "-w", "-s", "-o", &options, "-l"])
            .arg(self.dir.join("log"))
            .arg("-D")
            .arg(self.data()));
    }

    /// Ends the server at once, as a crash would.
    pub(crate) fn down(&mut self) {
        run(self
            .tool("pg_ctl")
            .args(["stop", "-m", "immediate", "-s", "-D"])
            .arg(self.data()));
    }

    /// Makes a database; its URL.
    pub(crate) fn create_database(&self, name: &str) -> String {
        run(self
            .tool("createdb")
            .args(["-U", USER, "-h"])
            .arg(&self.dir)
            .arg(name));
        format!("postgres:///{name}?host={}&user={USER}", self.dir.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn tool(bin: &Path, name: &str, as_postgres: bool) -> Command {
    let path = bin.join(name);
    let mut command = if as_postgres {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--init-groups",
            "--",
        ]);
        command.arg(path);
        command
    } else {
        Command::new(path)
    };
    // The folder of the tests may be closed to the other user.
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn keeper(bin: &Path, dir: &Path, as_postgres: bool) -> Child {
    let stop = r#"cat >/dev/null; "$1" stop -m immediate -s -D "$2/data"; rm -rf -- "$2""#;
    let mut shell = if as_postgres {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--init-groups",
            "--",
            "sh",
        ]);
        command
    } else {
        Command::new("sh")
    };
    shell
        .args(["-c", stop, "keeper"])
        .arg(bin.join("pg_ctl"))
        .arg(dir)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn run(command: &mut Command) -> Output {
    // Not `output()` for all: a server that is started would hold its end of the pipes.
    let log = tempfile::NamedTempFile::new().unwrap();
    let out = tempfile::NamedTempFile::new().unwrap();
    let status = command
        .stdout(out.reopen().unwrap())
        .stderr(log.reopen().unwrap())
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = std::fs::read(out.path()).unwrap();
    let stderr = std::fs::read(log.path()).unwrap();
    assert!(
        status.success(),
        "{command:?}: {status}\n{}",
        String::from_utf8_lossy(&stderr)
    );
    Output {
        status,
        stdout,
        stderr,
    }
}

fn find_bin() -> Option<PathBuf> {
    let named = std::env::var_os("PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|dir| dir.join("initdb").exists());
    named
        .or_else(|| {
            // The link's target: what stands beside a link may be another version's.
            let initdb = on_path?.join("initdb").canonicalize().ok()?;
            initdb.parent().map(Path::to_owned)
        })
        .or_else(newest_packaged)
        .filter(|bin| bin.join("initdb").exists() && bin.join("pg_ctl").exists())
}

fn newest_packaged() -> Option<PathBuf> {
    std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .max()
        .map(|(_, bin)| bin)
}
