"""RESULTS.md and chart.svg, from what was measured and nothing else."""

from statistics import median

from . import chart
from .peers import HERE, PEERS

SPELLS = {
    "one": "1 thread",
    "many": "64 threads",
    "batch": "1 thread, batches of 1,000",
    "cycle": "enqueue → handler → ack, 16 workers",
}
PENDING = (10_000, 1_000_000)
LATENCIES = {"answered_us": "enqueue answered", "started_us": "handler started"}
# p50, p99 and p99.9, of a thousand.
PLACES = {"p50": 500, "p99": 990, "p99.9": 999}
# Why a peer is ahead of backlog in a row, where the reason is known: each has a letter in the table.
REASONS = {
    "floor": "The floor: a lower bound without jobs.",
    "size": "A job's record in the log says more than its args (kind, queue, times, id), and the saved index repeats what it "
    "needs of that. Space prepared ahead is not in this row; it stands in its own column above.",
    "reopen": "After a kill an open writes zeros behind the last frame to the end of a segment of 32 MiB, since the page cache "
    "may show what the disk has not; and it opens its index.",
    "tail": "The place of p99.9 is one or two of 800 arrivals, and the append alone shows the same tail in this run. RabbitMQ hands a "
    "job to its consumer before it is on disk.",
}
REASONS_OF = {"in flight": "reopen", "answered_us": "tail", "started_us": "tail"}
NOT_LOOKED_INTO = "Not looked into."
FLOORS = ("floor",)
# Less than this is nobody's lead.
SAME = 1.02


def write(results: dict):
    rows = [(peer, results["peers"][peer.name]) for peer in PEERS if peer.name in results["peers"]]
    ranked = [(peer, row) for peer, row in rows if not why_not_ranked(peer, row)]
    unranked = [(peer, why) for peer, row in rows if (why := why_not_ranked(peer, row))]
    text = "\n\n".join(part for part in [
        head(results),
        *(speeds(ranked, size) for size in (200, 4096)),
        latencies(ranked, results), recovery(ranked), sizes(ranked), gates(rows), behind(ranked),
        remarks(ranked, unranked, results), standing(ranked),
    ] if part)
    (HERE / "RESULTS.md").write_text(text + "\n")
    (HERE / "chart.svg").write_text(chart.draw(ranked, middle))


def why_not_ranked(peer, row) -> str:
    """A is: on the device when the call returns. Counted, not believed."""
    if not any(f"{spell}_200" in row for spell in SPELLS):
        return "not measured in this run"
    if row.get("gate", {}).get("lost"):
        return f"fails the gate: {row['gate']['lost']} of {row['gate']['accepted']} accepted jobs were not seen again"
    if row.get("syncs_one", 1) < 0.9:
        return f"{row['syncs_one']:.2f} syncs per job with one thread: not on the device when the call returns"
    return ""


def head(results) -> str:
    machine, floor = results["machine"], results["peers"].get("floor", {})
    latency = floor.get("latency")
    sync = ""
    if latency:
        p50, p99 = (median(spell[at] for spell in latency) / 1000 for at in (0, 1))
        sync = f" An append of 200 B with `fdatasync` takes {p50:.1f} ms (p50), {p99:.1f} ms (p99)."
    note = f"\n\n{results['note']}" if results["note"] else ""
    return (
        "# Beside the others\n\n"
        "Written by `benches/compare/run`; do not edit. Every peer here is durable in the same sense: a call returns when "
        "the job would survive a power cut (class A), checked by counting its syncs. Compare within one table, never with "
        "figures from another day or machine.\n\n"
        f"Machine: {machine['cpu']}, {machine['memory']}, {machine['file_system']}, Linux {machine['kernel']}, "
        f"{machine['rust']}.{sync} Jobs are JSON of exactly 200 B or 4 KiB that does not compress, made and read inside "
        f"the measurement. A fresh folder for each spell of {results['spell']:g} s; {results['rounds']} rounds over all "
        f"peers, the order turned each round. Figures are medians, with the lowest and the highest in brackets.{note}"
    )


def middle(row, key):
    return median(row[key]) if row.get(key) else None


def speeds(rows, size) -> str:
    if not any(f"{spell}_{size}" in row for _, row in rows for spell in SPELLS):
        return ""
    floor = next((row for peer, row in rows if peer.name == "floor"), {})
    titles = ["jobs per second", *SPELLS.values()]
    counted = size == 200
    lines = [titles + ["syncs per job: 1 thread / 64 / cycle"] * counted]
    for peer, row in rows:
        cells = [speed(row.get(f"{spell}_{size}"), middle(floor, f"one_{size}")) for spell in SPELLS]
        syncs = " / ".join(short(row.get(f"syncs_{what}")) for what in ("one", "many", "cycle"))
        lines.append([peer.label, *cells] + [syncs] * counted)
    what = "200 B" if size == 200 else "4 KiB"
    return f"## Jobs of {what}\n\n{table(lines)}\n\n× is the multiple of one append with `fdatasync` in the same run."


def speed(values, floor) -> str:
    if not values:
        return "–"
    times = f" · {count(median(values) / floor)}×" if floor else ""
    return f"{count(median(values))} ({count(min(values))}–{count(max(values))}){times}"


def recovery(rows) -> str:
    titles = ["ms", "reopen to first handler, 10,000 pending", "1,000,000 pending", "jobs in flight at `kill -9` run again"]
    lines = [titles]
    for peer, row in rows:
        if peer.jobs:
            lines.append([peer.label, spread(row.get("reopen_10000")), spread(row.get("reopen_1000000")), again(row)])
    return (
        f"## After a kill\n\n{table(lines)}\n\n"
        "From the start of the new process to the handler. A server counts with its own start in the first two columns; in "
        "the third only the processes of its workers are killed. Dashes: at its own rate filling a million jobs would have "
        "taken more than 25 s, or failed."
    )


def again(row) -> str:
    tries = row.get("in_flight")
    if not tries:
        return "–"
    if gave_up := next((one for one in tries if one["all_ms"] is None), None):
        return f"{gave_up['seen']} of {gave_up['held']} after {gave_up['patience']:g} s"
    return spread([one["all_ms"] for one in tries])


def latencies(rows, results) -> str:
    lines = [["ms", *(f"{title}, {place}" for title in LATENCIES.values() for place in PLACES)]]
    for peer, row in rows:
        if row.get("open_loop"):
            cells = [place(row, what, at) for what in LATENCIES for at in PLACES.values()]
            lines.append([peer.label, *(f"{cell / 1000:.2f}" if cell is not None else "–" for cell in cells)])
    if len(lines) == 1:
        return ""
    return (
        f"## One job among few\n\n{table(lines)}\n\n"
        f"{results.get('rate', 0):g} jobs of 200 B arrive in a second whatever the answers do (an open loop, far from full "
        "load), 16 workers stand ready. From the call of enqueue to its answer, and to the start of the job's handler; all "
        "rounds together."
    )


def place(row, what, thousandth):
    """In microseconds. A job that never started makes the last places unknown, so these are not shown."""
    rounds = row.get("open_loop", [])
    values = sorted(value for one in rounds for value in one[what])
    expected = sum(len(one["answered_us"]) for one in rounds)
    at = min(expected * thousandth // 1000, expected - 1)
    return values[at] if 0 <= at < len(values) else None


def used(row, jobs):
    """Bytes for each pending job, what is prepared ahead left out."""
    size = row.get(f"size_{jobs}")
    return size and (size["disk_bytes"] - size.get("prepared_bytes", 0)) / jobs


def sizes(rows) -> str:
    titles = [f"{jobs:,} pending" for jobs in PENDING]
    lines = [["bytes in use per pending job of 200 B", *titles, "prepared ahead, apart from that", "the folder without a job"]]
    for peer, row in rows:
        if peer.jobs:
            prepared = [row[f"size_{jobs}"].get("prepared_bytes", 0) for jobs in PENDING if row.get(f"size_{jobs}")]
            cells = [count(one) if (one := used(row, jobs)) else "–" for jobs in PENDING]
            empty = row.get("size_0")
            cells += [mebi(max(prepared)) if any(prepared) else "–", mebi(empty["disk_bytes"]) if empty else "–"]
            lines.append([peer.label, *cells])
    return (
        f"## On disk\n\n{table(lines)}\n\n"
        "In use: backlog's log up to its tail, and its index; of the others the whole folder. Backlog also keeps segments of "
        "32 MiB prepared, whatever is in the queue: they are the third figure, and the greater part of the fourth. PostgreSQL's "
        "folder holds its catalog and its log of writes; what a server prepares for itself is not told apart."
    )


def mebi(size) -> str:
    return f"{size / 2**20:,.0f} MiB" if size >= 2**20 else f"{size / 2**10:,.0f} KiB"


def gates(rows) -> str:
    lines = [["SIGKILL at a random moment while four threads enqueue", "kills", "accepted", "never seen again"]]
    for peer, row in rows:
        if "gate" in row:
            lines.append([peer.label, *(str(row["gate"][what]) for what in ("kills", "accepted", "lost"))])
    return f"## The gate\n\n{table(lines)}" if len(lines) > 1 else ""


def compared(rows):
    """Each peer and row that both have: how many times better the peer is."""
    ours = next((row for peer, row in rows if peer.name == "backlog"), None)
    for peer, row in rows:
        if ours is not None and peer.name != "backlog":
            for title, mine, theirs, ahead, kind in pairs(ours, row):
                if not (peer.name in FLOORS and kind == "size"):
                    yield peer, title, mine, theirs, ahead, kind


def behind(rows) -> str:
    """Every row in which somebody is ahead of backlog; a reason is said once, below."""
    lines, letters = [], {}
    for peer, title, mine, theirs, ahead, kind in compared(rows):
        if ahead > SAME:
            why = reason(peer.name, kind)
            letter = letters.setdefault(why, chr(ord("a") + len(letters)))
            lines.append([title, peer.label, theirs, mine, f"{ahead:.2g}×", letter])
    if not lines:
        return "## Where backlog is behind\n\nIn no row of this run." if rows else ""
    titles = ["what", "who is ahead", "theirs", "backlog", "by", "why"]
    whys = "\n".join(f"* **{letter}**: {why}" for why, letter in letters.items())
    return f"## Where backlog is behind\n\n{table([titles, *lines], words=True)}\n\n{whys}"


def reason(name, kind) -> str:
    kind = REASONS_OF.get(kind, kind)
    return REASONS.get((name, kind)) or REASONS.get(name) or REASONS.get(kind) or NOT_LOOKED_INTO


def standing(rows) -> str:
    """How many rows are ahead and behind, in all; within two in a hundred nobody is."""
    sums = {True: [0, 0, 0], False: [0, 0, 0]}
    for peer, _, _, _, ahead, _ in compared(rows):
        at = 1 if ahead > SAME else 0 if ahead < 1 / SAME else 2
        sums[peer.name in FLOORS][at] += 1
    if not any(map(sum, sums.values())):
        return ""
    lines = [["rows (a peer and a measure)", "backlog ahead", "backlog behind", "within 2 %"]]
    lines.append(["against the peers", *map(str, sums[False])])
    lines.append(["against the floor, which has no jobs", *map(str, sums[True])])
    return f"## The sum\n\n{table(lines)}"


def pairs(ours, row):
    for size in (200, 4096):
        for spell, title in SPELLS.items():
            mine, theirs = middle(ours, f"{spell}_{size}"), middle(row, f"{spell}_{size}")
            if mine and theirs:
                yield f"{title}, {size} B", count(mine), count(theirs), theirs / mine, spell
    for jobs in PENDING:
        mine, theirs = middle(ours, f"reopen_{jobs}"), middle(row, f"reopen_{jobs}")
        if mine and theirs:
            yield f"reopen, {jobs:,} pending", f"{mine:.0f} ms", f"{theirs:.0f} ms", mine / theirs, "reopen"
        mine, theirs = used(ours, jobs), used(row, jobs)
        if mine and theirs:
            yield f"bytes in use per job, {jobs:,} pending", count(mine), count(theirs), mine / theirs, "size"
    for what, title in LATENCIES.items():
        for name, at in PLACES.items():
            mine, theirs = place(ours, what, at), place(row, what, at)
            if mine and theirs:
                yield f"{title}, {name}", f"{mine / 1000:.2f} ms", f"{theirs / 1000:.2f} ms", mine / theirs, what
    mine, theirs = held(ours), held(row)
    if mine and theirs:
        yield "in flight again", f"{mine:.0f} ms", f"{theirs:.0f} ms", mine / theirs, "in flight"


def held(row):
    times = [one["all_ms"] for one in row.get("in_flight", [])]
    return median(times) if times and None not in times else None


def remarks(rows, unranked, results) -> str:
    lines = [["peer", "settings", "remarks"]]
    lines += [[peer.label, peer.settings, peer.remark or "–"] for peer, _ in rows]
    text = f"## Settings\n\n{table(lines, words=True)}"
    if unranked:
        text += "\n\n## Not ranked\n\n" + "\n".join(f"* {peer.label}: {why}." for peer, why in unranked)
    if results["failed"]:
        text += "\n\n## What went wrong\n"
        for name, failures in results["failed"].items():
            text += "".join(f"\n* {name}, {what}: `{why}`" for what, why in failures.items())
    if results["left_out"]:
        text += "\n\n## Not in this run\n\n" + "\n".join(f"* {who}: {why}." for who, why in results["left_out"].items())
    return text


def table(lines, words=False) -> str:
    top, *rest = lines
    bar = ["---"] + ["---" if words else "---:"] * (len(top) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in [top, bar, *rest])


def spread(values) -> str:
    return f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})" if values else "–"


def count(value) -> str:
    """Three figures are what a measurement here is worth."""
    if value >= 1_000_000:
        return f"{value / 1e6:.3g} M"
    if value >= 10_000:
        return f"{value / 1e3:.3g} k"
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def short(value) -> str:
    if value is None:
        return "not counted"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
