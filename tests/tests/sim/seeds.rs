//! Seeds: many of any kind, the case of the issue, and one again.

use std::collections::BTreeMap;

use super::oracle::is;
use super::run::{Kind, simulate, trace};
use super::sim::lock;

/// How many seeds of each kind the test suite runs, where the environment says no other number:
/// 10,000 in all, some 0.04 s of one core each.
const FREE: u64 = 6_200;
const PREEMPTS: u64 = 1_500;
const RETURNS: u64 = 300;
const TAKEOVERS: u64 = 300;
const SHRINKS: u64 = 300;
const BURSTS: u64 = 1_000;
const JOBS: u64 = 400;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: it is a number")),
    )
}

/// Ends the test with what a seed broke, and how to see it again.
fn fail(kind: Kind, seed: u64, violations: &[String]) -> ! {
    let said = violations.join("\n  ");
    panic!(
        "{kind:?} seed {seed} broke:\n  {said}\nreplay with:\n  HEYUN_SIM_KIND={kind:?} \
         HEYUN_SIM_SEED={seed} cargo test -p heyun-tests --test sim replay -- --nocapture"
    );
}

/// Runs seeds on all cores; one that breaks something ends the test. Returns how many made room for
/// another, by what right.
fn all(kind: Kind, first: u64, count: u64) -> BTreeMap<String, u64> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let run = |core: usize| {
        let mut requests = 0;
        let mut failed = Vec::new();
        let mut rooms: BTreeMap<String, u64> = BTreeMap::new();
        for seed in (first..first + count).skip(core).step_by(cores) {
            let ran = simulate(kind, seed, None);
            requests += ran.requests;
            for (claim, count) in &lock(&ran.sim).oracle.rooms {
                *rooms.entry(claim.clone()).or_default() += count;
            }
            if !ran.violations.is_empty() {
                failed.push((seed, ran.violations.clone()));
                if failed.len() >= 10 {
                    break;
                }
            }
        }
        (requests, failed, rooms)
    };
    let (mut requests, mut failed) = (0, Vec::new());
    let mut rooms: BTreeMap<String, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || run(core)))
            .collect();
        for core in running {
            let (some, more, made) = core.join().expect("a core's seeds end");
            requests += some;
            failed.extend(more);
            for (claim, count) in made {
                *rooms.entry(claim).or_default() += count;
            }
        }
    });
    failed.sort();
    println!("{kind:?}: {count} seeds from {first}, {requests} requests");
    for (seed, violations) in &failed {
        println!("seed {seed}: {}", violations[0]);
    }
    if let Some((seed, violations)) = failed.first() {
        fail(kind, *seed, violations);
    }
    rooms
}

#[test]
fn nothing_breaks_whatever_goes_wrong() {
    let count = number("HEYUN_SIM_SEEDS").unwrap_or(FREE);
    all(Kind::Free, number("HEYUN_SIM_FIRST").unwrap_or(0), count);
}

#[test]
fn who_takes_over_knows_what_was_decided() {
    all(
        Kind::Takeover,
        0,
        number("HEYUN_SIM_TAKEOVERS").unwrap_or(TAKEOVERS),
    );
}

#[test]
fn a_quota_that_is_lowered_counts_for_what_is_on_its_way() {
    let count = number("HEYUN_SIM_SHRINKS").unwrap_or(SHRINKS);
    all(Kind::Shrink, 0, count);
}

/// They go back, come to rest, and none is left away that home holds.
#[test]
fn what_has_room_in_a_better_term_goes_back_and_stays() {
    let count = number("HEYUN_SIM_RETURNS").unwrap_or(RETURNS);
    all(Kind::Return, 0, count);
}

/// What has finished is charged no more, and never runs again for its generation.
#[test]
fn a_job_that_has_finished_is_over() {
    all(Kind::Jobs, 0, number("HEYUN_SIM_JOBS").unwrap_or(JOBS));
}

#[test]
fn who_makes_room_for_another_had_to_and_it_ends() {
    let count = number("HEYUN_SIM_PREEMPTS").unwrap_or(PREEMPTS);
    let rooms = all(Kind::Preempt, 0, count);
    println!("made room: {rooms:?}");
    for claim in ["Borrowed", "Lower"] {
        assert!(rooms.contains_key(claim), "nobody made room by {claim}");
    }
}

#[test]
fn six_land_on_each_member_and_eight_wait() {
    for seed in 0..number("HEYUN_SIM_BURSTS").unwrap_or(BURSTS) {
        let ran = simulate(Kind::Burst, seed, None);
        if !ran.violations.is_empty() {
            fail(Kind::Burst, seed, &ran.violations);
        }
        let sim = lock(&ran.sim);
        let mut placed: BTreeMap<String, usize> = BTreeMap::new();
        let mut waiting = 0;
        for (key, workload) in sim.store.list("workloads", "") {
            let decision = &workload["status"]["decision"];
            if let Some(member) = decision["assignments"][0]["member"].as_str() {
                *placed.entry(member.to_owned()).or_default() += 1;
                continue;
            }
            waiting += 1;
            let reason = &workload["status"]["explanation"]["reason"];
            assert!(
                reason.is_string(),
                "seed {seed}: {key} waits without a reason"
            );
            assert!(!is(workload, "Scheduled"), "seed {seed}: {key}");
        }
        let each: Vec<usize> = placed.into_values().collect();
        assert_eq!((each.as_slice(), waiting), (&[6, 6][..], 8), "seed {seed}");
    }
}

#[test]
fn a_seed_is_the_same_each_time() {
    for seed in 0..5 {
        let (one, other) = (trace(Kind::Free, seed, None), trace(Kind::Free, seed, None));
        assert!(one.trace.len() > 1000, "seed {seed}: nothing happened");
        assert!(one.trace == other.trace, "seed {seed}: two runs differ");
    }
}

/// Runs the seed that the environment names, and prints what happens; with `HEYUN_SIM_LOG=debug`
/// and the like also what the hub logs.
#[test]
fn replay() {
    let Some(seed) = number("HEYUN_SIM_SEED") else {
        return;
    };
    let kind = match std::env::var("HEYUN_SIM_KIND").as_deref() {
        Ok("Burst") => Kind::Burst,
        Ok("Takeover") => Kind::Takeover,
        Ok("Shrink") => Kind::Shrink,
        Ok("Preempt") => Kind::Preempt,
        Ok("Return") => Kind::Return,
        Ok("Jobs") => Kind::Jobs,
        _ => Kind::Free,
    };
    let log = tracing_subscriber::fmt().with_env_filter(
        tracing_subscriber::EnvFilter::try_from_env("HEYUN_SIM_LOG").unwrap_or_default(),
    );
    let log = log
        .without_time()
        .with_ansi(false)
        .with_writer(std::io::stderr);
    let ran =
        tracing::subscriber::with_default(log.finish(), || trace(kind, seed, super::bugs::named()));
    println!("{}", ran.trace);
    if !ran.violations.is_empty() {
        fail(kind, seed, &ran.violations);
    }
}
