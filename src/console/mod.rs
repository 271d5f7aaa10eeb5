//! The web console: pages for a browser, as a service that mounts in any axum or hyper app, or alone.
//!
//! * [`builder`] is `Console` with its settings; [`service`] takes requests; [`alone`] is a small server for it.
//! * [`guard`] says who may come in and whose changes count; [`answer`] has the headers of every answer.
//! * [`source`] reaches the backlog by the one view of `face`; [`rooms`] gather what a page shows, [`pages`] are the
//!   pages with their templates, [`change`] is what their forms do. [`query`] and [`words`] are their tools.
//!
//! # Invariants
//! * No page needs a script; none names another host. Everything from a job is hostile text.
//! * Only `POST` changes something, and only behind the guard.
//!
//! Never here: what a verb means (`face`, `queue`).

mod alone;
mod answer;
mod builder;
mod change;
mod guard;
mod pages;
mod query;
mod rooms;
mod service;
mod source;
#[cfg(all(test, not(backlog_shuttle)))]
mod tests;
mod words;

pub use alone::Listening;
pub use builder::Console;
pub use service::ConsoleService;
