//! A small server for a console that stands alone: HTTP/1 on one thread.
//!
//! # Invariants
//! * Bounded: connections, the time a request may take to come, the time an exchange may take.
//! * It ends with its handle.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, oneshot};

use super::service::ConsoleService;
use crate::error::{Error, Result};
use crate::sync::{Builder, JoinHandle};

/// Connections at a time, count: more wait.
const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take to come, and a connection may be silent.
const HEAD_MAX: Duration = Duration::from_secs(15);
/// How long a connection may last: a change of very many jobs takes its time.
const CONNECTION_MAX: Duration = Duration::from_secs(600);

/// A console that listens; made by [`Console::listen`](crate::Console::listen). Dropped, it ends.
pub struct Listening {
    addr: SocketAddr,
    entrance: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address for a browser, with the token in it: whoever has it comes in.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.addr, self.entrance)
    }

    /// Waits for as long as it serves: until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // It hands connections on and holds nothing.
            drop(thread.join());
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Nobody listens any more: then it has ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The entrance is a secret.
        f.debug_struct("Listening").field("addr", &self.addr).finish_non_exhaustive()
    }
}

pub(super) fn start(service: ConsoleService, addrs: &[SocketAddr]) -> Result<Listening> {
    let failed = |e: io::Error| Error::io("the console cannot listen", e);
    let listener = TcpListener::bind(addrs).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(failed)?
    };
    let (stop, stopped) = oneshot::channel();
    let entrance = service.entrance().unwrap_or_default();
    let serving = move || {
        runtime.block_on(async {
            drop(tokio::spawn(accept(listener, service)));
            // A handle that went without a word has gone too.
            let _ = stopped.await;
        });
        // A verb that waits for the disk is not waited for.
        runtime.shutdown_background();
    };
    let thread = Builder::new().name("backlog-console".to_owned()).spawn(serving).map_err(failed)?;
    Ok(Listening { addr, entrance, stop: Some(stop), thread: Some(thread) })
}

async fn accept(listener: tokio::net::TcpListener, service: ConsoleService) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: those who wait are served when there are some again.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let _place = place;
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(64 << 10);
            // Whoever breaks the rules or leaves is gone, and that is all.
            let _ = tokio::time::timeout(CONNECTION_MAX, http.serve_connection(TokioIo::new(stream), service)).await;
        });
    }
}
