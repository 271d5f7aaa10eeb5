//! The service: takes a request, hands it to the rooms on a thread that may wait, gives the answer.
//!
//! # Invariants
//! * Nothing of a request is believed before the guard has seen it, and no body is larger than [`BODY_BYTES_MAX`].
//! * The order: health, the name it was called by, the files of the pages, the session, its token; then the rooms.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};

use super::answer::{Answer, Refusal};
use super::guard::{Door, Guard, Session, same};
use super::query::Pairs;
use super::source::Source;
use super::{change, pages, rooms};
use crate::clock::Clock;
use crate::face::verbs::Look;

/// A form, bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What a program puts in the place of args: of the kind, as the page would show them.
pub(super) type Redact = dyn Fn(&str, &str) -> String + Send + Sync;

/// The console as a service of tower; cheap to clone. Made by [`Console::service`](crate::Console::service).
///
/// Takes any body and never fails: what goes wrong is a page that says so.
#[derive(Clone)]
pub struct ConsoleService {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) source: Source,
    pub(super) guard: Guard,
    /// What all links begin with; no slash at its end.
    pub(super) base: String,
    pub(super) nested: bool,
    pub(super) read_only: bool,
    pub(super) redact: Option<Box<Redact>>,
}

/// A request whose sender is known.
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) query: Pairs,
    pub(super) form: Pairs,
    pub(super) session: Session,
}

impl ConsoleService {
    /// The path with the token in it, for whoever is to come in: print it where only they see it. `None`: the app lets
    /// people in.
    pub fn entrance(&self) -> Option<String> {
        match &self.inner.guard.door {
            Door::Locked { token, .. } => Some(format!("{}/?token={token}", self.inner.base)),
            Door::Guarded(_) => None,
        }
    }
}

impl<B> tower_service::Service<Request<B>> for ConsoleService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
                let text = "a form is at most 64 KiB, and comes whole";
                return Ok(Answer::text(StatusCode::PAYLOAD_TOO_LARGE, text).into_response());
            };
            let body = body.to_bytes();
            let answer = match tokio::runtime::Handle::try_current() {
                // A verb may wait for the disk.
                Ok(runtime) => runtime.spawn_blocking(move || inner.answer(&parts, &body)).await,
                Err(_) => Ok(inner.answer(&parts, &body)),
            };
            let broken = |_| Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "this page broke; the others still work");
            Ok(answer.unwrap_or_else(broken).into_response())
        })
    }
}

impl Inner {
    fn answer(&self, parts: &Parts, body: &[u8]) -> Answer {
        let path = self.below(parts.uri.path());
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if reads && let Some(answer) = self.health(path) {
            return answer;
        }
        let host = match self.guard.host(&parts.headers, &parts.uri) {
            Ok(host) => host,
            Err(refusal) => return Answer::text(refusal.status, &refusal.text),
        };
        if reads && let Some(file) = pages::file(path) {
            return file;
        }
        if !reads && parts.method != Method::POST {
            return Answer::text(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD or POST")
                .with(header::ALLOW, "GET, HEAD, POST");
        }
        if !reads && let Err(refusal) = Guard::same_origin(&parts.headers, &host) {
            return Answer::text(refusal.status, &refusal.text);
        }
        let query = Pairs::read(parts.uri.query().unwrap_or_default());
        let form = if reads { Pairs::default() } else { Pairs::read(&String::from_utf8_lossy(body)) };
        if let Some(answer) = self.entrance(path, reads, &query, &form) {
            return answer;
        }
        let Some(session) = self.guard.session(&parts.headers, self.source.clock().monotonic()) else {
            return pages::login(self, StatusCode::UNAUTHORIZED, "");
        };
        if !reads && !same(form.text("csrf"), &session.token) {
            let text = "the form is not of this session: go back, reload the page, and try again";
            return pages::refused(self, &session, &Refusal::new(StatusCode::FORBIDDEN, text));
        }
        let asked = Asked { path, query, form, session };
        let answered = if reads { rooms::show(self, &asked) } else { change::change(self, &asked) };
        answered.unwrap_or_else(|refusal| pages::refused(self, &asked.session, &refusal))
    }

    /// The path within the console.
    fn below<'p>(&self, path: &'p str) -> &'p str {
        let below = if self.nested { None } else { path.strip_prefix(&*self.base) };
        match below.filter(|below| below.is_empty() || below.starts_with('/')).unwrap_or(path) {
            "" => "/",
            below => below,
        }
    }

    fn health(&self, path: &str) -> Option<Answer> {
        match path {
            "/healthz" => Some(Answer::text(StatusCode::OK, "ok")),
            "/readyz" => {
                let clock = self.source.clock();
                let ready = self.source.reach().is_ok_and(|reached| {
                    reached.takes_changes() && reached.see::<serde_json::Value>(Look::Health {}, clock).is_ok()
                });
                // Why not is for those who may come in.
                Some(if ready {
                    Answer::text(StatusCode::OK, "ready")
                } else {
                    Answer::text(StatusCode::SERVICE_UNAVAILABLE, "not ready")
                })
            }
            _ => None,
        }
    }

    /// Coming in, by an address with the token or by the form.
    fn entrance(&self, path: &str, reads: bool, query: &Pairs, form: &Pairs) -> Option<Answer> {
        let now = self.source.clock().monotonic();
        let home = format!("{}/", self.base);
        let (entered, to) = match (reads, path, query.get("token")) {
            (true, _, Some(token)) => {
                let rest = query.without("token");
                let mark = if rest.is_empty() { "" } else { "?" };
                (self.guard.enter_by_token(token, now), format!("{}{path}{mark}{rest}", self.base))
            }
            (false, "/login", _) => (self.guard.enter_by_form(form.text("secret"), now), home.clone()),
            _ => return None,
        };
        // Anything but a path of ours would lead elsewhere.
        let to = if to.starts_with("//") || to.contains('\\') { home } else { to };
        Some(match entered {
            Ok(cookie) => Answer::see_other(&to).with(header::SET_COOKIE, &cookie),
            Err(refusal) => pages::login(self, refusal.status, &refusal.text),
        })
    }
}

impl fmt::Debug for ConsoleService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleService").field("base", &self.inner.base).finish_non_exhaustive()
    }
}
