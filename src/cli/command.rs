//! One command for one job, never beside itself.
//!
//! The args lie in a file of their own under the directory, which is the command's standard input, locked. The lock
//! belongs to the open file, so it lives as long as the command or any child of it that keeps it (as descriptor 9 too,
//! since a command may close its standard input), also when the worker that started it is killed. Whoever runs the
//! job next opens the same file and waits for the lock.
//!
//! # Invariants
//! * A command is started only while its file's lock is held, and that lock passes to it.
//! * A file goes when its job is over; one whose job is not, stays: the next attempt waits for it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::ids::JobId;
use crate::sync::Mutex;
use crate::{Backlog, Context, Failure, Status};

/// Where the files lie, below the backlog's directory.
const FOLDER: &str = "exec";
/// Longer args are not given as `$1`: Linux takes 128 KiB, its end included.
const ARGUMENT_BYTES_MAX: usize = (128 << 10) - 1;

/// Runs commands for jobs.
pub(super) struct Commands {
    shell: std::ffi::OsString,
    folder: PathBuf,
    /// Those that run, by job: each leads a process group of its own.
    running: Mutex<HashMap<JobId, Pid>>,
}

impl Commands {
    /// For commands of this text, with their files below `dir`.
    pub(super) fn new(dir: &Path, command: &OsStr) -> io::Result<Self> {
        let folder = dir.join(FOLDER);
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        // Descriptor 9 is the lock, for those who close their standard input.
        let mut shell = std::ffi::OsString::from("exec 9<&0\n");
        shell.push(command);
        Ok(Self { shell, folder, running: Mutex::default() })
    }

    /// Takes away the files of jobs that are over, unless a command still runs on one.
    pub(super) fn tidy(&self, backlog: &Backlog) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let id = path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
            let over = id.is_some_and(|id| matches!(backlog.inspect(id), Ok(Status::Finished | Status::Lost)));
            if over && File::open(&path)?.try_lock().is_ok() {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Runs the command for one job; its status decides.
    pub(super) fn run(&self, args: &[u8], cx: &Context) -> Result<(), Failure> {
        let path = self.folder.join(cx.id().to_string());
        let mut input =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        // An earlier worker that was killed may have left a command running.
        input.lock()?;
        if cx.is_cancelled() {
            return Err(Failure::new("not started: it was to stop while it waited for its earlier command to end"));
        }
        input.set_len(0)?;
        input.write_all(args)?;
        input.rewind()?;
        let status = self.watched(input, args, cx)?;
        if status.success() {
            // One that cannot be taken away is tidied up later.
            let _ = std::fs::remove_file(&path);
            return Ok(());
        }
        Err(Failure::new(match (status.code(), status.signal()) {
            (Some(code), _) => format!("the command ended with status {code}"),
            (None, signal) => format!("the command was ended by signal {}", signal.unwrap_or_default()),
        }))
    }

    fn watched(&self, input: File, args: &[u8], cx: &Context) -> io::Result<ExitStatus> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.shell).arg("backlog-job");
        if args.len() < ARGUMENT_BYTES_MAX && !args.contains(&0) {
            command.arg(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(args));
        }
        command
            .env("BACKLOG_JOB_ID", cx.id().to_string())
            .env("BACKLOG_KIND", cx.kind())
            .env("BACKLOG_QUEUE", cx.queue())
            .env("BACKLOG_ATTEMPT", cx.attempt().to_string())
            .env("BACKLOG_IDEMPOTENCY_KEY", cx.idempotency_key())
            // A Ctrl-C at the terminal ends the worker in order, not its commands.
            .process_group(0)
            .stdin(Stdio::from(input));
        let mut child = command.spawn()?;
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        self.running.lock().insert(cx.id(), pid);
        if cx.is_cancelled() {
            self.end(cx.id());
        }
        // Not reaped yet: until it is off the list its number is still its own.
        let ended = loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                ended => break ended,
            }
        };
        self.running.lock().remove(&cx.id());
        ended?;
        child.wait()
    }

    /// Tells the command of a job to end.
    pub(super) fn end(&self, id: JobId) {
        let running = self.running.lock();
        if let Some(pid) = running.get(&id) {
            // One that has just ended is as good.
            let _ = kill_process_group(*pid, Signal::TERM);
        }
    }
}
