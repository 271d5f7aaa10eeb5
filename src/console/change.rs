//! What the forms do: the guard has let them through.
//!
//! # Invariants
//! * Each answers by sending the browser to a page: a reload never does it again.
//! * What was done is said in words of ours, chosen by the address: no text of an address is shown as if we had said it.

use http::StatusCode;

use super::answer::{Answer, Refusal};
use super::query::{Pairs, escaped};
use super::rooms::{Room, filter_of};
use super::service::{Asked, Inner};
use super::words::count;
use crate::clock::Clock;
use crate::face::verbs::{Act, Change, Look};
use crate::queue::Filter;

type Done = Result<Answer, Refusal>;

/// What is to become of jobs.
pub(super) enum Wish {
    Retry,
    Cancel,
    Confirm,
    Discard,
    Move(String),
    Priority(i16),
}

impl Wish {
    pub(super) fn read(from: &Pairs) -> Result<Self, Refusal> {
        let wrong = |text| Refusal::new(StatusCode::BAD_REQUEST, text);
        Ok(match from.text("do") {
            "retry" => Self::Retry,
            "cancel" => Self::Cancel,
            "confirm" => Self::Confirm,
            "discard" => Self::Discard,
            "move" => match from.text("to").trim() {
                "" => return Err(wrong("name the queue to move to")),
                queue => Self::Move(queue.to_owned()),
            },
            "priority" => {
                let number = from.number("priority");
                Self::Priority(number.ok_or_else(|| wrong("a priority is a whole number from -32768 to 32767"))?)
            }
            _ => return Err(wrong("do is one of retry, cancel, confirm, discard, move, priority")),
        })
    }

    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Confirm => "confirm",
            Self::Discard => "discard",
            Self::Move(_) => "move",
            Self::Priority(_) => "priority",
        }
    }

    /// What it does, for whoever is asked whether he means it.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Retry => "Make them ready now, with all their attempts".to_owned(),
            Self::Cancel => "Cancel them: those that wait are gone, those that run are asked to stop".to_owned(),
            Self::Confirm => "Let go of them: held jobs become ready".to_owned(),
            Self::Discard => "End them: held jobs are gone".to_owned(),
            Self::Move(queue) => format!("Move them to the queue {queue}"),
            Self::Priority(priority) => format!("Give them the priority {priority}"),
        }
    }

    /// The filter; a retry that names no state means the dead ones.
    pub(super) fn narrowed(&self, filter: &str) -> String {
        let states = filter.starts_with("state:") || filter.contains(" state:");
        match self {
            Self::Retry if !states => format!("{filter} state:dead").trim().to_owned(),
            _ => filter.to_owned(),
        }
    }

    /// What it is to one job or to many. `None`: there are not many of these, see [`one`](Self::one).
    fn change(&self) -> Option<Change> {
        Some(match self {
            Self::Retry => Change::Requeue {},
            Self::Cancel => Change::Cancel {},
            Self::Move(queue) => Change::Move { queue: queue.clone() },
            Self::Priority(priority) => Change::Priority { priority: *priority },
            Self::Confirm | Self::Discard => return None,
        })
    }

    fn one(&self, id: u64) -> Act {
        match (self, self.change()) {
            (_, Some(change)) => change.of(id),
            (Self::Discard, None) => Act::Discard { id },
            (_, None) => Act::Confirm { id },
        }
    }
}

pub(super) fn change(inner: &Inner, asked: &Asked<'_>) -> Done {
    if asked.path == "/logout" {
        let to = format!("{}/", inner.base);
        return Ok(Answer::see_other(&to).with(http::header::SET_COOKIE, &inner.guard.leave(&asked.session)));
    }
    let room = Room::new(inner, asked)?;
    if asked.path == "/storage" && asked.form.text("do") == "verify" {
        let found = room.reached.see(Look::Verify {}, room.clock())?;
        return room.storage(Some(&found));
    }
    if inner.read_only {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "this console only looks: it was started read-only"));
    }
    if !room.can_change() {
        let text = "no program has this backlog open, so it is only looked at; the command line can change it";
        return Err(Refusal::new(StatusCode::CONFLICT, text));
    }
    match asked.path {
        "/jobs" => many(&room),
        "/queues" => queue(&room),
        "/storage" => storage(&room),
        path => match path.strip_prefix("/jobs/").map(str::parse) {
            Some(Ok(id)) => one(&room, id),
            _ => Err(Refusal::not_found("there is no such page")),
        },
    }
}

fn one(room: &Room<'_>, id: u64) -> Done {
    let wish = Wish::read(&room.asked.form)?;
    let answer = room.reached.act(wish.one(id), room.clock())?;
    let base = &room.inner.base;
    Ok(Answer::see_other(&format!("{base}/jobs/{id}?did={}&was={}", wish.word(), escaped(&answer.outcome))))
}

/// Everything that matches.
fn many(room: &Room<'_>) -> Done {
    let wish = Wish::read(&room.asked.form)?;
    let filter = wish.narrowed(&filter_of(room.asked.form.text("q")));
    let _ = Filter::parse(&filter, room.clock().now())?;
    let one_by_one = || Refusal::new(StatusCode::BAD_REQUEST, "jobs are confirmed and discarded one by one");
    let done = room.reached.act_on_all(filter.clone(), wish.change().ok_or_else(one_by_one)?, room.clock())?;
    let changed = done.changed + done.requested;
    let met = changed + done.refused + done.running + done.duplicate + done.unreadable;
    let base = &room.inner.base;
    let (verb, filter) = (wish.word(), escaped(&filter));
    Ok(Answer::see_other(&format!("{base}/jobs?q={filter}&did={verb}&was=many&n1={changed}&n2={met}")))
}

fn queue(room: &Room<'_>) -> Done {
    let form = &room.asked.form;
    let name = form.text("name").to_owned();
    let act = match form.text("do") {
        "pause" => Act::PauseQueue { queue: name },
        "resume" => Act::ResumeQueue { queue: name },
        "pause_kind" => Act::PauseKind { kind: name },
        "resume_kind" => Act::ResumeKind { kind: name },
        _ => return Err(Refusal::new(StatusCode::BAD_REQUEST, "do is one of pause, resume, pause_kind, resume_kind")),
    };
    let _ = room.reached.act(act, room.clock())?;
    let did = if form.text("do").starts_with("pause") { "pause" } else { "resume" };
    Ok(Answer::see_other(&format!("{}/queues?did={did}&was=done", room.inner.base)))
}

fn storage(room: &Room<'_>) -> Done {
    let (act, did) = match room.asked.form.text("do") {
        "checkpoint" => (Act::Checkpoint {}, "checkpoint"),
        "compact" => (Act::Compact {}, "compact"),
        _ => return Err(Refusal::new(StatusCode::BAD_REQUEST, "do is one of verify, checkpoint, compact")),
    };
    let _ = room.reached.act(act, room.clock())?;
    Ok(Answer::see_other(&format!("{}/storage?did={did}&was=done", room.inner.base)))
}

/// What the address says was done before; empty: nothing.
pub(super) fn said(query: &Pairs) -> String {
    let did = match query.text("did") {
        "retry" => "Retry",
        "cancel" => "Cancel",
        "confirm" => "Confirm",
        "discard" => "Discard",
        "move" => "Move",
        "priority" => "Priority",
        "pause" => "Pause",
        "resume" => "Resume",
        "checkpoint" => "Checkpoint",
        "compact" => "Compact",
        _ => return String::new(),
    };
    match query.text("was") {
        "done" => format!("{did}: done."),
        "requested" => format!("{did}: it runs, and was asked to stop."),
        "refused" => format!("{did}: refused; in its state that cannot be done."),
        "duplicate" => format!("{did}: refused; another job holds its unique key."),
        "not_live" => format!("{did}: it had ended already."),
        "many" => {
            let number = |name| count(query.number(name).unwrap_or_default());
            format!("{did}: {} of {} jobs.", number("n1"), number("n2"))
        }
        _ => String::new(),
    }
}
