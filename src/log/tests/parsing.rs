//! Bytes that are not what was written never pass for it.

use super::super::frame::{Seed, encode};
use super::super::parse::{self, Bad};
use super::super::segment::Geometry;
use super::*;

const SALT: u64 = 99;

fn room(lsn: Lsn) -> u64 {
    Geometry::new(SEGMENT).room(lsn)
}

fn parse<'a>(bytes: &'a [u8], lsn: Lsn, salt: u64) -> std::result::Result<Frame<'a>, Bad> {
    let head = parse::head(bytes, lsn, room(lsn))?;
    parse::frame(bytes, &head, &Seed::new(salt))
}

fn frame_at(lsn: Lsn, flags: u8, durable: Lsn, lens: &[usize]) -> Vec<u8> {
    let bodies: Vec<Body> = lens.iter().zip(0..).map(|(len, number)| Body::new(body_of(number, *len))).collect();
    let drafts: Vec<Draft<'_>> = bodies.iter().zip(1..).map(|(body, id)| Draft { kind: 5, id, body }).collect();
    let mut bytes = Vec::new();
    encode(&mut bytes, &Seed::new(SALT), (lsn, durable), flags, &drafts, |_, _| {});
    bytes
}

const AT: Lsn = Lsn(SEGMENT as u64 * 4 + 4096);

fn some_frames() -> Vec<Vec<u8>> {
    vec![
        frame_at(AT, Flags::NONE, Lsn(17), &[0]),
        frame_at(AT, Flags::NONE, AT, &[1, 7, 8, 9, 200]),
        frame_at(AT, Flags::SEAL, AT, &[]),
        frame_at(AT, Flags::CLOSED, AT, &[]),
        frame_at(AT, Flags::CLOSED, AT, &[33]),
    ]
}

#[test]
fn every_flipped_bit_of_a_frame_is_detected() {
    let mut flips = 0;
    for bytes in some_frames() {
        assert!(parse(&bytes, AT, SALT).is_ok());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&flipped, AT, SALT).is_err(), "bit {bit}");
            flips += 1;
        }
    }
    println!("bit flips: {flips}");
}

#[test]
fn a_frame_cut_at_any_byte_is_no_frame() {
    for bytes in some_frames() {
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len], AT, SALT).is_err(), "cut at {len}");
            let mut zeroed = bytes.clone();
            zeroed[len..].fill(0);
            assert!(zeroed == bytes || parse(&zeroed, AT, SALT).is_err(), "zeros from {len}");
        }
    }
}

#[test]
fn zeros_and_ones_and_noise_are_no_frames_and_do_not_panic() {
    for byte in 0..=255 {
        let bytes = vec![byte; 4096];
        assert!(parse(&bytes, AT, SALT).is_err());
        assert!(parse(&bytes, Lsn(u64::from_le_bytes([byte; 8])), SALT).is_err());
    }
    let mut rng = fastrand::Rng::with_seed(11);
    for _ in 0..200_000 {
        let mut noise = [0; 128];
        rng.fill(&mut noise);
        // As plausible as it gets, so that the later checks are reached.
        noise[4..8].copy_from_slice(&(8 * rng.u32(..20)).to_le_bytes());
        noise[8..12].copy_from_slice(&rng.u32(..4).to_le_bytes());
        noise[12..16].copy_from_slice(&[1, 0, 0, 0]);
        noise[16..24].copy_from_slice(&AT.0.to_le_bytes());
        noise[24..32].copy_from_slice(&rng.u64(..AT.0).to_le_bytes());
        noise[36..40].copy_from_slice(&((rng.u32(..100) << 8) | 1).to_le_bytes());
        assert!(parse(&noise, AT, SALT).is_err());
    }
}

#[test]
fn a_frame_of_an_earlier_life_of_the_file_never_parses() {
    for bytes in some_frames() {
        // The same place in the segment, another segment.
        let later = Lsn(AT.0 + 7 * u64::from(SEGMENT));
        assert_eq!(parse(&bytes, later, SALT).unwrap_err(), Bad::Lsn);
        // The same segment id and place, another life: a directory restored over an older one.
        assert_eq!(parse(&bytes, AT, SALT + 1).unwrap_err(), Bad::Crc);
    }
}

#[test]
fn a_frame_reaches_neither_into_the_next_segment_nor_into_the_room_of_the_seal() {
    let end = Lsn(u64::from(SEGMENT) * 5);
    let fits = Lsn(end.0 - 32 - 48);
    assert!(parse(&frame_at(fits, Flags::NONE, Lsn(0), &[0]), fits, SALT).is_ok());
    for late in [8, 16, 32, 40] {
        let lsn = Lsn(fits.0 + late);
        assert_eq!(parse(&frame_at(lsn, Flags::NONE, Lsn(0), &[0]), lsn, SALT).unwrap_err(), Bad::Bounds);
    }
    let last = Lsn(end.0 - 32);
    assert!(parse(&frame_at(last, Flags::SEAL, Lsn(0), &[]), last, SALT).is_ok());
}

#[test]
fn headers_that_verify_but_make_no_sense_are_refused() {
    // Signed with the right salt, as a program with a bug would.
    let signed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = frame_at(AT, Flags::NONE, Lsn(0), &[8, 8]);
        change(&mut bytes);
        let mut crc = Seed::new(SALT).hasher();
        crc.update(&bytes[4..32]);
        crc.update(&bytes[32..48]);
        crc.update(&bytes[56..72]);
        bytes[..4].copy_from_slice(&crc.finalize().to_le_bytes());
        parse(&bytes, AT, SALT).err()
    };
    assert_eq!(signed(&|_| {}), None);
    assert_eq!(signed(&|bytes| bytes[12] = 2), Some(Bad::Version));
    assert_eq!(signed(&|bytes| bytes[13] = Flags::SEAL), Some(Bad::Bounds));
    assert_eq!(signed(&|bytes| bytes[13] = 4), Some(Bad::Bounds));
    assert_eq!(signed(&|bytes| bytes[14] = 1), Some(Bad::Bounds));
    assert_eq!(signed(&|bytes| bytes[8] = 1), Some(Bad::Records));
    assert_eq!(signed(&|bytes| bytes[8] = 3), Some(Bad::Records));
    assert_eq!(signed(&|bytes| bytes[8] = 4), Some(Bad::Bounds));
    assert_eq!(signed(&|bytes| bytes[8] = 0), Some(Bad::Bounds));
    assert_eq!(signed(&|bytes| bytes[36] = 0), Some(Bad::Records));
    assert_eq!(signed(&|bytes| bytes[37] = 9), Some(Bad::Records));
    assert_eq!(signed(&|bytes| bytes[39] = 255), Some(Bad::Records));
    let beyond = AT.0 + 8;
    assert_eq!(signed(&|bytes| bytes[24..32].copy_from_slice(&beyond.to_le_bytes())), Some(Bad::Bounds));
}

#[test]
fn debug_output_shows_no_payload() {
    let body = Body::new(b"secret".to_vec());
    let raw = Raw { kind: 1, body: b"secret".to_vec() };
    let bytes = frame_at(AT, Flags::NONE, Lsn(0), &[6]);
    let frame = parse(&bytes, AT, SALT).unwrap();
    let view = frame.records().next().unwrap();
    let shown = format!("{body:?} {raw:?} {view:?} {frame:?}");
    let numbers = format!("{:?}", &body_of(0, 6)[..3]);
    for payload in ["secret", "115, 101, 99", numbers.trim_matches(['[', ']'])] {
        assert!(!shown.contains(payload), "{shown}");
    }
}
