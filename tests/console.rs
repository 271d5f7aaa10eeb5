//! The console as it is used: the binary, a socket, a browser.
#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "system/mod.rs"]
mod system;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use backlog::{Backlog, Codec, Console, JobBuilder};
use system::home;

const HOSTILE: &str = "\"><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

/// `backlog console`, and where it serves.
struct Served {
    child: Child,
    url: String,
}

fn served(dir: &Path, more: &[&str]) -> Served {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backlog"));
    command.arg("console").arg(dir).args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    Served { child, url: url.trim().to_owned() }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session with whatever serves at this address.
struct Session {
    addr: String,
    cookie: String,
}

fn exchange(addr: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

impl Session {
    fn open(url: &str) -> Self {
        let (addr, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (status, answer) =
            exchange(addr, &format!("GET /{path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"));
        assert_eq!(status, 303, "{answer}");
        let cookie = answer.to_ascii_lowercase().find("set-cookie: ").unwrap() + "set-cookie: ".len();
        let cookie = answer[cookie..].split(';').next().unwrap().to_owned();
        Self { addr: addr.to_owned(), cookie }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let (addr, cookie) = (&self.addr, &self.cookie);
        exchange(addr, &format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"))
    }

    fn post(&self, path: &str, form: &str, host: &str, origin: &str) -> (u16, String) {
        let (addr, cookie, length) = (&self.addr, &self.cookie, form.len());
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n");
        exchange(addr, &format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{form}"))
    }

    fn token(&self) -> String {
        let page = self.get("/").1;
        page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }
}

/// Two dead jobs, one of them hostile, and one that waits.
fn some_jobs(backlog: &Backlog) {
    for (kind, error) in [("send_mail", "timed out after 30 s"), ("send_push", HOSTILE)] {
        let args = serde_json::to_vec(&serde_json::json!({ "to": 7, "text": error })).unwrap();
        backlog.enqueue_all([JobBuilder::raw(kind, args, Codec::Json).max_attempts(1).tag("t")]).unwrap();
        let lease = backlog.queue("default").claim().unwrap().unwrap();
        assert!(!lease.nack(error).unwrap().is_stale());
    }
    backlog.enqueue_raw("send_mail", b"{}".to_vec(), Codec::Json).unwrap();
}

#[test]
fn the_binary_serves_a_live_backlog_and_changes_it_through_its_socket() {
    let home = home();
    let backlog = Backlog::open(home.jobs()).unwrap();
    some_jobs(&backlog);
    let served = served(&home.jobs(), &[]);
    assert!(served.url.starts_with("http://127.0.0.1:") && served.url.contains("/?token="), "{}", served.url);
    let session = Session::open(&served.url);
    let page = session.get("/").1;
    assert!(page.contains("2 failed") && page.contains("through the admin socket"), "{page}");
    let (addr, origin) = (session.addr.clone(), format!("http://{}", session.addr));
    let form = format!("do=retry&csrf={}", session.token());
    assert_eq!(session.post("/jobs/1", &form, &addr, "http://evil.example").0, 403);
    assert_eq!(session.post("/jobs/1", &form, "evil.example", &origin).0, 421);
    assert_eq!(session.post("/jobs/1", "do=retry", &addr, &origin).0, 403);
    assert_eq!(backlog.counts().total().dead, 2);
    let (status, answer) = session.post("/jobs/1", &form, &addr, &origin);
    assert!(status == 303 && answer.contains("/jobs/1?did=retry&was=done"), "{answer}");
    assert_eq!(backlog.counts().total().dead, 1);
    assert_eq!(exchange(&addr, "GET /healthz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").0, 200);
    assert_eq!(exchange(&addr, "GET /readyz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").0, 200);
    // The program ends: the same console shows what is on disk.
    backlog.close().unwrap();
    let page = session.get("/jobs/2").1;
    assert!(page.contains("not running") && page.contains("&#60;script&#62;"), "{page}");
    assert_eq!(session.post("/jobs/2", &form, &addr, &origin).0, 409);
    assert_eq!(exchange(&addr, "GET /readyz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").0, 503);
}

#[test]
fn an_open_bind_without_a_password_is_a_usage_error() {
    let home = home();
    drop(Backlog::open(home.jobs()).unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_backlog"));
    let output = command.arg("console").arg(home.jobs()).args(["--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("password"));
}

#[test]
fn it_stands_alone_in_a_program_until_its_handle_is_dropped() {
    let home = home();
    let backlog = Backlog::open(home.jobs()).unwrap();
    some_jobs(&backlog);
    let listening = Console::new(&backlog).listen("127.0.0.1:0").unwrap();
    let session = Session::open(&listening.url());
    assert!(session.get("/failures").1.contains("timed out after # s"));
    let addr = listening.local_addr();
    drop(listening);
    assert!(TcpStream::connect(addr).is_err());
}

/// A browser that is told what to do through its two pipes.
struct Browser {
    child: Child,
    to: std::fs::File,
    from: BufReader<std::fs::File>,
    session: String,
    next: u64,
    /// What it asked for and what it complained of.
    asked: Vec<String>,
    complaints: Vec<String>,
}

impl Browser {
    /// `None`: there is no chromium here.
    fn start(home: &Path) -> Option<Self> {
        let found = Command::new("sh").args(["-c", "command -v chromium"]).stdout(Stdio::null()).status().ok()?;
        if !found.success() {
            return None;
        }
        assert!(Command::new("mkfifo").args(["in", "out"]).current_dir(home).status().unwrap().success());
        let script = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
            --no-first-run --disable-background-networking --disable-component-update --disable-sync \
            --user-data-dir=\"$PWD/profile\" --remote-debugging-pipe about:blank 3<in 4>out 2>/dev/null";
        let child = Command::new("sh").args(["-c", script]).current_dir(home).stdin(Stdio::null()).spawn().unwrap();
        let to = std::fs::OpenOptions::new().write(true).open(home.join("in")).unwrap();
        let from = BufReader::new(std::fs::File::open(home.join("out")).unwrap());
        let (asked, complaints) = (Vec::new(), Vec::new());
        let mut browser = Self { child, to, from, session: String::new(), next: 0, asked, complaints };
        let target = browser.tell("Target.createTarget", serde_json::json!({ "url": "about:blank" }));
        let params = serde_json::json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.tell("Target.attachToTarget", params);
        session["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page.enable", "Runtime.enable", "Network.enable", "Log.enable"] {
            browser.tell(domain, serde_json::json!({}));
        }
        Some(browser)
    }

    fn hear(&mut self) -> serde_json::Value {
        let mut heard = Vec::new();
        self.from.read_until(0, &mut heard).unwrap();
        assert_eq!(heard.pop(), Some(0), "the browser has gone");
        let heard: serde_json::Value = serde_json::from_slice(&heard).unwrap();
        match heard["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                self.asked.push(heard["params"]["request"]["url"].as_str().unwrap().to_owned());
            }
            Some(
                "Log.entryAdded"
                | "Runtime.exceptionThrown"
                | "Runtime.consoleAPICalled"
                | "Page.javascriptDialogOpening",
            ) => {
                self.complaints.push(heard["params"].to_string());
            }
            _ => {}
        }
        heard
    }

    fn tell(&mut self, method: &str, params: serde_json::Value) -> serde_json::Value {
        self.next += 1;
        let id = self.next;
        let mut said = serde_json::json!({ "id": id, "method": method });
        said["params"] = params;
        if !self.session.is_empty() {
            said["sessionId"] = self.session.clone().into();
        }
        self.to.write_all(format!("{said}\0").as_bytes()).unwrap();
        loop {
            let mut heard = self.hear();
            if heard["id"] == id {
                assert!(heard.get("error").is_none(), "{method}: {heard}");
                return heard["result"].take();
            }
        }
    }

    /// Does something that leads to another page, and waits until that has come.
    fn go(&mut self, method: &str, params: serde_json::Value) {
        self.tell(method, params);
        while self.hear()["method"] != "Page.loadEventFired" {}
    }

    fn click(&mut self, find: &str) {
        // Later, so that the answer to this comes before the page goes.
        let script = format!("setTimeout(() => ({find}).click(), 0)");
        self.go("Runtime.evaluate", serde_json::json!({ "expression": script }));
    }

    fn text(&mut self, expression: &str) -> String {
        let params = serde_json::json!({ "expression": expression, "returnByValue": true });
        self.tell("Runtime.evaluate", params)["result"]["value"].as_str().unwrap_or_default().to_owned()
    }

    fn page(&mut self) -> String {
        self.text("document.body.innerText")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_browser_goes_from_the_overview_over_failures_and_a_retry_to_the_job() {
    let home = home();
    let backlog = Backlog::open(home.jobs()).unwrap();
    some_jobs(&backlog);
    let listening = Console::new(&backlog).listen("127.0.0.1:0").unwrap();
    let Some(mut browser) = Browser::start(home.path()) else {
        println!("skipped: no chromium here");
        return;
    };
    browser.go("Page.navigate", serde_json::json!({ "url": listening.url() }));
    assert!(browser.page().contains("2 failed"), "{}", browser.page());
    assert!(!browser.text("location.href").contains("token"));
    browser.click("document.querySelector('nav a[href$=failures]')");
    assert!(
        browser.page().contains("timed out after # s") && browser.page().contains("<script>"),
        "{}",
        browser.page()
    );
    browser.click("[...document.querySelectorAll('a.button')].find((a) => a.href.includes('send_mail'))");
    assert!(browser.page().contains("1 job fits"), "{}", browser.page());
    browser.click("document.querySelector('main button')");
    assert!(browser.page().contains("Retry: 1 of 1 jobs."), "{}", browser.page());
    assert_eq!(backlog.counts().total().dead, 1);
    let to = format!("http://{}/jobs/2", listening.local_addr());
    browser.go("Page.navigate", serde_json::json!({ "url": to }));
    assert!(browser.page().contains("send_push") && browser.page().contains("onerror"), "{}", browser.page());
    browser.click("document.querySelector('button[value=retry]')");
    assert!(browser.page().contains("Retry: done."), "{}", browser.page());
    assert_eq!(backlog.counts().total().dead, 0);
    assert_eq!(browser.text("document.title"), "Job 2 · Backlog");
    assert_eq!(browser.complaints, Vec::<String>::new(), "an error on the console");
    let ours = format!("http://{}/", listening.local_addr());
    let foreign: Vec<&String> =
        browser.asked.iter().filter(|url| !url.starts_with(&ours) && *url != "about:blank").collect();
    assert!(foreign.is_empty() && browser.asked.len() > 5, "{:?}", browser.asked);
    println!("the browser asked for {} things, all here", browser.asked.len());
}
