//! The pages: what each template is given, and the few files they load.
//!
//! # Invariants
//! * Templates escape everything; no filter that turns that off is used (a test looks for it).
//! * What stands here is text already: nothing in a template reads a clock or asks a backlog.

use askama::Template;
use http::StatusCode;

use super::answer::{Answer, Refusal};
use super::guard::{Door, Session};
use super::service::Inner;
use super::words::When;

/// What every page has.
pub(super) struct Frame {
    pub(super) base: String,
    pub(super) title: String,
    /// The first part of the path, to mark it in the navigation.
    pub(super) room: &'static str,
    pub(super) csrf: String,
    pub(super) way: &'static str,
    /// Whether forms that change something are shown.
    pub(super) can_change: bool,
    /// Why not.
    pub(super) read_only: bool,
    pub(super) can_leave: bool,
    /// What the change before did.
    pub(super) said: String,
    pub(super) now: String,
}

/// A row of jobs.
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) kind: String,
    pub(super) queue: String,
    pub(super) state: String,
    pub(super) attempts: String,
    pub(super) priority: i16,
    pub(super) when: When,
    pub(super) trouble: String,
}

/// A name and what stands there.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) hint: String,
}

/// An answer to a question a person has.
pub(super) struct Card {
    pub(super) question: &'static str,
    pub(super) answer: String,
    pub(super) more: String,
    /// `good`, `warn`, `bad` or `calm`.
    pub(super) mood: &'static str,
    pub(super) link: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    pub(super) f: Frame,
    pub(super) cards: Vec<Card>,
    pub(super) states: Vec<(&'static str, &'static str, String)>,
    pub(super) ended: Vec<(&'static str, String)>,
    pub(super) running: Vec<Row>,
    pub(super) paused: Vec<String>,
}

#[derive(Template)]
#[template(path = "jobs.html")]
pub(super) struct Jobs {
    pub(super) f: Frame,
    pub(super) filter: String,
    pub(super) wrong: String,
    pub(super) rows: Vec<Row>,
    /// The address of the next page; empty: that was all.
    pub(super) next: String,
    pub(super) first: String,
    pub(super) states: Vec<(&'static str, String, bool)>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct Confirm {
    pub(super) f: Frame,
    pub(super) filter: String,
    pub(super) verb: &'static str,
    pub(super) sentence: String,
    pub(super) matched: u64,
    pub(super) to: String,
    pub(super) priority: String,
    pub(super) rows: Vec<Row>,
    pub(super) shown: String,
}

#[derive(Template)]
#[template(path = "job.html")]
pub(super) struct OneJob {
    pub(super) f: Frame,
    pub(super) id: u64,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) facts: Vec<Fact>,
    pub(super) tags: Vec<String>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) reason: String,
    pub(super) errors: Vec<(usize, String)>,
    pub(super) args: String,
    pub(super) percent: Option<u8>,
    pub(super) progress: String,
    pub(super) queue: String,
    pub(super) priority: i16,
    pub(super) can_retry: bool,
    pub(super) is_held: bool,
    pub(super) can_move: bool,
}

/// Jobs that failed alike.
pub(super) struct Group {
    pub(super) kind: String,
    pub(super) error: String,
    pub(super) dead: String,
    pub(super) parked: String,
    pub(super) retrying: String,
    pub(super) last: u64,
    pub(super) link: String,
    pub(super) retry: String,
}

#[derive(Template)]
#[template(path = "failures.html")]
pub(super) struct Failures {
    pub(super) f: Frame,
    pub(super) filter: String,
    pub(super) wrong: String,
    pub(super) groups: Vec<Group>,
    pub(super) more: String,
}

/// A queue.
pub(super) struct Lane {
    pub(super) name: String,
    /// As forms send it.
    pub(super) exact: String,
    pub(super) link: String,
    pub(super) paused: bool,
    pub(super) counts: Vec<(&'static str, u64, String)>,
    pub(super) oldest: String,
}

#[derive(Template)]
#[template(path = "queues.html")]
pub(super) struct Queues {
    pub(super) f: Frame,
    pub(super) lanes: Vec<Lane>,
    pub(super) kinds: Vec<(String, String)>,
}

/// A job that ended.
pub(super) struct Past {
    pub(super) id: u64,
    pub(super) how: String,
    pub(super) kind: String,
    pub(super) queue: String,
    pub(super) attempts: u32,
    pub(super) took: String,
    pub(super) when: When,
}

#[derive(Template)]
#[template(path = "events.html")]
pub(super) struct Events {
    pub(super) f: Frame,
    /// `None`: only a running program remembers.
    pub(super) past: Option<Vec<Past>>,
}

#[derive(Template)]
#[template(path = "storage.html")]
pub(super) struct Storage {
    pub(super) f: Frame,
    pub(super) facts: Vec<(String, String)>,
    pub(super) damage: Vec<String>,
    pub(super) checked: bool,
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    base: String,
    wrong: String,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused {
    f: Frame,
    text: String,
}

/// A page as an answer.
pub(super) fn page(template: &impl Template) -> Result<Answer, Refusal> {
    Ok(Answer::html(StatusCode::OK, template.render()?))
}

/// The same, where not all is well.
pub(super) fn page_but(status: StatusCode, template: &impl Template) -> Result<Answer, Refusal> {
    Ok(Answer::html(status, template.render()?))
}

pub(super) fn login(inner: &Inner, status: StatusCode, wrong: &str) -> Answer {
    let page = Login { base: inner.base.clone(), wrong: wrong.to_owned() }.render();
    page.map_or_else(
        |_| Answer::text(status, "come in by the address with the token"),
        |page| Answer::html(status, page),
    )
}

/// What went wrong, as a page from which one can go on.
pub(super) fn refused(inner: &Inner, session: &Session, refusal: &Refusal) -> Answer {
    let f = Frame {
        base: inner.base.clone(),
        title: "Not done".to_owned(),
        room: "",
        csrf: session.token.clone(),
        way: "",
        can_change: false,
        read_only: inner.read_only,
        can_leave: matches!(inner.guard.door, Door::Locked { .. }),
        said: String::new(),
        now: String::new(),
    };
    let page = Refused { f, text: super::words::lines(&refusal.text) }.render();
    let plain = || Answer::text(refusal.status, "this page cannot be shown");
    page.map_or_else(|_| plain(), |page| Answer::html(refusal.status, page))
}

/// The files that pages load; nobody needs a session to see them.
pub(super) fn file(path: &str) -> Option<Answer> {
    Some(match path {
        "/console.css" => Answer::file("text/css; charset=utf-8", include_str!("pages/console.css")),
        "/console.js" => Answer::file("text/javascript; charset=utf-8", include_str!("pages/console.js")),
        "/icon.svg" => Answer::file("image/svg+xml", include_str!("pages/icon.svg")),
        _ => return None,
    })
}
