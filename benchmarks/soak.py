#!/usr/bin/env python3
"""Runs a site for a while under everything that happens to one, and says what grows. See README.md.

  soak.py                            20 minutes with the builtin core
  soak.py --core multiprocessing     with its children
  soak.py --minutes 3 --check        short, without a bound on latencies: for a busy machine
  soak.py --table FILE...            the table of README.md, from what --out wrote

1,000 clients make their seven calls, one run after the other, each on a connection of its own, as many runs a second as --rate
says. Meanwhile the repository is edited, the server told to read its settings again, the log rotated, the certificate changed,
and each kind of the server's helpers killed (disturb.py). Every answer has to be right, every report has to reach the database.

Exit status 1: an answer was missing or wrong, memory or descriptors grew, or latencies did.
"""
import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import disturb
import growth
import run
import scenarios
import servers
import trend

# The share of the time at whose end caches are full and every kind of event has happened.
WARM_SHARE = 0.25

# Descriptors of the server for a child, the pidfd included; of others there are two.
CHILD_DESCRIPTORS = {"collector": 4, "renderer": 3}


class Load:
    """bcfg2-load, which reports each interval."""

    def __init__(self, server, options, arguments):
        self.reports = []
        self.process = subprocess.Popen(
            [options.load, "--ca", os.path.join(server.pki, "ca.crt"), "--clients",
             os.path.join(server.dir, "load", "clients.txt"), "--client-limit", str(options.clients), "--password",
             server.site["password"], "--probe-data", os.path.join(server.dir, "load", "probe-data.xml"), "--stats",
             os.path.join(server.dir, "load", "stats.xml"), "--call", "run", "--connections", "64", "--timeout", "60",
             *arguments, "127.0.0.1:%d" % server.port], stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        text = ""
        for line in self.process.stdout:
            text += line
            if line == "}\n":
                self.reports.append(dict(json.loads(text), at=time.monotonic()))
                text = ""

    def end(self):
        self.thread.join()
        if self.process.wait() not in (0, 1) or not self.reports:
            raise RuntimeError("bcfg2-load ended with %d" % self.process.returncode)


class Samples:
    """What /proc says of the server and its children, again and again."""

    def __init__(self, server, seconds):
        self.server, self.seconds, self.rows, self.ended = server, seconds, [], threading.Event()
        self.thread = threading.Thread(target=self.follow)

    def follow(self):
        while not self.ended.wait(self.seconds):
            self.rows.append(self.take())

    def take(self):
        row = {"at": time.monotonic(), "cpu": self.server.cpu_seconds(), "processes": []}
        connections = self.connections()
        for role, pids in disturb.roles(self.server).items():
            for pid in pids:
                try:
                    row["processes"].append(dict(memory(pid), role=role, pid=pid, parent=parent(pid),
                                                 descriptors=descriptors(pid, connections)))
                except (FileNotFoundError, ProcessLookupError):
                    pass  # It has ended meanwhile.
        return row

    def connections(self):
        """Inodes of the sockets of clients' connections: the load decides how many there are."""
        found = set()
        for name in ("tcp", "tcp6"):
            with open("/proc/net/" + name) as f:
                for line in f.readlines()[1:]:
                    fields = line.split()
                    if int(fields[1].rpartition(":")[2], 16) == self.server.port and fields[3] != "0A":  # listening
                        found.add("socket:[%s]" % fields[9])
        return found


def memory(pid):
    """Resident, anonymous and proportional memory of a process, in kB."""
    result = {}
    for path, wanted in (("status", {"VmRSS": "rss", "RssAnon": "anonymous"}), ("smaps_rollup", {"Pss": "pss"})):
        with open("/proc/%d/%s" % (pid, path)) as f:
            for line in f:
                name, _, rest = line.partition(":")
                if name in wanted:
                    result[wanted[name]] = int(rest.split()[0])
    if "rss" not in result:
        raise ProcessLookupError(pid)
    return result


def parent(pid):
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rpartition(")")[2].split()[1])


def descriptors(pid, connections):
    folder, count = "/proc/%d/fd" % pid, 0
    for name in os.listdir(folder):
        try:
            count += os.readlink(os.path.join(folder, name)) not in connections
        except FileNotFoundError:
            pass
    return count


# --- The run

def at_rest(server, samples):
    """What the server has when nothing happens: descriptors, and kB on the heap, of one process without the caches.

    Descriptors to its children do not count, of which one may be there or not. A child may begin or end while they are counted:
    the median of half a minute is that of the moments between.
    """
    counts, heaps, names = [], [], []
    for _ in range(60):
        time.sleep(0.5)
        processes = samples.take()["processes"]
        children = [CHILD_DESCRIPTORS.get(p["role"], 2) for p in processes if p["parent"] == server.process.pid]
        counts.append(next(p["descriptors"] for p in processes if p["role"] == "server") - sum(children))
        names.append(sorted(disturb.descriptor_names(server.process.pid)) + ["children: %s" % sorted(
            p["role"] for p in processes if p["parent"] == server.process.pid)])
        heaps.append({"server": (server.figure("process_heap_bytes") - server.figure("bcfg2_cache_bytes")) / 1024})
        if server.has_children:
            heaps[-1] = {"server": server.figure("process_heap_bytes") / 1024,
                         "child": server.figure("bcfg2_children_heap_bytes") / server.figure("bcfg2_children") / 1024}
    count = statistics.median_low(counts)
    return {"descriptors": count, "names": names[counts.index(count)], "heap": {
        role: statistics.median(heap[role] for heap in heaps) for role in heaps[0]}}


def settle(server, options, disturber):
    """Gives the server the size that it has with full caches, after each disturbance: what these make old is made anew."""
    for action in disturber.schedule:
        disturber.do(action)
    disturber.do(disturber.fill_caches)
    load = Load(server, options, ["--requests", str(3 * options.clients)])
    load.end()
    return load


def stored_reports(server):
    path = os.path.join(server.dir, "bcfg2.sqlite")
    with sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=30) as database:
        return database.execute("SELECT count(*) FROM Reporting_interaction").fetchone()[0]


def soak(options, folder):
    server = disturb.Site(folder, options, os.path.join(folder, "pki"))
    faults, said, load, samples = [], run.machine(), None, None
    server.start()
    try:
        server.wait_for_port()
        disturber = disturb.Disturber(server, options, faults)
        disturber.config()
        say("every client, every disturbance, and full caches")
        loads = [Load(server, options, ["--requests", str(options.clients)])]
        loads[0].end()
        loads.append(settle(server, options, disturber))
        samples = Samples(server, options.interval / 6)
        rest = [at_rest(server, samples)]
        say("%g minutes, %g runs a second" % (options.minutes, options.rate))
        began = time.monotonic()
        end = began + 60 * options.minutes
        load = Load(server, options, ["--seconds", str(60 * options.minutes), "--rate", str(options.rate),
                                      "--interval", str(options.interval)])
        samples.thread.start()
        following = threading.Thread(target=progress, args=(load, samples, faults, end))
        following.start()
        disturber.run(lambda: time.monotonic() > end - 5 or load.process.poll() is not None, 60 * options.minutes)
        load.end()
        samples.ended.set()
        samples.thread.join()
        following.join()
        reports = load.reports
        # As it was when it was looked at before.
        loads.append(settle(server, options, disturber))
        others = [r for one in loads for r in one.reports]
        acknowledged = sum(r["calls"]["RecvStats"]["count"] for r in others + reports) + disturber.reports
        deadline = time.monotonic() + 120
        while (stored := stored_reports(server)) < acknowledged and time.monotonic() < deadline:
            time.sleep(0.5)
        rest.append(at_rest(server, samples))
        process = server.process
        server.stop()
        if process.returncode != 0:
            faults.append("the server ended with status %d: %s" % (process.returncode, server.tail()))
    finally:
        if load and load.process.poll() is None:
            load.process.terminate()
        if samples:
            samples.ended.set()
        server.stop()
    warm = began + WARM_SHARE * 60 * options.minutes
    rows = [row for row in samples.rows if row["at"] > warm]
    runs = growth.runs_at(reports, began)
    # What ends within the last moments of the run is not a whole interval.
    whole = [r for r in reports if r["seconds"] > 0.9 * options.interval]
    kept = [r for r in whole if r["at"] > warm]
    intervals = []
    for report in whole:
        near = [row for row in samples.rows if report["at"] - options.interval <= row["at"] <= report["at"]]
        cpu = near[-1]["cpu"] - near[0]["cpu"] if len(near) > 1 else 0
        done = runs(near[-1]["at"]) - runs(near[0]["at"]) if len(near) > 1 else 0
        intervals.append({"runs": report["runs"], "p50_ms": report["run_ms"]["p50"], "p99_ms": report["run_ms"]["p99"],
                          "call_p50_ms": report["latency_ms"]["p50"], "call_p99_ms": report["latency_ms"]["p99"],
                          "errors": report["errors"], "cpu_ms_per_run": 1000 * cpu / done if done else None,
                          "memory": {role: sum(p["pss"] for p in near[-1]["processes"] if p["role"] == role)
                                     for role in {p["role"] for p in near[-1]["processes"]}} if near else {},
                          "rss": next((p["rss"] for p in near[-1]["processes"] if p["role"] == "server"), None)
                          if near else None})
    unusual = []
    for path in (server.logged + ".unusual", server.logged):
        if os.path.exists(path):
            with open(path, errors="replace") as f:
                unusual += disturb.unusual_lines(f)
    result = {
        "machine": said, "load_average": os.getloadavg()[0], "core": options.core, "minutes": options.minutes,
        "rate": options.rate, "interval": options.interval, "clients": options.clients,
        "version": servers.Ours.version(), "runs": sum(r["runs"] for r in reports),
        "requests": sum(r["requests"] for r in reports), "errors": sum(r["errors"] for r in others + reports),
        "first_error": next((r["first_error"] for r in others + reports if r["first_error"]), ""),
        "faults": faults, "disturbances": disturber.counts, "killed": disturber.killed, "intervals": intervals,
        "memory": {key: growth.memory_trends(rows, runs, key) for key in ("rss", "anonymous", "pss")},
        "descriptors": growth.descriptor_growth(rows, runs), "at_rest": rest,
        "heap": growth.heap_growth(rest, sum(r["runs"] for r in reports)),
        "latency": {quantile: growth.latency_trend(kept, quantile) for quantile in ("p50", "p99")},
        "cpu_ms_per_run": 1000 * (rows[-1]["cpu"] - rows[0]["cpu"]) / (runs(rows[-1]["at"]) - runs(rows[0]["at"])),
        "load_cpu_share": sum(r["load_cpu_seconds"] for r in reports[-1:]) / sum(r["seconds"] for r in reports),
        "reports": {"acknowledged": acknowledged, "stored": stored}, "log": disturb.kinds_of(unusual)[:40],
        "rows": samples.rows if options.rows else []}
    result["failures"] = growth.judge(result, options.check)
    return result


def progress(load, samples, faults, end):
    """A line for each interval."""
    seen = 0
    while load.process.poll() is None or seen < len(load.reports):
        if seen == len(load.reports):
            time.sleep(0.2)
            continue
        report = load.reports[seen]
        seen += 1
        row = samples.rows[-1] if samples.rows else {"processes": []}
        say("%3d: %6d runs, p50 %6.1f ms, p99 %7.1f ms, %d errors; %s; %d faults" % (
            seen, report["runs"], report["run_ms"]["p50"], report["run_ms"]["p99"], report["errors"],
            ", ".join("%s %d kB" % (p["role"], p["rss"]) for p in row["processes"] if p["role"] in (
                "server", "child", "collector")), len(faults)))


def say(text):
    print(text, flush=True)


def table(results):
    """In Markdown: a column for each run."""
    def row(title, value):
        return "| %s | %s |" % (title, " | ".join(value(r) for r in results))

    def grown(key, role):
        def text(result):
            entry = result["memory"][key].get(role)
            return "-" if not entry else "%+.2f ± %.2f kB: %s" % (entry["slope"], entry["half"], {
                trend.GROWS: "**grows**", trend.STEADY: "below the limit", trend.UNDECIDED: "not decided"}[entry["verdict"]])
        return text

    def latency(quantile, when):
        def text(result):
            values = [i[quantile + "_ms"] for i in result["intervals"]]
            return "%.1f ms" % (sorted(values[:len(values) // 2] if when else values[len(values) // 2:])[len(values) // 4])
        return text
    lines = [row("", lambda r: "%s core" % r["core"]), "|---" * (len(results) + 1) + "|",
             row("minutes, runs, calls", lambda r: "%g, %d, %d" % (r["minutes"], r["runs"], r["requests"])),
             row("disturbances, helpers killed", lambda r: "%d, %d" % (
                 sum(r["disturbances"].values()), sum(r["killed"].values()))),
             row("missing or wrong answers", lambda r: str(r["errors"] + len(r["faults"]))),
             row("reports acknowledged, stored", lambda r: "%d, %d" % (
                 r["reports"]["acknowledged"], r["reports"]["stored"])),
             row("CPU of a run", lambda r: "%.1f ms" % r["cpu_ms_per_run"]),
             row("run, p50: first half, second", lambda r: latency("p50", 1)(r) + ", " + latency("p50", 0)(r)),
             row("run, p99: first half, second", lambda r: latency("p99", 1)(r) + ", " + latency("p99", 0)(r)),
             row("descriptors at rest, before and after", lambda r: "%d, %d" % tuple(x["descriptors"] for x in r["at_rest"])),
             row("heap at rest, before and after, and growth in 1,000 runs", lambda r: "; ".join(
                 "%s: %.0f kB, %.0f kB, %+.2f kB" % (role, r["at_rest"][0]["heap"][role], r["at_rest"][1]["heap"][role], growth)
                 for role, growth in sorted(r["heap"].items(), reverse=True))),
             row("RSS of the server, at the end", lambda r: "%.1f MB" % (r["memory"]["rss"]["server"]["to"] / 1024)),
             row("its growth in 1,000 runs", grown("rss", "server"))]
    for role in sorted({role for r in results for role in r["memory"]["rss"]} - {"server"}):
        lines.append(row("growth of a %s" % role, grown("rss", role)))
    lines.append(row("PSS of all processes, first and last interval", lambda r: "%.1f MB, %.1f MB" % tuple(
        sum(r["intervals"][k]["memory"].values()) / 1024 for k in (0, -1))))
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".build")
    parser.add_argument("--server", default=os.path.join(here, "release", "bcfg2-server"))
    parser.add_argument("--load", default=os.path.join(here, "benchmarks", "bcfg2-load"))
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--core", choices=["builtin", "multiprocessing"], default="builtin")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=100, help="runs a second")
    parser.add_argument("--conf", default="", help="text that is added to bcfg2.conf")
    parser.add_argument("--check", action="store_true", help="for a busy machine: latencies may do what they want")
    parser.add_argument("--out", metavar="FILE", help="write what was measured as JSON")
    parser.add_argument("--rows", action="store_true", help="with --out: every sample too")
    parser.add_argument("--keep", action="store_true", help="keep the site's folder, and say where it is")
    parser.add_argument("--table", nargs="+", metavar="FILE", help="only print the table of such files")
    options = parser.parse_args()
    options.interval = 60 if options.minutes >= 10 else max(5, 6 * options.minutes)
    return options


def main():
    options = parse()
    if options.table:
        say(table([json.load(open(path)) for path in options.table]))
        return 0
    servers.Ours.binary, scenarios.LOAD = options.server, options.load
    for path in (options.server, options.load):
        if not os.access(path, os.X_OK):
            sys.exit("no %s: swift build -c release, and make -C benchmarks/load" % path)
    folder = tempfile.mkdtemp(prefix="soak-")
    try:
        result = soak(options, folder)
    finally:
        if options.keep:
            say("the site is in " + folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if options.out:
        with open(options.out, "w") as file:
            json.dump(result, file, indent=1)
    say("\n" + table([result]))
    say("\nlines of the log besides the usual ones:")
    for text, count in result["log"]:
        say("  %6d  %s" % (count, text[:200]))
    for failure in result["failures"]:
        say("FAIL " + failure)
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    servers.unwind_at_signals()
    sys.exit(main())
