//! The service as a browser meets it, without sockets: who comes in, what is refused, what pages never say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

use super::answer::POLICY;
use super::builder::Console;
use super::query::escaped;
use super::service::ConsoleService;
use crate::error::ErrorKind;
use crate::ids::{JobId, Phase};
use crate::job::Codec;
use crate::queue::{Backlog, Filter, JobBuilder};

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'`${7*7}{{7*7}}</textarea></title></pre>\
    <!--\u{202e}\u{1b}[2J&lt;javascript:alert(1)//https://evil.example/";

struct Home {
    _dir: tempfile::TempDir,
    jobs: PathBuf,
    backlog: Backlog,
}

/// A dead job, one that waits, one that runs with hostile text wherever there is room for it.
fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let jobs = dir.path().join("jobs");
    let backlog = Backlog::open(&jobs).unwrap();
    backlog.enqueue_all([JobBuilder::raw("send_mail", b"{\"to\":7}".to_vec(), Codec::Json).max_attempts(1)]).unwrap();
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    assert!(!lease.nack("timed out after 30 s").unwrap().is_stale());
    Home { _dir: dir, jobs, backlog }
}

fn hostile_job(backlog: &Backlog) -> JobId {
    let short: String = HOSTILE.chars().filter(|c| !c.is_control()).take(100).collect();
    let args = serde_json::to_vec(&serde_json::json!({ HOSTILE: [HOSTILE] })).unwrap();
    let job = JobBuilder::raw(&short, args, Codec::Json).queue(&short).unique(short.as_str()).limit_key(&short);
    let job = job.tag(&short).metadata(&short, HOSTILE).max_attempts(1);
    let id = backlog.enqueue_all([job]).unwrap()[0].id;
    let lease = backlog.queue(&short).claim().unwrap().unwrap();
    assert!(!lease.nack(HOSTILE).unwrap().is_stale());
    backlog.pause(&short).unwrap();
    backlog.pause_kind(&short).unwrap();
    id
}

struct Browser {
    service: ConsoleService,
    cookie: Option<String>,
    base: &'static str,
}

struct Page {
    status: StatusCode,
    headers: http::HeaderMap,
    text: String,
}

impl Browser {
    fn stranger(console: Console) -> Self {
        Self { service: console.service().unwrap(), cookie: None, base: "" }
    }

    /// One who came in by the address with the token.
    fn of(console: Console) -> Self {
        let mut browser = Self::stranger(console);
        let entrance = browser.service.entrance().unwrap();
        let page = browser.get(&entrance);
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert!(!page.header(header::LOCATION).contains("token"));
        let cookie = page.header(header::SET_COOKIE);
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        browser.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        browser
    }

    fn send(&mut self, request: Request<Full<Bytes>>) -> Page {
        let response: Response<_> = smol::block_on(self.service.call(request)).unwrap();
        let (parts, body) = response.into_parts();
        let body = smol::block_on(body.collect()).unwrap().to_bytes();
        Page { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost:7070");
        self.cookie.iter().fold(request, |request, cookie| request.header(header::COOKIE, cookie))
    }

    fn get(&mut self, path: &str) -> Page {
        let request = self.request("GET", path).body(Full::default()).unwrap();
        self.send(request)
    }

    fn form_token(&mut self) -> String {
        let path = format!("{}/", self.base);
        let page = self.get(&path).text;
        page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// A form of one of the console's own pages.
    fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let token = self.form_token();
        self.post_with(path, form, &[("origin", "http://localhost:7070"), ("sec-fetch-site", "same-origin")], &token)
    }

    fn post_with(&mut self, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)], token: &str) -> Page {
        let csrf = [("csrf", token)];
        let form = form.iter().chain(&csrf).map(|(name, value)| format!("{name}={}", escaped(value)));
        let body = form.collect::<Vec<_>>().join("&");
        let request =
            headers.iter().fold(self.request("POST", path), |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        self.send(request)
    }
}

impl Page {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// Every page there is.
fn all_pages(id: u64) -> Vec<String> {
    let hostile = escaped(HOSTILE);
    let all = escaped("id:1..");
    [
        "/",
        "/jobs",
        "/jobs?q=state:dead",
        "/jobs?n=1",
        "/failures",
        "/queues",
        "/events",
        "/storage",
        &format!("/jobs?q={all}&n=1"),
        &format!("/jobs?q={hostile}"),
        &format!("/jobs?q=error:%22{hostile}%22"),
        &format!("/failures?q={hostile}"),
        &format!("/jobs/{id}"),
        &format!("/jobs/{id}?did={hostile}&was={hostile}"),
        &format!("/confirm?do=retry&q={all}"),
        &format!("/confirm?do=move&to={hostile}&q={all}"),
        &format!("/confirm?do={hostile}&q={hostile}"),
        &format!("/jobs/{hostile}"),
        &format!("/{hostile}?{hostile}"),
        "/jobs/99999999999999999999",
        "/jobs/12345",
        "/jobs?after=-1&n=999999999999&q=",
    ]
    .map(str::to_owned)
    .into()
}

/// Finds what would run or load something in a browser.
fn harmless(path: &str, page: &str) {
    let lower = page.to_ascii_lowercase();
    // What is left of a hostile text stands between no tags: each `<` begins a tag of ours.
    for tag in lower.split('<').skip(1) {
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || "/!".contains(*c)).collect();
        assert!(!["img", "textarea", "iframe", "style", "!"].contains(&&*name), "{path}: <{tag}");
        let (attributes, _) = tag.split_once('>').unwrap_or((tag, ""));
        if name == "script" {
            assert!(attributes.contains("src=\"") && attributes.contains("/console.js\""), "{path}: <{tag}");
            assert!(tag.split_once('>').unwrap().1.is_empty(), "{path}: a script inside: <{tag}");
        }
        let mut rest = attributes;
        while let Some((before, quoted)) = rest.split_once('"') {
            let (value, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            let attribute = before.split_whitespace().last().unwrap_or_default().trim_end_matches('=');
            assert!(!attribute.starts_with("on") && attribute != "style", "{path}: {attribute} in <{tag}");
            if ["href", "src", "action"].contains(&attribute) {
                assert!(value.starts_with('/') && !value.starts_with("//"), "{path}: {attribute}={value}");
            }
            rest = after;
        }
    }
    // What stands in a field is a line of its own, and is sent back as it is.
    let outside = page.split(" value=\"").enumerate().map(|(nth, part)| match nth {
        0 => part,
        _ => part.split_once('"').unwrap().1,
    });
    let outside: String = outside.collect();
    assert!(!outside.contains('\u{202e}') && !outside.contains('\u{1b}'), "{path}");
}

#[test]
fn hostile_text_in_every_field_comes_out_escaped_on_every_page() {
    let home = home();
    let id = hostile_job(&home.backlog).0;
    let mut browser = Browser::of(Console::new(&home.backlog));
    for path in all_pages(id) {
        let page = browser.get(&path);
        assert!(page.status.is_success() || page.status.is_client_error(), "{path}: {} {}", page.status, page.text);
        harmless(&path, &page.text);
    }
    let page = browser.get(&format!("/jobs/{id}")).text;
    for part in ["&#60;script&#62;alert(1)", "\\u{202e}", "{{7*7}}"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let refused = browser.post("/jobs/1", &[("do", HOSTILE)]);
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    harmless("refused", &refused.text);
    let refused = browser.post("/jobs/1", &[("do", "move"), ("to", HOSTILE)]);
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "a control character is in it");
    harmless("refused", &refused.text);
    harmless(
        "login",
        &Browser::stranger(Console::new(&home.backlog)).get(&format!("/?token={}", escaped(HOSTILE))).text,
    );
}

#[test]
fn every_page_is_served_without_a_script_and_under_a_strict_policy() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog));
    for path in ["/", "/jobs", "/jobs/1", "/failures", "/queues", "/events", "/storage", "/confirm?do=retry&q="] {
        let page = browser.get(path);
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        assert!(page.text.contains("<main>") && page.text.contains("</html>"), "{path}");
        harmless(path, &page.text);
        assert_eq!(page.header(header::CONTENT_SECURITY_POLICY), POLICY);
        assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(page.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(page.header(header::REFERRER_POLICY), "same-origin");
    }
    assert!(POLICY.contains("default-src 'none'") && !POLICY.contains("unsafe"));
    for (path, kind) in
        [("/console.css", "text/css"), ("/console.js", "text/javascript"), ("/icon.svg", "image/svg+xml")]
    {
        let file = browser.get(path);
        assert!(file.header(header::CONTENT_TYPE).starts_with(kind));
        let names = file.text.replace("http://www.w3.org/2000/svg", "");
        assert!(!names.contains("://") && !names.contains("innerHTML = "), "{path} names another host");
    }
}

#[test]
fn a_foreign_host_is_refused_and_so_is_none() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog).allow_host("jobs.example.org"));
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:9", 200),
        ("jobs.example.org", 200),
        ("JOBS.example.org:8443", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example:7070", 421),
        ("10.0.0.1", 421),
        ("", 421),
        ("localhost@evil.example", 421),
    ] {
        let cookie = browser.cookie.clone().unwrap();
        let request = Request::get("/").header(header::HOST, host).header(header::COOKIE, cookie);
        let page = browser.send(request.body(Full::default()).unwrap());
        assert_eq!(page.status, status, "{host}");
    }
    let page = browser.send(Request::get("/").body(Full::default()).unwrap());
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let two = Request::get("/").header(header::HOST, "localhost").header(header::HOST, "localhost");
    assert_eq!(browser.send(two.body(Full::default()).unwrap()).status, StatusCode::BAD_REQUEST);
}

#[test]
fn a_change_that_does_not_come_from_a_page_of_ours_changes_nothing() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog));
    let token = browser.form_token();
    let retry = &[("do", "retry")];
    let headers: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://localhost:7071")],
        &[("origin", "http://localhost:7070"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
    ];
    for headers in headers {
        let page = browser.post_with("/jobs/1", retry, headers, &token);
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let ours = &[("origin", "http://localhost:7070"), ("sec-fetch-site", "same-origin")];
    for wrong in ["", "0", &token[1..], &token.to_uppercase().replace('A', "B")] {
        assert_eq!(browser.post_with("/jobs/1", retry, ours, wrong).status, StatusCode::FORBIDDEN, "{wrong}");
    }
    // Another session's token is not this one's.
    let service = browser.service.clone();
    let mut other = Browser { service, cookie: None, base: "" };
    let entrance = other.service.entrance().unwrap();
    other.cookie = Some(other.get(&entrance).header(header::SET_COOKIE).split(';').next().unwrap().to_owned());
    let foreign = other.form_token();
    assert_ne!(foreign, token);
    assert_eq!(browser.post_with("/jobs/1", retry, ours, &foreign).status, StatusCode::FORBIDDEN);
    // Nor is a change made by reading.
    for path in ["/jobs/1?do=retry", &format!("/jobs/1?do=retry&csrf={token}"), "/confirm?do=retry&q="] {
        assert_eq!(browser.get(path).status, StatusCode::OK);
    }
    let put = browser.request("PUT", "/jobs/1").body(Full::default()).unwrap();
    assert_eq!(browser.send(put).status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(home.backlog.counts().total().dead, 1);
    assert_eq!(browser.post_with("/jobs/1", retry, ours, &token).status, StatusCode::SEE_OTHER);
    assert_eq!(home.backlog.counts().total().dead, 0);
}

#[test]
fn without_the_secret_nobody_comes_in() {
    let home = home();
    let mut stranger = Browser::stranger(Console::new(&home.backlog).password("correct horse battery"));
    for path in all_pages(1) {
        let page = stranger.get(&path);
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(!page.text.contains("send_mail"), "{path}");
    }
    let ours = &[("origin", "http://localhost:7070")];
    assert_eq!(stranger.post_with("/jobs/1", &[("do", "retry")], ours, "").status, StatusCode::UNAUTHORIZED);
    for wrong in ["", "correct horse", "correct horse batter", "correct horse batteryy"] {
        assert_eq!(
            stranger.post_with("/login", &[("secret", wrong)], ours, "").status,
            StatusCode::FORBIDDEN,
            "{wrong}"
        );
    }
    let page = stranger.post_with("/login", &[("secret", "correct horse battery")], ours, "");
    assert_eq!((page.status, page.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/"));
    // Ten wrong ones within a minute, and none is looked at any more.
    for _ in 0..10 {
        stranger.post_with("/login", &[("secret", "wrong")], ours, "");
    }
    let page = stranger.post_with("/login", &[("secret", "correct horse battery")], ours, "");
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    // The token is too long to be guessed, and pages of others cannot lock it; a password in an address is none.
    for wrong in ["wrong", "", "correct%20horse%20battery"] {
        assert_eq!(stranger.get(&format!("/?token={wrong}")).status, StatusCode::FORBIDDEN);
    }
    let entrance = stranger.service.entrance().unwrap();
    assert_eq!(stranger.get(&entrance).status, StatusCode::SEE_OTHER);
    let away = stranger.get(&entrance.replacen("/?", "//evil.example/?", 1));
    assert_eq!(away.header(header::LOCATION), "/");
    assert_eq!(home.backlog.counts().total().dead, 1);
}

#[test]
fn a_session_ends_when_its_owner_leaves() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog));
    assert_eq!(browser.get("/").status, StatusCode::OK);
    assert_eq!(browser.post("/logout", &[]).status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/").status, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_console_that_only_looks_refuses_every_change() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog).read_only(true));
    let page = browser.get("/jobs/1").text;
    assert!(!page.contains("Retry now") && page.contains("read-only"), "{page}");
    for (path, form) in [
        ("/jobs/1", [("do", "retry"), ("", "")]),
        ("/jobs", [("do", "cancel"), ("q", "")]),
        ("/queues", [("do", "pause"), ("name", "default")]),
        ("/storage", [("do", "compact"), ("", "")]),
    ] {
        assert_eq!(browser.post(path, &form).status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(browser.post("/storage", &[("do", "verify")]).status, StatusCode::OK, "looking is allowed");
    assert_eq!(home.backlog.counts().total().dead, 1);
    assert!(home.backlog.paused().is_empty());
}

#[test]
fn each_action_on_a_job_does_what_it_says_and_leads_back_to_it() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog));
    let state = |id: u64| home.backlog.list(&Filter::new().after(JobId(id - 1)).limit(1)).unwrap().remove(0);
    for (form, phase) in [
        (&[("do", "move"), ("to", "slow")][..], Phase::Dead),
        (&[("do", "priority"), ("priority", "7")], Phase::Dead),
        (&[("do", "retry")], Phase::Ready),
    ] {
        let page = browser.post("/jobs/1", form);
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        let to = page.header(header::LOCATION).to_owned();
        assert!(to.starts_with("/jobs/1?did="), "{to}");
        assert!(browser.get(&to).text.contains(": done."), "{to}");
        assert_eq!(state(1).phase, phase);
    }
    assert_eq!((state(1).queue.as_str(), state(1).priority), ("slow", 7));
    let to = browser.post("/jobs/1", &[("do", "cancel")]).header(header::LOCATION).to_owned();
    let page = browser.get(&to);
    assert!(page.text.contains("Cancel: done.") && page.text.contains("has ended"), "{}", page.text);
    assert_eq!(home.backlog.counts().total().live(), 0);
    assert_eq!(browser.get("/jobs/1").status, StatusCode::NOT_FOUND);
    let to = browser.post("/queues", &[("do", "pause"), ("name", "slow")]).header(header::LOCATION).to_owned();
    assert!(browser.get(&to).text.contains("Resume"));
    assert_eq!(home.backlog.paused(), ["slow"]);
    assert_eq!(browser.post("/queues", &[("do", "resume"), ("name", "slow")]).status, StatusCode::SEE_OTHER);
    assert!(home.backlog.paused().is_empty());
}

#[test]
fn a_change_of_all_that_match_counts_first_and_meets_no_other_job() {
    let home = home();
    for n in 0..7 {
        let kind = if n % 2 == 0 { "even" } else { "odd" };
        home.backlog.enqueue_all([JobBuilder::raw(kind, b"{}".to_vec(), Codec::Json).queue("many")]).unwrap();
    }
    let mut browser = Browser::of(Console::new(&home.backlog));
    let page = browser.get("/confirm?do=cancel&q=kind:even");
    assert!(page.text.contains("4 jobs fit") && page.text.contains("Yes: cancel 4"), "{}", page.text);
    assert_eq!(home.backlog.counts().total().live(), 8);
    let page = browser.post("/jobs", &[("do", "cancel"), ("q", "kind:even")]);
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    assert!(browser.get(page.header(header::LOCATION)).text.contains("Cancel: 4 of 4 jobs."));
    assert_eq!(home.backlog.counts().total().live(), 4);
    // A retry that names no state means the dead ones.
    assert!(browser.get("/confirm?do=retry&q=").text.contains("1 job fits"));
    assert_eq!(browser.post("/jobs", &[("do", "retry"), ("q", "")]).status, StatusCode::SEE_OTHER);
    assert_eq!(home.backlog.counts().total().dead, 0);
    // A filter that is wrong is never taken for the empty one.
    for wrong in ["state:broken", "kind", "queue:\"a"] {
        assert_eq!(browser.post("/jobs", &[("do", "cancel"), ("q", wrong)]).status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(home.backlog.counts().total().live(), 4);
}

#[test]
fn failures_lead_to_their_jobs_and_to_a_retry() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog));
    let page = browser.get("/failures").text;
    assert!(page.contains("timed out after # s"), "{page}");
    let links: Vec<String> =
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&")).collect();
    let jobs = links.iter().find(|link| link.starts_with("/jobs?q=")).unwrap();
    assert!(browser.get(jobs).text.contains("timed out after 30 s"));
    let retry = links.iter().find(|link| link.starts_with("/confirm?do=retry&q=")).unwrap();
    assert!(browser.get(retry).text.contains("1 job fits"));
}

#[test]
fn it_mounts_under_any_prefix_whether_the_app_takes_it_away_or_not() {
    let home = home();
    for (prefix, asked, nested) in
        [("/admin/jobs", "/admin/jobs", false), ("/admin/jobs/", "", false), ("/jobs", "", true)]
    {
        let console = Console::new(&home.backlog).prefix(prefix).nested(nested);
        let mut browser = Browser::stranger(console);
        let base = prefix.trim_end_matches('/');
        let entrance = browser.service.entrance().unwrap();
        let page = browser.get(&entrance.replacen(base, asked, 1));
        assert_eq!(page.header(header::LOCATION), format!("{base}/"));
        let cookie = page.header(header::SET_COOKIE).to_owned();
        assert!(cookie.contains(&format!("Path={base};")), "{cookie}");
        browser.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        for path in ["/", "/jobs", "/jobs/1", "/failures"] {
            let page = browser.get(&format!("{asked}{path}"));
            assert_eq!(page.status, StatusCode::OK, "{prefix} {path}");
            for link in page.text.split("href=\"").skip(1).chain(page.text.split("action=\"").skip(1)) {
                assert!(link.starts_with(&format!("{base}/")), "{prefix}: {}", link.split('"').next().unwrap());
            }
        }
    }
    for wrong in ["admin", "/a b", "//evil.example", "/a\"b", "/a//b"] {
        assert_eq!(
            Console::new(&home.backlog).prefix(wrong).service().unwrap_err().kind(),
            ErrorKind::Invalid,
            "{wrong}"
        );
    }
}

#[test]
fn args_are_shown_readable_or_as_the_program_wants_them() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog));
    assert!(browser.get("/jobs/1").text.contains("{\n  &#34;to&#34;: 7\n}"));
    let redact = |kind: &str, args: &str| format!("{kind}: <b>{} bytes</b>", args.len());
    let page = Browser::of(Console::new(&home.backlog).redact_args(redact)).get("/jobs/1").text;
    assert!(page.contains("send_mail: &#60;b&#62;") && !page.contains("&#34;to&#34;"), "{page}");
}

#[test]
fn health_needs_no_token_and_tells_nothing_else() {
    let home = home();
    let mut stranger = Browser::stranger(Console::new(&home.backlog));
    let (health, ready) = (stranger.get("/healthz"), stranger.get("/readyz"));
    assert_eq!((health.status, health.text.as_str()), (StatusCode::OK, "ok\n"));
    assert_eq!((ready.status, ready.text.as_str()), (StatusCode::OK, "ready\n"));
    let keeps = home.backlog.clone();
    home.backlog.close().unwrap();
    let ready = stranger.get("/readyz");
    assert_eq!((ready.status, ready.text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"));
    assert_eq!(stranger.get("/healthz").status, StatusCode::OK);
    drop(keeps);
}

#[test]
fn a_console_does_not_keep_a_backlog_open() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog));
    assert_eq!(browser.get("/").status, StatusCode::OK);
    drop(home.backlog);
    assert_eq!(browser.get("/").status, StatusCode::SERVICE_UNAVAILABLE);
    drop(Backlog::open(&home.jobs).unwrap());
}

#[test]
fn a_stopped_directory_is_looked_at_and_not_changed() {
    let home = home();
    home.backlog.close().unwrap();
    let mut browser = Browser::of(Console::of_dir(&home.jobs));
    let page = browser.get("/jobs/1");
    assert!(page.text.contains("timed out after 30 s") && page.text.contains("not running"), "{}", page.text);
    assert!(!page.text.contains("Retry now"));
    assert_eq!(browser.post("/jobs/1", &[("do", "retry")]).status, StatusCode::CONFLICT);
    assert!(browser.get("/events").text.contains("Only a running program"));
    assert_eq!(browser.get("/readyz").status, StatusCode::SERVICE_UNAVAILABLE);
    // The program comes back: the same console reaches it.
    let backlog = Backlog::open(&home.jobs).unwrap();
    assert_eq!(browser.post("/jobs/1", &[("do", "retry")]).status, StatusCode::SEE_OTHER);
    assert_eq!(backlog.counts().total().ready, 1);
    assert_eq!(browser.get("/readyz").status, StatusCode::OK);
}

#[test]
fn an_open_bind_without_a_password_is_refused() {
    let home = home();
    for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = Console::new(&home.backlog).listen(open).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains("password"), "{refused}");
    }
    let short = Console::new(&home.backlog).password("eleven char").listen("127.0.0.1:0").unwrap_err();
    assert!(short.to_string().contains("at least 12"), "{short}");
    let guarded = Console::new(&home.backlog).guarded_by_app().listen("127.0.0.1:0").unwrap_err();
    assert!(guarded.to_string().contains("mount"), "{guarded}");
    let listening = Console::new(&home.backlog).password("long enough it is").listen("0.0.0.0:0").unwrap();
    assert!(!format!("{listening:?}").contains("token"), "a debug print tells no secret");
}

#[test]
fn a_guarded_console_asks_for_no_token_but_for_its_own_forms() {
    let home = home();
    let mut browser = Browser::stranger(Console::new(&home.backlog).guarded_by_app());
    assert_eq!(browser.service.entrance(), None);
    assert_eq!(browser.get("/jobs/1").status, StatusCode::OK);
    let ours = &[("origin", "http://localhost:7070")];
    let page = browser.get("/jobs/1").text;
    let token = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(browser.post_with("/jobs/1", &[("do", "retry")], ours, "").status, StatusCode::FORBIDDEN);
    assert_eq!(browser.post_with("/jobs/1", &[("do", "retry")], &[], &token).status, StatusCode::FORBIDDEN);
    assert_eq!(browser.post_with("/jobs/1", &[("do", "retry")], ours, &token).status, StatusCode::SEE_OTHER);
}

#[test]
fn a_form_is_bounded_and_numbers_are_clamped() {
    let home = home();
    let mut browser = Browser::of(Console::new(&home.backlog));
    let long = "a".repeat(65 << 10);
    assert_eq!(browser.post("/jobs", &[("q", &long)]).status, StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["/jobs?n=0", "/jobs?n=9999999", "/jobs?n=-1", "/jobs?after=18446744073709551615", "/jobs?n=x&after=y"]
    {
        assert_eq!(browser.get(path).status, StatusCode::OK, "{path}");
    }
    let page = browser.get(&format!("/jobs?q={}", "a".repeat(60_000)));
    assert!(page.status == StatusCode::BAD_REQUEST && page.text.len() < 20_000, "{}", page.text.len());
    assert_eq!(browser.post("/jobs/1", &[("do", "priority"), ("priority", "32768")]).status, StatusCode::BAD_REQUEST);
}

#[test]
fn progress_that_a_job_told_is_shown() {
    let home = home();
    let (told, heard) = std::sync::mpsc::channel();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    let workers = home.backlog.workers().handle_raw("slow", move |_, cx: crate::Context| {
        cx.progress(42, "<i>half</i> way")?;
        told.send(())?;
        let _ = gate.lock().unwrap().recv();
        Ok(())
    });
    let workers = workers.start().unwrap();
    let id = home.backlog.enqueue_raw("slow", b"{}".to_vec(), Codec::Json).unwrap().id;
    heard.recv().unwrap();
    let page = Browser::of(Console::new(&home.backlog)).get(&format!("/jobs/{id}")).text;
    assert!(page.contains("value=\"42\"") && page.contains("&#60;i&#62;half&#60;/i&#62; way"), "{page}");
    drop(go);
    workers.stop(Duration::from_secs(25)).unwrap();
}

#[test]
fn no_template_turns_escaping_off() {
    let pages = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/console/pages");
    let mut seen = 0;
    for file in std::fs::read_dir(pages).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|end| end == "html") {
            let text = std::fs::read_to_string(&file).unwrap();
            seen += 1;
            for word in ["|safe", "| safe", "|escape", "autoescape", "style=", " onclick"] {
                assert!(!text.contains(word), "{}: {word}", file.display());
            }
        }
    }
    assert!(seen > 5);
}
