//! Bytes that released directories hold: if one of these changes, old directories cannot be read.

use super::super::frame::{Seed, encode};
use super::super::parse;
use super::super::segment::{Geometry, Header};
use super::*;

fn hex(bytes: &[u8]) -> String {
    let words: Vec<String> =
        bytes.chunks(4).map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    words.chunks(4).map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")
}

const LOG_ID: u128 = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
const SALT: u64 = 0x1122_3344_5566_7788;

fn at(offset: u64) -> Lsn {
    Lsn(3 * u64::from(SEGMENT) + offset)
}

fn frame(flags: u8, offset: u64, durable: Lsn, drafts: &[Draft<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = encode(&mut bytes, &Seed::new(SALT), (at(offset), durable), flags, drafts, |_, _| {});
    assert_eq!(length, bytes.len());
    bytes
}

#[test]
fn the_format_file_never_changes() {
    let identity =
        Identity { version: 1, min_reader: 1, log_id: LOG_ID, segment_bytes: 32 << 20, hash_key: *b"0123456789abcdef" };
    assert_eq!(
        hex(&identity.encode()),
        concat!(
            "424b4c47 46524d54 01000000 01000000\n",
            "00010203 04050607 08090a0b 0c0d0e0f\n",
            "00000002 00000000 30313233 34353637\n",
            "38396162 63646566 00000000 5f4d0789"
        )
    );
}

#[test]
fn the_header_block_never_changes() {
    let header = Header { log_id: LOG_ID, segment: SegmentId(3), segment_bytes: SEGMENT, epoch: 7, salt: SALT };
    let block = header.encode();
    assert_eq!(block.len(), 4096);
    assert_eq!(
        hex(&block[..80]),
        concat!(
            "424b4c47 5345474d 01000000 00100000\n",
            "00010203 04050607 08090a0b 0c0d0e0f\n",
            "03000000 00000000 00000300 00000000\n",
            "00000100 00000000 07000000 00000000\n",
            "88776655 44332211 00000000 00000000"
        )
    );
    assert!(block[72..4092].iter().all(|byte| *byte == 0));
    assert_eq!(hex(&block[4092..]), "eb1357c5");
    assert_eq!(Header::decode(&block), Ok(header));
}

#[test]
fn a_frame_with_two_records_never_changes() {
    let (first, second) = (Body::new(b"hello".to_vec()), Body::new(b"12345678".to_vec()));
    let drafts = [Draft { kind: 3, id: 41, body: &first }, Draft { kind: 4, id: 0, body: &second }];
    let bytes = frame(Flags::NONE, 4096, at(0), &drafts);
    assert_eq!(
        hex(&bytes),
        concat!(
            "f7d15b76 50000000 02000000 01000000\n",
            "00100300 00000000 00000300 00000000\n",
            "86a61036 03050000 29000000 00000000\n",
            "68656c6c 6f000000 afdae09a 04080000\n",
            "00000000 00000000 31323334 35363738"
        )
    );
    assert_eq!(bytes.len(), frame_len([5, 8].into_iter()));
    assert!(include_str!("../../docs/format.md").contains(&hex(&bytes)), "the page for users shows these bytes");

    let room = Geometry::new(SEGMENT).room(at(4096));
    let head = parse::head(&bytes, at(4096), room).unwrap();
    let parsed = parse::frame(&bytes, &head, &Seed::new(SALT)).unwrap();
    assert_eq!((parsed.lsn, parsed.end, parsed.durable, parsed.flags), (at(4096), at(4096 + 80), at(0), 0));
    let records: Vec<_> = parsed.records().map(|r| (r.kind, r.id, r.body.to_vec(), r.place)).collect();
    assert_eq!(
        records,
        [
            (3, 41, b"hello".to_vec(), Place { lsn: at(4096 + 32), len: 21 }),
            (4, 0, b"12345678".to_vec(), Place { lsn: at(4096 + 56), len: 24 }),
        ]
    );
}

#[test]
fn a_seal_never_changes() {
    assert_eq!(
        hex(&frame(Flags::SEAL, 65504, at(4096), &[])),
        concat!("e8669f4b 20000000 00000000 01010000\n", "e0ff0300 00000000 00100300 00000000")
    );
}

#[test]
fn a_closed_frame_never_changes() {
    assert_eq!(
        hex(&frame(Flags::CLOSED, 8192, at(8192), &[])),
        concat!("74f280b1 20000000 00000000 01020000\n", "00200300 00000000 00200300 00000000")
    );
}

#[test]
fn file_names_never_change() {
    use super::super::segment::{Name, name, path, spare_path};
    assert_eq!(path(SegmentId(0x1a2b)), "log/0000000000001a2b.seg");
    assert_eq!(spare_path(12), "log/spare-12");
    assert_eq!(name("0000000000001a2b.seg"), Name::Segment(SegmentId(0x1a2b)));
    assert_eq!(name("spare-12"), Name::Spare(12));
    assert_eq!(name("next.tmp"), Name::Temporary);
    for other in ["0000000000001A2B.seg", "1a2b.seg", "+000000000001a2b.seg", "spare-012", "spare-+1", "x.tmp", "notes"]
    {
        assert_eq!(name(other), Name::Other, "{other}");
    }
}
