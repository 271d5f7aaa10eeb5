//! Explicit-state search over the real planner: every order of verbs, syncs, checkpoints and
//! compactor steps over two jobs and a group, with a crash after every one of them.
//!
//! After each crash, whatever prefix of the log, names of files and saved checkpoint it leaves, the
//! directory must open, and what it holds must be what the surviving operations say: no acknowledged
//! ack undone, no accepted job lost, the group's count right and its callback there when it closed.
//! And if somebody deletes the oldest segment, that is noticed, unless nothing in it mattered.
//!
//! Each rule is then switched off in turn, and the same search must find where that ends.

#[path = "planner_search/model.rs"]
mod model;
#[path = "planner_search/policy.rs"]
mod policy;
#[path = "planner_search/world.rs"]
mod world;

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::hash::Hash;

use siphasher::sip128::{Hasher128, SipHasher13};

use model::{Mutant, Names, Rules, Violation};
use world::{Action, Budget, World};

/// Two segments can go, then a crash, perhaps a checkpoint that lies, and all of it once more.
const SECOND_LIFE: Budget = Budget { segments: 4, frames_per_segment: 2, rewrites: 0, freezes: 1, crashes: 1, lies: 1 };
/// The same with a job whose older record is garbage.
const REWRITTEN: Budget = Budget { segments: 4, frames_per_segment: 2, rewrites: 1, freezes: 0, crashes: 1, lies: 1 };
/// Three segments can go.
const LONG_CHAIN: Budget = Budget { segments: 5, frames_per_segment: 2, rewrites: 1, freezes: 0, crashes: 0, lies: 0 };
/// One more frame in each segment: other alignments.
const WIDE: Budget = Budget { segments: 4, frames_per_segment: 3, rewrites: 1, freezes: 0, crashes: 1, lies: 1 };
/// All of it, for machines with time.
const DEEP: Budget = Budget { segments: 5, frames_per_segment: 2, rewrites: 1, freezes: 1, crashes: 1, lies: 1 };
/// A search that meets more states than this has outgrown its time.
const STATES_MAX: usize = 800_000;
/// Room for the compactor to come to rest in.
const REST: Budget = Budget { segments: 14, ..SECOND_LIFE };

#[derive(Default)]
struct Found {
    states: usize,
    steps: usize,
    images: usize,
    trace: Option<(Violation, Vec<Action>)>,
}

impl Found {
    fn print(&self, name: &str) {
        println!("{name}: {} states, {} steps, {} crash images", self.states, self.steps, self.images);
        if let Some((violation, actions)) = &self.trace {
            let mut text = String::new();
            for (n, action) in actions.iter().enumerate() {
                let _ = write!(text, "\n  {:2}. {action}", n + 1);
            }
            println!("  {violation}, after:{text}");
        }
    }
}

fn fingerprint(world: &World) -> u128 {
    let mut hasher = SipHasher13::new();
    world.hash(&mut hasher);
    hasher.finish128().as_u128()
}

/// Breadth first, so that the first bad trace found is a shortest one.
fn search(budget: Budget, rules: Rules, visit: &mut dyn FnMut(&World)) -> Found {
    let mut found = Found::default();
    let start = World::new(rules);
    let mut parents: HashMap<u128, (u128, Action)> = HashMap::new();
    let mut frontier = VecDeque::from([(fingerprint(&start), start)]);
    let root = frontier[0].0;
    parents.insert(root, (root, Action::Sync));
    let trace = |parents: &HashMap<u128, (u128, Action)>, mut at: u128, last: Option<Action>| {
        let mut actions: Vec<Action> = last.into_iter().collect();
        while at != root {
            let (parent, action) = parents[&at];
            actions.push(action);
            at = parent;
        }
        actions.reverse();
        actions
    };
    while let Some((name, world)) = frontier.pop_front() {
        assert!(parents.len() < STATES_MAX || budget == DEEP, "the search has outgrown its budget");
        visit(&world);
        for image in world.crash_images() {
            found.images += 1;
            if let Err(violation) = world.judge(image, rules) {
                found.states = parents.len();
                found.trace = Some((violation, trace(&parents, name, Some(Action::Crash(image)))));
                return found;
            }
        }
        for (action, next) in world.successors(budget, rules) {
            found.steps += 1;
            let key = fingerprint(&next);
            if let std::collections::hash_map::Entry::Vacant(slot) = parents.entry(key) {
                slot.insert((name, action));
                frontier.push_back((key, next));
            }
        }
    }
    found.states = parents.len();
    found
}

fn holds(name: &str, budget: Budget, names: Names) {
    let found = search(budget, Rules { off: None, names }, &mut |_| ());
    found.print(&format!("{name}, names {names:?}"));
    assert!(found.trace.is_none(), "the real planner broke a promise");
}

#[test]
fn no_crash_loses_a_job_an_ack_or_a_count_in_two_lives() {
    holds("two lives", SECOND_LIFE, Names::ToTheLetter);
}

#[test]
fn no_crash_loses_a_job_an_ack_or_a_count_among_rewritten_jobs() {
    holds("rewritten", REWRITTEN, Names::Explained);
}

#[test]
fn no_crash_loses_a_job_an_ack_or_a_count_along_a_chain() {
    holds("long chain", LONG_CHAIN, Names::ToTheLetter);
    holds("wide segments", WIDE, Names::Explained);
}

#[test]
#[ignore = "40 million states: ten minutes and several GB"]
fn no_crash_loses_a_job_an_ack_or_a_count_however_deep() {
    for names in [Names::ToTheLetter, Names::Explained] {
        holds("deep", DEEP, names);
    }
}

#[test]
fn left_alone_the_compactor_removes_what_it_was_asked_to_and_rests() {
    let mut rested = 0;
    let budget = Budget { freezes: 0, ..SECOND_LIFE };
    let rules = Rules { off: None, names: Names::ToTheLetter };
    search(budget, rules, &mut |world| {
        let through = world.sealed_through();
        let rest = world.settle(through, REST, rules);
        assert!(rest.is_halted() && rest.had_bad_luck() || rest.oldest() > through, "stuck: {world:?}");
        rested += 1;
    });
    println!("{rested} states came to rest");
}

/// The same search with one rule switched off finds where that ends, and prints it.
fn breaks(mutant: Mutant, names: Names, expected: fn(Violation) -> bool) {
    let found = search(SECOND_LIFE, Rules { off: Some(mutant), names }, &mut |_| ());
    found.print(&format!("{mutant:?}, names {names:?}"));
    let Some((violation, _)) = found.trace else { panic!("{mutant:?} broke nothing: the search is blind to it") };
    assert!(expected(violation), "{mutant:?} broke something else: {violation}");
}

fn lost(violation: Violation) -> bool {
    matches!(violation, Violation::JobLost { .. })
}

fn undone(violation: Violation) -> bool {
    matches!(violation, Violation::AckUndone { .. })
}

fn drifted(violation: Violation) -> bool {
    matches!(violation, Violation::GroupDrifted { .. })
}

fn alarm(violation: Violation) -> bool {
    matches!(violation, Violation::MissingSegmentAlarm { .. })
}

fn log_lost(violation: Violation) -> bool {
    violation == Violation::LogLostAlarm
}

fn unnoticed(violation: Violation) -> bool {
    violation == Violation::MissingSegmentUnnoticed
}

#[test]
fn removal_that_does_not_wait_for_durability_is_found_out() {
    breaks(Mutant::RemovalWithoutDurability, Names::ToTheLetter, alarm);
    breaks(Mutant::RemovalWithoutDurability, Names::Unchecked, lost);
}

#[test]
fn a_trim_mark_staged_before_the_segment_is_empty_is_found_out() {
    breaks(Mutant::MarkStagedBeforeTheDecision, Names::ToTheLetter, lost);
}

#[test]
fn a_trim_mark_not_durable_before_the_removal_is_found_out() {
    breaks(Mutant::MarkNotDurableBefore, Names::ToTheLetter, alarm);
}

#[test]
fn removal_out_of_order_is_found_out() {
    breaks(Mutant::OutOfOrder, Names::ToTheLetter, alarm);
    breaks(Mutant::OutOfOrder, Names::Unchecked, undone);
}

#[test]
fn removal_without_a_directory_sync_is_found_out() {
    breaks(Mutant::NoDirectorySync, Names::ToTheLetter, alarm);
    breaks(Mutant::NoDirectorySync, Names::Unchecked, undone);
}

#[test]
fn cells_left_behind_are_found_out() {
    breaks(Mutant::CellsNotCarried, Names::ToTheLetter, drifted);
}

#[test]
fn trust_in_an_index_older_than_the_log_is_found_out() {
    breaks(Mutant::StaleIndexTrusted, Names::ToTheLetter, undone);
}

#[test]
fn going_on_when_the_ledgers_disagree_is_found_out() {
    breaks(Mutant::DisagreementIgnored, Names::ToTheLetter, lost);
    breaks(Mutant::StraysIgnored, Names::ToTheLetter, lost);
}

#[test]
fn a_carrier_that_does_not_look_again_is_found_out() {
    breaks(Mutant::CarryUnchecked, Names::ToTheLetter, undone);
}

#[test]
fn a_checkpoint_saved_before_it_is_durable_is_found_out() {
    breaks(Mutant::CheckpointNotDurable, Names::ToTheLetter, log_lost);
}

#[test]
fn a_trim_mark_nobody_checks_is_found_out() {
    breaks(Mutant::TrimMarkNotChecked, Names::ToTheLetter, unnoticed);
}

#[test]
fn going_on_after_a_failed_directory_sync_is_found_out() {
    breaks(Mutant::HaltIgnored, Names::ToTheLetter, alarm);
    breaks(Mutant::HaltIgnored, Names::Unchecked, undone);
}

#[test]
fn a_directory_not_synced_at_open_is_found_out() {
    breaks(Mutant::DirectoryNotSyncedAtOpen, Names::ToTheLetter, alarm);
    breaks(Mutant::DirectoryNotSyncedAtOpen, Names::Unchecked, undone);
}
