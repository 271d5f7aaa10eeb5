//! Work that comes back every night: at 2:30 in Berlin, whatever the clocks do, and whether or not anybody is there.
//!
//! ```sh
//! cargo run --example nightly
//! ```
//!
//! Three entries with the same times and three policies for what is missed, on a clock that is moved by hand: a night
//! in which 2:30 does not exist, five nights with the program down, a night in which 2:30 exists twice. Then all of that
//! again with a crash before and after every disk operation, and every image of the disk that can leave: no night has
//! two jobs, and none is lost that was to be made up for.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "an example talks to people and stops where it is wrong; the rules are the library's"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use backlog::testing::{Scenario, Tried, crash_everywhere};
use backlog::{Backlog, Context, CronEntry, CronSet, Failure, Firing, Job, JobBuilder, Missed, WorkersBuilder};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Closes the books of a day.
#[derive(Serialize, Deserialize)]
struct CloseDay {
    entry: String,
    /// When the night's work was due, by the entry's times: not when somebody came to do it.
    due: SystemTime,
}

impl Job for CloseDay {
    const KIND: &'static str = "close_day";
}

fn close_day(firing: &Firing) -> JobBuilder {
    JobBuilder::new(&CloseDay { entry: firing.entry().to_owned(), due: firing.at() })
}

/// What was closed, by the idempotency keys of the jobs: a job that runs again closes the same day again, and a second
/// job of a night would show. The books stay where they are when the program dies.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<BTreeMap<String, (String, Timestamp)>>>);

impl Books {
    fn close(&self, key: &str, job: CloseDay) -> Result<(), Failure> {
        self.0.lock().unwrap().insert(key.to_owned(), (job.entry, Timestamp::try_from(job.due)?));
        Ok(())
    }

    /// The nights of an entry, in Berlin's time.
    fn nights(&self, entry: &str) -> Vec<String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut due: Vec<Timestamp> =
            self.0.lock().unwrap().values().filter(|(of, _)| of == entry).map(|(_, due)| *due).collect();
        due.sort_unstable();
        due.iter().map(|at| at.to_zoned(zone.clone()).strftime("%b %d %H:%M %Z").to_string()).collect()
    }

    fn show(&self, what: &str) {
        println!("{what}");
        for entry in ENTRIES {
            println!("  {entry:>8}: {}", self.nights(entry).join(", "));
        }
    }
}

const ENTRIES: [&str; 3] = ["skip", "once", "backfill"];

/// What the program is: its handlers, and the entries it declares each time it starts.
fn program(backlog: &Backlog, books: &Books) -> WorkersBuilder {
    let books = books.clone();
    let at_night = |name| CronEntry::cron(name, "30 2 * * *", "Europe/Berlin", close_day);
    let set = CronSet::new("books")
        .entry(at_night("skip").missed(Missed::Skip))
        .entry(at_night("once")) // Missed::Once is what an entry does that says nothing
        .entry(at_night("backfill").missed(Missed::Backfill));
    backlog.workers().handle(move |job: CloseDay, cx: Context| books.close(cx.idempotency_key(), job)).cron(set)
}

/// The program is there at these moments: declares its entries, and runs what there is to run.
fn there(scenario: &Scenario, backlog: &Backlog, books: &Books, moments: &[&str]) -> Result<(), Failure> {
    for moment in moments {
        let at: Zoned = format!("{moment}[Europe/Berlin]").parse()?;
        scenario.clock().set_wall_ms(u64::try_from(at.timestamp().as_millisecond())?);
        scenario.drain(program(backlog, books))?;
    }
    Ok(())
}

/// Two nights, the second without a 2:30; five nights down; back at noon; and on.
fn spring(scenario: &Scenario, tells: bool) -> Result<(), Failure> {
    let (books, declared) = (Books::default(), Cell::new(false));
    let tell = |what| {
        if tells {
            books.show(what);
        }
    };
    let lived = scenario.run(|backlog| {
        there(scenario, backlog, &books, &["2026-03-27T12:00"])?;
        declared.set(true);
        there(scenario, backlog, &books, &["2026-03-28T02:30", "2026-03-29T01:59:59.999", "2026-03-29T03:00"])
    })?;
    tell("28 March, and 29 March, when clocks went from 2:00 to 3:00 and there was no 2:30:");
    let back = |backlog: &Backlog| there(scenario, backlog, &books, &["2026-04-03T12:00"]);
    scenario.run(back)?;
    tell("down for five nights, started again at noon of 3 April:");
    scenario.finish(|backlog| {
        back(backlog)?;
        there(scenario, backlog, &books, &["2026-04-04T02:30"])
    })?;
    tell("and the next night, after another restart:");

    let all = [
        "Mar 28 02:30 CET",
        "Mar 29 03:00 CEST",
        "Mar 30 02:30 CEST",
        "Mar 31 02:30 CEST",
        "Apr 01 02:30 CEST",
        "Apr 02 02:30 CEST",
        "Apr 03 02:30 CEST",
        "Apr 04 02:30 CEST",
    ];
    let [mar28, mar29, .., apr3, apr4] = all;
    // Who died before the entries were on disk had none to miss a night of.
    let each = declared.get() || books.nights("backfill").len() > 1;
    if each { exactly(&books, "backfill", &all) } else { exactly(&books, "backfill", &[apr4]) }?;
    match lived {
        Some(()) => {
            exactly(&books, "once", &[mar28, mar29, apr3, apr4])?;
            exactly(&books, "skip", &[mar28, mar29, apr4])
        }
        // Which nights it was there for depends on when it died; that there is one job a night does not.
        None => ["once", "skip"].iter().try_for_each(|entry| {
            let nights = books.nights(entry);
            let mut known: Vec<&str> = all.to_vec();
            known.retain(|night| nights.iter().any(|closed| closed == night));
            exactly(&books, entry, &known)
        }),
    }
}

/// The night in which 2:30 comes twice.
fn autumn(scenario: &Scenario, tells: bool) -> Result<(), Failure> {
    let books = Books::default();
    let declared = Cell::new(false);
    let at_first = "2026-10-25T02:30:00+02:00";
    scenario.run(|backlog| {
        there(scenario, backlog, &books, &["2026-10-24T12:00"])?;
        declared.set(true);
        there(scenario, backlog, &books, &[at_first])
    })?;
    let again_and_on = [at_first, "2026-10-25T02:30:00+01:00", "2026-10-26T02:30"];
    scenario.finish(|backlog| there(scenario, backlog, &books, &again_and_on))?;
    if tells {
        books.show("25 October, when clocks went from 3:00 to 2:00 and 2:30 came twice, with a restart in between:");
    }
    let (first, next) = ("Oct 25 02:30 CEST", "Oct 26 02:30 CET");
    ENTRIES.iter().try_for_each(|entry| {
        // Who died before the entries were on disk has declared them at the first 2:30, and begins with the next night.
        let both = declared.get() || books.nights(entry).len() > 1;
        if both { exactly(&books, entry, &[first, next]) } else { exactly(&books, entry, &[next]) }
    })
}

fn exactly(books: &Books, entry: &str, nights: &[&str]) -> Result<(), Failure> {
    let closed = books.nights(entry);
    if closed == nights { Ok(()) } else { Err(Failure::new(format!("{entry}: closed={closed:?}, not {nights:?}"))) }
}

/// Tells both stories once, and lives them with every crash.
pub(crate) fn run() -> [Tried; 2] {
    [spring, autumn].map(|story| {
        let told = Cell::new(false);
        crash_everywhere(|scenario| story(scenario, !told.replace(true)))
    })
}

#[allow(dead_code, reason = "as a test it is called by its run()")]
fn main() {
    let [spring, autumn] = run();
    println!("spring again, with a crash anywhere: {spring}");
    println!("autumn again, with a crash anywhere: {autumn}");
    println!("one job for each night, and none lost that was to be made up for");
}
