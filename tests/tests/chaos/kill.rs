//! SIGKILL of the hub at any moment: the end is the same as without.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use heyun::sandbox::{Hub, READY};
use serde_json::Value;

use crate::audit::Tail;
use crate::common::{Ground, Seeded, say};
use crate::{masked, story};

/// How often the hub is killed.
const KILLS: usize = 20;
/// Most scalings until then.
const STEPS_MAX: usize = 40;
/// Draws the points.
const SEED: u64 = 20_261_123;
/// Longest wait for one more write in the middle of a decision.
const NEXT_WRITE: Duration = Duration::from_millis(150);

/// When the hub is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// At the n-th write from the last start on, whatever it is.
    Write(u64),
    /// This many writes after a decision of a new step was committed.
    Committed(u64),
}

/// What the story and the one who kills know of each other.
#[derive(Default)]
struct Shared {
    /// A step has begun and its first decision is not seen yet.
    acted: AtomicBool,
    /// Kills so far.
    kills: AtomicUsize,
    /// Kills after which a decision was found committed and not applied everywhere.
    halfway: AtomicUsize,
    over: AtomicBool,
    points: Mutex<Vec<String>>,
}

#[test]
fn a_hub_killed_at_any_write_converges_to_the_end_of_a_run_without_faults() {
    let (steps, killed, lives) = killed_run();
    let ground = Ground::new();
    story::province(&ground);
    for step in 0..steps {
        story::act(&ground, step);
        story::settle(&ground, step);
        story::rest(&ground);
    }
    story::end(&ground);
    let (reference, reference_lives) = (masked::objects(&ground), masked::lives(&ground));
    let differ = masked::differences(&reference, &killed);
    assert!(
        differ.is_empty(),
        "without / with kills:\n{}",
        differ.join("\n")
    );
    let count = |of: &std::collections::BTreeMap<String, (u32, u32)>| {
        of.iter()
            .map(|(key, n)| (key.clone(), Value::from(vec![n.0, n.1])))
            .collect()
    };
    let differ = masked::differences(&count(&reference_lives), &count(&lives));
    assert!(
        differ.is_empty(),
        "creates, deletes without / with kills:\n{}",
        differ.join("\n")
    );
}

type Objects = std::collections::BTreeMap<String, Value>;
type Lives = std::collections::BTreeMap<String, (u32, u32)>;

/// The story with kills: how many steps it took, and where it ended.
fn killed_run() -> (usize, Objects, Lives) {
    let ground = Ground::new();
    let shared = Shared::default();
    let mut steps = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| kill_at_points(&ground, &shared));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            story::province(&ground);
            while steps < story::STEPS
                || shared.kills.load(Ordering::SeqCst) < KILLS && steps < STEPS_MAX
            {
                shared.acted.store(true, Ordering::SeqCst);
                story::act(&ground, steps);
                story::settle(&ground, steps);
                story::rest(&ground);
                steps += 1;
            }
        }));
        shared.over.store(true, Ordering::SeqCst);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    let hub = ground.sandbox.hub().expect("a hub");
    ground
        .runtime
        .block_on(hub.wait_ready(READY))
        .expect("the hub is ready again");
    story::end(&ground);
    let kills = shared.kills.load(Ordering::SeqCst);
    let halfway = shared.halfway.load(Ordering::SeqCst);
    say(&format!(
        "{kills} kills in {steps} steps, {halfway} between commit and last member write"
    ));
    let points = shared.points.into_inner().expect("nobody panicked with it");
    say(&points.join(", "));
    assert!(kills >= KILLS, "only {kills} kills: {points:?}");
    assert!(
        halfway * 2 >= KILLS,
        "only {halfway} kills fell in the middle: {points:?}"
    );
    (steps, masked::objects(&ground), masked::lives(&ground))
}

/// Kills the hub at one point after the other and starts it again at once.
fn kill_at_points(ground: &Ground, shared: &Shared) {
    let hub = ground.sandbox.hub().expect("a hub").clone();
    let mut draw = Seeded(SEED);
    let mut tail = Tail::new(ground);
    for number in 0..KILLS {
        // Those in the middle come twice as often: some find the decision applied already.
        let point = match number % 3 {
            0 => Point::Write(1 + draw.draw(12)),
            _ => Point::Committed(draw.draw(5)),
        };
        if !wait_for(point, &mut tail, shared) {
            return;
        }
        kill(ground, &hub, shared, point);
    }
}

/// Waits for a point; false when the story ended first.
fn wait_for(point: Point, tail: &mut Tail, shared: &Shared) -> bool {
    let (mut seen, mut committed, mut last) = (0, false, Instant::now());
    loop {
        if shared.over.load(Ordering::SeqCst) {
            return false;
        }
        for write in tail.next() {
            last = Instant::now();
            if committed || matches!(point, Point::Write(_)) {
                seen += 1;
            }
            if write.is_of("workloads", "status") && shared.acted.swap(false, Ordering::SeqCst) {
                committed = true;
            }
        }
        let due = match point {
            Point::Write(number) => seen >= number,
            Point::Committed(more) => committed && (seen >= more || last.elapsed() > NEXT_WRITE),
        };
        if due {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(ground: &Ground, hub: &Hub, shared: &Shared, point: Point) {
    hub.process().kill().expect("the hub ran and is killed");
    let halfway = is_halfway(ground);
    hub.start().expect("the hub is started again");
    let number = shared.kills.fetch_add(1, Ordering::SeqCst) + 1;
    shared
        .halfway
        .fetch_add(usize::from(halfway), Ordering::SeqCst);
    let place = if halfway { " (halfway)" } else { "" };
    say(&format!("kill {number} of {KILLS}: {point:?}{place}"));
    shared
        .points
        .lock()
        .expect("nobody panicked with it")
        .push(format!("{point:?}{place}"));
}

/// Whether a decision is committed that is not applied on every member.
fn is_halfway(ground: &Ground) -> bool {
    let list = |kind: &str| {
        let list = ground
            .hub()
            .json(&["get", kind, "-A"])
            .expect("our kinds are listed");
        list["items"].as_array().cloned().unwrap_or_default()
    };
    let works = list("works");
    let applied = |workload: &Value, member: &Value| {
        let (namespace, meta) = (
            format!("heyun-member-{}", member.as_str().unwrap_or("")),
            &workload["metadata"],
        );
        works.iter().any(|work| {
            let of = &work["spec"]["workload"];
            work["metadata"]["namespace"] == namespace.as_str()
                && (&of["namespace"], &of["name"]) == (&meta["namespace"], &meta["name"])
                && work["status"]["appliedDecision"] == workload["status"]["decision"]["id"]
        })
    };
    list("workloads").iter().any(|workload| {
        let assignments = workload["status"]["decision"]["assignments"].as_array();
        assignments
            .into_iter()
            .flatten()
            .any(|one| !applied(workload, &one["member"]))
    })
}
