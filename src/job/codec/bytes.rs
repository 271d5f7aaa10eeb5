//! The one door to bincode, and the few shapes every stored struct is made of.
//!
//! Integers are little-endian varints (one byte below 251), signed ones zigzag; texts and byte strings have a length
//! before them; enums a variant number; options a 0 or a 1.
//!
//! # Invariants
//! * Texts and byte strings are borrowed and lists grow item by item: nothing is allocated on the word of a length.

use std::fmt;
use std::marker::PhantomData;

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::Millis;

/// What one body may claim to hold, bytes: as much as the longest that a record header can state.
const BODY_BYTES_MAX: usize = 1 << 24;

const CONFIG: Configuration<LittleEndian, Varint, Limit<BODY_BYTES_MAX>> =
    config::standard().with_limit::<BODY_BYTES_MAX>();

/// Appends `value`.
pub(super) fn put<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, out, CONFIG)
        .expect("stored structs know their lengths, and a Vec takes all");
}

/// Reads one `T` that fills `bytes` to the last.
pub(super) fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match bincode::serde::borrow_decode_from_slice(bytes, CONFIG) {
        Ok((value, consumed)) if planted!(TrailingBytesAccepted) || consumed == bytes.len() => Some(value),
        _ => None,
    }
}

/// A byte string, borrowed from the record.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a [u8]>::deserialize(deserializer).map(Self)
    }
}

/// A time in 48 bits (until the year 10889); a later one is stored as the last.
pub(super) struct Time48(pub(super) Millis);

impl Serialize for Time48 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [low @ .., _, _] = self.0.0.min((1 << 48) - 1).to_le_bytes();
        low.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Time48 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let low = <[u8; 6]>::deserialize(deserializer)?;
        Ok(Self(Millis(low.iter().rev().fold(0, |time, &byte| time << 8 | u64::from(byte)))))
    }
}

/// A list. Unlike `Vec` it reserves nothing on the word of a length it has only read.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }
}

/// Ids, each stored as its distance from the one before: neighbours take one byte.
pub(super) struct Ids(pub(super) Vec<u64>);

impl Serialize for Ids {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        let mut before = 0_u64;
        for &id in &self.0 {
            seq.serialize_element(&id.wrapping_sub(before).cast_signed())?;
            before = id;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let List(mut ids) = List::<i64>::deserialize(deserializer)?;
        Ok(Self(
            ids.drain(..)
                .scan(0_u64, |before, step| {
                    *before = before.wrapping_add_signed(step);
                    Some(*before)
                })
                .collect(),
        ))
    }
}
