//! A process that is killed: what it was told is on disk, is on disk.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use heyun_ledger::{Entry, Ledger, Outbox};
use tempfile::TempDir;

use crate::bed::{all_numbered, numbered};

const DIR: &str = "HEYUN_LEDGER_CRASH_DIR";

/// Run by [`killed_at_any_moment`] in a process of its own: appends without end, says after each
/// append that it is on disk, and drains half of the time.
#[tokio::test]
#[ignore = "the body of a child process of killed_at_any_moment"]
async fn child_appends_until_it_is_killed() {
    let dir = PathBuf::from(std::env::var_os(DIR).expect("set by the parent"));
    let outbox = Outbox::open(dir.join("outbox")).await.unwrap();
    let ledger = Ledger::connect(dir.join("ledger.db").to_str().unwrap())
        .await
        .unwrap();
    let round = std::fs::read_to_string(dir.join("round")).unwrap();
    for number in 0.. {
        let id = format!("{}-{number}", round.trim());
        outbox
            .append(&[Entry::Decision(numbered(&id, number))])
            .await
            .unwrap();
        writeln!(std::io::stdout().lock(), "appended {id}").unwrap();
        if number % 2 == 0 {
            outbox.drain(&ledger, 3).await.unwrap();
        }
    }
}

#[tokio::test]
async fn killed_at_any_moment() {
    let dir = TempDir::new().unwrap();
    let mut told = Vec::new();
    for round in 0..10_usize {
        std::fs::write(dir.path().join("round"), round.to_string()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_appends_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let appended = lines.map_while(Result::ok).filter_map(|line| {
            // The harness writes its own words before the first line.
            line.split_once("appended ").map(|(_, id)| id.to_owned())
        });
        told.extend(appended.take(1 + round * 3));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let outbox = Outbox::open(dir.path().join("outbox")).await.unwrap();
    let ledger = Ledger::connect(dir.path().join("ledger.db").to_str().unwrap())
        .await
        .unwrap();
    while outbox.drain(&ledger, 100).await.unwrap().waiting > 0 {}
    let rows = all_numbered(&ledger).await;
    let mut ids: Vec<String> = rows.into_iter().map(|row| row.decision_id).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "something is there twice");
    assert!(told.len() >= 10, "{told:?}");
    for id in told {
        assert!(
            ids.binary_search(&id).is_ok(),
            "{id} was on disk and is lost"
        );
    }
}
