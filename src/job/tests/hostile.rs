//! Bytes that no release wrote: an error or some record, never a panic, never memory on the word of a length.

use super::sample::{NOW, Sampler, job};
use crate::job::{Cause, DecodeError, Envelope, Extra, Record, Sealed, State, decode, encode, encode_job, kind, peek};

/// Returns, and what it returns can be shown and written again.
fn read(kind: u8, body: &[u8]) -> bool {
    let _ = peek(body).map(|seen| (seen.lane().len(), seen.args.len()));
    match decode(kind, body) {
        Ok(record) => {
            let _ = (format!("{record:?}"), encode(&record));
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_reads_as_an_error_or_as_a_record() {
    let mut tried = 0;
    for seed in 0..40 {
        for kind in kind::OPENED..=kind::CELL {
            let mut sampler = Sampler::new(seed);
            let (_, mut body) = encode(&sampler.record(kind));
            for bit in 0..body.len() * 8 {
                body[bit / 8] ^= 1 << (bit % 8);
                read(kind, &body);
                body[bit / 8] ^= 1 << (bit % 8);
            }
            for length in 0..body.len() {
                assert!(!read(kind, &body[..length]), "seed={seed} kind={kind} length={length}: a part passed for all");
            }
            tried += body.len() * 9;
        }
    }
    eprintln!("{tried} damaged bodies");
}

#[test]
fn one_byte_too_many_is_an_error() {
    for seed in 0..100 {
        for kind in kind::OPENED..=kind::CELL {
            let mut sampler = Sampler::new(seed);
            let (_, mut body) = encode(&sampler.record(kind));
            body.push(0);
            assert!(matches!(decode(kind, &body), Err(DecodeError::Malformed { .. })), "seed={seed} kind={kind}");
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let seed = 0x6a6f_6273;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut parsed = 0;
    for _ in 0..200_000 {
        let length = rng.usize(..64);
        let mut body: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
        if let Some(first) = body.first_mut() {
            *first = 1;
        }
        // Small numbers reach deeper than evenly random bytes do.
        let narrow = rng.u8(1..);
        body.iter_mut().skip(1).for_each(|byte| *byte %= narrow);
        parsed += usize::from(read(rng.u8(..9), &body));
    }
    eprintln!("seed={seed}: {parsed} of 200000 random bodies parsed");
}

#[test]
fn a_length_that_claims_the_world_is_refused_before_anything_is_allocated() {
    // Version, cause, nothing removed, then each kind of length as u64::MAX, as 2³², and as just too much.
    for length in [vec![253; 9], vec![252, 0, 0, 0, 255], vec![252, 255, 255, 255, 0], vec![251, 255, 255]] {
        for position in 0..5 {
            let mut body = vec![1, 1, 0];
            match position {
                0 => {}
                1 => body.push(0),
                2 => body.extend([0, 0, 1, 2, 3, 4, 5, 6]),
                3 => body.extend([0, 0, 1, 2, 3, 4, 5, 6, 1, 19]),
                _ => body.extend([0, 0, 1, 2, 3, 4, 5, 6, 0]),
            }
            body.extend(&length);
            assert!(matches!(decode(kind::JOB, &body), Err(DecodeError::Malformed { .. })), "{body:?}");
        }
        // A list of errors, of tags, of metadata with such a length inside its field.
        for tag in [14, 15, 19, 20] {
            let mut body = vec![1, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 1, tag, length.len() as u8];
            body.extend(&length);
            body.push(0);
            assert!(matches!(decode(kind::JOB, &body), Err(DecodeError::Malformed { .. })), "{body:?}");
            assert!(peek(&body).is_ok(), "replay does not look there");
        }
        let mut claims = vec![1, 0, 0, 1, 2, 3, 4, 5, 6];
        claims.extend(&length);
        assert!(matches!(decode(kind::CLAIMED, &claims), Err(DecodeError::Malformed { .. })));
    }
}

#[test]
fn an_unknown_version_and_an_unknown_kind_are_named() {
    for kind in kind::OPENED..=kind::CELL {
        for version in [0, 2, 255] {
            assert_eq!(decode(kind, &[version, 1, 2]), Err(DecodeError::UnknownVersion { kind, version }));
        }
        assert_eq!(decode(kind, &[]), Err(DecodeError::Malformed { kind, what: "empty body" }));
    }
    for kind in [0, 8, 255] {
        assert_eq!(decode(kind, &[1]), Err(DecodeError::UnknownKind { kind }));
    }
    let error = decode(kind::DUE, &[9]).unwrap_err();
    assert_eq!(error.to_string(), "record kind=6 version=9 is unknown; a newer release may read it");
}

#[test]
fn a_field_of_a_later_release_is_kept_as_it_is_unless_it_must_be_understood() {
    let kept = vec![Extra { tag: 22, bytes: vec![1, 2, 3] }, Extra { tag: 127, bytes: vec![] }];
    let sealed = Some(Sealed::under("2026-11"));
    let envelope = Envelope { extra: kept, priority: 3, sealed, ..job(State::Ready) };
    let body = encode_job(&envelope, Cause::Changed, None, b"{}");
    let Ok(Record::Job(back)) = decode(kind::JOB, &body) else { panic!() };
    assert_eq!(back.envelope, envelope);
    for tag in [128, 130] {
        let strict = Envelope { extra: vec![Extra { tag, bytes: vec![1] }], ..job(State::Ready) };
        let body = encode_job(&strict, Cause::Changed, None, b"{}");
        assert_eq!(decode(kind::JOB, &body), Err(DecodeError::UnknownField { kind: kind::JOB, tag }));
        assert_eq!(peek(&body).err(), Some(DecodeError::UnknownField { kind: kind::JOB, tag }));
    }
}

#[test]
fn other_records_skip_what_a_later_release_added_unless_it_must_be_understood() {
    for kind in [kind::OPENED, kind::TOTALS, kind::CLAIMED, kind::ENDED, kind::DUE, kind::CELL] {
        let mut sampler = Sampler::new(5);
        let record = sampler.record(kind);
        let (_, mut body) = encode(&record);
        assert_eq!(body.pop(), Some(0), "the empty list of what was added");
        body.extend([1, 9, 2, 0xaa, 0xbb]);
        assert_eq!(decode(kind, &body).as_ref(), Ok(&record), "kind={kind}");
        let tag = body.len() - 4;
        body[tag] = 128;
        assert_eq!(decode(kind, &body), Err(DecodeError::UnknownField { kind, tag: 128 }));
    }
}

#[test]
fn fields_stand_once_each_and_by_rising_tag() {
    let plain = encode_job(&job(State::Ready), Cause::Enqueued, None, b"");
    assert_eq!(&plain[plain.len() - 2..], [0, 0], "no fields, no args");
    let with = |fields: &[u8]| [&plain[..plain.len() - 2], fields, &[0]].concat();
    assert!(decode(kind::JOB, &with(&[2, 5, 1, 1, 6, 1, 9])).is_ok(), "attempts, max_attempts");
    for fields in [[2, 6, 1, 9, 5, 1, 1], [2, 5, 1, 1, 5, 1, 1]] {
        let wrong = Err(DecodeError::Malformed { kind: kind::JOB, what: "fields out of order" });
        assert_eq!(decode(kind::JOB, &with(&fields)), wrong);
    }
    assert!(decode(kind::JOB, &with(&[1, 0, 0])).is_err(), "tag 0 is invalid");
    assert_eq!(NOW, job(State::Ready).created_at);
}
