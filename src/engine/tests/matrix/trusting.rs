//! With a saved index nobody reads the sealed segments at the open: damage there is met later, by whoever reads it.
//!
//! What is damaged is reported with file and offset when it is read, and by `verify` at any time; a job that is
//! claimed is put aside as dead with a note; everything else is as it was.

use std::collections::BTreeMap;

use crate::disk::Disk;
use crate::engine::damage::KIND_DAMAGED;
use crate::engine::{Engine, LeaseKind, QueueCounts, Source};
use crate::ids::{JobId, Lsn, Phase, Place};
use crate::job::{self, Record, namespace};

use super::super::world::Verbs;
use super::anatomy::{Expected, HEADER_BYTES, LENGTH, Template, offset, path};
use super::bits::{killed, long, long_closed};
use super::judge::{Judged, offset_in, reports};
use super::served::{Served, Thing};
use super::spread::{Outcome, Tally, spread, stride};

/// Where the newest record of everything lies.
fn places(template: &Template) -> Vec<(Thing, Place)> {
    let (mut jobs, mut cells) = (BTreeMap::new(), BTreeMap::new());
    for record in template.frames.iter().flat_map(|frame| &frame.records) {
        match job::decode(record.kind, &record.body).unwrap() {
            Record::Job(_) => drop(jobs.insert(record.id, record.place)),
            Record::Ended(_) => drop(jobs.remove(&record.id)),
            Record::Cell(cell) => match cell.value {
                Some(_) => drop(cells.insert((cell.namespace, cell.key.to_vec()), record.place)),
                None => drop(cells.remove(&(cell.namespace, cell.key.to_vec()))),
            },
            _ => {}
        }
    }
    let jobs = jobs.into_iter().map(|(id, place)| (Thing::Job(JobId(id)), place));
    jobs.chain(cells.into_iter().map(|((space, key), place)| (Thing::Cell(space, key), place))).collect()
}

struct Flip<'a> {
    template: &'a Template,
    segment: u64,
    at: u64,
    hit: Option<&'a (Thing, Place)>,
}

impl<'a> Flip<'a> {
    fn new(template: &'a Template, places: &'a [(Thing, Place)], segment: u64, at: u64) -> Self {
        let lsn = Lsn(segment * LENGTH + at);
        let covers = |place: &Place| (place.lsn.0..place.lsn.0 + u64::from(place.len)).contains(&lsn.0);
        Self { template, segment, at, hit: places.iter().find(|(_, place)| covers(place)) }
    }

    fn is_hit(&self, thing: &Thing) -> bool {
        self.hit.is_some_and(|(hit, _)| hit == thing)
    }

    fn judge(&self, bit: u64) -> Judged {
        let disk = self.template.disk.copy();
        disk.flip_bit(&path(self.segment), self.at, (bit % 8) as u8);
        let world = self.template.world(disk, self.template.memory.fork());
        let engine = match world.try_open() {
            Err(refused) if self.at < HEADER_BYTES => {
                reports(&world.disk, &refused, &[path(self.segment)], Some(0..HEADER_BYTES))?;
                return Ok(Outcome::Reported);
            }
            Err(refused) => return Err(format!("refused: {refused:?}")),
            Ok(_) if self.at < HEADER_BYTES => return Err("a damaged header was not seen".to_owned()),
            Ok(engine) => engine,
        };
        self.read(&engine)?;
        let outcome = self.verified(&engine)?;
        if bit % 3 == 0 {
            self.work(&engine)?;
        }
        Ok(outcome)
    }

    /// Everything but what was hit reads as it was; what was hit says where.
    fn read(&self, engine: &Engine) -> Judged<()> {
        let right = &self.template.right[&self.template.end].opened;
        let (found, troubles) = Served::read(&**engine, engine.counts());
        for (thing, trouble) in &troubles {
            if !self.is_hit(thing) {
                return Err(format!("{thing:?} does not read: {trouble}"));
            }
            reports(&self.template.disk, trouble, &[path(self.segment)], Some(self.hit_bytes()))?;
        }
        let noted = |thing: &Thing| matches!(thing, Thing::Cell(namespace::DAMAGE, _));
        if let Some(difference) = right.difference(&found, &|thing| self.is_hit(thing) || noted(thing)) {
            return Err(difference);
        }
        match self.hit {
            Some((Thing::Job(id), _)) if troubles.is_empty() => self.is_put_aside(engine, *id),
            // A short value stands in the index; only `verify` meets its record.
            Some((Thing::Cell(space, key), _)) if troubles.is_empty() => {
                let key = (*space, key.clone());
                if right.cells.get(&key) == found.cells.get(&key) { Ok(()) } else { Err(format!("cell {key:?}")) }
            }
            _ => Ok(()),
        }
    }

    fn hit_bytes(&self) -> std::ops::Range<u64> {
        let (_, place) = self.hit.unwrap();
        offset(place.lsn)..offset(place.lsn) + u64::from(place.len)
    }

    fn is_put_aside(&self, engine: &Engine, id: JobId) -> Judged<()> {
        let Some((envelope, _)) = engine.job(id).map_err(|e| e.to_string())? else {
            return Err(format!("the damaged job {id} is gone"));
        };
        if envelope.state.phase() != Phase::Dead || envelope.kind != KIND_DAMAGED {
            return Err(format!("the damaged job {id} is {envelope:?}"));
        }
        let reason = envelope.reason.unwrap_or_default();
        let names = reason.contains(&self.template.disk.display(&path(self.segment)));
        if !names || offset_in(&reason).is_none_or(|at| !self.hit_bytes().contains(&at)) {
            return Err(format!("the damaged job {id} does not say where: {reason}"));
        }
        let (_, place) = self.hit.unwrap();
        let key = [place.lsn.0.to_be_bytes(), u64::from(place.len).to_be_bytes()].concat();
        match engine.cell_value(namespace::DAMAGE, &key) {
            Ok(Some((note, _))) if note == reason.as_bytes() => Ok(()),
            other => Err(format!("the damage of job {id} is noted as {other:?}")),
        }
    }

    fn verified(&self, engine: &Engine) -> Judged {
        let damage = engine.verify().map_err(|e| e.to_string())?.damage;
        let Some(frame) = self.template.frame_at(self.segment, self.at) else {
            return if damage.is_empty() { Ok(Outcome::Identical) } else { Err(format!("verify reports {damage:?}")) };
        };
        let file = self.template.disk.display(&path(self.segment));
        let told = |text: &String| text.contains(&file) && offset_in(text).is_some_and(|at| frame.bytes.contains(&at));
        match damage.as_slice() {
            [one] if told(one) => Ok(Outcome::Reported),
            other => Err(format!("verify should report the frame at {:?}, reports {other:?}", frame.bytes)),
        }
    }

    /// All that is ready is granted as it was put in; what was hit is put aside, by compaction at the latest.
    fn work(&self, engine: &Engine) -> Judged<()> {
        let ready: Vec<JobId> = engine.ids_from(JobId(0), Some(Phase::Ready));
        let hit_phase = match self.hit {
            Some((Thing::Job(id), _)) => engine.state.lock().books.index.get(*id).map(|entry| entry.phase),
            _ => None,
        };
        let hit_is_ready = ready.iter().any(|id| self.is_hit(&Thing::Job(*id)));
        let before = engine.counts().total();
        let mut granted = 0;
        loop {
            let grants = engine.claim(&[], 9, LeaseKind::Pool).map_err(|e| e.to_string())?;
            if grants.is_empty() {
                break;
            }
            if let Some(wrong) = grants.iter().find(|grant| self.template.args.get(&grant.id) != Some(&grant.args)) {
                return Err(format!("job {} was granted with other args", wrong.id));
            }
            granted += grants.len() as u64;
            for grant in grants {
                engine.ack(&grant);
            }
        }
        if granted + u64::from(hit_is_ready) != before.ready {
            return Err(format!("{granted} jobs of {} were granted", before.ready));
        }
        if let Some((Thing::Job(id), _)) = self.hit.filter(|_| hit_is_ready) {
            self.is_put_aside(engine, *id)?;
        }
        engine.compact_all().map_err(|stopped| format!("compaction: {stopped:?}"))?;
        engine.check_books()?;
        let mut right = QueueCounts { ready: 0, ..before };
        if let (Some((Thing::Job(id), _)), Some(phase)) = (self.hit, hit_phase)
            && engine.job(*id).map_err(|e| e.to_string())?.is_some_and(|(envelope, _)| envelope.kind == KIND_DAMAGED)
        {
            self.is_put_aside(engine, *id)?;
            right.dead += u64::from(phase != Phase::Dead);
            right.held -= u64::from(phase == Phase::Held);
            right.scheduled -= u64::from(phase == Phase::Scheduled);
            right.parked -= u64::from(phase == Phase::Parked);
        }
        let after = engine.counts().total();
        if after != right { Err(format!("counts went from {before:?} to {after:?}")) } else { Ok(()) }
    }
}

#[test]
fn any_flipped_bit_that_a_trusted_index_hides_is_reported_when_it_is_read_and_by_verify() {
    let template = long();
    let places = places(template);
    let mut tally = Tally::default();
    for segment in template.oldest()..template.last_segment() {
        let name = format!("a bit of segment {segment} under a trusted index");
        let bits = (0..LENGTH * 8).step_by(stride(1_009, 31));
        tally = tally.and(spread(&name, bits, |bit| Flip::new(template, &places, segment, bit / 8).judge(bit)));
    }
    tally.tell("bits flipped under a trusted index");
    assert!(tally.reported > 0);
}

#[test]
fn a_log_older_than_a_trusted_index_is_reported() {
    let mut told = 0;
    for template in [killed(), long(), long_closed()] {
        let last = template.last_segment();
        let older = template.copies.iter().filter_map(|copy| copy.get(&path(last)));
        for bytes in older.filter(|bytes| matches!(template.expect_content(last, bytes), Expected::ReportedOrState(..)))
        {
            let disk = template.disk.copy();
            disk.write_file(&path(last), bytes);
            let world = template.world(disk, template.memory.fork());
            match world.try_open() {
                Err(refused) => {
                    reports(&world.disk, &refused, &[path(last)], Some(HEADER_BYTES..LENGTH)).unwrap();
                    told += 1;
                }
                // The checkpoint is as old as the copy.
                // Nobody vouches for more than is there.
                Ok(engine) => {
                    let Expected::ReportedOrState(_, at) = template.expect_content(last, bytes) else { continue };
                    assert!(engine.state.lock().checkpoint <= at, "{}: durable bytes were lost", template.name);
                    let (found, _) = Served::read(&*engine, engine.counts());
                    assert_eq!(template.right[&at].opened.any_difference(&found), None, "{}", template.name);
                }
            }
        }
    }
    assert!(told > 1, "told={told}");
}
