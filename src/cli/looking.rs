//! The verbs that look.

use super::args::Args;
use super::reach::{self, Target};
use super::show::{Screen, aside, plain, short, table};
use super::trouble::{CORRUPT, Ended, Trouble};
use crate::face::look::PAGE_MAX;
use crate::face::shape::{EventShape, FailureShape, JobShape, ListShape, PastShape, ShowShape, StatsShape};
use crate::face::verbs::{Look, Stream};
use crate::queue::Filter;

/// The words of a filter as one text, checked before anything is asked. A word with blanks and no quotes is one word:
/// the shell took the quotes away.
pub(super) fn filter_of(words: &[String], screen: &Screen) -> Ended<String> {
    let quoted = |word: &String| {
        let pieces_are_words = word.split_whitespace().all(|piece| piece.contains(':'));
        if word.contains(char::is_whitespace) && !word.contains('"') && !pieces_are_words {
            format!("\"{}\"", word.replace('\\', "\\\\"))
        } else {
            word.clone()
        }
    };
    let text = words.iter().map(quoted).collect::<Vec<_>>().join(" ");
    // Said here, before anything is opened or asked.
    let _ = Filter::parse(&text, screen.now)?;
    Ok(text)
}

pub(super) fn stats(args: &Args, screen: &mut Screen) -> Ended {
    let target = reach::to_look(args)?;
    let answer = target.look(Look::Stats {})?;
    if screen.data(target.way(), &answer)? {
        return Ok(());
    }
    let stats: StatsShape = serde_json::from_str(answer.get())?;
    let rows: Vec<Vec<String>> = stats
        .queues
        .iter()
        .map(|(name, queue)| (plain(name), queue))
        .chain([("all".to_owned(), &stats.total)])
        .map(|(name, queue)| {
            let counts = [queue.ready, queue.scheduled, queue.in_flight, queue.held, queue.parked, queue.dead]
                .map(|n| n.to_string());
            let paused = if queue.paused { "paused" } else { "" };
            [name].into_iter().chain(counts).chain([paused.to_owned()]).collect()
        })
        .collect();
    let heads = ["QUEUE", "READY", "SCHEDULED", "IN FLIGHT", "HELD", "PARKED", "DEAD", ""];
    screen.line(&table(&heads, &[1, 2, 3, 4, 5, 6], &rows))?;
    let kinds: Vec<String> = stats.paused_kinds.iter().map(|kind| plain(kind)).collect();
    if !kinds.is_empty() {
        screen.line(&format!("paused kinds: {}", kinds.join(", ")))?;
    }
    screen.line(&format!(
        "enqueued {}, completed {}, cancelled {}, expired {}, discarded {}, pruned {}",
        stats.enqueued, stats.completed, stats.cancelled, stats.expired, stats.discarded, stats.pruned
    ))?;
    screen.line(&match &target {
        Target::Live(client) => format!("open in process {}", client.pid()),
        Target::Stopped(view) if view.is_owned() => "open in a program that serves no socket".to_owned(),
        _ => "not open in any program".to_owned(),
    })
}

pub(super) fn ls(args: &Args, screen: &mut Screen, words: &[String], limit: usize, after: Option<u64>) -> Ended {
    let filter = filter_of(words, screen)?;
    let target = reach::to_look(args)?;
    let (mut after, mut left) = (after, limit);
    let mut jobs: Vec<JobShape> = Vec::new();
    let mut more = None;
    while left > 0 {
        let list = Look::List { filter: filter.clone(), after, limit: left.min(PAGE_MAX) };
        let page: ListShape = target.see(list)?;
        left -= page.jobs.len();
        jobs.extend(page.jobs);
        (after, more) = (page.next_after, page.next_after);
        if after.is_none() {
            break;
        }
    }
    if screen.value(target.way(), &ListShape { jobs: jobs.clone(), next_after: more })? {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = jobs.iter().map(|job| row(job, screen)).collect();
    screen.line(&table(&["ID", "STATE", "QUEUE", "KIND", "PRI", "TRIES", "AGE", "ERROR"], &[0, 4, 5], &rows))?;
    if let Some(more) = more {
        aside(&format!("there are more: --after {more}"));
    }
    Ok(())
}

fn row(job: &JobShape, screen: &Screen) -> Vec<String> {
    vec![
        job.id.to_string(),
        job.state.clone(),
        short(&job.queue, 24),
        short(&job.kind, 32),
        job.priority.to_string(),
        format!("{}/{}", job.attempts, job.max_attempts),
        screen.ago(job.created_at_ms),
        short(job.trouble().unwrap_or_default(), 60),
    ]
}

pub(super) fn show(args: &Args, screen: &mut Screen, id: u64) -> Ended {
    let target = reach::to_look(args)?;
    let answer = target.look(Look::Show { id })?;
    let found: ShowShape = serde_json::from_str(answer.get())?;
    screen.data(target.way(), &answer)?;
    let Some(job) = found.job else {
        let what = match found.status.as_str() {
            "finished" => "it is over: completed, cancelled, expired, discarded or pruned",
            "lost" => "its number was never given to a job that was kept",
            _ => "no job has had this number yet",
        };
        return Err(Trouble::not_found(format!("job {id}: {what}")));
    };
    let mut rows = vec![
        ("job", job.id.to_string()),
        ("kind", plain(&job.kind)),
        ("queue", plain(&job.queue)),
        ("state", if job.cancel_requested { format!("{} (to be cancelled)", job.state) } else { job.state.clone() }),
        ("priority", job.priority.to_string()),
        ("enqueued", screen.ago(job.created_at_ms)),
        ("attempts", format!("{} of {}", job.attempts, job.max_attempts)),
    ];
    rows.extend(job.run_at_ms.map(|at| ("runs", screen.ago(at))));
    rows.extend(job.expires_at_ms.map(|at| ("expires", screen.ago(at))));
    rows.extend((job.crashes > 0).then(|| ("crashes", job.crashes.to_string())));
    rows.extend(job.unique.as_deref().map(|key| ("unique", plain(key))));
    rows.extend(job.limit_key.as_deref().map(|key| ("limit key", plain(key))));
    rows.extend(job.group.map(|group| ("group", group.to_string())));
    rows.extend((!job.tags.is_empty()).then(|| ("tags", plain(&job.tags.join(" ")))));
    rows.extend(job.metadata.iter().map(|(key, value)| ("metadata", plain(&format!("{key}={value}")))));
    rows.extend(job.reason.as_deref().map(|reason| ("reason", plain(reason))));
    rows.extend(job.errors.iter().map(|error| ("error", plain(error))));
    if let Some(args) = &found.args {
        rows.push(match (&args.args, &args.args_hex) {
            (Some(json), _) => ("args", plain(json.get())),
            (None, hex) => ("args", text_of(hex.as_deref().unwrap_or_default())),
        });
    }
    for (name, value) in rows {
        screen.line(&format!("{name:>10}  {value}"))?;
    }
    Ok(())
}

/// Bytes for a person: as text if they are one.
fn text_of(hex: &str) -> String {
    let bytes = crate::face::shape::unhex(hex).unwrap_or_default();
    match String::from_utf8(bytes) {
        Ok(text) => plain(&text),
        Err(_) => format!("bytes {hex}"),
    }
}

pub(super) fn failures(args: &Args, screen: &mut Screen, words: &[String]) -> Ended {
    let filter = filter_of(words, screen)?;
    let target = reach::to_look(args)?;
    let answer = target.look(Look::Failures { filter })?;
    if screen.data(target.way(), &answer)? {
        return Ok(());
    }
    let groups: Vec<FailureShape> = serde_json::from_str(answer.get())?;
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let counts = [group.dead, group.parked, group.retrying, group.last_id].map(|n| n.to_string());
            counts.into_iter().chain([short(&group.kind, 32), short(&group.error, 80)]).collect()
        })
        .collect();
    screen.line(&table(&["DEAD", "PARKED", "RETRYING", "LAST ID", "KIND", "ERROR"], &[0, 1, 2, 3], &rows))
}

pub(super) fn verify(args: &Args, screen: &mut Screen) -> Ended {
    let target = reach::to_look(args)?;
    let answer = target.look(Look::Verify {})?;
    screen.data(target.way(), &answer)?;
    let report: serde_json::Value = serde_json::from_str(answer.get())?;
    let number = |name: &str| report.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
    let damage: Vec<&str> = report
        .get("damage")
        .and_then(serde_json::Value::as_array)
        .map(|found| found.iter().filter_map(serde_json::Value::as_str).collect())
        .unwrap_or_default();
    for what in &damage {
        screen.line(&plain(what))?;
    }
    let [segments, frames, records, bytes] = ["segments", "frames", "records", "bytes"].map(number);
    let read = format!("{segments} segments, {frames} frames, {records} records, {bytes} bytes");
    if damage.is_empty() {
        return screen.line(&format!("sound: {read}"));
    }
    let text =
        format!("damage in {} places; read {read}; keep a copy of the directory before anything else", damage.len());
    Err(Trouble::new(CORRUPT, "corrupt", text))
}

pub(super) fn history(args: &Args, screen: &mut Screen, limit: usize) -> Ended {
    let target = reach::to_look(args)?;
    let answer = target.look(Look::History { limit })?;
    if screen.data(target.way(), &answer)? {
        return Ok(());
    }
    let past: Vec<PastShape> = serde_json::from_str(answer.get())?;
    let rows: Vec<Vec<String>> = past
        .iter()
        .map(|job| {
            let took = job.took_ms.map(|ms| super::show::span(std::time::Duration::from_millis(ms)));
            vec![
                job.id.to_string(),
                job.how.clone(),
                short(&job.queue, 24),
                short(&job.kind, 32),
                job.attempts.to_string(),
                took.unwrap_or_default(),
                screen.ago(job.ended_at_ms),
            ]
        })
        .collect();
    screen.line(&table(&["ID", "ENDED", "QUEUE", "KIND", "TRIES", "TOOK", "WHEN"], &[0, 4, 5], &rows))
}

pub(super) fn tail(args: &Args, screen: &mut Screen) -> Ended {
    let client = reach::to_listen(args)?;
    let mut failed = None;
    client.stream(Stream::Tail {}, |item| {
        let told = if item.get() == "{\"listening\":true}" {
            aside("listening");
            Ok(())
        } else {
            tell(screen, item)
        };
        failed = told.err();
        Ok(failed.is_none())
    })?;
    failed.map_or(Ok(()), Err)
}

fn tell(screen: &Screen, item: &serde_json::value::RawValue) -> Ended {
    if screen.data("socket", item)? {
        return Ok(());
    }
    let event: EventShape = serde_json::from_str(item.get())?;
    let job = event.id.map(|id| format!("{id} {}", plain(&event.kind))).unwrap_or_default();
    let attempt = event.attempt.map(|n| format!(" attempt {n}")).unwrap_or_default();
    screen.line(&format!("{:<16} {job} {}{attempt}", event.what, plain(&event.queue)))
}
