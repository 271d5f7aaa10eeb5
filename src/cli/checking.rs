//! The verb that looks for what may be wrong with a directory.

use serde::Serialize;

use super::args::Args;
use super::reach::{self, Target};
use super::show::{Screen, plain, table};
use super::trouble::{Ended, Trouble};
use crate::face::shape::StatsShape;
use crate::face::verbs::Look;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// `ok`, `note` or `wrong`.
    verdict: &'static str,
    what: &'static str,
    details: String,
}

pub(super) fn doctor(args: &Args, screen: &mut Screen) -> Ended {
    let dir = reach::dir(args)?;
    let target = reach::to_look(args)?;
    let mut found = vec![owner(&target)];
    #[cfg(unix)]
    found.push(mode(dir));
    found.push(put_aside(dir));
    found.push(log(&target));
    found.extend(jobs(&target)?);
    let wrong = found.iter().filter(|finding| finding.verdict == "wrong").count();
    screen.value(target.way(), &found)?;
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|finding| vec![finding.verdict.to_owned(), finding.what.to_owned(), plain(&finding.details)])
        .collect();
    screen.line(&table(&["", "WHAT", "DETAILS"], &[], &rows))?;
    if wrong == 0 { Ok(()) } else { Err(Trouble::failed(format!("{wrong} things are wrong"))) }
}

fn owner(target: &Target) -> Finding {
    let (verdict, details) = match target {
        Target::Live(client) => ("ok", format!("open in process {}, which serves the admin socket", client.pid())),
        Target::Stopped(view) if view.is_owned() => {
            ("note", "open in a program that serves no admin socket: it can be looked at, not changed".to_owned())
        }
        _ => ("ok", "not open in any program".to_owned()),
    };
    Finding { verdict, what: "owner", details }
}

#[cfg(unix)]
fn mode(dir: &std::path::Path) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let (verdict, details) = match dir.metadata() {
        Ok(found) if is_private(found.permissions().mode()) => ("ok", "its owner's alone".to_owned()),
        Ok(found) => (
            "note",
            format!("mode {:o}: others may see its files' names; chmod 700", found.permissions().mode() & 0o777),
        ),
        Err(e) => ("wrong", e.to_string()),
    };
    Finding { verdict, what: "directory", details }
}

/// No bit for the group or for others.
#[cfg(unix)]
fn is_private(mode: u32) -> bool {
    mode.trailing_zeros() >= 6
}

/// Segments that were found damaged and put aside.
fn put_aside(dir: &std::path::Path) -> Finding {
    let names = std::fs::read_dir(dir.join("log")).map(|entries| {
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.ends_with(".damaged")).collect::<Vec<_>>()
    });
    let (verdict, details) = match names {
        Ok(names) if names.is_empty() => ("ok", "none".to_owned()),
        Ok(names) => ("wrong", names.join(", ")),
        Err(e) => ("wrong", e.to_string()),
    };
    Finding { verdict, what: "damaged segments put aside", details }
}

fn log(target: &Target) -> Finding {
    let (verdict, details) = match target.see::<serde_json::Value>(Look::Verify {}) {
        Ok(report) => match report.get("damage").and_then(serde_json::Value::as_array) {
            Some(damage) if damage.is_empty() => ("ok", "everything reads back".to_owned()),
            Some(damage) => ("wrong", damage.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
            None => ("wrong", "the report is not understood".to_owned()),
        },
        Err(trouble) => ("wrong", trouble.message),
    };
    Finding { verdict, what: "log", details }
}

fn jobs(target: &Target) -> Ended<Vec<Finding>> {
    let stats: StatsShape = target.see(Look::Stats {})?;
    let noted = |count: u64, what: &'static str, hint: &str| Finding {
        verdict: if count == 0 { "ok" } else { "note" },
        what,
        details: if count == 0 { "none".to_owned() } else { format!("{count}: {hint}") },
    };
    let paused: Vec<&str> = stats.queues.iter().filter(|(_, queue)| queue.paused).map(|(name, _)| &**name).collect();
    let paused: Vec<&str> = paused.into_iter().chain(stats.paused_kinds.iter().map(String::as_str)).collect();
    Ok(vec![
        noted(stats.total.dead, "dead jobs", "backlog failures says why, backlog retry makes them ready"),
        noted(stats.total.parked, "parked jobs", "no program here handles their kind, or their args do not read"),
        noted(u64::try_from(paused.len()).unwrap_or(u64::MAX), "paused queues and kinds", &paused.join(", ")),
    ])
}
