//! The carrier with the worst moment chosen: something changes between its look and its staging.

use super::*;
use crate::engine::world::{Verbs, World, job};
use crate::engine::{Cancelled, Engine};

/// The newest record of the job as the carrier reads it.
fn parcel(engine: &Engine, id: JobId) -> Parcel {
    let from = engine.state.lock().books.index.get(id).unwrap().place;
    let raw = engine.log.read(from, id.0).unwrap();
    let Ok(Record::Job(job)) = job::decode(raw.kind, &raw.body) else { panic!("no job record") };
    let args = job.args.into_owned();
    Parcel { from, load: Load::Job { id, envelope: Box::new(job.envelope), args } }
}

#[test]
fn rule_9_what_changes_between_the_carriers_look_and_its_staging_is_not_undone() {
    let world = World::new(84);
    let engine = world.open();
    let ids = engine.add_many(vec![job("cancelled"), job("claimed"), job("untouched")]);
    let parcels: Vec<Parcel> = ids.iter().map(|id| parcel(&engine, *id)).collect();
    let stamped = engine.stamp(&parcels);
    assert_eq!(engine.cancel(ids[0]).unwrap().0, Cancelled::Done);
    assert_eq!(engine.take().unwrap().id, ids[1]);
    engine.stage_carried(&parcels, &stamped).unwrap();
    let place = |id: JobId| engine.state.lock().books.index.get(id).map(|entry| entry.place);
    assert_eq!(place(ids[0]), None, "an end was undone");
    assert_eq!(place(ids[1]), Some(parcels[1].from), "a claim was undone");
    assert_ne!(place(ids[2]), Some(parcels[2].from), "what stands still is carried");
    engine.check_books().unwrap();
}
