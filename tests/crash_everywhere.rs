//! What a crash at every operation of a user's scenario finds, and what it lets pass.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "system/mod.rs"]
mod system;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backlog::testing::{CrashEverywhere, Found, Scenario, Tried, crash_everywhere};
use backlog::{Backlog, Context, Done, Failure, Job, JobId, Outcome, Waited, WorkersBuilder};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct ChargeCard {
    sale: u64,
}

impl Job for ChargeCard {
    const KIND: &'static str = "charge_card";
}

/// Stands outside. Counts charges by the key they came with.
#[derive(Clone, Default)]
struct Bank(Arc<Mutex<BTreeMap<String, u64>>>);

impl Bank {
    /// Charges whenever it is asked.
    fn charge(&self, key: &str) {
        *self.0.lock().unwrap().entry(key.to_owned()).or_default() += 1;
    }

    /// Charges once per key.
    fn charge_once(&self, key: &str) {
        self.0.lock().unwrap().insert(key.to_owned(), 1);
    }

    fn charges(&self) -> u64 {
        self.0.lock().unwrap().values().sum()
    }
}

fn workers(backlog: &Backlog, act: impl Fn(&Context) + Send + Sync + 'static) -> WorkersBuilder {
    backlog.workers().handle(move |_: ChargeCard, cx: Context| {
        act(&cx);
        Ok(())
    })
}

fn exactly_once(charges: u64, sold: bool) -> Result<(), Failure> {
    match charges {
        1 => Ok(()),
        0 if !sold => Ok(()),
        n => Err(Failure::new(format!("charges={n} sold={sold}"))),
    }
}

/// Sells once, works by `work` before and after the crash, and wants one charge for one sale.
fn sale(scenario: &Scenario, bank: &Bank, work: impl Fn(&Backlog) -> Result<(), Failure>) -> Result<(), Failure> {
    let sold = Cell::new(false);
    scenario.run(|backlog| {
        backlog.enqueue(&ChargeCard { sale: 7 })?;
        sold.set(true);
        work(backlog)
    })?;
    scenario.finish(&work)?;
    exactly_once(bank.charges(), sold.get())
}

fn acts_after_the_ack(scenario: &Scenario) -> Result<(), Failure> {
    let bank = Bank::default();
    sale(scenario, &bank, |backlog| {
        while let Some(lease) = backlog.queue("default").claim()? {
            let key = lease.idempotency_key().to_owned();
            lease.ack()?;
            bank.charge_once(&key);
        }
        Ok(())
    })
}

fn acts_twice(scenario: &Scenario) -> Result<(), Failure> {
    let bank = Bank::default();
    sale(scenario, &bank, |backlog| {
        let bank = bank.clone();
        scenario.drain(workers(backlog, move |cx| bank.charge(cx.idempotency_key())))?;
        Ok(())
    })
}

fn acts_once(scenario: &Scenario) -> Result<(), Failure> {
    let bank = Bank::default();
    sale(scenario, &bank, |backlog| {
        let bank = bank.clone();
        scenario.drain(workers(backlog, move |cx| bank.charge_once(cx.idempotency_key())))?;
        Ok(())
    })
}

fn found(scenario: impl FnMut(&Scenario) -> Result<(), Failure>) -> Found {
    CrashEverywhere::new().find(scenario).expect_err("something is to be found")
}

fn counted(tried: Tried) {
    println!("{tried}");
    println!("counted: crash images in users' scenarios {}", tried.images);
}

#[test]
fn a_handler_that_acts_after_the_ack_is_found_where_the_ack_stands_and_has_not_returned() {
    let found = found(acts_after_the_ack);
    assert_eq!(found.why(), "charges=0 sold=true");
    let text = found.to_string();
    println!("{text}");
    assert!(text.contains("before its call returned") && text.contains(found.at().unwrap()), "{text}");
}

#[test]
fn a_handler_that_is_not_idempotent_is_found_acting_twice() {
    assert_eq!(found(acts_twice).why(), "charges=2 sold=true");
}

#[test]
fn a_handler_that_acts_once_per_key_before_the_ack_passes_everywhere() {
    let tried = crash_everywhere(acts_once);
    assert!(tried.operations > 10 && tried.moments == 2 * tried.operations as u64 + 1, "{tried}");
    assert!(tried.images > tried.moments, "{tried}");
    counted(tried);
}

#[test]
fn it_passes_too_when_the_recovery_crashes_and_is_begun_again() {
    let again = system::effort("BACKLOG_EVERYWHERE_AGAIN", 3, 100);
    let tried = CrashEverywhere::new().again(again).find(acts_once).unwrap_or_else(|found| panic!("{found}"));
    assert!(tried.images > 3 * tried.moments, "{tried}");
    counted(tried);
}

#[test]
fn what_was_found_is_found_again_alone_and_the_same_each_time() {
    let first = found(acts_after_the_ack);
    assert_eq!(first, found(acts_after_the_ack));
    let alone = || CrashEverywhere::new().only(first.at().unwrap());
    assert_eq!(alone().find(acts_after_the_ack).unwrap_err(), first);
    assert_eq!(alone().find(acts_once).unwrap().images, 1);
    let unknown = CrashEverywhere::new().only("12-sideways").find(acts_once).unwrap_err();
    assert!(unknown.why().contains("names no crash"), "{unknown}");
}

#[test]
fn a_crash_in_any_of_several_runs_is_tried_and_the_last_one_found() {
    let seen = Cell::new([false; 3]);
    let tried = crash_everywhere(|scenario| {
        let first = scenario.run(|backlog| Ok(backlog.enqueue(&ChargeCard { sale: 1 })?))?;
        let second =
            scenario.run(|backlog| Ok(backlog.queue("default").claim()?.map(backlog::Lease::ack).transpose()?))?;
        let mut known = seen.get();
        known[usize::from(first.is_some()) + usize::from(first.is_some() && second.is_some())] = true;
        seen.set(known);
        scenario.finish(|_| Ok(()))
    });
    assert_eq!(seen.get(), [true; 3], "{tried}");
}

#[test]
fn between_two_effects_a_crash_strikes_where_the_scenario_says() {
    let scenario = |named: bool| {
        move |scenario: &Scenario| {
            let (charged, told) = (Bank::default(), Bank::default());
            let here = scenario.crash_point();
            scenario.run(|backlog| {
                backlog.enqueue(&ChargeCard { sale: 1 })?;
                let (charged, told, here) = (charged.clone(), told.clone(), here.clone());
                scenario.drain(workers(backlog, move |cx| {
                    charged.charge_once(cx.idempotency_key());
                    if named {
                        here.here();
                    }
                    told.charge_once(cx.idempotency_key());
                }))?;
                Ok(())
            })?;
            match (charged.charges(), told.charges()) {
                (1, 0) => Err(Failure::new("charged and not told")),
                _ => Ok(()),
            }
        }
    };
    assert_eq!(found(scenario(true)).why(), "charged and not told");
    crash_everywhere(scenario(false));
}

#[test]
fn who_catches_the_crash_gets_nothing_accepted_any_more() {
    let tried = crash_everywhere(|scenario| {
        let went_on = Cell::new(false);
        let lived = scenario.run(|backlog| {
            let died = catch_unwind(AssertUnwindSafe(|| backlog.enqueue(&ChargeCard { sale: 1 }))).is_err();
            if died {
                went_on.set(backlog.enqueue(&ChargeCard { sale: 2 }).is_ok());
            }
            Ok(())
        })?;
        assert!(!went_on.get(), "the dead were heard");
        let jobs = scenario.finish(|backlog| Ok(backlog.counts().total().ready))?;
        assert!(jobs == 1 || (jobs == 0 && lived.is_none()), "jobs={jobs}");
        Ok(())
    });
    counted(tried);
}

#[test]
fn a_crash_inside_a_handler_ends_the_process_and_not_only_the_attempt() {
    let tried = crash_everywhere(|scenario| {
        let (bank, went_on) = (Bank::default(), Cell::new(false));
        let work = |backlog: &Backlog| {
            let (bank, inner) = (bank.clone(), backlog.clone());
            let drained = scenario.drain(workers(backlog, move |cx| {
                if cx.attempt() == 1 && cx.queue() == "default" {
                    inner.job(&ChargeCard { sale: 2 }).queue("second").enqueue().unwrap();
                }
                bank.charge_once(cx.idempotency_key());
            }));
            went_on.set(drained.is_err());
            drained
        };
        scenario.run(|backlog| {
            backlog.enqueue(&ChargeCard { sale: 1 })?;
            Ok(work(backlog)?)
        })?;
        assert!(!went_on.get(), "a verb returned to the dead");
        scenario.finish(|backlog| Ok(work(backlog)?))?;
        Ok(())
    });
    counted(tried);
}

#[test]
fn a_lease_that_dies_with_its_process_is_an_interrupted_attempt_and_no_verdict() {
    crash_everywhere(|scenario| {
        let claimed = Cell::new(false);
        scenario.run(|backlog| {
            backlog.enqueue(&ChargeCard { sale: 1 })?;
            let lease = backlog.queue("default").claim()?;
            claimed.set(true);
            // Dies at the latest while it holds the lease.
            backlog.enqueue(&ChargeCard { sale: 2 })?;
            lease.map(backlog::Lease::release).transpose()?;
            Ok(())
        })?;
        let attempt = scenario.finish(|backlog| {
            let lease = backlog.queue("default").claim()?;
            Ok(lease.map(|lease| (lease.attempt(), lease.ack())))
        })?;
        assert!(attempt.is_some() || !claimed.get());
        assert!(attempt.is_none_or(|(attempt, _)| attempt <= 2));
        Ok(())
    });
}

#[test]
fn retries_snoozes_and_follow_ups_are_drained_and_the_clock_moves_for_them() {
    let tried = crash_everywhere(|scenario| {
        let bank = Bank::default();
        let work = |backlog: &Backlog| {
            let bank = bank.clone();
            scenario.drain(backlog.workers().handle(move |job: ChargeCard, cx: Context| {
                match (job.sale, cx.attempt()) {
                    (1, 1) => return Err(Failure::new("the bank is closed")),
                    (1, _) => {
                        return Ok(Outcome::DoneThen(vec![backlog::JobBuilder::new(&ChargeCard { sale: 2 })]));
                    }
                    _ => bank.charge_once(cx.idempotency_key()),
                }
                Ok(Outcome::Done)
            }))
        };
        let sold = Cell::new(false);
        scenario.run(|backlog| {
            backlog.job(&ChargeCard { sale: 1 }).delay(Duration::from_secs(3600)).enqueue()?;
            sold.set(true);
            Ok(work(backlog)?)
        })?;
        scenario.finish(|backlog| Ok(work(backlog)?))?;
        exactly_once(bank.charges(), sold.get())
    });
    counted(tried);
}

#[test]
fn a_drain_does_not_stop_at_jobs_held_back_for_a_suspect_nobody_asks_for() {
    let suspects = Cell::new(0);
    let hunt = CrashEverywhere::new().again(6);
    let tried = hunt.find(|scenario| {
        scenario.run(|backlog| {
            backlog.enqueue(&ChargeCard { sale: 1 })?;
            let lease = backlog.queue("default").claim()?;
            Ok(lease.map(backlog::Lease::release).transpose().map(drop)?)
        })?;
        scenario.finish(|backlog| {
            suspects.set(suspects.get() + backlog.recovery_report().suspects);
            backlog.job(&ChargeCard { sale: 2 }).queue("other").enqueue()?;
            let ran = scenario.drain(workers(backlog, |_| ()).queues(["other"]))?;
            assert!(ran >= 1, "held back for ever");
            let lease = backlog.queue("default").claim()?;
            Ok(lease.map(backlog::Lease::release).transpose().map(drop)?)
        })
    });
    assert!(tried.is_ok() && suspects.get() > 0, "{tried:?}");
}

#[test]
fn a_scenario_that_fails_without_a_crash_is_told_so_with_its_own_words() {
    let failing = found(|scenario| {
        scenario.run(|_| Ok(()))?;
        Err(Failure::new("the bank is no bank"))
    });
    assert_eq!((failing.at(), failing.why()), (None, "the bank is no bank"));
    assert!(failing.to_string().contains("even without a crash"));
    let idle = found(|_| Ok(()));
    assert!(idle.why().contains("never called run"));
}

#[test]
fn a_scenario_with_threads_is_refused() {
    let found = found(|scenario| {
        scenario.run(|backlog| {
            std::thread::scope(|threads| drop(threads.spawn(|| backlog.enqueue(&ChargeCard { sale: 1 })).join()));
            Ok(())
        })?;
        Ok(())
    });
    assert!(found.why().contains("another thread"), "{found}");
}

#[test]
fn a_scenario_that_does_not_repeat_itself_is_refused() {
    let passes = Cell::new(0);
    let found = found(|scenario| {
        passes.set(passes.get() + 1);
        scenario.run(|backlog| {
            for sale in 0..passes.get() {
                backlog.enqueue(&ChargeCard { sale })?;
            }
            Ok(())
        })?;
        scenario.finish(|_| Ok(()))
    });
    assert!(found.why().contains("does not repeat itself"), "{found}");
}

/// Charges and sends a receipt as two steps of one job.
fn in_steps(scenario: &Scenario) -> Result<(), Failure> {
    let (sold, done) = (Cell::new(false), Arc::new(Mutex::new(Vec::new())));
    let work = |backlog: &Backlog| {
        let done = Arc::clone(&done);
        scenario.drain(backlog.workers().handle(move |_: ChargeCard, cx: Context| {
            let act = |what: &'static str| {
                done.lock().unwrap().push(what);
                Ok(what.len())
            };
            let charged = cx.step("charge", || act("charge"))?;
            assert_eq!(charged, 6, "the value comes back");
            cx.step("receipt", || act("receipt"))?;
            Ok(())
        }))?;
        Ok(())
    };
    scenario.run(|backlog| {
        backlog.enqueue(&ChargeCard { sale: 7 })?;
        sold.set(true);
        work(backlog)
    })?;
    scenario.finish(work)?;
    let done = done.lock().unwrap();
    let first_receipt = done.iter().position(|what| *what == "receipt");
    match first_receipt {
        None if sold.get() => Err(Failure::new(format!("sold, and done={done:?}"))),
        Some(at) if done.iter().skip(at).any(|what| *what == "charge") => {
            Err(Failure::new(format!("charged behind a receipt: {done:?}")))
        }
        _ => Ok(()),
    }
}

#[test]
fn a_step_whose_next_one_has_begun_is_never_run_again_whatever_crashes() {
    counted(crash_everywhere(in_steps));
}

#[derive(Serialize, Deserialize)]
struct Total {
    of: Vec<u64>,
}

impl Job for Total {
    const KIND: &'static str = "total";
    const KEEP_RESULT: Option<Duration> = Some(Duration::from_secs(3600));
}

/// Adds up; the next job waits for the sum, which nobody else has waited for.
fn a_sum(scenario: &Scenario) -> Result<(), Failure> {
    let told = Arc::new(Mutex::new(None));
    let work = |backlog: &Backlog| -> Result<u64, Failure> {
        let (told, inner) = (Arc::clone(&told), backlog.clone());
        let workers = backlog
            .workers()
            .handle(|job: Total, _: Context| Ok(Done::with(&job.of.iter().sum::<u64>())))
            .handle(move |job: ChargeCard, _: Context| {
                if let Waited::Finished(sum) = inner.wait(JobId(job.sale), Duration::ZERO)? {
                    *told.lock().unwrap() = sum.result::<u64>()?;
                }
                Ok(())
            });
        Ok(scenario.drain(workers)?)
    };
    scenario.run(|backlog| {
        let id = backlog.enqueue(&Total { of: vec![1, 2, 3] })?.id;
        backlog.enqueue(&ChargeCard { sale: id.0 })?;
        work(backlog)
    })?;
    let before = *told.lock().unwrap();
    scenario.finish(|backlog| {
        let (waited, kept) = (backlog.wait(JobId(1), Duration::ZERO)?, backlog.result::<u64>(JobId(1))?);
        if before.is_some() && (kept != before || !waited.is_completed()) {
            return Err(Failure::new(format!("told {before:?}, then {waited:?} with {kept:?}")));
        }
        work(backlog)?;
        match (backlog.counts().enqueued, backlog.result::<u64>(JobId(1))?) {
            (0, None) | (1 | 2, Some(6)) => Ok(()),
            other => Err(Failure::new(format!("{other:?}"))),
        }
    })
}

#[test]
fn an_end_that_a_waiter_was_told_stands_with_its_result_whatever_crashes() {
    counted(crash_everywhere(a_sum));
}
