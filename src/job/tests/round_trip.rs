//! What is written is what is read.

use super::sample::{NOW, Sampler, job};
use crate::ids::Millis;
use crate::job::{Cause, Envelope, Record, State, decode, encode, encode_job, kind, peek};

const SEEDS: u64 = 3000;

#[test]
fn every_record_reads_back_as_it_was_written() {
    let mut tried = 0;
    for seed in 0..SEEDS {
        for kind in kind::OPENED..=kind::CELL {
            let mut sampler = Sampler::new(seed);
            let record = sampler.record(kind);
            let (written_kind, body) = encode(&record);
            assert_eq!(written_kind, kind, "seed={seed}");
            assert_eq!(decode(kind, &body).as_ref(), Ok(&record), "seed={seed} kind={kind}");
            assert_eq!(encode(&decode(kind, &body).unwrap()).1, body, "seed={seed} kind={kind}: one form for each");
            tried += 1;
        }
    }
    eprintln!("{tried} random records");
}

#[test]
fn a_peek_sees_what_a_full_decode_sees() {
    for seed in 0..SEEDS {
        let mut sampler = Sampler::new(seed);
        let Record::Job(record) = sampler.record(kind::JOB) else { unreachable!() };
        let body = encode_job(&record.envelope, record.cause, record.removes.as_ref(), &record.args);
        let (seen, full) = (peek(&body).unwrap(), &record.envelope);
        assert_eq!((seen.cause, &seen.removes), (record.cause, &record.removes), "seed={seed}");
        assert_eq!((seen.kind, seen.queue), (full.kind.as_str(), full.queue.as_str()), "seed={seed}");
        assert_eq!((seen.priority, seen.codec, seen.state), (full.priority, full.codec, full.state), "seed={seed}");
        assert_eq!((seen.created_at, seen.lane()), (full.created_at, full.lane()), "seed={seed}");
        assert_eq!((seen.unique, seen.careful), (full.key_claim(), full.careful()), "seed={seed}");
        assert_eq!(seen.args, &*record.args, "seed={seed}");
    }
}

#[test]
fn a_fresh_job_takes_few_bytes_beside_its_kind_and_args() {
    let args = [b'x'; 200];
    let fresh = job(State::Ready);
    let body = encode_job(&fresh, Cause::Enqueued, None, &args);
    assert_eq!(body.len() - args.len() - fresh.kind.len(), 13);
    let scheduled = Envelope { run_at: Some(NOW), state: State::Scheduled { run_at: NOW }, ..fresh };
    let body = encode_job(&scheduled, Cause::Enqueued, None, &args);
    assert_eq!(body.len() - args.len() - scheduled.kind.len(), 36);
    assert!(body.capacity() < 2 * body.len());
}

#[test]
fn a_body_is_made_by_one_allocation() {
    for seed in 0..200 {
        let mut sampler = Sampler::new(seed);
        let Record::Job(record) = sampler.record(kind::JOB) else { unreachable!() };
        let removes = crate::job::Removes::of(&record.envelope);
        let body = encode_job(&record.envelope, record.cause, Some(&removes), &record.args);
        assert!(body.capacity() <= body.len() + 200, "seed={seed}: a grown vector has doubled");
    }
}

#[test]
fn a_creation_time_beyond_48_bits_is_stored_as_the_last_of_them() {
    let far = Envelope { created_at: Millis(u64::MAX), ..job(State::Dead { at: Millis(u64::MAX) }) };
    let body = encode_job(&far, Cause::Changed, None, b"");
    let Ok(Record::Job(back)) = decode(kind::JOB, &body) else { panic!() };
    assert_eq!(back.envelope.created_at, Millis((1 << 48) - 1));
    assert_eq!(back.envelope.state, far.state, "times that are keys of the index are stored whole");
}

#[test]
fn the_largest_job_and_the_largest_batch_of_claims_read_back() {
    use crate::job::{ClaimRun, Claimed, Ended, Removes};
    use crate::limits::{BATCH_JOBS_MAX, PAYLOAD_BYTES_MAX};
    let args = vec![7; PAYLOAD_BYTES_MAX];
    let mut sampler = Sampler::new(1);
    let envelope = sampler.envelope();
    let body = encode_job(&envelope, Cause::Carried, None, &args);
    let Ok(Record::Job(back)) = decode(kind::JOB, &body) else { panic!() };
    assert_eq!((back.envelope, &*back.args), (envelope, &args[..]));
    let ids = (0..BATCH_JOBS_MAX as u64).map(|n| n * 1000).collect();
    let run = ClaimRun { queue: "mail".to_owned(), priority: -1, ids };
    let claimed = Record::Claimed(Claimed { epoch: 1, first_counter: 1, at: NOW, runs: vec![run] });
    assert_eq!(decode(kind::CLAIMED, &encode(&claimed).1), Ok(claimed));
    let ended = Ended { removes: Removes::InFlight, how: crate::job::Ending::Completed, unique: None, at: NOW };
    assert_eq!(encode(&Record::Ended(ended)).1.len(), 11, "an ack");
}
