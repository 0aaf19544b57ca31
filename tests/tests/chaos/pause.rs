//! SIGSTOP of the leading hub: what it writes when it goes on has no effect.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use heyun::sandbox::{Hub, HubProgram, READY};
use serde_json::{Value, json};

use crate::audit::{Tail, Wrote};
use crate::common::{Ground, Seeded, deployment, say};
use crate::story;

/// Rounds with the leader's own check of its lease, and as many without it, where
/// `HEYUN_CHAOS_ROUNDS` does not say.
const ROUNDS: usize = 3;
/// So many times as many rounds at most, where no late write has reached the fence yet.
const PATIENCE: usize = 4;
/// Workloads whose decisions are under way when the leader is frozen.
const WORKLOADS: usize = 48;
/// How long the one that sleeps is watched after it woke.
const AWAKE: Duration = Duration::from_secs(6);
const NAMESPACE: &str = "sz-transport-bus";
/// What the fence's refusals begin with.
const FENCE: &str = "heyun fence";

/// What the one that slept must not do.
#[derive(Clone, Copy, Debug)]
enum Late {
    /// Change anything.
    NothingWritten,
    /// Change what the fence guards: decisions, Works, objects of members. What it reports it may.
    NothingFenced,
}

#[test]
fn a_leader_that_slept_writes_nothing_after_another_took_over() {
    let mut ground = Ground::with_province();
    let second = start(&mut ground, None);
    let first = ground.sandbox.hub().expect("a hub").clone();
    let mut draw = Seeded(7);
    for round in 0..rounds() {
        let (leader, other) = leading(&ground, &first, &second);
        let refused = sleep_through_a_takeover(
            &ground,
            (leader, other),
            &mut draw,
            round,
            Late::NothingWritten,
        );
        say(&format!(
            "round {round}: {refused} late writes refused by the fence"
        ));
    }
}

#[test]
fn the_fence_alone_refuses_a_leader_that_does_not_check_its_lease() {
    let seeded = seeded_hub();
    let mut ground = Ground::with_province();
    let first = ground.sandbox.hub().expect("a hub").clone();
    let env = [("HEYUN_SEEDED_BUG".to_owned(), "lease-check".to_owned())].into();
    let program = HubProgram {
        binary: seeded.clone(),
        args: Vec::new(),
        env,
    };
    let careless = start(&mut ground, Some(&program));
    let mut draw = Seeded(11);
    let mut refused = 0;
    let enough = rounds();
    for round in 0..enough * PATIENCE {
        // Whether anything is on its way when it is frozen is chance; some rounds show nothing.
        if round >= enough && refused > 0 {
            break;
        }
        // The careless one leads once the other is away for a moment.
        stop(&ground, &first);
        ground.eventually("the careless hub to lead", || leads(&ground, &careless));
        first.start().expect("the other hub is started again");
        ground
            .runtime
            .block_on(first.wait_ready(READY))
            .expect("the other hub follows");
        let now = sleep_through_a_takeover(
            &ground,
            (&careless, &first),
            &mut draw,
            round,
            Late::NothingFenced,
        );
        say(&format!(
            "round {round} without the check of the lease: {now} late writes refused by the fence"
        ));
        refused += now;
    }
    assert!(
        refused > 0,
        "no late write reached the fence: the rounds show nothing"
    );
    // What it was told it says itself, to whoever reads its log.
    let log = std::fs::read_to_string(careless.log()).expect("the log is read");
    let log_path = careless.log();
    assert!(
        log.contains(FENCE),
        "the fence's message is not in {}",
        log_path.display()
    );
}

fn rounds() -> usize {
    match std::env::var("HEYUN_CHAOS_ROUNDS") {
        Ok(text) => text.parse().expect("HEYUN_CHAOS_ROUNDS is a number"),
        Err(_) => ROUNDS,
    }
}

/// One round; how many late writes of the sleeper the fence refused.
fn sleep_through_a_takeover(
    ground: &Ground,
    (leader, other): (&Hub, &Hub),
    draw: &mut Seeded,
    round: usize,
    late: Late,
) -> usize {
    let names: Vec<String> = (0..WORKLOADS)
        .map(|n| format!("late-{round}-{n}"))
        .collect();
    let mut tail = Tail::new(ground);
    deploy(ground, &names);
    // Frozen while decisions and Works are being written.
    let more = draw.draw(8);
    wait_for_writes(&mut tail, more);
    leader.pause().expect("the leader runs and is frozen");
    let decided_before = decided(ground);
    ground.eventually("the other hub to lead", || leads(ground, other));
    for name in &names {
        ground.ready(NAMESPACE, name, None);
    }
    // The new leader decides something of its own and comes to rest.
    let fresh = format!("fresh-{round}");
    deploy(ground, std::slice::from_ref(&fresh));
    ground.ready(NAMESPACE, &fresh, None);
    story::rest(ground);
    let before = guarded(ground, late);
    let mut tail = Tail::new(ground);
    leader.resume().expect("the leader is frozen and goes on");
    let since = Instant::now();
    let mut wrote = Vec::new();
    while since.elapsed() < AWAKE {
        std::thread::sleep(Duration::from_millis(50));
        wrote.extend(tail.next());
    }
    let effects = wrote
        .iter()
        .filter(|write| write.event.succeeded() && is_fenced(write));
    let effects: Vec<String> = effects.map(Wrote::to_string).collect();
    assert!(
        effects.is_empty(),
        "round {round}, {decided_before} of {WORKLOADS} decided when it was frozen: after it woke, \
         with the new leader at rest, these writes had an effect:\n{}",
        effects.join("\n")
    );
    assert_eq!(guarded(ground, late), before, "round {round}, {late:?}");
    remove(ground, &names, &fresh);
    wrote.iter().filter(|write| write.says(FENCE)).count()
}

/// Whether the fence is there to refuse it. What is reported (a status on the hub, its decision
/// aside) is not fenced, and a leader that does not check its lease may report what it saw.
fn is_fenced(write: &Wrote) -> bool {
    write.event.object_ref.as_ref().is_some_and(|object| {
        // Reviews and tokens change no object.
        let question = object.resource.ends_with("reviews") || object.subresource == "token";
        let reported = write.cluster == "hub" && object.subresource == "status";
        !question && !reported
    })
}

/// What must be as it was after the late writes, where nobody else has anything to do.
fn guarded(ground: &Ground, late: Late) -> BTreeMap<String, Value> {
    let list = ground
        .hub()
        .json(&["get", "workloads,works", "-A"])
        .expect("they are listed");
    let part = |object: &Value| {
        let meta = &object["metadata"];
        let key = format!("{} {}/{}", object["kind"], meta["namespace"], meta["name"]);
        let part = match late {
            Late::NothingWritten => meta["resourceVersion"].clone(),
            Late::NothingFenced if object["kind"] == "Work" => object["spec"].clone(),
            Late::NothingFenced => object["status"]["decision"].clone(),
        };
        (key, part)
    };
    list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(part)
        .collect()
}

fn wait_for_writes(tail: &mut Tail, more: u64) {
    let began = Instant::now();
    let mut seen = None;
    loop {
        for write in tail.next() {
            match &mut seen {
                None if write.is_of("workloads", "status") => seen = Some(0),
                Some(count) => *count += 1,
                None => {}
            }
        }
        if seen.is_some_and(|count| count >= more) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "the leader does not write"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn deploy(ground: &Ground, names: &[String]) {
    let items: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "apiVersion": "heyun.dev/v1alpha1", "kind": "Workload",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"manifests": [deployment(name, 1)]},
            })
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    ground
        .hub()
        .run_with(&["create", "-f", "-"], &list.to_string())
        .expect("they are accepted");
}

fn remove(ground: &Ground, names: &[String], fresh: &str) {
    let mut args = vec![
        "delete",
        "workloads",
        "-n",
        NAMESPACE,
        "--wait=false",
        fresh,
    ];
    args.extend(names.iter().map(String::as_str));
    ground.hub().run(&args).expect("they are deleted");
    ground.eventually("the Workloads of the round to go", || {
        let list = ground
            .hub()
            .json(&["get", "workloads,works", "-A"])
            .expect("they are listed");
        let left = list["items"]
            .as_array()
            .and_then(|items| items.first().cloned());
        left.map_or(Ok(()), |object| Err(object.to_string()))
    });
    story::rest(ground);
}

fn decided(ground: &Ground) -> usize {
    let list = ground
        .hub()
        .json(&["get", "workloads", "-n", NAMESPACE])
        .expect("they are listed");
    let items = list["items"].as_array().into_iter().flatten();
    items
        .filter(|workload| !workload["status"]["decision"].is_null())
        .count()
}

fn start(ground: &mut Ground, program: Option<&HubProgram>) -> Hub {
    let Ground {
        sandbox, runtime, ..
    } = ground;
    runtime.block_on(async {
        let hub = match program {
            None => sandbox.start_hub().await,
            Some(program) => sandbox.start_hub_with(program).await,
        };
        let hub = hub.expect("one more hub");
        hub.wait_ready(READY).await.expect("it is ready");
        hub
    })
}

fn stop(ground: &Ground, hub: &Hub) {
    let stopped = ground.runtime.block_on(hub.stop(Duration::from_secs(20)));
    stopped.expect("the hub is stopped");
}

fn leading<'a>(ground: &Ground, one: &'a Hub, other: &'a Hub) -> (&'a Hub, &'a Hub) {
    ground.eventually("one of the hubs to lead", || {
        if leads(ground, one).is_ok() {
            return Ok((one, other));
        }
        leads(ground, other).map(|()| (other, one))
    })
}

/// Whether a hub says that it decides.
fn leads(ground: &Ground, hub: &Hub) -> Result<(), String> {
    let metrics = ground
        .runtime
        .block_on(hub.metrics())
        .map_err(|e| e.to_string())?;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("heyun_leader"));
    match line {
        Some(line) if line.ends_with(" 1") => Ok(()),
        other => Err(format!("{}: {other:?}", hub.process().name())),
    }
}

/// The hub with bugs sown on purpose: another build of the same crate, put aside so that the
/// usual one is back in its place for every other test.
fn seeded_hub() -> PathBuf {
    let seeded = Path::new(env!("CARGO_TARGET_TMPDIR")).join("heyun-hub-seeded");
    let built = build(&["--features", "heyun-hub/seeded-bugs"]);
    std::fs::copy(&built, &seeded).expect("the seeded hub is put aside");
    build(&[]);
    seeded
}

fn build(more: &[&str]) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command
        .args(["build", "--locked", "-p", "heyun-hub", "--bin", "heyun-hub"])
        .arg("--message-format=json-render-diagnostics")
        .args(more)
        .current_dir(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .parent()
                .expect("the workspace"),
        )
        .stderr(std::process::Stdio::inherit());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "the hub is built with {more:?}");
    let text = String::from_utf8(output.stdout).expect("JSON");
    let built = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "heyun-hub")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.expect("cargo names the executable")
}
