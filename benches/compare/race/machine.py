"""What the race was run on; nothing that names the machine."""

import platform
import re
import subprocess
from pathlib import Path

from .peers import TARGET


def facts() -> dict:
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": f"{len(cpus)} × {cpus[0].split(':', 1)[1].strip()}" if cpus else platform.machine(),
        "memory": f"{int(memory.group(1)) / 2**20:.0f} GB",
        "kernel": re.match(r"[\d.]+", platform.release()).group(0).rstrip("."),
        "file_system": said("df", "--output=fstype", str(TARGET)).split()[-1],
        "rust": said("rustc", "--version").split(" (")[0],
    }


def said(*line: str) -> str:
    return subprocess.run(line, capture_output=True, text=True).stdout.strip()
