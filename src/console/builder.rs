//! A console and its settings.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use super::alone::{self, Listening};
use super::guard::{Door, Guard, PASSWORD_CHARS_MIN, secret};
use super::service::{ConsoleService, Inner, Redact};
use super::source::Source;
use crate::error::{Error, Result};
use crate::queue::Backlog;

/// Pages for a browser: what is failing, what is late, what a job is doing, and the verbs to change it. Feature `console`.
///
/// Mounts in an app as a [`tower_service::Service`], or [listens](Self::listen) by itself on a loopback address. People come
/// in by the token in the [entrance](ConsoleService::entrance). The console keeps no backlog open. Its
/// [security model](crate::_documentation::console).
///
/// ```
/// use backlog::{Backlog, Console};
///
/// # let dir = tempfile::tempdir()?;
/// let backlog = Backlog::open(dir.path().join("jobs"))?;
/// let console = Console::new(&backlog).listen("127.0.0.1:0")?;
/// println!("console: {}", console.url());                  // http://127.0.0.1:40123/?token=…
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "serves nothing until `service` or `listen`"]
pub struct Console {
    source: Source,
    base: String,
    nested: bool,
    hosts: Vec<String>,
    password: Option<String>,
    guarded: bool,
    read_only: bool,
    redact: Option<Box<Redact>>,
}

impl Console {
    /// The console of a backlog that is open here.
    pub fn new(backlog: &Backlog) -> Self {
        Self::over(Source::here(backlog))
    }

    /// The console of a directory: through the [admin socket](crate::Options::admin) of the program that has it open; if
    /// none has, it is shown as it lies on disk and cannot be changed. Asked anew for each page, so the program may come
    /// and go.
    pub fn of_dir(dir: impl AsRef<Path>) -> Self {
        Self::over(Source::there(dir.as_ref()))
    }

    fn over(source: Source) -> Self {
        Self {
            source,
            base: String::new(),
            nested: false,
            hosts: Vec::new(),
            password: None,
            guarded: false,
            read_only: false,
            redact: None,
        }
    }

    /// The path it is mounted at, as browsers see it: `/admin/jobs`. Requests may bear it or have lost it on the way, as
    /// with axum's `nest_service`. Default: the root.
    pub fn prefix(mut self, path: impl Into<String>) -> Self {
        path.into().trim_end_matches('/').clone_into(&mut self.base);
        self
    }

    /// Requests never bear the prefix. Only needed where the prefix is also the path of a page, as `/jobs`. Default: they
    /// may.
    pub fn nested(mut self, nested: bool) -> Self {
        self.nested = nested;
        self
    }

    /// A name that browsers may call it by, with or without its port. Default: `localhost` and the addresses of this
    /// machine's loopback.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into().to_ascii_lowercase());
        self
    }

    /// People come in by this password as well; at least 12 characters. Needed to listen where other machines reach it.
    /// There it goes over the wire as it is: put TLS before it. Default: none, only the token.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The app it is mounted in lets people in; the console asks for no token. Only for apps that check who asks, before the
    /// console sees the request. Default: it asks.
    pub fn guarded_by_app(mut self) -> Self {
        self.guarded = true;
        self
    }

    /// Nothing can be changed. Default: it can.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Asks for what is shown in the place of args: given are the kind, and the args as text. It is shown as text. Errors,
    /// tags, keys and metadata are shown as they are. Default: args are shown.
    pub fn redact_args(mut self, redact: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        self.redact = Some(Box::new(redact));
        self
    }

    /// The service, to be mounted.
    ///
    /// # Errors
    /// `Invalid`: the prefix is no path, or the password is too short. `Io`: the system gives no randomness.
    pub fn service(self) -> Result<ConsoleService> {
        let path = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        let is_path = self.base.is_empty() || (self.base.starts_with('/') && !self.base.contains("//"));
        if !is_path || !self.base.chars().all(path) {
            let text = format!("prefix={:?} is no path: it begins with / and has letters, digits and -._~", self.base);
            return Err(Error::invalid(text));
        }
        if self.password.as_ref().is_some_and(|password| password.trim().chars().count() < PASSWORD_CHARS_MIN) {
            return Err(Error::invalid(format!("the password is too short: at least {PASSWORD_CHARS_MIN} characters")));
        }
        let door = if self.guarded {
            Door::Guarded(secret()?)
        } else {
            Door::Locked { token: secret()?, password: self.password.map(|password| password.trim().to_owned()) }
        };
        let guard = Guard::new(door, self.hosts, &self.base)?;
        let (base, nested, read_only, redact) = (self.base, self.nested, self.read_only, self.redact);
        Ok(ConsoleService { inner: Arc::new(Inner { source: self.source, guard, base, nested, read_only, redact }) })
    }

    /// Serves it by itself at this address (port 0: any), on a thread of its own, until [`Listening`] is dropped.
    ///
    /// # Errors
    /// As [`service`](Self::service). `Invalid`: the address is reachable from other machines and there is no
    /// [`password`](Self::password); or no app stands in front that could [guard](Self::guarded_by_app) it. `Io`: the
    /// system refused the address.
    pub fn listen(self, addr: impl ToSocketAddrs) -> Result<Listening> {
        let no_address = |e| Error::io("the console cannot tell where to listen", e);
        let addrs: Vec<SocketAddr> = addr.to_socket_addrs().map_err(no_address)?.collect();
        let open = addrs.iter().find(|addr| !addr.ip().is_loopback());
        if self.guarded {
            return Err(Error::invalid(
                "no app stands before a console that listens by itself; mount its service instead",
            ));
        }
        if let Some(open) = open.filter(|_| self.password.is_none()) {
            let text = format!(
                "listen={open} is reachable from other machines: give the console a password, or listen on 127.0.0.1"
            );
            return Err(Error::invalid(text));
        }
        let any_address = open.is_some();
        let mut service = self.service()?;
        if let Some(inner) = Arc::get_mut(&mut service.inner) {
            inner.guard.any_address = any_address;
        }
        alone::start(service, &addrs)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("prefix", &self.base).finish_non_exhaustive()
    }
}
