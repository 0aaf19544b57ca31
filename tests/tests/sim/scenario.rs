//! What is there at the beginning, and what users and machines do meanwhile.

use std::time::Duration;

use super::random::Random;
use super::sim::Faults;

/// Values of the priority classes.
pub(super) const CLASSES: [i64; 2] = [10, 20];
/// The tenant above the others.
pub(super) const ROOT: &str = "province";

/// A Workload as it is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct App {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Thousandths of a processor, of each replica.
    pub(crate) cpu: i64,
    pub(crate) replicas: i64,
    /// Priority class, by its value; none names none.
    pub(crate) priority: Option<i64>,
    /// Replicas that its PodDisruptionBudget keeps on each member; none has none.
    pub(crate) keeps: Option<i64>,
    /// It is a Job, and its pods end.
    pub(crate) job: bool,
    /// It goes where the first member holds it, and back there after so many seconds.
    pub(crate) back: Option<u64>,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Create(usize),
    Scale(usize, i64),
    /// To one member, or to any.
    Pin(usize, Option<usize>),
    Delete(usize),
    Quota(usize, i64, i64),
    Node(usize, usize, bool),
    Away(usize, u64),
    /// A process shows nothing new for so many milliseconds.
    Stall(u64),
    /// The leader dies; another begins to lead after so many milliseconds.
    Kill(u64),
    /// Another leads, and the last one does not know: one that stood by, or a new one.
    Takeover(bool),
}

/// What one seed means.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) members: Vec<Vec<i64>>,
    /// Quotas of the agencies: guaranteed and nominal, in whole processors.
    pub(crate) quotas: Vec<(i64, i64)>,
    pub(crate) root: i64,
    /// Whether agencies may use what others do not.
    pub(crate) lends: bool,
    pub(crate) apps: Vec<App>,
    pub(crate) acts: Vec<(Duration, Act)>,
    pub(crate) faults: Faults,
    pub(crate) standby: bool,
}

fn faults(random: &mut Random) -> Faults {
    let rough = Faults {
        refused: 60,
        lost: 80,
        late: 80,
        slow: 150,
        stalled: 60,
        cut: 250,
        expired: 200,
    };
    let mild = Faults {
        refused: 10,
        lost: 15,
        late: 15,
        slow: 50,
        stalled: 15,
        cut: 60,
        expired: 30,
    };
    random.one_of(&[Faults::default(), mild, rough, rough])
}

impl Scenario {
    /// A small fleet that is too small for all that is asked of it, and a bad half minute.
    pub(crate) fn of(random: &mut Random) -> Self {
        let members: Vec<Vec<i64>> = (0..random.between(2, 3))
            .map(|_| {
                let nodes = 0..random.between(1, 2);
                nodes.map(|_| random.one_of(&[3000, 4000, 6000])).collect()
            })
            .collect();
        let agencies = random.between(1, 2);
        let quota = |random: &mut Random| {
            let nominal = i64::try_from(random.between(4, 10)).unwrap();
            (random.one_of(&[0, 0, nominal / 2]), nominal)
        };
        let quotas: Vec<(i64, i64)> = (0..agencies).map(|_| quota(random)).collect();
        let apps = (0..random.between(4, 8))
            .map(|n| App {
                namespace: namespace(usize::try_from(random.between(0, agencies - 1)).unwrap()),
                name: format!("w{n}"),
                cpu: random.one_of(&[500, 1000, 1500]),
                replicas: i64::try_from(random.between(1, 3)).unwrap(),
                ..App::default()
            })
            .collect::<Vec<_>>();
        let faults = faults(random);
        let mut scenario = Self {
            root: quotas.iter().map(|(_, nominal)| nominal).sum(),
            lends: false,
            members,
            quotas,
            apps,
            acts: Vec::new(),
            faults,
            standby: random.permille(400),
        };
        scenario.plan(random);
        scenario
    }

    fn plan(&mut self, random: &mut Random) {
        let burst = random.one_of(&[10, 800, 6000]);
        for app in 0..self.apps.len() {
            let at = Duration::from_millis(random.between(0, burst));
            self.acts.push((at, Act::Create(app)));
        }
        for _ in 0..random.between(2, 8) {
            let at = Duration::from_millis(random.between(500, 20_000));
            let act = self.act(random);
            self.acts.push((at, act));
        }
        for _ in 0..random.between(0, 2) {
            let at = Duration::from_millis(random.between(300, 15_000));
            let act = match random.between(0, 2) {
                0 => Act::Kill(random.between(0, 3000)),
                n => Act::Takeover(n == 1),
            };
            self.acts.push((at, act));
            for _ in 0..random.between(0, 3) {
                let millis = u64::try_from(at.as_millis()).unwrap() + random.between(0, 2000);
                let act = self.act(random);
                self.acts
                    .push((Duration::from_millis(millis.saturating_sub(700)), act));
            }
            if self.standby && random.permille(700) {
                // Who takes over has not seen the last of it.
                let before = at.saturating_sub(Duration::from_millis(random.between(0, 900)));
                self.acts
                    .push((before, Act::Stall(random.between(2000, 8000))));
            }
        }
        self.acts.sort_by_key(|(at, _)| *at);
    }

    fn act(&self, random: &mut Random) -> Act {
        let index = |random: &mut Random, length: usize| {
            usize::try_from(random.between(0, length as u64 - 1)).unwrap()
        };
        let app = index(random, self.apps.len());
        let member = index(random, self.members.len());
        match random.between(0, 11) {
            0..=3 => Act::Scale(app, i64::try_from(random.between(1, 4)).unwrap()),
            4 | 5 => Act::Pin(app, random.permille(800).then_some(member)),
            6 => Act::Delete(app),
            7 => Act::Create(app),
            8 => {
                let nominal = i64::try_from(random.between(2, 10)).unwrap();
                Act::Quota(index(random, self.quotas.len()), 0, nominal)
            }
            9 => {
                let node = index(random, self.members[member].len());
                Act::Node(member, node, random.permille(300))
            }
            10 => Act::Away(member, random.between(500, 6000)),
            _ => Act::Stall(random.between(500, 8000)),
        }
    }

    /// One who stood by takes over and has not seen the last of it, while most writes of the leader
    /// before had to be tried again, and there is room for a few alone.
    pub(crate) fn takeover(random: &mut Random) -> Self {
        let app = |n| App {
            namespace: namespace(0),
            name: format!("w{n}"),
            cpu: 1000,
            replicas: if n % 2 == 0 { 1 } else { 2 },
            ..App::default()
        };
        let count = 7;
        let millis = Duration::from_millis;
        let mut acts: Vec<_> = (0..count)
            .map(|n| (millis(random.between(0, 5000)), Act::Create(n)))
            .collect();
        let blind = random.between(500, 4000);
        acts.push((millis(blind), Act::Stall(9000)));
        let over = blind + random.between(300, 4000);
        let act = random.one_of(&[Act::Kill(0), Act::Takeover(true), Act::Takeover(true)]);
        acts.push((millis(over), act));
        acts.sort_by_key(|(at, _)| *at);
        Self {
            members: vec![vec![3000], vec![4000]],
            quotas: vec![(0, 5)],
            root: 5,
            lends: false,
            apps: (0..count).map(app).collect(),
            acts,
            faults: Faults {
                refused: 250,
                slow: 100,
                ..Faults::default()
            },
            standby: true,
        }
    }

    /// A quota is lowered while decisions are on their way, many of them slowly.
    pub(crate) fn shrink(random: &mut Random) -> Self {
        let mut scenario = Self::takeover(random);
        scenario
            .acts
            .retain(|(_, act)| matches!(act, Act::Create(_)));
        let at = Duration::from_millis(random.between(500, 5000));
        scenario.acts.push((at, Act::Quota(0, 0, 2)));
        scenario.acts.sort_by_key(|(at, _)| *at);
        scenario.faults = Faults {
            slow: 400,
            ..Faults::default()
        };
        scenario.standby = false;
        scenario
    }

    /// Agencies that lend to each other and come to want it back, and Workloads of different
    /// priority, some of which keep a part of what they have.
    pub(crate) fn preempt(random: &mut Random) -> Self {
        let mut scenario = Self::of(random);
        scenario.lends = true;
        let agencies = random.between(2, 3);
        scenario.quotas = (0..agencies)
            .map(|_| (0, i64::try_from(random.between(1, 3)).unwrap()))
            .collect();
        scenario.root = scenario.quotas.iter().map(|(_, nominal)| nominal).sum();
        for app in &mut scenario.apps {
            let agency = usize::try_from(random.between(0, agencies - 1)).unwrap();
            app.namespace = namespace(agency);
            app.priority = random.one_of(&[None, Some(CLASSES[0]), Some(CLASSES[1])]);
            app.keeps = random.one_of(&[None, None, None, Some(1), Some(2)]);
        }
        scenario
            .acts
            .retain(|(_, act)| !matches!(act, Act::Quota(..)));
        scenario
    }

    /// Jobs among the rest, that end part by part, are deleted by their time to live, and are decided
    /// again when they made room for others.
    pub(crate) fn jobs(random: &mut Random) -> Self {
        let mut scenario = Self::preempt(random);
        for app in &mut scenario.apps {
            app.job = random.permille(700);
        }
        let apps = &scenario.apps;
        // A Job is not scaled.
        scenario
            .acts
            .retain(|(_, act)| !matches!(act, Act::Scale(app, _) if apps[*app].job));
        scenario
    }

    /// All would stand on the first member, which is too small for them, and go back there as others
    /// go; meanwhile most else goes wrong.
    pub(crate) fn returns(random: &mut Random) -> Self {
        let mut scenario = Self::of(random);
        // One node each: where replicas land on several, some later find none.
        scenario.members = vec![vec![6000], vec![12_000]];
        scenario.quotas = vec![(0, 30)];
        scenario.root = 30;
        for app in &mut scenario.apps {
            app.namespace = namespace(0);
            app.back = Some(random.between(1, 5));
        }
        scenario.acts.retain(|(_, act)| match act {
            Act::Pin(..) | Act::Quota(..) => false,
            Act::Node(member, node, _) => *member < 2 && *node < 1,
            Act::Away(member, _) => *member < 2,
            _ => true,
        });
        let apps = scenario.apps.len();
        for _ in 0..2 {
            let at = Duration::from_millis(random.between(3000, 20_000));
            let app = usize::try_from(random.between(0, apps as u64 - 1)).unwrap();
            scenario.acts.push((at, Act::Delete(app)));
        }
        scenario.acts.sort_by_key(|(at, _)| *at);
        scenario
    }

    /// The case of the issue: two members of ten processors, twenty Workloads of one and a half at
    /// once; the leader dies in the middle in a quarter of the seeds.
    pub(crate) fn burst(random: &mut Random, kills: bool) -> Self {
        let app = |n| App {
            namespace: namespace(0),
            name: format!("w{n}"),
            cpu: 1500,
            replicas: 1,
            ..App::default()
        };
        let within = |random: &mut Random, most| Duration::from_millis(random.between(0, most));
        let mut acts: Vec<_> = (0..20)
            .map(|n| (within(random, 300), Act::Create(n)))
            .collect();
        if kills {
            let at = within(random, 600);
            acts.push((at, Act::Kill(random.between(0, 1000))));
        }
        acts.sort_by_key(|(at, _)| *at);
        Self {
            members: vec![vec![10_000], vec![10_000]],
            quotas: vec![(0, 100)],
            root: 100,
            lends: false,
            apps: (0..20).map(app).collect(),
            acts,
            faults: faults(random),
            standby: false,
        }
    }
}

/// The agency of this number, which is its namespace too.
pub(crate) fn namespace(number: usize) -> String {
    format!("{ROOT}-agency{number}")
}
