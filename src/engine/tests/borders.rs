//! Limits hold to the last one, and nothing is given or answered before what it stands on.

use std::time::Duration;

use crate::disk::simulated::{Call, CrashMode, Fault};
use crate::engine::staging::Entry;
use crate::engine::{
    Cancelled, Doors, Durability, Engine, IndexChoice, IndexOrigin, LeaseKind, NewJob, ReadOnlyEngine, Settle, Status,
};
use crate::error::ErrorKind;
use crate::ids::{JobId, Lsn, Place};
use crate::job::{ClaimRun, Claimed, Record};
use crate::limits::BATCH_JOBS_MAX;

use super::world::{Verbs, World, at, job};

#[test]
fn a_timeout_is_kept_in_whole_milliseconds_rounded_up_and_never_zero() {
    let engine = World::new(59).open();
    for (micros, kept) in [(0, 1), (500, 1), (1_000, 1), (1_200, 2)] {
        engine.add(NewJob { timeout: Some(Duration::from_micros(micros)), ..job("timed") });
        assert_eq!(engine.claim(&[], 1, LeaseKind::Pool).unwrap()[0].envelope.timeout_ms, Some(kept));
    }
}

#[test]
fn args_are_taken_up_to_the_last_byte_of_the_limit() {
    let world = World::new(60);
    let engine = world.open();
    let max = engine.limits().payload_bytes_max;
    engine.add(job(&"x".repeat(max)));
    let refused = engine.enqueue(vec![job(&"x".repeat(max + 1))], Durability::Sync).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
}

#[test]
fn p4_a_batch_of_one_job_too_many_is_refused_by_its_count() {
    let world = World::new(61);
    let engine = world.open();
    let refused = engine.enqueue(vec![job(""); BATCH_JOBS_MAX + 1], Durability::Sync).unwrap_err();
    assert!(refused.to_string().contains(&format!("jobs={}", BATCH_JOBS_MAX + 1)), "{refused}");
}

#[test]
fn p4_a_batch_is_refused_by_its_bytes_before_they_fill_a_segment() {
    let world = World::new(62);
    let engine = world.open();
    let max = engine.limits().batch_bytes_max;
    let refused = engine.enqueue(vec![job(&"x".repeat(max / 20)); 20], Durability::Sync).unwrap_err();
    assert!(refused.to_string().contains(&format!("at most {max} bytes")), "{refused}");
}

#[test]
fn one_claim_grants_a_thousand_jobs_at_most() {
    let world = World::new(63);
    let engine = world.open();
    for _ in 0..3 {
        engine.add_many(vec![job(""); 400]);
    }
    assert_eq!(engine.take_some(5_000).len(), 1_000);
    assert_eq!(engine.take_some(5_000).len(), 200);
}

#[test]
fn p1_a_job_is_granted_only_from_the_level_it_was_accepted_at() {
    let world = World::new(64);
    let engine = world.open();
    let (_, hard) = engine.enqueue(vec![job("hard")], Durability::Sync).unwrap();
    assert!(engine.take().is_none(), "granted before its sync");
    engine.push().unwrap();
    assert!(engine.take().is_none(), "granted before its sync");
    engine.wait(hard).unwrap();
    assert_eq!(engine.take().unwrap().args, b"hard");
    let (_, soft) = engine.enqueue(vec![job("soft")], Durability::Buffered).unwrap();
    assert!(engine.take().is_none(), "granted before its write");
    engine.wait(soft).unwrap();
    assert_eq!(engine.take().unwrap().args, b"soft");
}

#[test]
fn rule_7_an_id_beyond_the_ceiling_is_given_only_when_the_new_ceiling_is_durable() {
    let world = World::new(65);
    let engine = world.open();
    let ceiling = {
        let mut state = engine.state.lock();
        state.next_id = state.ceiling - 1;
        state.ceiling
    };
    let ids = |jobs| engine.enqueue(jobs, Durability::Sync).unwrap().0.iter().map(|answer| answer.id.0).collect();
    let below: Vec<u64> = ids(vec![job("below")]);
    let beyond: Vec<u64> = ids(vec![job("beyond")]);
    assert_eq!((below, beyond), (vec![ceiling - 1], vec![ceiling]));
    // Somebody may have heard of it: whatever became of the job, its number is not given again.
    let next = world.crashed(CrashMode::DropUnsynced).open().add(job("next"));
    assert!(next.0 > ceiling, "job={next} was numbered again");
}

#[test]
fn rule_6_not_live_and_already_paused_are_answered_when_what_they_saw_is_durable() {
    let world = World::new(66);
    let engine = world.open();
    let id = engine.add(job("done"));
    let grant = engine.take().unwrap();
    let acked = engine.settle(&grant, Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }).unwrap().unwrap();
    let (answer, seen) = engine.cancel(id).unwrap();
    assert_eq!(answer, Cancelled::NotLive);
    assert!(seen.lsn >= acked.lsn && seen.level == Durability::Sync, "{seen:?} {acked:?}");
    let paused = engine.pause("mail").unwrap();
    let again = engine.pause("mail").unwrap();
    assert!(again.lsn >= paused.lsn && again.level == Durability::Sync, "{again:?} {paused:?}");
}

#[test]
fn rule_22_a_batch_sees_its_own_keys_and_jobs_of_two_kinds_do_not_share_theirs() {
    let world = World::new(67);
    let engine = world.open();
    let keyed = |kind: &str| {
        let mut new = job("keyed");
        new.kind = kind.to_owned().into();
        new.unique = Some("sale:7".into());
        new
    };
    let ids = engine.add_many(vec![keyed("charge"), keyed("charge"), keyed("refund")]);
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_eq!(engine.take_some(9).len(), 2);
}

#[test]
fn rule_14_a_run_on_a_poisoned_handle_is_asked_to_end() {
    let world = World::new(68);
    let engine = world.open();
    engine.add(job("long"));
    let grant = engine.take().unwrap();
    assert!(!engine.cancel_requested(grant.id, grant.token));
    world.disk.fail_call(0, Fault::eio().on(&[Call::SyncData]));
    let (_, ticket) = engine.enqueue(vec![job("lost")], Durability::Sync).unwrap();
    engine.wait(ticket).unwrap_err();
    assert!(engine.cancel_requested(grant.id, grant.token));
}

#[test]
fn a_claim_is_given_jobs_of_the_queues_it_names_alone() {
    let world = World::new(69);
    let engine = world.open();
    let mut letter = job("letter");
    letter.queue = "mail".into();
    engine.add(letter);
    let claim = |queue: &str| engine.claim(&[queue.to_owned()], 1, LeaseKind::Pool).unwrap().len();
    assert_eq!((claim("default"), claim("mail")), (0, 1));
}

#[test]
fn a_parked_job_comes_back_only_for_who_can_run_it() {
    let world = World::new(70);
    let engine = world.open();
    engine.add(job("odd"));
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, Settle::Park("nobody".into())));
    assert_eq!(engine.unpark(&|kind| kind == "other").unwrap(), 0);
    assert!(engine.take().is_none());
    assert_eq!(engine.unpark(&|kind| kind == "count").unwrap(), 1);
    assert_eq!(engine.take().unwrap().attempt, 1);
}

#[test]
fn rule_9_what_was_read_of_a_job_stands_no_longer_when_the_job_has_moved() {
    let world = World::new(71);
    let engine = world.open();
    let id = engine.add(job("moves"));
    let look = |id: JobId| engine.see(id).unwrap().unwrap();
    let stands = |seen: &crate::engine::manage::Seen| seen.still_stands(&engine.state.lock(), id);
    let ready = look(id);
    assert!(stands(&ready));
    let grant = engine.take().unwrap();
    assert!(!stands(&ready), "it was claimed");
    let flying = look(id);
    assert!(engine.end(&grant, Settle::Release));
    assert!(!stands(&flying), "it was given back");
    let again = look(id);
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, Settle::Snooze(Duration::ZERO)));
    assert!(!stands(&again), "it was claimed and given back");
}

#[test]
fn p5_the_books_count_the_tokens_of_a_claim_as_they_were_given() {
    let world = World::new(83);
    let engine = world.open();
    engine.add_many(vec![job(""); 3]);
    let grants = engine.take_some(3);
    for grant in &grants {
        assert_eq!(engine.state.lock().books.index.in_flight(grant.id).unwrap().token, grant.token);
    }
}

#[test]
fn a_lease_that_was_ended_leaves_no_deadline_behind() {
    let world = World::new(81);
    let engine = world.open();
    engine.add(job("by hand"));
    let grant = engine.claim(&[], 1, LeaseKind::Hand(Duration::from_secs(30))).unwrap().remove(0);
    assert_eq!(engine.state.lock().deadlines.len(), 1);
    assert!(engine.ack(&grant));
    assert!(engine.state.lock().deadlines.is_empty());
}

#[test]
fn rule_23_a_reader_beside_an_owner_sees_only_what_is_vouched_for() {
    let world = World::new(82);
    let engine = world.open();
    let seen = engine.add(job("seen"));
    // Its frame says that the one before it was durable; of itself nobody has said so.
    let (answers, ticket) = engine.enqueue(vec![job("soft")], Durability::Buffered).unwrap();
    engine.wait(ticket).unwrap();
    let clock: std::sync::Arc<dyn crate::clock::Clock> = world.clock.clone();
    let view = ReadOnlyEngine::open(&(std::sync::Arc::new(world.disk.clone()) as _), &clock).unwrap();
    assert!(view.is_owned());
    assert!(matches!(view.inspect(seen).unwrap(), Status::Live(_)));
    assert_eq!(view.inspect(answers[0].id).unwrap(), Status::Unknown);
}

#[test]
fn every_due_job_is_promoted_however_many_there_are() {
    let world = World::new(72);
    let engine = world.open();
    let mut later = job("");
    later.run_at = Some(at(1_000));
    for _ in 0..3 {
        engine.add_many(vec![later.clone(); 400]);
    }
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.promote_due().unwrap(), 1_200);
}

#[test]
fn a_closed_handle_leaves_the_directory_to_the_next_and_its_last_frame_is_durable() {
    let world = World::new(73);
    let engine = world.open();
    engine.add(job("kept"));
    engine.close().unwrap();
    assert_eq!(engine.enqueue(vec![job("late")], Durability::Sync).unwrap_err().kind(), ErrorKind::Closed);
    assert!(world.crashed(CrashMode::DropUnsynced).open().report().clean);
    world.open().take().unwrap();
}

#[test]
fn a_close_without_an_index_answers_when_its_last_frame_is_durable() {
    let world = World::new(85);
    let doors = Doors { index: IndexChoice::None, ..world.doors() };
    let engine = Engine::open(doors, World::settings()).unwrap();
    engine.add(job("kept"));
    engine.close().unwrap();
    assert!(world.crashed(CrashMode::DropUnsynced).open().report().clean);
}

#[test]
fn rule_13_a_lease_taken_by_hand_lasts_to_its_end() {
    let world = World::new(86);
    let engine = world.open();
    engine.add(job("by hand"));
    let grant = engine.claim(&[], 1, LeaseKind::Hand(Duration::from_secs(30))).unwrap().remove(0);
    world.clock.advance(Duration::from_millis(29_999));
    engine.idle();
    assert!(engine.ack(&grant), "it ran out before its time");
}

#[test]
fn p8_a_log_without_its_format_file_is_reported() {
    let world = World::new(74);
    let engine = world.open();
    engine.add(job("kept"));
    let after = world.crashed(CrashMode::KeepAll);
    after.disk.delete_file("format");
    let refused = after.try_open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(!after.disk.file_names().contains(&"format".to_owned()), "it was made anew");
    assert!(refused.to_string().contains("format"), "{refused}");
}

#[test]
fn p8_a_log_that_speaks_of_a_job_and_never_shows_it_is_reported() {
    let world = World::new(75);
    let engine = world.open();
    let runs = vec![ClaimRun { queue: "default".into(), priority: 0, ids: vec![99] }];
    let claimed = Claimed { epoch: 1, first_counter: 1, at: at(0), runs };
    engine.put_one(&mut engine.state.lock(), Entry::new(0, &Record::Claimed(claimed)));
    engine.wait(engine.seen_so_far()).unwrap();
    let refused = world.crashed(CrashMode::DropUnsynced).try_open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("job 99"), "{refused}");
}

#[test]
fn rule_3_a_saved_ledger_that_disagrees_with_its_index_is_not_believed() {
    let world = World::new(76);
    let engine = world.open();
    engine.add(job("kept"));
    engine.state.lock().books.ledger.add(Place { lsn: Lsn(5_000), len: 40 });
    engine.checkpoint().unwrap();
    let again = world.crashed(CrashMode::DropUnsynced).open();
    assert!(matches!(again.report().index, IndexOrigin::Rebuilt(_)), "{:?}", again.report().index);
    again.check_books().unwrap();
}

#[test]
fn rule_7_two_directories_give_no_two_jobs_the_same_idempotency_key() {
    let keys = [77, 78].map(|seed| {
        let engine = World::new(seed).open();
        engine.add(job("first"));
        engine.take().unwrap().idempotency_key
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn rule_7_an_opening_that_took_nothing_does_not_give_lost_numbers_back() {
    let world = World::new(79);
    let engine = world.open();
    let lost = engine.enqueue(vec![job("lost")], Durability::Buffered).unwrap().0[0].id;
    let after = world.crashed(CrashMode::DropUnsynced);
    after.open().close().unwrap();
    let next = after.open().add(job("next"));
    assert!(next > lost, "job={next} was numbered again");
}

#[test]
fn c8_a_running_job_that_is_asked_to_end_keeps_its_key_until_it_does() {
    let world = World::new(80);
    let engine = world.open();
    let mut keyed = job("keyed");
    keyed.unique = Some("sale:7".into());
    let id = engine.add(keyed.clone());
    let grant = engine.take().unwrap();
    assert_eq!(engine.cancel(id).unwrap().0, Cancelled::Requested);
    assert_eq!(engine.add(keyed.clone()), id);
    assert!(engine.ack(&grant));
    assert_ne!(engine.add(keyed), id);
}
