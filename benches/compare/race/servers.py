"""How each server is started in a folder of its own, on loopback, as durable as it can be."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def command(name: str, program: str, folder: Path, port: int, filling: bool) -> list[str]:
    return {"redis": redis, "beanstalkd": beanstalkd, "postgres": postgres}[name](program, folder, port, filling)


def redis(program, folder, port, _):
    line = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--logfile", "log"]
    return line + ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]


def beanstalkd(program, folder, port, filling):
    # What it holds is the same however it was synced; filling it at -f 0 would take minutes.
    return [program, "-l", "127.0.0.1", "-p", str(port), "-b", str(folder), "-f", "1000" if filling else "0"]


def postgres(program, folder, port, _):
    data = folder / "data"
    if not data.exists():
        shutil.copytree(cluster(folder.parent / "postgres-template"), data)
        data.chmod(0o700)
        own(folder)
        # Else its first recovery syncs our copy.
        subprocess.run(["sync", "-f", str(data)], check=True)
    return as_user() + [program, "-D", str(data), "-p", str(port), "-k", "", "-c", "listen_addresses=127.0.0.1"]


def cluster(template: Path) -> Path:
    """Made once; every spell gets a copy."""
    if not template.exists():
        template.mkdir()
        own(template)
        line = as_user() + ["initdb", "-D", str(template), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(line, check=True, cwd="/", **SILENT)
    return template


def as_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


def own(folder: Path):
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "postgres:postgres", str(folder)], check=True)


def crash(process: subprocess.Popen):
    """SIGKILL to the server and the processes it started, each by its number."""
    for pid in with_children(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]
