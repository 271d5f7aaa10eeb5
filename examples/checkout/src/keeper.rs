//! Starts the shop as a process of its own, kills it, starts it again.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Tells the process that it is the shop.
pub(crate) const SERVE: &str = "serve";

pub(crate) struct Keeper {
    dir: PathBuf,
    provider: SocketAddr,
    /// Of the last life; 0: any.
    port: u16,
    life: Option<Life>,
}

struct Life {
    process: Child,
    /// The shop ends when it is closed.
    input: Option<ChildStdin>,
    /// Open, so that the shop can write.
    _output: BufReader<ChildStdout>,
}

impl Keeper {
    pub(crate) fn new(dir: &Path, provider: SocketAddr) -> Self {
        Self { dir: dir.to_owned(), provider, port: 0, life: None }
    }

    /// Starts the shop; it is open when this is done. Gives its address and its process.
    pub(crate) async fn start(&mut self) -> io::Result<(SocketAddr, u32)> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(&self.dir)
            .args([self.provider.to_string(), self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = process.id().unwrap_or_default();
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or_else(|| io::Error::other("the shop has no output"))?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).await?;
        let port = line.trim().parse();
        self.port = port.map_err(|_| io::Error::other("the shop did not open; its error stands above"))?;
        self.life = Some(Life { process, input, _output: output });
        Ok((SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), pid))
    }

    /// SIGKILL, and it is gone when this is done.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        let Some(mut life) = self.life.take() else { return Ok(()) };
        if life.process.try_wait()?.is_none() {
            life.process.kill().await?;
        }
        Ok(())
    }

    /// Until the shop ends by itself, or somebody else ends it.
    pub(crate) async fn died(&mut self) -> io::Result<ExitStatus> {
        let life = self.life.as_mut().ok_or_else(|| io::Error::other("no shop was started"))?;
        life.process.wait().await
    }

    /// Tells it to end in order, and waits for that.
    pub(crate) async fn stop(mut self) -> io::Result<ExitStatus> {
        let mut life = self.life.take().ok_or_else(|| io::Error::other("no shop was started"))?;
        drop(life.input.take());
        life.process.wait().await
    }
}
