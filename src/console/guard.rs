//! Who may come in, and whose changes are his own.
//!
//! # Invariants
//! * Secrets are compared in a time that does not tell how much of them was right.
//! * A change needs three things: an address of ours (`Host`), a page of ours it came from (`Sec-Fetch-Site`, `Origin`),
//!   and the session's own token in the form.
//! * After [`WRONG_MAX`] wrong secrets in the form within a minute none is looked at there until the minute is over.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, StatusCode, Uri, header};

use super::answer::Refusal;
use crate::error::Result;
use crate::face::shape::hex;
use crate::random::{Random, RealRandom};
use crate::sync::Mutex;

/// Wrong secrets within a minute, count.
const WRONG_MAX: u32 = 10;
/// Sessions at a time, count: a new one ends the oldest.
const SESSIONS_MAX: usize = 256;
/// How long a session lasts.
const SESSION_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Characters of a password, at least.
pub(super) const PASSWORD_CHARS_MIN: usize = 12;

/// 192 bits nobody can guess.
pub(super) fn secret() -> Result<String> {
    let mut bytes = [0; 24];
    RealRandom.fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// How people come in.
pub(super) enum Door {
    /// By a token in the address, or by either in a form.
    Locked { token: String, password: Option<String> },
    /// The app that it is mounted in lets them in; this stands in every form.
    Guarded(String),
}

/// One who came in.
#[derive(Clone)]
pub(super) struct Session {
    id: String,
    /// What his forms must bear.
    pub(super) token: String,
    began: Duration,
}

pub(super) struct Guard {
    pub(super) door: Door,
    pub(super) hosts: Vec<String>,
    pub(super) any_address: bool,
    cookie: String,
    path: String,
    sessions: Mutex<Vec<Session>>,
    wrong: Mutex<(Duration, u32)>,
}

impl Guard {
    pub(super) fn new(door: Door, hosts: Vec<String>, base: &str) -> Result<Self> {
        // Cookies do not know ports: two consoles of one machine must not take each other's.
        let cookie = format!("backlog_{}", secret()?.get(..8).unwrap_or_default());
        let path = if base.is_empty() { "/".to_owned() } else { base.to_owned() };
        let (sessions, wrong) = (Mutex::new(Vec::new()), Mutex::new((Duration::ZERO, 0)));
        Ok(Self { door, hosts, any_address: false, cookie, path, sessions, wrong })
    }

    /// Whether the request is meant for us: a name that somebody else had pointed here would make his pages ours.
    pub(super) fn host(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, Refusal> {
        let mut given = headers.get_all(header::HOST).iter();
        let host = match (given.next(), given.next()) {
            (Some(host), None) => host.to_str().ok().map(str::to_ascii_lowercase),
            (None, _) => uri.authority().map(|authority| authority.as_str().to_ascii_lowercase()),
            _ => None,
        };
        let host = host.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "a request names one host"))?;
        let name = name_of(&host);
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let known = address.is_some_and(|address| address.is_loopback() || self.any_address)
            || name == "localhost"
            || self.hosts.iter().any(|known| known == name || *known == host);
        let refused = || {
            let text = "this name is not one of the console's: allow it with --host, or Console::allow_host";
            Refusal::new(StatusCode::MISDIRECTED_REQUEST, text)
        };
        if known { Ok(host) } else { Err(refused()) }
    }

    /// Whether a change comes from one of our own pages.
    pub(super) fn same_origin(headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
        let (site, origin) = (text("sec-fetch-site"), text("origin"));
        let site_fits = site.as_deref().is_none_or(|site| site == "same-origin");
        let origin_fits = origin.as_deref().is_none_or(|origin| {
            origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(host)
        });
        let said = site.is_some() || origin.is_some();
        if said && site_fits && origin_fits {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::FORBIDDEN, "a change comes from the console's own pages (Origin, Sec-Fetch-Site)"))
    }

    /// Whose request it is.
    pub(super) fn session(&self, headers: &HeaderMap, now: Duration) -> Option<Session> {
        if let Door::Guarded(token) = &self.door {
            return Some(Session { id: String::new(), token: token.clone(), began: now });
        }
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let ours = cookies.flat_map(|all| all.split(';')).filter_map(|one| one.trim().split_once('='));
        let ids: Vec<&str> = ours.filter(|(name, _)| *name == self.cookie).map(|(_, id)| id).collect();
        let mut sessions = self.sessions.lock();
        sessions.retain(|session| now.saturating_sub(session.began) < SESSION_MAX);
        sessions.iter().find(|session| ids.iter().any(|id| same(id, &session.id))).cloned()
    }

    /// Lets in who has the token; gives the cookie. It is too long to be guessed, so no number of tries locks it: any page
    /// in the same browser can make some.
    pub(super) fn enter_by_token(&self, given: &str, now: Duration) -> Result<String, Refusal> {
        let Door::Locked { token, .. } = &self.door else { return Err(unlocked()) };
        if !same(given, token) {
            return Err(wrong());
        }
        self.begin(now)
    }

    /// Lets in who knows either secret; gives the cookie. Behind [`same_origin`](Self::same_origin).
    pub(super) fn enter_by_form(&self, given: &str, now: Duration) -> Result<String, Refusal> {
        let Door::Locked { token, password } = &self.door else { return Err(unlocked()) };
        let mut tries = self.wrong.lock();
        if now.saturating_sub(tries.0) >= Duration::from_secs(60) {
            *tries = (now, 0);
        }
        if tries.1 >= WRONG_MAX {
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong secrets: wait a minute"));
        }
        let given = given.trim();
        // Both are compared, whichever fits.
        if !(same(given, token) | password.as_ref().is_some_and(|password| same(given, password))) {
            tries.1 += 1;
            return Err(wrong());
        }
        drop(tries);
        self.begin(now)
    }

    fn begin(&self, now: Duration) -> Result<String, Refusal> {
        let broken = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "no randomness for a session");
        let session = Session { id: secret().map_err(broken)?, token: secret().map_err(broken)?, began: now };
        let cookie = self.cookie_of(&session.id, SESSION_MAX.as_secs());
        let mut sessions = self.sessions.lock();
        if sessions.len() >= SESSIONS_MAX {
            sessions.remove(0);
        }
        sessions.push(session);
        Ok(cookie)
    }

    /// Ends a session; gives the cookie that says so.
    pub(super) fn leave(&self, session: &Session) -> String {
        self.sessions.lock().retain(|known| known.id != session.id);
        self.cookie_of("", 0)
    }

    fn cookie_of(&self, value: &str, seconds: u64) -> String {
        let (name, path) = (&self.cookie, &self.path);
        format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict")
    }
}

fn unlocked() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "the app lets people in here")
}

fn wrong() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "that is not the secret")
}

/// Without the port.
fn name_of(host: &str) -> &str {
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    match port {
        // The colons of an address stand in brackets.
        Some((name, _)) if !name.contains(':') || name.ends_with(']') => name,
        _ => host,
    }
}

/// Compares to the end.
pub(super) fn same(given: &str, right: &str) -> bool {
    let differs = given.bytes().zip(right.bytes()).fold(0, |differs, (a, b)| black_box(differs | (a ^ b)));
    differs == 0 && given.len() == right.len() && !right.is_empty()
}
