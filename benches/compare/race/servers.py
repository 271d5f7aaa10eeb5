"""How each server is started in a folder of its own, on loopback, as durable as it can be."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Server:
    """A server in its folder; `close` ends it as a crash would."""

    def __init__(self, program: str, folder: Path, port: int, filling: bool):
        self.processes = []
        for line, more in STARTS[program](folder, port, filling):
            process = subprocess.Popen(line, cwd=folder, env=os.environ | more, stdin=subprocess.DEVNULL, **SILENT)
            self.processes.append(process)

    def pids(self) -> list[int]:
        return [pid for process in self.processes for pid in with_children(process.pid)]

    def crash(self):
        for process in reversed(self.processes):
            crash(process)


def redis(folder, port, _):
    line = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--logfile", "log"]
    return [(line + ["--appendonly", "yes", "--appendfsync", "always", "--save", ""], {})]


def beanstalkd(folder, port, filling):
    # What it holds is the same however it was synced; filling it at -f 0 would take minutes.
    line = ["beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", str(folder), "-f", "1000" if filling else "0"]
    return [(line, {})]


def postgres(folder, port, _):
    data = folder / "data"
    if not data.exists():
        shutil.copytree(cluster(folder.parent / "postgres-template"), data)
        data.chmod(0o700)
        own(folder)
        # Else its first recovery syncs our copy.
        subprocess.run(["sync", "-f", str(data)], check=True)
    line = ["postgres", "-D", str(data), "-p", str(port), "-k", "", "-c", "listen_addresses=127.0.0.1"]
    return [(as_user() + line, {})]


def cluster(template: Path) -> Path:
    """Made once; every spell gets a copy."""
    if not template.exists():
        template.mkdir()
        own(template)
        line = as_user() + ["initdb", "-D", str(template), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(line, check=True, cwd="/", **SILENT)
    return template


# Debian's own `rabbitmq-server` is a wrapper for the service's user; this is the server.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def rabbitmq(folder, port, _):
    """With a name service of its own, which it would else leave running; no plugins."""
    names, distribution = str(port + 1), str(port + 2)
    (folder / "environment").touch()
    (folder / "plugins").write_text("[].")
    # A node has one name for ever, and only loopback.
    settings = {
        "HOME": str(folder), "ERL_EPMD_PORT": names, "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": "race@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port), "RABBITMQ_DIST_PORT": distribution,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"), "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"), "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
    }
    return [(["epmd", "-address", "127.0.0.1", "-port", names], {}), ([str(RABBITMQ)], settings)]


def as_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


def own(folder: Path):
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "postgres:postgres", str(folder)], check=True)


STARTS = {"redis-server": redis, "beanstalkd": beanstalkd, "postgres": postgres, "rabbitmq-server": rabbitmq}


def crash(process: subprocess.Popen):
    """SIGKILL to a process and those it started, each by its number."""
    pids = with_children(process.pid)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()
    # Until then its port still takes connections.
    while any(map(alive, pids)):
        time.sleep(0.001)


def alive(pid: int) -> bool:
    """A process whose first thread has ended still holds its ports until the last has."""
    try:
        first = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return first not in "ZX" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def with_children(pid: int) -> list[int]:
    """A process and all below it."""
    pids = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                pids += with_children(int(child))
    except OSError:
        pass  # it ended meanwhile
    return pids
