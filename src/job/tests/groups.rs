//! The counts of a group and the verdicts on its callbacks.

use crate::ids::{JobId, Millis};
use crate::job::{Ending, Group, Role, Step, Verdict};

const ALL: [Role; 3] = [Role::Success, Role::Complete, Role::Death];
const ENDINGS: [Ending; 5] = [Ending::Completed, Ending::Cancelled, Ending::Expired, Ending::Discarded, Ending::Pruned];

fn verdicts(group: &Group) -> [Verdict; 3] {
    ALL.map(|role| group.callbacks[role.at()].unwrap().verdict)
}

fn group_of(members: u64) -> Group {
    let mut group = Group::new(Millis(1), true);
    ALL.into_iter().zip(1..).for_each(|(role, id)| group.name_callback(role, JobId(id)));
    if members > 0 {
        group.add(10, 9 + members);
    }
    group
}

#[test]
fn only_completed_members_make_a_success() {
    for how in ENDINGS {
        for was_dead in [false, true] {
            let mut group = group_of(1);
            if was_dead {
                group.step(Step::Died);
                group.conclude(Millis(2));
                assert_eq!(verdicts(&group), [Verdict::Waits, Verdict::Due, Verdict::Due]);
            }
            group.step(Step::Ended { how, was_dead });
            group.conclude(Millis(3));
            let success = if how == Ending::Completed { Verdict::Due } else { Verdict::Void };
            let death = if was_dead { Verdict::Due } else { Verdict::Void };
            assert_eq!(verdicts(&group), [success, Verdict::Due, death], "{how:?} was_dead={was_dead}");
            assert_eq!((group.pending(), group.dead, group.finished_at), (0, 0, Some(Millis(3))));
            assert!(!group.takes_members());
        }
    }
}

#[test]
fn neighbours_are_one_run_of_members() {
    let mut group = Group::new(Millis(1), false);
    assert_eq!(group.add(5, 7), (5, 7));
    assert_eq!(group.add(8, 8), (5, 8));
    assert_eq!(group.add(10, 11), (10, 11));
    assert_eq!((group.total, group.newest), (6, Some((10, 11))));
}

#[test]
fn whatever_happens_to_its_members_the_counts_add_up_and_no_verdict_is_taken_back() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut group = group_of(0);
        group.sealed = false;
        group.strict = rng.bool();
        let (mut pending, mut dead, mut before) = (0_u64, 0_u64, verdicts(&group));
        for now in 0..40 {
            match rng.u8(..6) {
                0 if group.takes_members() => {
                    group.add(now * 100, now * 100 + 2);
                    pending += 3;
                }
                1 if pending > 0 => {
                    group.step(Step::Died);
                    (pending, dead) = (pending - 1, dead + 1);
                }
                2 if dead > 0 => {
                    group.step(Step::Revived);
                    (pending, dead) = (pending + 1, dead - 1);
                }
                3 if dead > 0 => {
                    group.step(Step::Ended { how: ENDINGS[rng.usize(..5)], was_dead: true });
                    dead -= 1;
                }
                4 if pending > 0 => {
                    group.step(Step::Ended { how: ENDINGS[rng.usize(..5)], was_dead: false });
                    pending -= 1;
                }
                _ => group.sealed |= rng.u8(..4) == 0,
            }
            group.conclude(Millis(now));
            assert_eq!((group.pending(), group.dead), (pending, dead), "seed={seed}");
            let after = verdicts(&group);
            for (old, new) in before.into_iter().zip(after) {
                assert!(old == Verdict::Waits || old == new, "seed={seed}: {before:?} {after:?}");
            }
            let finished = group.sealed && pending + dead == 0;
            assert_eq!(group.finished_at.is_some(), finished, "seed={seed}");
            assert!(!finished || !after.contains(&Verdict::Waits), "seed={seed}: {after:?}");
            before = after;
        }
    }
}
