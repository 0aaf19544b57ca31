//! A PostgreSQL of one's own.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{IoContext, tail};
use crate::keeper::{Keeper, KeeperCommand, Launch, Process};
use crate::preflight::{find, is_executable};
use crate::{Error, Progress, Result, cache, eventually};

/// On an address of its own.
const PORT: u16 = 25_432;
/// The account that runs it when we are root, which its programs refuse.
const ACCOUNT: &str = "postgres";

/// A running PostgreSQL server, empty and trusting every local client. It ends with this value, and
/// with this process, however that ends.
#[derive(Debug)]
pub struct Postgres {
    keeper: Arc<Keeper>,
    process: Process,
    data: PathBuf,
}

impl Postgres {
    /// Starts one, or answers `None` if this machine has no PostgreSQL.
    ///
    /// Its programs are those of `PG_BIN`, of PATH, or the newest of `/usr/lib/postgresql`.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none and `HEYUN_REQUIRE` is `postgres`;
    /// [`Error::Command`], [`Error::Ended`] if it does not start.
    pub fn start(keeper: &KeeperCommand, progress: &Progress) -> Result<Option<Self>> {
        let Some(bin) = programs() else {
            let required = env::var("HEYUN_REQUIRE")
                .is_ok_and(|all| all.split([',', ' ']).any(|one| one == "postgres"));
            if required {
                return Err(Error::Missing(
                    "HEYUN_REQUIRE asks for PostgreSQL and there is none in PG_BIN, on PATH or in \
                     /usr/lib/postgresql: apt-get install postgresql"
                        .to_owned(),
                ));
            }
            progress.say("skipped: no PostgreSQL");
            return Ok(None);
        };
        let dir = tempfile::Builder::new()
            .prefix("heyun-postgres-")
            .tempdir()
            .io(|| "making a folder for PostgreSQL".to_owned())?
            .keep();
        let keeper = Arc::new(Keeper::start(keeper, &dir, true)?);
        let data = dir.join("data");
        let context = || format!("preparing {}", data.display());
        fs::create_dir(&data).io(context)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).io(context)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o711)).io(context)?;
        let user = become_account(&data)?;
        initialise(&bin, &data, &user)?;
        let argv = [
            bin.join("postgres").display().to_string(),
            "-D".into(),
            data.display().to_string(),
            "-h".into(),
            keeper.address().to_string(),
            "-p".into(),
            PORT.to_string(),
            // No socket in a folder that all share, and no waiting for the disk.
            "-k".into(),
            String::new(),
            "-F".into(),
        ];
        let process = keeper.spawn(Launch {
            name: "postgres".to_owned(),
            argv: argv.to_vec(),
            env: BTreeMap::new(),
            log: dir.join("postgres.log"),
            setpriv: user,
        })?;
        let started = Self {
            keeper,
            process,
            data,
        };
        started.wait_ready(&bin)?;
        Ok(Some(started))
    }

    /// `postgres://…` of an empty database.
    pub fn url(&self) -> String {
        format!(
            "postgres://{ACCOUNT}@{}:{PORT}/postgres",
            self.keeper.address()
        )
    }

    /// The server, to stop, start, freeze or kill.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Waits until it takes connections, after a restart for example.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Ended`] if it does not run.
    pub fn ready(&self) -> Result<()> {
        match programs() {
            Some(bin) => self.wait_ready(&bin),
            None => Err(Error::Missing("PostgreSQL's programs are gone".to_owned())),
        }
    }

    fn wait_ready(&self, bin: &Path) -> Result<()> {
        let (address, port) = (self.keeper.address().to_string(), PORT.to_string());
        let mut ended = None;
        let what = "PostgreSQL to take connections";
        let waited = eventually(what, Duration::from_mins(1), self.data.parent(), || {
            if let Err(error) = self.process.check() {
                ended = Some(error);
                return Ok(());
            }
            let output = Command::new(bin.join("pg_isready"))
                .args(["-h", &address, "-p", &port])
                .output()
                .map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if output.status.success() {
                Ok(())
            } else {
                Err(said)
            }
        });
        ended.map_or(waited, Err)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.keeper.close();
    }
}

/// The folder of its programs.
fn programs() -> Option<PathBuf> {
    let complete = |dir: &PathBuf| {
        ["initdb", "postgres", "pg_isready"]
            .iter()
            .all(|name| is_executable(&dir.join(name)))
    };
    if let Some(dir) = cache::set("PG_BIN").filter(complete) {
        return Some(dir);
    }
    // A link on PATH leads to the folder of all.
    let linked = find("postgres").and_then(|link| fs::canonicalize(link).ok());
    if let Some(dir) = linked
        .and_then(|file| Some(file.parent()?.to_path_buf()))
        .filter(complete)
    {
        return Some(dir);
    }
    let versions = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        });
    versions
        .filter(|(_, dir)| complete(dir))
        .max()
        .map(|(_, dir)| dir)
}

/// Options of `setpriv` under which its programs run: none, unless we are root.
fn become_account(data: &Path) -> Result<Vec<String>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Vec::new());
    }
    let passwd = fs::read_to_string("/etc/passwd").io(|| "reading /etc/passwd".to_owned())?;
    let ids = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, user, group) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        (name == ACCOUNT).then_some((user.parse().ok()?, group.parse().ok()?))
    });
    let Some((user, group)) = ids else {
        return Err(Error::Missing(format!(
            "initdb refuses root, and there is no user {ACCOUNT}: useradd --system {ACCOUNT}"
        )));
    };
    chown(data, Some(user), Some(group)).io(|| format!("giving {} away", data.display()))?;
    let options = ["--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups"];
    Ok(options.map(str::to_owned).to_vec())
}

fn initialise(bin: &Path, data: &Path, user: &[String]) -> Result<()> {
    let initdb = bin.join("initdb");
    let mut command = if user.is_empty() {
        Command::new(&initdb)
    } else {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(user).arg("--").arg(&initdb);
        setpriv
    };
    let log = data.with_extension("initdb.log");
    let file = fs::File::create(&log).io(|| format!("making {}", log.display()))?;
    let both = file.try_clone().io(|| "duplicating a log".to_owned())?;
    let status = command
        .args([
            "--no-sync",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "-U",
            ACCOUNT,
            "-D",
        ])
        .arg(data)
        .current_dir("/")
        .stdout(file)
        .stderr(both)
        .status()
        .io(|| format!("starting {}", initdb.display()))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: initdb.display().to_string(),
        status: status.to_string(),
        stderr: tail(&log, 10),
    })
}
