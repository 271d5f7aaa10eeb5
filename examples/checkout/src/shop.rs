//! The process that is killed: a web server with a backlog behind it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backlog::Backlog;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::sales::Sales;
use crate::status::Look;
use crate::{Wrong, web, work};

/// How long charges that are under way may take when the shop is told to stop.
const GRACE: Duration = Duration::from_secs(25);

/// Opens the shop in `dir` and says its port on standard output. Ends in order at SIGTERM, at ctrl-c, and when standard
/// input is closed: then whoever started it has gone.
pub(crate) async fn serve(dir: &Path, provider: SocketAddr, port: u16) -> Result<(), Wrong> {
    // A charge cannot take the process down with it: what kills this server comes from outside, so a job that was
    // running at several deaths is no poison pill.
    let backlog = Backlog::builder().suspects_alone(false).open(dir.join("jobs"))?;
    let sales = Arc::new(Sales::open(&dir.join("sales"))?);
    let workers = work::workers(&backlog, provider, Arc::clone(&sales)).start()?;
    let listener = listen(port).await?;
    let mut out = io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    let routes = web::routes(Look { backlog: backlog.clone(), sales });
    tokio::select! {
        served = axum::serve(listener, routes) => served?,
        told = told_to_stop() => told?,
        () = parent_gone() => {}
    }
    tokio::task::spawn_blocking(move || workers.stop(GRACE)).await??;
    backlog.close()?;
    Ok(())
}

/// The port it had in its last life, so that an open page finds it again; another one if that is taken.
async fn listen(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Err(_) if port != 0 => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
        bound => bound,
    }
}

/// Until SIGTERM or ctrl-c.
#[cfg(unix)]
pub(crate) async fn told_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => Ok(()),
        told = tokio::signal::ctrl_c() => told,
    }
}

/// Until ctrl-c.
#[cfg(not(unix))]
pub(crate) async fn told_to_stop() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// Until standard input ends. On a thread of its own, which the end of the process need not wait for.
async fn parent_gone() {
    let (tell, gone) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(tell);
    });
    let _ = gone.await;
}
