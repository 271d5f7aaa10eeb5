//! The logs that are damaged hold every kind of record there is: nothing is left out of the matrix.

use std::collections::BTreeSet;

use crate::job::{self, Cause, Ending, Record, Removes};
use crate::log::Flags;

use super::anatomy::{LENGTH, Template, offset};
use super::bits::{closed, killed, long};

/// What stands in the frames of one segment, in words.
fn held(template: &Template, segment: u64) -> BTreeSet<&'static str> {
    let mut words = BTreeSet::new();
    for frame in template.frames.iter().filter(|frame| frame.segment == segment) {
        words.insert(match frame.flags {
            Flags::SEAL => "seal",
            Flags::CLOSED => "closed",
            _ => "ordinary",
        });
        if frame.records.len() > 3 {
            words.insert("batch");
        }
        for record in &frame.records {
            record_words(&job::decode(record.kind, &record.body).unwrap(), &mut words);
        }
    }
    words
}

fn record_words(record: &Record<'_>, words: &mut BTreeSet<&'static str>) {
    match record {
        Record::Opened(_) => drop(words.insert("opened")),
        Record::Totals(_) => drop(words.insert("totals")),
        Record::Due(_) => drop(words.insert("due")),
        Record::Claimed(claimed) => {
            words.insert("claimed");
            if claimed.runs.iter().any(|run| run.ids.len() > 1) {
                words.insert("claimed together");
            }
        }
        Record::Job(record) => {
            words.insert(match record.cause {
                Cause::Enqueued => "enqueued",
                Cause::Changed => "changed",
                Cause::Interrupted => "interrupted",
                Cause::Carried => "carried",
                Cause::Replaced => "replaced",
            });
            words.insert(record.envelope.state.phase().as_str());
            words.extend(record.removes.as_ref().map(removes));
            let job = &record.envelope;
            let dressed = [
                (job.cancel_requested, "cancel requested"),
                (job.unique.is_some(), "unique"),
                (!job.tags.is_empty() && !job.metadata.is_empty(), "tags and metadata"),
                (!job.errors.is_empty(), "errors"),
                (job.reason.is_some(), "reason"),
                (job.crashes > 0, "crashed"),
                (job.expires_at.is_some() && job.timeout_ms.is_some() && job.keep_result_ms.is_some(), "limits"),
            ];
            words.extend(dressed.into_iter().filter(|(is, _)| *is).map(|(_, word)| word));
        }
        Record::Ended(ended) => {
            words.insert(removes(&ended.removes));
            words.insert(match ended.how {
                Ending::Completed => "completed",
                Ending::Cancelled => "cancelled",
                Ending::Expired | Ending::Discarded | Ending::Pruned => "no verb does this yet",
            });
        }
        Record::Cell(cell) => {
            words.insert(if cell.value.is_some() { "cell" } else { "cell cleared" });
            words.insert(if cell.carried { "cell carried" } else { "cell set" });
            words.extend(cell.until.map(|_| "cell until"));
            words.extend((cell.namespace == job::namespace::PAUSE).then_some("pause"));
        }
    }
}

fn removes(key: &Removes) -> &'static str {
    match key {
        Removes::Held { .. } => "removes held",
        Removes::Scheduled { .. } => "removes scheduled",
        Removes::Ready { .. } => "removes ready",
        Removes::InFlight => "removes in flight",
        Removes::Dead { .. } => "removes dead",
        Removes::Parked { .. } => "removes parked",
    }
}

const EVERYTHING: [&str; 38] = [
    "ordinary",
    "batch",
    "opened",
    "totals",
    "due",
    "claimed",
    "claimed together",
    "enqueued",
    "changed",
    "interrupted",
    "carried",
    "held",
    "scheduled",
    "ready",
    "in_flight",
    "dead",
    "parked",
    "removes held",
    "removes scheduled",
    "removes ready",
    "removes in flight",
    "removes dead",
    "removes parked",
    "cancel requested",
    "unique",
    "tags and metadata",
    "errors",
    "reason",
    "crashed",
    "limits",
    "completed",
    "cancelled",
    "cell",
    "cell cleared",
    "cell carried",
    "cell set",
    "cell until",
    "pause",
];

#[test]
fn the_damaged_segment_holds_every_kind_of_record_and_is_full() {
    for template in [killed(), closed()] {
        let words = held(template, 2);
        let missing: Vec<&str> = EVERYTHING.into_iter().filter(|word| !words.contains(word)).collect();
        assert!(missing.is_empty(), "{}: no {missing:?}", template.name);
        assert_eq!((template.oldest(), template.last_segment()), (2, 2));
        assert!(offset(template.end) > LENGTH - 600, "{}: {} bytes", template.name, offset(template.end));
        let jobs = template.right[&template.end].opened.jobs.len();
        println!("{}: frames={} live jobs={jobs} bytes={}", template.name, template.frames.len(), offset(template.end));
    }
    assert!(held(closed(), 2).contains("closed"));
}

#[test]
fn the_long_log_holds_seals_and_ends_in_its_third_segment() {
    let template = long();
    assert_eq!((template.oldest(), template.last_segment()), (2, 4));
    assert!(held(template, 2).contains("seal") && held(template, 3).contains("seal"));
    assert!(!held(template, 4).contains("seal"));
}
