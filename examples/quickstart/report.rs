//! What came of it, as a short table.

use std::time::Duration;

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) files: usize,
    pub(crate) left_out: usize,
    pub(crate) bytes: u64,
    pub(crate) unreadable: usize,
    pub(crate) jobs: usize,
    pub(crate) enqueueing: Duration,
    pub(crate) runs: usize,
    pub(crate) working: Duration,
    pub(crate) kills: Vec<Kill>,
    pub(crate) run_again: usize,
    pub(crate) completed: u64,
    pub(crate) unfinished: u64,
    pub(crate) lost: usize,
    pub(crate) differ: usize,
    pub(crate) changed: usize,
    pub(crate) damage: Vec<String>,
}

pub(crate) struct Kill {
    /// Jobs done by then.
    pub(crate) at: usize,
    pub(crate) requeued: u64,
    /// From the kill to the first interrupted job that ran again, the start of the new process included.
    pub(crate) back_after: Option<Duration>,
}

impl Report {
    pub(crate) fn is_good(&self) -> bool {
        let all_done = self.completed == self.jobs as u64 && self.unfinished == 0 && self.jobs == self.files;
        self.lost == 0 && self.differ == 0 && self.damage.is_empty() && all_done
    }

    pub(crate) fn print(&self) {
        let per_second = |n: usize, took: Duration| n as f64 / took.as_secs_f64().max(0.001);
        let seconds = |took: Duration| format!("{:.2} s", took.as_secs_f64());
        row(
            "files",
            self.files,
            &format!("{:.1} MB, unreadable {}, left out {}", mb(self.bytes), self.unreadable, self.left_out),
        );
        let rate = per_second(self.jobs, self.enqueueing);
        row("jobs accepted", self.jobs, &format!("in {}, {rate:.0} a second, each on disk", seconds(self.enqueueing)));
        let rate = per_second(self.runs, self.working);
        row("runs", self.runs, &format!("in {}, {rate:.0} a second", seconds(self.working)));
        row("kills (SIGKILL)", self.kills.len(), "");
        for (n, kill) in self.kills.iter().enumerate() {
            let back = kill.back_after.map_or("none ran again".to_owned(), |after| {
                format!("the first ran again after {} ms", after.as_millis())
            });
            row(&format!("  requeued by kill {}", n + 1), kill.requeued, &format!("at {} jobs done; {back}", kill.at));
        }
        row("run more than once", self.run_again, "harmless: a result is an upsert");
        row("completed", self.completed, &format!("unfinished {}", self.unfinished));
        row("lost", self.lost, "");
        row("differ", self.differ, &format!("from a plain hash; files changed meanwhile {}", self.changed));
        for damage in &self.damage {
            row("damage", 1, damage);
        }
        println!("{}", if self.is_good() { "Nothing was lost." } else { "SOMETHING WAS LOST OR DIFFERS." });
    }
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn row(what: &str, number: impl std::fmt::Display, note: &str) {
    println!("{}", format!("{what:<22}{number:>9}  {note}").trim_end());
}
