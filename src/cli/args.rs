//! The words the command line understands.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use super::trouble::EXIT_CODES;

const FILTER: &str = "Filters are words that must all fit:
  queue:NAME  kind:NAME (* for any text)  state:held|scheduled|ready|in_flight|dead|parked
  tag:TAG  error:TEXT  age:>1h  age:<5m  priority:5  priority:>5  id:7  id:10..20";

/// Looks at a backlog and changes it: a durable job queue in one directory.
///
/// A program that has the directory open is asked through its admin socket; if none has, looking reads the directory
/// without touching it, and changing opens it.
#[derive(Debug, Parser)]
#[command(name = "backlog", version, max_term_width = 120, after_help = EXIT_CODES, after_long_help = format!("{FILTER}\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// The backlog's directory.
    #[arg(short, long, global = true, env = "BACKLOG_DIR", value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Answers as JSON, one object a line: {"backlog":1,"verb":…,"reached":…,"data":…}.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// How long to wait for a directory that another program has open without a socket.
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(super) wait: Duration,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Jobs by queue and state.
    Stats,
    /// Jobs, in the order of their ids.
    #[command(visible_alias = "list", after_help = FILTER)]
    Ls {
        /// Which ones.
        filter: Vec<String>,
        /// At most so many.
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: usize,
        /// Only those with a larger id: the next page.
        #[arg(long, value_name = "ID")]
        after: Option<u64>,
    },
    /// One job, with its args and errors.
    Show { id: u64 },
    /// Failed jobs, counted by kind and error.
    #[command(after_help = FILTER)]
    Failures { filter: Vec<String> },
    /// Reads and checks everything that is durable.
    Verify,
    /// The last jobs that ended; a running program remembers them.
    History {
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: usize,
    },
    /// What happens from now on, until it is interrupted; of a running program.
    Tail,
    /// Puts jobs in; returns when they are on disk.
    Enqueue(Enqueue),
    /// Runs a command for each job: a crash-proof xargs.
    Work(Work),
    /// Makes dead, parked or scheduled jobs ready; with a filter that names no state, dead ones.
    #[command(after_help = FILTER)]
    Retry(Which),
    /// Ends jobs that wait; asks those that run to stop.
    #[command(visible_alias = "delete", after_help = FILTER)]
    Cancel(Which),
    /// Puts jobs that do not run into another queue.
    #[command(after_help = FILTER)]
    Move {
        #[command(flatten)]
        which: Which,
        /// The queue.
        #[arg(long, value_name = "QUEUE")]
        to: String,
    },
    /// Pauses a queue or lets it go on.
    Queue {
        #[command(subcommand)]
        what: Pause,
    },
    /// Pauses a kind of jobs or lets it go on.
    Kind {
        #[command(subcommand)]
        what: Pause,
    },
    /// Saves the index now, so that the next open replays less.
    Checkpoint,
    /// Gives back the space of jobs that are over, as far as that pays.
    Compact,
    /// Writes every live job as JSON lines, with a header and a trailer.
    Export {
        /// The file; not there yet. Default: standard output.
        file: Option<PathBuf>,
    },
    /// Enqueues the jobs of an export, under new ids; the file is checked first.
    Import {
        file: PathBuf,
        /// Also its dead and parked jobs, which are then ready.
        #[arg(long)]
        with_dead: bool,
    },
    /// Shows the backlog to a browser.
    #[cfg(feature = "console")]
    Console(Serve),
    /// Looks for what may be wrong with the directory.
    Doctor,
    /// Completions for a shell, to standard output.
    Completions { shell: clap_complete::Shell },
    /// The manual page, or that of one verb, to standard output.
    Man { verb: Option<String> },
}

impl Verb {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Ls { .. } => "ls",
            Self::Show { .. } => "show",
            Self::Failures { .. } => "failures",
            Self::Verify => "verify",
            Self::History { .. } => "history",
            Self::Tail => "tail",
            Self::Enqueue(_) => "enqueue",
            Self::Work(_) => "work",
            Self::Retry(_) => "retry",
            Self::Cancel(_) => "cancel",
            Self::Move { .. } => "move",
            Self::Queue { .. } => "queue",
            Self::Kind { .. } => "kind",
            Self::Checkpoint => "checkpoint",
            Self::Compact => "compact",
            Self::Export { .. } => "export",
            Self::Import { .. } => "import",
            #[cfg(feature = "console")]
            Self::Console(_) => "console",
            Self::Doctor => "doctor",
            Self::Completions { .. } => "completions",
            Self::Man { .. } => "man",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Pause {
    /// No job of it is started until it is resumed, over restarts too.
    Pause { name: String },
    /// Its jobs are started again.
    Resume { name: String },
}

/// Jobs by id, or by filter.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Ids, or the words of a filter.
    #[arg(required = true, value_name = "ID|FILTER")]
    pub(super) jobs: Vec<String>,
    /// Only says how many jobs fit.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Does not ask before a filter changes jobs.
    #[arg(short, long)]
    pub(super) yes: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Enqueue {
    /// The args of one job, as JSON.
    #[arg(value_name = "ARGS", required_unless_present = "stdin", conflicts_with = "stdin")]
    pub(super) args: Option<String>,
    /// Takes ARGS as text instead of JSON.
    #[arg(long, requires = "args")]
    pub(super) raw: bool,
    /// Makes each line of standard input a job.
    #[arg(long)]
    pub(super) stdin: bool,
    /// What a line is: raw text, the args as JSON, or a whole job as JSON.
    #[arg(long, requires = "stdin", value_enum, default_value = "raw")]
    pub(super) lines: Lines,
    /// Its kind. Default: exec, which `backlog work` runs.
    #[arg(short, long, default_value = "exec")]
    pub(super) kind: String,
    /// Its queue. Default: default, or exec for jobs of kind exec.
    #[arg(short, long)]
    pub(super) queue: Option<String>,
    /// Higher runs first.
    #[arg(short, long, allow_hyphen_values = true)]
    pub(super) priority: Option<i16>,
    /// No second live job of this kind with the same key.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["stdin", "unique_args"])]
    pub(super) unique: Option<String>,
    /// No second live job of this kind with the same args: makes it safe to enqueue again after a lost answer.
    #[arg(long)]
    pub(super) unique_args: bool,
    /// Not before this time has passed.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) delay: Option<Duration>,
    /// How long one attempt may take.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) timeout: Option<Duration>,
    /// Always the same wait after a failed attempt. Default: longer each time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) backoff: Option<Duration>,
    /// Attempts it may spend.
    #[arg(long)]
    pub(super) max_attempts: Option<u32>,
    /// A word to find it by; may stand several times.
    #[arg(long)]
    pub(super) tag: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Lines {
    Raw,
    Json,
    Job,
}

#[derive(Debug, clap::Args)]
pub(super) struct Work {
    /// The command, run by sh for each job, with the args on standard input and, where they fit, as $1. Status 0: the
    /// job is done; any other: a failed attempt.
    #[arg(long, value_name = "COMMAND")]
    pub(super) exec: OsString,
    /// The kinds it takes; may stand several times. Default: exec.
    #[arg(short, long)]
    pub(super) kind: Vec<String>,
    /// The queues, in strict order; may stand several times. Default: exec, or default if kinds are named.
    #[arg(short, long)]
    pub(super) queue: Vec<String>,
    /// How many commands run at a time.
    #[arg(short = 'c', long)]
    pub(super) concurrency: Option<usize>,
    /// Ends when no job of its queues is ready, scheduled or in flight.
    #[arg(long)]
    pub(super) drain: bool,
    /// How long running commands may finish after SIGTERM or SIGINT.
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = time)]
    pub(super) grace: Duration,
}

#[cfg(feature = "console")]
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// The directory; instead of --dir.
    #[arg(value_name = "DIR")]
    pub(super) at: Option<PathBuf>,
    /// Where it listens; port 0 takes any. An address that other machines reach needs a password.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub(super) listen: String,
    /// A file with the password, at least 12 characters: people come in by it as well as by the token.
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// A name that browsers may call it by besides localhost; may stand several times.
    #[arg(long, value_name = "NAME")]
    pub(super) host: Vec<String>,
    /// The path that a proxy before it serves it at.
    #[arg(long, value_name = "PATH", default_value = "")]
    pub(super) prefix: String,
    /// Nothing can be changed.
    #[arg(long)]
    pub(super) read_only: bool,
    /// Shows no args of jobs.
    #[arg(long)]
    pub(super) hide_args: bool,
}

/// `500ms`, `90s`, `5m`, `1h`, `2d`, `1w`.
fn time(text: &str) -> Result<Duration, String> {
    let ms = text.strip_suffix("ms").and_then(|digits| digits.parse().ok()).map(Duration::from_millis);
    ms.or_else(|| crate::face::duration(text))
        .ok_or_else(|| "a time is a number and ms, s, m, h, d or w: 90s".to_owned())
}
