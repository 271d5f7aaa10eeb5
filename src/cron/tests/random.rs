//! Random lives: the clock moves, processes die and come back, pools start and stop; against a model of a few lines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{World, cron, declare, info, take, tick};
use crate::cron::{CronEntry, CronSet, Declared, Missed};
use crate::ids::Millis;
use crate::testing::effort::{budget, counted};

const LATE_MS: u64 = 60_000;
const TEXTS: [(&str, &str); 4] = [
    ("30 2 * * *", "Europe/Berlin"),
    ("*/20 * * * *", "America/New_York"),
    ("0,30 1-3 * * SAT,SUN", "Australia/Lord_Howe"),
    ("45 23 L * *", "UTC"),
];
const POLICIES: [Missed; 3] = [Missed::Skip, Missed::Once, Missed::Backfill];

/// An entry as it should be: where it stands, and what it has fired.
struct Model {
    name: String,
    text: (&'static str, &'static str),
    missed: Missed,
    from: Option<Millis>,
    fired: Vec<Millis>,
}

impl Model {
    fn all() -> Vec<Self> {
        let each = |(n, text): (usize, &(&'static str, &'static str))| {
            let named = move |missed| (format!("{n}{missed:?}"), missed);
            let text = *text;
            POLICIES.map(named).map(|(name, missed)| Self { name, text, missed, from: None, fired: Vec::new() })
        };
        TEXTS.iter().enumerate().flat_map(each).collect()
    }

    fn entry(&self) -> CronEntry {
        CronEntry::cron(&self.name, self.text.0, self.text.1, tick).missed(self.missed)
    }

    /// Somebody is there now.
    fn wake(&mut self, now: Millis) {
        let times = cron(self.text.0, self.text.1);
        let from = *self.from.get_or_insert(now);
        let due: Vec<Millis> =
            std::iter::successors(times.next(from), |at| times.next(*at)).take_while(|at| *at <= now).collect();
        let Some(newest) = due.last().copied() else { return };
        match self.missed {
            Missed::Skip if now.0 - newest.0 > LATE_MS => {}
            Missed::Skip | Missed::Once => self.fired.push(newest),
            Missed::Backfill => self.fired.extend(&due[due.len().saturating_sub(Missed::BACKFILL_MAX)..]),
        }
        self.from = Some(newest);
    }
}

fn all_of(models: &[Model]) -> CronSet {
    models.iter().fold(CronSet::new("s"), |set, model| set.entry(model.entry()))
}

fn live(seed: u64) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    // Near days on which clocks change, in one half of the year or the other.
    let start = ["2026-03-06T00:00Z", "2026-03-27T00:00Z", "2026-10-03T00:00Z", "2026-10-23T00:00Z"][rng.usize(..4)];
    let mut world = World::at(start);
    let mut backlog = world.open();
    let mut pools: Vec<Arc<Declared>> = Vec::new();
    let mut models = Model::all();
    let mut fired: BTreeMap<String, Vec<Millis>> = BTreeMap::new();
    for _ in 0..40 {
        match rng.u8(..10) {
            0..=4 => {
                let most = [90_000, 7_200_000, 200_000_000][rng.usize(..3)];
                world.clock.advance(Duration::from_millis(rng.u64(..most)));
            }
            5 => {
                drop((std::mem::take(&mut pools), backlog));
                world = world.next();
                backlog = world.open();
            }
            6 | 7 => pools.push(declare(&backlog, all_of(&models))),
            8 => drop(pools.pop()),
            _ => {}
        }
        backlog.serve().unwrap();
        if !pools.is_empty() {
            let now = Millis(world.clock.wall_ms());
            models.iter_mut().for_each(|model| model.wake(now));
        }
        for (entry, at) in take(&backlog) {
            fired.entry(entry).or_default().push(at);
        }
    }
    for model in &models {
        let fired = fired.get(&model.name).cloned().unwrap_or_default();
        assert_eq!(fired, model.fired, "seed={seed} entry={} {:?}", model.name, model.text);
        let last = model.from.map(|_| info(&backlog, &model.name).last);
        assert!(last.is_none_or(|last| last == fired.last().map(|at| at.to_system())), "seed={seed}");
    }
    fired.values().map(|fired| fired.len() as u64).sum()
}

#[test]
fn whatever_dies_and_comes_back_each_entry_fires_as_its_policy_says() {
    let lives = budget("BACKLOG_CRON_LIVES", 30, 3_000);
    counted("firings in random lives", (0..lives).map(live).sum());
}
