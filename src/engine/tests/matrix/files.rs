//! Whole files: gone, exchanged, doubled, older, from another directory; and files that nobody expects.

use std::sync::Arc;

use crate::disk::simulated::SimDisk;

use super::super::world::{Verbs, World, job};
use super::anatomy::{Expected, LENGTH, Template, path};
use super::bits::{closed, killed, long, long_closed};
use super::judge::Depth;
use super::spread::{Tally, spread};

type Deed = (String, Arc<dyn Fn(&SimDisk) + Send + Sync>, Expected);

fn deed(what: String, act: impl Fn(&SimDisk) + Send + Sync + 'static, expected: Expected) -> Deed {
    (what, Arc::new(act), expected)
}

fn judge_all(template: &'static Template, deeds: &[Deed]) -> Tally {
    spread(template.name, 0..deeds.len() as u64, |case| {
        let (what, act, expected) = &deeds[case as usize];
        let disk = template.disk.copy();
        act(&disk);
        template.judge(disk, expected, Depth::Looked).map_err(|why| format!("{what}: {why}"))
    })
}

/// The numbers of all segment files, the prepared ones included.
fn segments(template: &Template) -> Vec<u64> {
    let number = |name: &String| u64::from_str_radix(name.strip_prefix("log/")?.strip_suffix(".seg")?, 16).ok();
    template.disk.file_names().iter().filter_map(number).collect()
}

/// A directory of its own that holds the same jobs, but for its log id.
fn foreign() -> SimDisk {
    let world = World::new(977);
    let engine = world.open();
    for nth in 0..200 {
        engine.add(job(&format!("{nth} {}", "foreign".repeat(100))));
    }
    drop(engine);
    world.disk.copy()
}

fn deeds(template: &'static Template, foreign: &SimDisk) -> Vec<Deed> {
    let all = segments(template);
    let chain = |segment: u64| (template.oldest()..=template.last_segment()).contains(&segment);
    let damaged = |segments: &[u64]| match segments.iter().any(|segment| chain(*segment)) {
        true => Expected::Reported(segments.iter().map(|segment| path(*segment)).collect(), None),
        false => Expected::State(template.end),
    };
    let alien = foreign.read_file(&path(1));
    let mut deeds = Vec::new();
    for &one in &all {
        let bytes = template.disk.read_file(&path(one));
        deeds.push(deed(format!("{one} deleted"), move |disk| disk.delete_file(&path(one)), damaged(&[one])));
        for (what, content) in [("empty", Vec::new()), ("zeros", vec![0; LENGTH as usize])] {
            let act = move |disk: &SimDisk| disk.write_file(&path(one), &content);
            deeds.push(deed(format!("{one} {what}"), act, damaged(&[one])));
        }
        let content = alien.clone();
        let act = move |disk: &SimDisk| disk.write_file(&path(one), &content);
        deeds.push(deed(format!("{one} foreign"), act, Expected::Reported(vec![path(one)], None)));
        for (nth, copy) in template.copies.iter().enumerate() {
            let Some(content) = copy.get(&path(one)).cloned() else { continue };
            let expected = template.expect_content(one, &content);
            let act = move |disk: &SimDisk| disk.write_file(&path(one), &content);
            deeds.push(deed(format!("{one} of copy {nth}"), act, expected));
        }
        let unused = [1, *all.last().unwrap() + 1, *all.last().unwrap() + 7];
        for other in all.iter().copied().chain(unused).filter(|other| *other != one) {
            let content = bytes.clone();
            let act = move |disk: &SimDisk| disk.write_file(&path(other), &content);
            deeds.push(deed(format!("{one} doubled as {other}"), act, damaged(&[other])));
        }
        for other in all.iter().copied().filter(|other| *other > one) {
            let act = move |disk: &SimDisk| {
                let (first, second) = (disk.read_file(&path(one)), disk.read_file(&path(other)));
                disk.write_file(&path(one), &second);
                disk.write_file(&path(other), &first);
            };
            deeds.push(deed(format!("{one} and {other} swapped"), act, damaged(&[one, other])));
        }
    }
    let content = alien.clone();
    let act = move |disk: &SimDisk| disk.write_file(&path(99), &content);
    deeds.push(deed("a foreign one besides".into(), act, Expected::Reported(vec![path(99)], None)));
    deeds
}

#[test]
fn segments_swapped_deleted_doubled_older_or_foreign_are_reported_if_the_log_needs_them() {
    let foreign = foreign();
    let mut tally = Tally::default();
    for template in [killed(), closed(), long(), long_closed()] {
        tally = tally.and(judge_all(template, &deeds(template, &foreign)));
    }
    tally.tell("segment files swapped, deleted or foreign");
    assert!(tally.reported > 0 && tally.dropped > 0 && tally.identical > 0);
}

#[test]
fn a_format_file_with_any_bit_flipped_cut_missing_or_foreign_is_reported() {
    let foreign = foreign();
    let mut tally = Tally::default();
    for template in [killed(), closed()] {
        let reported = || Expected::Reported(vec!["format".into()], None);
        let mut deeds = Vec::new();
        for bit in 0..512_u64 {
            let act = move |disk: &SimDisk| disk.flip_bit("format", bit / 8, (bit % 8) as u8);
            deeds.push(deed(format!("bit {bit} of format"), act, reported()));
        }
        for len in 0..64 {
            let act = move |disk: &SimDisk| disk.truncate("format", len);
            deeds.push(deed(format!("format cut to {len}"), act, reported()));
        }
        deeds.push(deed("format deleted".into(), |disk: &SimDisk| disk.delete_file("format"), reported()));
        let content = foreign.read_file("format");
        let act = move |disk: &SimDisk| disk.write_file("format", &content);
        let named = Expected::Reported(segments(template).into_iter().map(path).collect(), None);
        deeds.push(deed("format of another directory".into(), act, named));
        tally = tally.and(judge_all(template, &deeds));
    }
    tally.tell("format files damaged");
    assert_eq!(tally.reported, tally.all());
}

#[test]
fn files_that_nobody_expects_change_nothing() {
    let names = [
        "format.tmp",
        "lock",
        "notes.txt",
        "index.old",
        "log/next.tmp",
        "log/spare-0",
        "log/spare-77",
        "log/spare-x",
        "log/notes",
        "log/2.seg",
        "log/00000000000000AA.seg",
        "log/0000000000000002.seg.damaged",
        "log/0000000000000002.seg~",
        "log/.seg",
        "log/ffffffffffffffff.seg",
        "log/0000000000000000.seg",
        "log/0000000000000001.seg",
    ];
    let mut tally = Tally::default();
    for template in [killed(), closed(), long(), long_closed()] {
        let whole = template.disk.read_file(&path(template.oldest()));
        let mut deeds = Vec::new();
        for name in names {
            let contents = [Vec::new(), b"half".to_vec(), vec![0; LENGTH as usize], vec![7; 70_000], whole.clone()];
            for (nth, content) in contents.into_iter().enumerate() {
                let act = move |disk: &SimDisk| disk.write_file(name, &content);
                deeds.push(deed(format!("{name} with content {nth}"), act, Expected::State(template.end)));
            }
        }
        tally = tally.and(judge_all(template, &deeds));
    }
    tally.tell("extra files");
    assert_eq!(tally.identical, tally.all());
}
