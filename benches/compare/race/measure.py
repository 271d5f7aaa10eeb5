"""One measurement of one peer: a fresh folder, a server of its own, one line of JSON."""

import json
import random
import re
import subprocess
import threading
import time
from pathlib import Path

from . import servers
from .peers import Peer, Running, fresh

SYNCS = "fsync,fdatasync,sync_file_range,msync,syncfs"
# A peer that takes longer for one spell has hung.
PATIENCE_S = 60


def ask(peer: Peer, what: str, folder: Path, **options) -> dict:
    line = peer.command(what, folder, **options)
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no answer within {PATIENCE_S} s") from None
    if done.returncode != 0:
        words = [word for word in done.stderr.strip().splitlines() if not word.startswith(("note:", "stack", " "))]
        last = (words or ["no word"])[-1]
        raise RuntimeError(f"{peer.name} {what}: status {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def once(peer: Peer, what: str, **options) -> dict:
    folder = fresh(peer, what)
    with Running(peer, folder):
        return ask(peer, what, folder, **options)


def latency(peer: Peer, rate: float, seconds: float) -> dict:
    """The floor has no workers."""
    return once(peer, "latency", rate=rate, seconds=seconds, workers=16 if peer.jobs else 0)


def empty(peer: Peer) -> dict:
    """A folder that was opened and holds no job."""
    folder = fresh(peer, "empty")
    with Running(peer, folder):
        ask(peer, "enqueue", folder, jobs=0)
    return ask(peer, "size", folder)


def fill(peer: Peer, folder: Path, jobs: int, size: int) -> dict:
    """Fills and ends as a crash does."""
    with Running(peer, folder, filling=True):
        return ask(peer, "fill", folder, jobs=jobs, bytes=size)


def reopen(peer: Peer, folder: Path) -> dict:
    """A server is started with its client, so its start counts."""
    with Running(peer, folder):
        return ask(peer, "recover", folder, workers=1, jobs=1, seconds=60)


def counted(line: list[str], attach: list[int], folder: Path) -> tuple[int, dict]:
    """Runs a command under strace (or beside a traced server); gives its syncs and its answer."""
    out = folder.parent / f"{folder.name}.strace"
    trace = ["strace", "-f", "-qq", "-c", "-e", f"trace={SYNCS}", "-o", str(out)]
    if attach:
        tracer = subprocess.Popen(trace + [f"-p{pid}" for pid in attach], stderr=subprocess.DEVNULL)
        time.sleep(0.3)  # strace does not say when it has attached
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S)
        tracer.send_signal(2)
        tracer.wait()
    else:
        done = subprocess.run(trace + line, capture_output=True, text=True, timeout=PATIENCE_S)
    calls = 0
    for row in out.read_text().splitlines():
        found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", row)
        if found and found.group(2) in SYNCS.split(","):
            calls += int(found.group(1))
    out.unlink()
    return calls, json.loads(done.stdout.splitlines()[-1])


def syncs_per_job(peer: Peer, what: str, **options) -> float:
    """Syncs of a spell, less those of opening alone, for each job."""
    opening = 0
    if not peer.server:
        folder = fresh(peer, "syncs")
        opening, _ = counted(peer.command("enqueue", folder, jobs=0), [], folder)
    folder = fresh(peer, "syncs")
    with Running(peer, folder) as running:
        if peer.server:
            ask(peer, "enqueue", folder, jobs=0)  # until it answers
        attach = running.server.pids() if running.server else []
        calls, answer = counted(peer.command(what, folder, **options), attach, folder)
        return max(0, calls - opening) / max(1, answer["jobs"])


class Lines:
    """A process that prints ids until it is killed."""

    def __init__(self, line: list[str]):
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ids, self.some = set(), threading.Condition()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            # What SIGKILL cut in the middle was not said.
            if line.endswith("\n") and line.strip().isdigit():
                with self.some:
                    self.ids.add(int(line))
                    self.some.notify_all()

    def wait_for(self, enough, seconds: float) -> bool:
        with self.some:
            return self.some.wait_for(lambda: enough(self.ids), seconds)

    def kill(self) -> set:
        servers.crash(self.process)
        self.reader.join()
        return self.ids


def gate(peer: Peer, seed: int, patience: float = 40) -> dict:
    """SIGKILL at a random moment while jobs are accepted: each accepted id must be seen afterwards."""
    folder, moment = fresh(peer, "gate"), random.Random(seed).uniform(0.2, 0.9)
    with Running(peer, folder) as running:
        accept = Lines(peer.command("accept", folder, threads=4))
        accept.wait_for(lambda ids: ids, 10)
        time.sleep(moment)
        running.kill()
        accepted = accept.kill()
    with Running(peer, folder):
        drain = Lines(peer.command("drain", folder, workers=16))
        drain.wait_for(lambda ids: accepted <= ids, patience)
        seen = drain.kill()
    return {"kills": 1, "accepted": len(accepted), "lost": len(accepted - seen)}


def in_flight_again(peer: Peer, patience: float, jobs: int = 16) -> dict:
    """Sixteen jobs are running when their process gets SIGKILL: from the next start until all sixteen run again."""
    folder = fresh(peer, "held")
    with Running(peer, folder):
        ask(peer, "enqueue", folder, jobs=jobs)
        hold = Lines(peer.command("hold", folder, workers=jobs))
        hold.wait_for(lambda ids: len(ids) >= jobs, 30)
        held = len(hold.kill())
        answer = ask(peer, "recover", folder, workers=jobs, jobs=held, seconds=patience)
        return answer | {"held": held, "patience": patience}
