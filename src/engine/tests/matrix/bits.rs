//! Every bit of a segment, one at a time.

use std::sync::OnceLock;

use crate::index::MemoryHandle;

use super::anatomy::{LENGTH, Template, path};
use super::judge::{Depth, Judged};
use super::spread::{Outcome, Tally, spread, stride};
use super::story::{Left, one_segment, three_segments};

pub(super) fn killed() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| Template::of("killed", one_segment(60, Left::Killed)))
}

pub(super) fn closed() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| Template::of("closed", one_segment(61, Left::Closed)))
}

pub(super) fn long() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| Template::of("long", three_segments(62, Left::Killed)))
}

pub(super) fn long_closed() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| Template::of("long and closed", three_segments(63, Left::Closed)))
}

fn flip(template: &Template, segment: u64, bit: u64) -> Judged {
    let disk = template.disk.copy();
    disk.flip_bit(&path(segment), bit / 8, (bit % 8) as u8);
    let expected = template.expect_byte(segment, bit / 8);
    // Reading and verifying is cheap where opening is refused; working through all jobs is not.
    let depth = match bit % 509 {
        0 => Depth::Served,
        n if n % 4 == 1 => Depth::Looked,
        _ => Depth::Opened,
    };
    if depth >= Depth::Looked {
        template.check_files(&disk, &expected)?;
    }
    // The last segment is read whole, whatever an index says of it. (A closed log's index knows its very end.)
    let memory = if bit % 16 == 5 && template.name == "killed" { template.memory.fork() } else { MemoryHandle::new() };
    template.judge_with(disk, memory, &expected, depth)
}

fn flip_all(template: &Template, segment: u64, step: usize) -> Tally {
    let name = format!("a bit of segment {segment}, {}", template.name);
    spread(&name, (0..LENGTH * 8).step_by(step), |bit| flip(template, segment, bit))
}

#[test]
fn any_flipped_bit_is_reported_or_harmless_or_ends_an_unvouched_tail() {
    let tally = flip_all(killed(), killed().last_segment(), stride(241, 1));
    tally.tell("bits flipped");
    assert!(tally.reported > 0 && tally.dropped > 0 && tally.identical > 0);
}

#[test]
fn any_flipped_bit_of_a_closed_log_is_reported_or_harmless() {
    let template = closed();
    let tally = flip_all(template, template.last_segment(), stride(509, 3));
    tally.tell("bits flipped in a closed log");
    // Only its last frame, which says that it was closed, is vouched for by nobody; without it nothing is lost.
    let last = template.frames.last().unwrap();
    assert_eq!(template.vouched, last.lsn);
    assert!(template.right[&last.lsn].opened == template.right[&template.end].opened);
}

#[test]
fn any_flipped_bit_of_a_sealed_segment_is_reported() {
    let template = long();
    let mut tally = Tally::default();
    for segment in template.oldest()..=template.last_segment() {
        tally = tally.and(flip_all(template, segment, stride(1_499, 13)));
    }
    let sealed = template.last_segment() - 1;
    let seal = template.frames.iter().rfind(|frame| frame.segment == sealed).unwrap();
    for bit in seal.bytes.start * 8..seal.bytes.end * 8 {
        let outcome = flip(template, sealed, bit).unwrap_or_else(|why| panic!("bit {bit} of the seal: {why}"));
        assert_eq!(outcome, Outcome::Reported, "bit {bit} of the seal");
        tally.add(outcome);
    }
    tally.tell("bits flipped in sealed segments");
}
