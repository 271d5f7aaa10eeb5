//! What is sealed opens as what it was, and as nothing else.

use super::{Bound, Field, Keys, Unopened, base64};
use crate::ids::JobId;
use crate::keys::KeyRing;
use crate::random::SeededRandom;

const OF_JOB_7: Bound<'_> = Bound { kind: "charge", id: JobId(7), field: Field::Args };

fn ring() -> KeyRing {
    KeyRing::new("2026-11", [7; 32])
}

fn keys() -> Keys {
    ring().into()
}

fn sealed(keys: &Keys, bound: &Bound<'_>, plain: &[u8]) -> Vec<u8> {
    keys.seal(&SeededRandom::new(1), bound, plain).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_cipher_is_the_one_of_the_draft() {
    use chacha20poly1305::aead::{Aead, KeyInit, Payload};
    use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
    // draft-irtf-cfrg-xchacha-03, A.3.1.
    let key: [u8; 32] = std::array::from_fn(|nth| 0x80 + nth as u8);
    let nonce: [u8; 24] = std::array::from_fn(|nth| 0x40 + nth as u8);
    let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
    let msg = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen \
        would be it.";
    let cipher = XChaCha20Poly1305::new(<&Key>::from(&key));
    let bytes = cipher.encrypt(<&XNonce>::from(&nonce), Payload { msg, aad: &aad }).unwrap();
    let known = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c670\
        8c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f\
        615c68b13b52ec0875924c1c7987947deafd8780acf49";
    assert_eq!(hex(&bytes), known);
}

#[test]
fn the_bytes_of_a_sealed_value_are_pinned() {
    let bytes = sealed(&keys(), &OF_JOB_7, b"{}");
    assert_eq!(bytes.len(), 2 + 7 + 24 + 2 + 16);
    assert_eq!(&bytes[..9], b"\x01\x072026-11");
    assert_eq!(OF_JOB_7.aad(), b"\x01\x06\0\0\0charge\x07\0\0\0\0\0\0\0\x01");
    let step = Bound { field: Field::Step(b"pay"), ..OF_JOB_7 };
    assert_eq!(step.aad(), b"\x01\x06\0\0\0charge\x07\0\0\0\0\0\0\0\x04pay");
    assert_eq!(
        hex(&bytes[33..]),
        "863b6b310af720dce3c758372a3f91fafd00",
        "under this key, with the nonce of this seed"
    );
}

#[test]
fn bytes_of_one_job_do_not_open_as_another_jobs_kind_field_step_or_attempt() {
    let keys = keys();
    let fields = [
        Field::Args,
        Field::Error(1),
        Field::Error(2),
        Field::Reason,
        Field::Step(b"charge"),
        Field::Step(b"receipt"),
        Field::Checkpoint,
        Field::Progress,
        Field::Result,
    ];
    let mut bounds: Vec<Bound<'_>> = Vec::new();
    for kind in ["charge", "charge2"] {
        for id in [7, 8, u64::MAX] {
            bounds.extend(fields.map(|field| Bound { kind, id: JobId(id), field }));
        }
    }
    for (nth, of) in bounds.iter().enumerate() {
        let bytes = sealed(&keys, of, b"secret");
        for (other, as_) in bounds.iter().enumerate() {
            let opened = keys.open(as_, &bytes);
            match nth == other {
                true => assert_eq!(opened.unwrap(), b"secret"),
                false => assert_eq!(opened, Err(Unopened::Forged { key: "2026-11".into() }), "{nth} as {other}"),
            }
        }
    }
}

#[test]
fn no_changed_bit_and_no_cut_opens() {
    let keys = keys();
    let bytes = sealed(&keys, &OF_JOB_7, b"secret");
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.open(&OF_JOB_7, &other).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(keys.open(&OF_JOB_7, &bytes[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn the_same_bytes_are_never_sealed_alike() {
    let (keys, random) = (keys(), SeededRandom::new(1));
    let seals: std::collections::BTreeSet<_> = (0..100).map(|_| keys.seal(&random, &OF_JOB_7, b"x").unwrap()).collect();
    assert_eq!(seals.len(), 100);
}

#[test]
fn older_keys_open_and_only_the_current_one_seals() {
    let old = sealed(&keys(), &OF_JOB_7, b"secret");
    let both: Keys = KeyRing::new("2027-01", [9; 32]).also("2026-11", [7; 32]).into();
    assert_eq!(both.open(&OF_JOB_7, &old).unwrap(), b"secret");
    assert_eq!(&sealed(&both, &OF_JOB_7, b"x")[..9], b"\x01\x072027-01");
    let new: Keys = KeyRing::new("2027-01", [9; 32]).into();
    let why = new.open(&OF_JOB_7, &old).unwrap_err().to_string();
    assert!(why.contains("2026-11") && why.contains("KeyRing::also"), "{why}");
    let wrong: Keys = KeyRing::new("2026-11", [8; 32]).into();
    assert_eq!(wrong.open(&OF_JOB_7, &old), Err(Unopened::Forged { key: "2026-11".into() }));
    let why = Keys::default().open(&OF_JOB_7, &old).unwrap_err().to_string();
    assert!(why.contains("2026-11") && why.contains("Options::keys"), "{why}");
}

#[test]
fn a_ring_shows_its_ids_and_no_byte_of_a_key() {
    let ring = KeyRing::new("2026-11", *b"0123456789abcdef0123456789abcdef").also("old", [173; 32]);
    assert_eq!(format!("{ring:?}"), r#"KeyRing { current: "2026-11", older: ["old"] }"#);
    let keys = format!("{:?}", Keys::from(ring));
    assert!(!keys.contains("173") && !keys.contains("48") && !keys.contains("0123"), "{keys}");
}

#[test]
fn ids_of_keys_are_told_apart_and_short() {
    assert!(Keys::from(ring().also("old", [0; 32])).check().is_ok());
    for ring in [ring().also("2026-11", [0; 32]), KeyRing::new("", [0; 32]), KeyRing::new("a\nb", [0; 32])] {
        assert!(Keys::from(ring).check().is_err());
    }
    assert!(Keys::from(KeyRing::new("k".repeat(64), [0; 32])).check().is_ok());
    assert!(Keys::from(KeyRing::new("k".repeat(65), [0; 32])).check().is_err());
}

#[test]
fn a_sealed_text_fits_where_the_text_would_have_stood() {
    let keys: Keys = KeyRing::new("k".repeat(64), [0; 32]).into();
    let bound = Bound { field: Field::Error(3), ..OF_JOB_7 };
    let text = "x".repeat(super::TEXT_BYTES_MAX);
    let sealed = keys.seal_text(&SeededRandom::new(1), &bound, &text).unwrap();
    assert!(sealed.len() <= crate::limits::ERROR_BYTES_MAX, "{}", sealed.len());
    assert_eq!(keys.open_text(&bound, &sealed), text);
    assert_eq!(keys.open_text(&bound, "process ended while the job ran"), "process ended while the job ran");
    assert_eq!(keys.seal_text(&SeededRandom::new(1), &bound, "").unwrap(), "");
    let shut = Keys::default().open_text(&bound, &sealed).into_owned();
    assert!(shut.starts_with("(sealed under key") && !shut.contains("xxx"), "{shut}");
}

#[test]
fn base64_comes_back_and_is_the_common_one() {
    assert_eq!(base64::encode(b"Ma"), "TWE");
    assert_eq!(base64::encode(b"Man\xff\xfe"), "TWFu//4");
    for len in 0..20 {
        let bytes: Vec<u8> = (0..len).map(|nth: u8| nth.wrapping_mul(41)).collect();
        assert_eq!(base64::decode(&base64::encode(&bytes)).unwrap(), bytes);
    }
    assert!(base64::decode("A").is_none() && base64::decode("T=E").is_none() && base64::decode("ä").is_none());
}
