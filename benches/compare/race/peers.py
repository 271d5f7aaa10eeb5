"""Who races, what makes each of them durable, and who is left out and why."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import servers

HERE = Path(__file__).resolve().parent.parent
TARGET = HERE / "target"
FOLDERS = TARGET / "race"


@dataclass
class Peer:
    name: str  # in files and on the command line of the runner
    label: str  # in the tables
    package: str  # folder below peers/
    settings: str  # what makes it class A
    server: str = ""  # the program of a server
    port: int = 0  # below those the kernel gives to clients, who might else meet themselves while a server starts
    jobs: bool = True  # gives jobs out again; the floor does not
    batches: bool = True
    remark: str = ""  # stands below the tables
    script: str = ""  # of a peer in Ruby, in place of a package
    gems: tuple = ()  # that it needs

    @property
    def binary(self) -> Path:
        return TARGET / "release" / f"compare-{self.package}"

    def command(self, what: str, folder: Path, **options) -> list[str]:
        program = ["ruby", str(HERE / "peers" / self.package / self.script)] if self.script else [str(self.binary)]
        line = program + [what, "--dir", str(folder)]
        if self.server:
            line += ["--server", self.name, "--port", str(self.port)]
        for name, value in options.items():
            line += [f"--{name}", str(value)]
        return line


PEERS = [
    Peer("floor", "append + `fdatasync`", "floor", "the bytes alone, prefilled file, one lock", jobs=False),
    Peer("backlog", "**backlog**", "backlog", "default (`Durability::Sync`)"),
    Peer(
        "sqlite", "SQLite by hand", "sqlite", "WAL, `synchronous=FULL`, prepared statements, one connection",
        remark="Claims are written without a sync (`NORMAL`), as backlog's are; enqueues and acks with one.",
    ),
    Peer(
        "persistent-queue", "persistent-queue 0.2", "persistent-queue", "redb, `Group`, durable acks", batches=False,
        remark="A plain FIFO: no retries, schedules or priorities; no call for many jobs.",
    ),
    Peer(
        "effectum", "effectum 0.7", "effectum", "as shipped: SQLite, rollback journal, `synchronous=NORMAL`",
        remark="SQLite does not sync the removal of its rollback journal at this setting: a power cut just after a "
        "commit may undo it (SQLite's documentation, `synchronous=EXTRA`). Finished jobs stay in its tables.",
    ),
    Peer(
        "honker", "honker 0.5", "honker", "SQLite WAL, `synchronous=FULL` through `with_conn` (ships with NORMAL)",
        remark="A dead worker's jobs come back after the visibility timeout, 300 s by default.",
    ),
    Peer(
        "apalis", "apalis-sqlite 1.0", "apalis", "SQLite WAL, `synchronous=FULL` by connect options, no `setup`",
        remark="It polls, ten jobs at a time.",
    ),
    Peer(
        "rustqueue", "rustqueue 0.3", "rustqueue", "redb, `RedbDurability::Immediate`",
        remark="Jobs of a dead process come back when they count as stalled, after 30 s by default.",
    ),
    Peer(
        "redis", "Redis 7 lists", "wire", "`appendonly yes`, `appendfsync always`", server="redis-server", port=26379,
        remark="Lists and a client of our own: `RPUSH`, `BLMOVE`, `LREM`; no retries, schedules or leases.",
    ),
    Peer(
        "beanstalkd", "beanstalkd 1.12", "wire", "`-b DIR -f 0`", server="beanstalkd", port=26300, batches=False,
        remark="No call for many jobs. Filled at `-f 1000`, measured at `-f 0`.",
    ),
    Peer(
        "postgres", "PostgreSQL, `SKIP LOCKED`", "postgres", "defaults (`fsync`, `synchronous_commit` on)",
        server="postgres", port=26432,
        remark="By hand: a job is deleted in a transaction that stays open while its handler runs.",
    ),
    Peer(
        "sidekiq", "Sidekiq 6.4", "ruby", "Redis 7: `appendonly yes`, `appendfsync always`", script="sidekiq.rb",
        gems=("sidekiq",), server="redis-server", port=26380,
        remark="`perform_async`, `perform_bulk`, 16 threads in one Ruby process. A job leaves Redis before it runs, so its "
        "end costs nothing and those in flight at a kill are lost; `super_fetch`, which keeps them, is part of Sidekiq Pro.",
    ),
    Peer(
        "delayed-job", "Delayed Job 4.1", "ruby", "PostgreSQL defaults (`fsync`, `synchronous_commit` on)",
        script="delayed_job.rb", gems=("delayed_job_active_record", "pg"), server="postgres", port=26433,
        remark="`enqueue`; many jobs are one `insert_all` of rows it prepared. 16 worker processes that sleep 0.1 s when idle "
        "(5 s by default). A dead worker's jobs stay locked for `max_run_time`, four hours by default.",
    ),
    Peer(
        "rabbitmq", "RabbitMQ 3.10", "wire", "durable classic queue, persistent messages, publisher confirms",
        server="rabbitmq-server", port=26672,
        remark="A client of our own: many jobs are published before their confirms are awaited; acks by hand, prefetch 256. "
        "An ack has no answer in AMQP: a power cut may give a finished job out again.",
    ),
]

def build(peer: Peer, as_is: bool) -> str:
    """Builds in release, or takes what was built before; gives the reason when it cannot race."""
    if peer.server and not shutil.which(peer.server):
        return f"{peer.server} is not installed"
    if peer.script:
        return missing_ruby(peer)
    if as_is:
        return "" if peer.binary.exists() else "not built"
    manifest = HERE / "peers" / peer.package / "Cargo.toml"
    line = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(manifest), "--target-dir", str(TARGET)]
    done = subprocess.run(line, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    return "" if done.returncode == 0 else f"does not build: {(errors or ['cargo failed'])[0]}"


def missing_ruby(peer: Peer) -> str:
    if not shutil.which("ruby"):
        return "ruby is not installed"
    for gem in peer.gems:
        if subprocess.run(["ruby", "-e", f"gem '{gem}'"], capture_output=True).returncode != 0:
            return f"the gem {gem} is not installed"
    return ""


class Running:
    """A peer with its folder, and its server where it has one."""

    def __init__(self, peer: Peer, folder: Path, filling: bool = False):
        self.server = None
        folder.mkdir(parents=True, exist_ok=True)
        if peer.server:
            self.server = servers.Server(peer.server, folder, peer.port, filling)

    def kill(self):
        """As a crash would, and only what was started here."""
        if self.server:
            self.server.crash()
            self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def fresh(peer: Peer, what: str) -> Path:
    """Removed only when the race is over: removing costs the disk time that a neighbour would pay."""
    folder = FOLDERS / f"{peer.name}-{what}-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    return folder
