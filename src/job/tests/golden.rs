//! Pins the bytes of every record kind. A change here is a new format version, never an edit.
//!
//! The same bytes are drawn in `src/docs/format_records.md`.

use std::time::Duration;

use super::sample::{NOW, TOKEN, failure, job};
use crate::ids::{JobId, Millis, Phase};
use crate::job::{
    AttemptError, Audit, Backoff, BulkCounts, BulkRun, BulkVerb, Callback, Cause, CellRecord, ClaimRun, Claimed, Codec,
    Counters, Criteria, DecodeError, Due, Ended, Ending, Envelope, ErrorCause, Extra, Group, JobRecord, Opened, Record,
    Removes, Scope, Sealed, State, Totals, Unique, Verdict, decode, decode_audit, decode_bulk, decode_group, encode,
    encode_audit, encode_bulk, encode_group, kind, namespace,
};

/// `drawn` is hex; blanks and line ends part what belongs together.
fn pinned(record: &Record<'_>, kind: u8, drawn: &str) {
    let digits: String = drawn.split_whitespace().collect();
    let (written_kind, body) = encode(record);
    let hex = body.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(hex, digits, "{record:?}");
    assert_eq!(written_kind, kind);
    assert_eq!(decode(kind, &body).as_ref(), Ok(record));
}

#[test]
fn an_opening_is_pinned() {
    let record = Opened { epoch: 3, nonce: *b"0123456789abcdef", first_id: 1 << 20, at: NOW };
    pinned(&Record::Opened(record), kind::OPENED, "01 03 30313233343536373839616263646566 fc00001000 00c02cc89901 00");
}

#[test]
fn totals_are_pinned() {
    let counters = Counters {
        enqueued: 1_000_000,
        completed: 999_000,
        cancelled: 5,
        expired: 4,
        discarded: 3,
        pruned: 2,
        claims: 1_000_500,
        failures: 700,
    };
    let record = Totals { epoch: 3, id_ceiling: 2 << 20, next_id: (1 << 20) + 9, trimmed_through: 41, counters };
    pinned(
        &Record::Totals(record),
        kind::TOTALS,
        "01 03 fc00002000 fc09001000 29 fc40420f00 fc583e0f00 05 04 03 02 fc34440f00 fbbc02 00",
    );
}

#[test]
fn a_fresh_job_is_pinned() {
    let envelope = Envelope::new("charge_card", NOW);
    let args = br#"{"sale":7}"#[..].into();
    let record = JobRecord { cause: Cause::Enqueued, removes: None, envelope, args };
    pinned(
        &Record::Job(record),
        kind::JOB,
        "01 01 00 0b6368617267655f63617264 00 00c02cc89901 00 0a7b2273616c65223a377d",
    );
}

#[test]
fn a_job_with_everything_set_is_pinned() {
    let error = |attempt, kind, duration_ms| AttemptError { attempt, kind, duration_ms, ..failure() };
    let scope = Scope::Period { until: Millis(NOW.0 + 86_400_000) };
    let envelope = Envelope {
        queue: "billing".to_owned(),
        priority: -5,
        codec: Codec::Other(9),
        changed_at: Some(Millis(NOW.0 + 1)),
        run_at: Some(Millis(NOW.0 + 2)),
        attempts: 3,
        max_attempts: 300,
        crashes: 1,
        yields: 2,
        cancel_requested: true,
        unique: Some(Unique { hash: 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100, key: "sale:7".to_owned(), scope }),
        timeout_ms: Some(30_000),
        expires_at: Some(Millis(NOW.0 + 3)),
        backoff: Backoff::Exponential { base: Duration::from_secs(1), cap: Duration::from_secs(3600) },
        tags: vec!["vip".to_owned(), "eu".to_owned()],
        metadata: vec![("traceparent".to_owned(), "00-4bf9-00".to_owned())],
        limit_key: Some("stripe".to_owned()),
        group: Some(4711),
        keep_result_ms: Some(60_000),
        errors: vec![error(2, ErrorCause::Panicked, Some(4)), error(3, ErrorCause::Other(77), None)],
        reason: Some("why".to_owned()),
        sealed: Some(Sealed { key: "2026-11".to_owned(), parts: 3 }),
        extra: vec![Extra { tag: 22, bytes: vec![0xaa, 0xbb] }],
        ..job(State::InFlight { token: TOKEN, since: Millis(NOW.0 + 4) })
    };
    let removes = Some(Removes::Ready { queue: "billing\0stripe".to_owned(), priority: -5 });
    let args = b"\x00\xff"[..].into();
    pinned(
        &Record::Job(JobRecord { cause: Cause::Changed, removes, envelope, args }),
        kind::JOB,
        "
        01 02
        03 0e62696c6c696e6700737472697065 09
        0b6368617267655f63617264
        0762696c6c696e67
        00c02cc89901
        17
        01 0c 03 03 11 fd04c02cc899010000
        02 01 09
        03 01 09
        04 09 fd02c02cc899010000
        05 01 03
        06 03 fb2c01
        07 01 01
        08 01 02
        09 00
        0a 21 000102030405060708090a0b0c0d0e0f 0673616c653a37 02 fd001c53cd99010000
        0b 03 fb3075
        0c 09 fd03c02cc899010000
        0d 09 02 fbe803 fc80ee3600
        0e 08 02 03766970 026575
        0f 18 01 0b7472616365706172656e74 0a30302d346266392d3030
        10 07 06737472697065
        11 03 fb6712
        12 03 fb60ea
        13 30 02
          02 00c02cc89901 02 0d63617264206465636c696e6564 01 04
          03 00c02cc89901 4d 0d63617264206465636c696e6564 00
        14 04 03776879
        15 09 fd01c02cc899010000
        16 02 aabb
        81 09 07 323032362d3131 03
        02 00ff
    ",
    );
}

#[test]
fn every_state_and_every_removed_key_is_pinned() {
    let queue = || "default".to_owned();
    let cases = [
        (State::Held, Removes::Held { queue: queue() }, "01 04 01 00 016b 00 010000000000 02 01 01 00 02 01 02 00"),
        (
            State::Scheduled { run_at: NOW },
            Removes::Scheduled { run_at: NOW, queue: queue(), priority: 1 },
            "01 04 02 fd00c02cc899010000 00 02 016b 00 010000000000 02 01 0a 01 fd00c02cc899010000 02 01 02 00",
        ),
        (
            State::Ready,
            Removes::Ready { queue: queue(), priority: 1 },
            "01 04 03 00 02 016b 00 010000000000 01 02 01 02 00",
        ),
        (
            State::InFlight { token: TOKEN, since: NOW },
            Removes::InFlight,
            "01 03 04 016b 00 010000000000 02 01 0c 03 03 11 fd00c02cc899010000 02 01 02 00",
        ),
        (
            State::Dead { at: NOW },
            Removes::Dead { at: NOW, queue: queue() },
            "01 04 05 fd00c02cc899010000 00 016b 00 010000000000 02 01 0a 04 fd00c02cc899010000 02 01 02 00",
        ),
        (
            State::Parked { at: NOW },
            Removes::Parked { at: NOW, queue: queue() },
            "01 04 06 fd00c02cc899010000 00 016b 00 010000000000 02 01 0a 05 fd00c02cc899010000 02 01 02 00",
        ),
    ];
    for (state, removes, drawn) in cases {
        let envelope = Envelope { priority: 1, ..Envelope::new("k", Millis(1)) };
        let envelope = Envelope { state, ..envelope };
        let cause = if removes == Removes::InFlight { Cause::Interrupted } else { Cause::Carried };
        let record = JobRecord { cause, removes: Some(removes), envelope, args: (&[][..]).into() };
        pinned(&Record::Job(record), kind::JOB, drawn);
    }
}

#[test]
fn every_scope_and_backoff_is_pinned() {
    let cases = [
        (
            Scope::Live,
            Backoff::Fixed { delay: Duration::from_millis(1) },
            "01 01 00 016b 00 010000000000 02 0a 13 01000000000000000000000000000000 0175 00 0d 02 01 01 00",
        ),
        (
            Scope::UntilStarted,
            Backoff::Default,
            "01 01 00 016b 00 010000000000 01 0a 13 01000000000000000000000000000000 0175 01 00",
        ),
        (
            Scope::Period { until: Millis(2) },
            Backoff::Default,
            "01 01 00 016b 00 010000000000 01 0a 14 01000000000000000000000000000000 0175 02 02 00",
        ),
        (
            Scope::Started,
            Backoff::Default,
            "01 01 00 016b 00 010000000000 01 0a 13 01000000000000000000000000000000 0175 03 00",
        ),
    ];
    for (scope, backoff, drawn) in cases {
        let unique = Some(Unique { hash: 1, key: "u".to_owned(), scope });
        let envelope = Envelope { unique, backoff, ..Envelope::new("k", Millis(1)) };
        let record = JobRecord { cause: Cause::Enqueued, removes: None, envelope, args: (&[][..]).into() };
        pinned(&Record::Job(record), kind::JOB, drawn);
    }
}

#[test]
fn claims_are_pinned() {
    let one = ClaimRun { queue: "default".to_owned(), priority: 0, ids: vec![1 << 20] };
    let claimed = Claimed { epoch: 3, first_counter: 17, at: NOW, runs: vec![one] };
    pinned(&Record::Claimed(claimed), kind::CLAIMED, "01 03 11 00c02cc89901 01 00 00 01 fc00002000 00");
    let urgent = ClaimRun { queue: "mail".to_owned(), priority: 10, ids: vec![70_000, 70_001, 70_002, 69_000] };
    let later = ClaimRun { queue: "mail\0smtp".to_owned(), priority: -1, ids: vec![u64::MAX, 0] };
    let claimed = Claimed { epoch: 3, first_counter: 18, at: NOW, runs: vec![urgent, later] };
    pinned(
        &Record::Claimed(claimed),
        kind::CLAIMED,
        "01 03 12 00c02cc89901 02 046d61696c 14 04 fce0220200 02 02 fbd307 096d61696c00736d7470 01 02 01 02 00",
    );
}

#[test]
fn every_ending_is_pinned() {
    let queue = || "default".to_owned();
    let cases = [
        (Removes::InFlight, Ending::Completed, None, "01 04 01 00 00c02cc89901 00"),
        (
            Removes::Ready { queue: queue(), priority: 0 },
            Ending::Cancelled,
            Some(0xabcd),
            "01 03 00 00 02 01 cdab0000000000000000000000000000 00c02cc89901 00",
        ),
        (
            Removes::Scheduled { run_at: NOW, queue: queue(), priority: 2 },
            Ending::Expired,
            None,
            "01 02 fd00c02cc899010000 00 04 03 00 00c02cc89901 00",
        ),
        (Removes::Held { queue: "mail".to_owned() }, Ending::Discarded, None, "01 01 046d61696c 04 00 00c02cc89901 00"),
        (
            Removes::Dead { at: NOW, queue: queue() },
            Ending::Pruned,
            None,
            "01 05 fd00c02cc899010000 00 05 00 00c02cc89901 00",
        ),
    ];
    for (removes, how, unique, drawn) in cases {
        pinned(&Record::Ended(Ended { removes, how, unique, at: NOW }), kind::ENDED, drawn);
    }
}

#[test]
fn a_promotion_is_pinned() {
    pinned(&Record::Due(Due { run_at: NOW, id: 70_000 }), kind::DUE, "01 fd00c02cc899010000 fc70110100 00");
}

#[test]
fn cells_are_pinned() {
    let set = CellRecord {
        namespace: namespace::CRON,
        key: b"nightly",
        value: Some(b"\x01\x02"),
        until: Some(NOW),
        carried: true,
    };
    pinned(&Record::Cell(set), kind::CELL, "01 03 01 01 fd00c02cc899010000 076e696768746c79 01 020102 00");
    let cleared = CellRecord { namespace: namespace::PAUSE, key: b"mail", value: None, until: None, carried: false };
    pinned(&Record::Cell(cleared), kind::CELL, "01 01 00 00 046d61696c 00 00");
    let empty = CellRecord { namespace: namespace::PAUSE, key: b"", value: Some(b""), until: None, carried: false };
    pinned(&Record::Cell(empty), kind::CELL, "01 01 00 00 00 01 00 00");
}

#[test]
fn numbers_of_kinds_and_namespaces_never_change() {
    let kinds = [kind::OPENED, kind::TOTALS, kind::JOB, kind::CLAIMED, kind::ENDED, kind::DUE, kind::CELL];
    assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7]);
    let spaces = [
        (namespace::PAUSE, namespace::EPOCH, namespace::CRON, namespace::BUCKET),
        (namespace::GROUP, namespace::PERIOD, namespace::STEP, namespace::CHECKPOINT),
        (namespace::RESULT, namespace::AUDIT, namespace::CHART, namespace::BULK),
        (namespace::DAMAGE, namespace::PAUSE_KIND, namespace::PROGRESS, namespace::AFTER),
    ];
    assert_eq!(spaces, [(1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16)]);
}

#[test]
fn the_cell_of_a_group_is_pinned() {
    let waits = |id, verdict| Some(Callback { id: JobId(id), verdict });
    let group = Group {
        sealed: true,
        strict: false,
        created_at: NOW,
        finished_at: None,
        total: 1_000,
        succeeded: 7,
        dead: 6,
        cancelled: 5,
        expired: 4,
        discarded: 3,
        pruned: 2,
        callbacks: [waits(300, Verdict::Waits), None, waits(9, Verdict::Due)],
        newest: Some((310, 1_309)),
    };
    let value = encode_group(&group);
    let hex = value.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let drawn = "01 01 00 fd00c02cc899010000 00 fbe803 07 06 05 04 03 02 01fb2c0101 00 010902 01fb3601fb1d05 00";
    assert_eq!(hex, drawn.replace(' ', ""));
    assert_eq!(decode_group(&value), Ok(group));
    for cut in 0..value.len() {
        assert!(decode_group(&value[..cut]).is_err(), "cut={cut}");
    }
    for (nth, bit) in (0..value.len()).flat_map(|nth| (0..8).map(move |bit| (nth, bit))) {
        let mut hostile = value.clone();
        hostile[nth] ^= 1 << bit;
        // Whatever it says: no panic.
        let _ = decode_group(&hostile);
    }
}

fn hex_of(value: &[u8]) -> String {
    value.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn the_cells_of_bulk_verbs_and_audit_records_are_pinned() {
    let counts = BulkCounts { changed: 1_000, requested: 5, refused: 4, running: 3, duplicate: 2, unreadable: 1 };
    let criteria = Criteria {
        queue: Some("mail".into()),
        kind: Some("send".into()),
        tag: Some("big".into()),
        error: Some("no".into()),
        since: Some(Millis(7)),
        before: Some(Millis(1_000)),
        phase: Some(Phase::Dead),
        group: Some(9),
        kind_like: Some("s*".into()),
        priority: Some((-1, 5)),
        first: Some(3),
        last: Some(4),
    };
    let run = BulkRun {
        who: "ada".into(),
        verb: BulkVerb::Move { queue: "slow".into() },
        criteria,
        ceiling: 300,
        second_round: false,
        spared: Some(8),
        through: 250,
        counts,
    };
    let value = encode_bulk(&run);
    let drawn = "01 03616461 0204736c6f77 0c 01046d61696c 020473656e64 0303626967 04026e6f 050107 0603fbe803 070105 080109 \
                 0902732a 0a02010a 0b0103 0c0104 fb2c01 00 0108 fa fbe803 05 04 03 02 01 00";
    assert_eq!(hex_of(&value), drawn.split_whitespace().collect::<String>());
    assert_eq!(decode_bulk(&value), Ok(run.clone()));
    for (verb, drawn) in [
        (BulkVerb::Requeue, "00"),
        (BulkVerb::Cancel, "01"),
        (BulkVerb::SetPriority { priority: -1 }, "0301"),
        (BulkVerb::Reschedule { run_at: Millis(9) }, "0409"),
    ] {
        let run = BulkRun::new(String::new(), verb, Criteria::default(), 1);
        let value = encode_bulk(&run);
        assert_eq!(hex_of(&value), format!("0100{drawn}00010000{}00", "00".repeat(7)), "{run:?}");
        assert_eq!(decode_bulk(&value), Ok(run));
    }
    let audit = Audit { who: "ada".into(), what: "cancel: every job".into(), counts: Some(counts) };
    let audited = encode_audit(&audit);
    let drawn = "01 03616461 1163616e63656c3a206576657279206a6f62 01 fbe803 05 04 03 02 01 00";
    assert_eq!(hex_of(&audited), drawn.replace(' ', ""));
    assert_eq!(decode_audit(&audited), Ok(audit));
    for cut in 0..value.len() {
        assert!(decode_bulk(&value[..cut]).is_err(), "cut={cut}");
    }
    for (nth, bit) in (0..value.len()).flat_map(|nth| (0..8).map(move |bit| (nth, bit))) {
        let mut hostile = value.clone();
        hostile[nth] ^= 1 << bit;
        // Whatever it says: no panic.
        let _ = (decode_bulk(&hostile), decode_audit(&hostile));
    }
}

#[test]
fn a_criterion_that_is_not_known_is_refused_and_not_passed_over() {
    let run = BulkRun::new(String::new(), BulkVerb::Requeue, Criteria { group: Some(9), ..Criteria::default() }, 1);
    let mut value = encode_bulk(&run);
    let at = value.iter().position(|byte| *byte == 8).unwrap();
    value[at] = 13;
    assert_eq!(decode_bulk(&value), Err(DecodeError::UnknownField { kind: kind::CELL, tag: 13 }));
}
