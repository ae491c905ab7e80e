#!/usr/bin/env python3
"""Compares the builtin core with the multiprocessing core, and with --nio with the one on SwiftNIO, all on the same CPUs.
See README.md.

  cores.py                       memory and both loads with 1, 2 and 4 children; about three minutes
  cores.py --children 2 --seconds 2 --rounds 1
  cores.py --nio                 also the core on SwiftNIO, whose process has two threads; of a build with the trait NIO

Nothing is pinned: server, children and load share the CPUs, as they do on a machine of that size. `at most` is the rate
that the processor times allow if no CPU was idle or had anything else to do.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import run
import scenarios
import servers

ALL_CPUS = "0-%d" % (os.cpu_count() - 1)

# Loads: lines of [caching], and arguments of bcfg2-load. A kept connection without digests makes the load cheap.
LOADS = {
    "cold": ({"configurations": 0}, ["--call", "GetConfig", "--keep-alive", "--login", "uuid", "--rotate"]),
    "warm": ({}, ["--call", "GetConfig", "--keep-alive", "--login", "uuid", "--rotate", "--client-limit", 40]),
}


# The number of children of the builtin core, and in its place that of the core on SwiftNIO.
BUILTIN = 0
NIO = "nio"


def processor_seconds(pid):
    """User and system time of each thread of one process, by the scheduler's clock: nanoseconds, not ticks."""
    result = {}
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as f:
            result[thread] = int(f.read().split()[0]) / 1e9
    return result


def spent_between(before, after):
    """Seconds of each thread between two looks at a process, the longest first."""
    return sorted((seconds - before.get(thread, 0) for thread, seconds in after.items()), reverse=True)


def memory_kb(pid):
    """{"rss", "pss", "private"} of one process, in kB."""
    result = {"rss": 0, "pss": 0, "private": 0}
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            name, _, rest = line.partition(":")
            key = {"Rss": "rss", "Pss": "pss", "Private_Clean": "private", "Private_Dirty": "private"}.get(name)
            if key:
                result[key] += int(rest.split()[0])
    return result


class Core(servers.Ours):
    """Our server with a chosen core and settings of [caching]."""

    def __init__(self, work, preset, pki, cpus, children, caching):
        self.children = children
        super().__init__(os.path.join(work, "children-%s-%s" % (children, "".join(map(str, caching.values())))), preset,
                         pki, cpus)
        sections = {"caching": caching}
        if children == NIO:
            sections["server"] = {"backend": "nio"}
        elif children:
            sections["server"] = {"backend": "multiprocessing", "children": children}
        # Continue a section that exists already.
        with open(os.path.join(self.dir, "bcfg2.conf"), "a") as f:
            for name, values in sections.items():
                f.write("\n[%s]\n" % name + "".join("%s = %s\n" % item for item in values.items()))

    @property
    def child_count(self):
        return 0 if self.children == NIO else self.children

    def processes(self):
        """Process numbers of the parent and its children."""
        parent, *rest = servers.descendants(self.process.pid)
        children = []
        for pid in rest:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                if b"--build-for-parent" in f.read():
                    children.append(pid)
        return parent, children


def measure(server, arguments, options, connections):
    """One load on one server: rate, milliseconds of processor time of each part, and the ceiling."""
    parent, children = server.processes()
    before = [processor_seconds(pid) for pid in [parent] + children]
    result = scenarios.load(server, ALL_CPUS, "--connections", connections, "--seconds", options.seconds, "--lengths-vary",
                            *arguments)
    if server.processes() != (parent, children):
        raise RuntimeError("%s children: one has ended during the load: %s" % (server.children, server.tail()))
    after = [processor_seconds(pid) for pid in [parent] + children]
    spent = [spent_between(a, b) for a, b in zip(before, after)]
    parent_spent, children_spent = spent[0], sum(map(sum, spent[1:]))
    answers = result["requests"]
    load = result["load_cpu_seconds"]
    total = sum(parent_spent) + children_spent + load
    return {"rate": result["rate"], "p50_ms": result["latency_ms"]["p50"], "p99_ms": result["latency_ms"]["p99"],
            "parent_ms": 1000 * sum(parent_spent) / answers, "parent_thread_ms": 1000 * parent_spent[0] / answers,
            "children_ms": 1000 * children_spent / answers,
            "load_ms": 1000 * load / answers, "load_share": load / result["seconds"] / os.cpu_count(),
            "busy": total / result["seconds"] / os.cpu_count(), "errors": result["errors"],
            "first_error": result["first_error"], "answers": answers}


def median_of(rounds):
    result = {key: statistics.median(r[key] for r in rounds) for key in rounds[0] if key != "first_error"}
    result["errors"] = sum(r["errors"] for r in rounds)
    result["first_error"] = next((r["first_error"] for r in rounds if r["errors"]), "")
    return result


def ceiling(figures, with_load=True):
    """Answers a second if no CPU was ever idle or used by others; one thread never has more than one CPU.

    Without the load: what the server would give if clients were other machines.
    """
    load = figures["load_ms"] if with_load else 0
    total = figures["parent_ms"] + figures["children_ms"] + load
    longest = max(figures["parent_thread_ms"], load, figures["children_ms"] / max(1, figures["child_count"]))
    return 1000 / max(total / os.cpu_count(), longest)


def measure_load(name, options, work, pki):
    """Runs one load on every core in turn, for several rounds."""
    caching, arguments = LOADS[name]
    counts = options.cores
    rounds = {(count, width): [] for count in counts for width in options.connections}
    running = []
    try:
        for count in counts:
            server = Core(work, options.site, pki, ALL_CPUS, count, caching)
            running.append(server)
            start(server, arguments)
        for _ in range(options.rounds):
            for server in running:
                for width in options.connections:
                    rounds[server.children, width].append(measure(server, arguments, options, width))
    finally:
        for server in running:
            server.stop()
    result = {"caching": caching, "loads": {}}
    for width in options.connections:
        rows = {}
        for count in counts:
            row = rows[count] = median_of(rounds[count, width])
            row["children"] = count
            row["child_count"] = 0 if count == NIO else count
            row["ceiling"], row["ceiling_load_elsewhere"] = ceiling(row), ceiling(row, with_load=False)
        for row in rows.values():
            row["to_builtin"] = row["rate"] / rows[BUILTIN]["rate"]
            row["ceiling_to_builtin"] = row["ceiling"] / rows[BUILTIN]["ceiling"]
            row["elsewhere_to_builtin"] = row["ceiling_load_elsewhere"] / rows[BUILTIN]["ceiling_load_elsewhere"]
        result["loads"][width] = rows
        say("%s, %d at a time" % (name, width), rows)
    return result


def start(server, arguments):
    """Starts a server and waits until all of its children have built a configuration."""
    server.start()
    server.wait_for_port()
    scenarios.settled_config(server)
    deadline = time.monotonic() + 60
    while len(server.processes()[1]) < server.child_count:
        if time.monotonic() > deadline:
            raise RuntimeError("not %d children: %s" % (server.child_count, server.tail()))
        time.sleep(0.05)
    # Otherwise the load would include children that still read the repository.
    scenarios.load(server, "0", "--connections", 8, "--requests", 200, "--lengths-vary", *arguments)


def measure_memory(options, work, pki):
    """Memory of each core's processes, without another server running, after each client got an answer."""
    result = {}
    for count in options.cores:
        server = Core(os.path.join(work, "memory"), options.site, pki, ALL_CPUS, count, {})
        try:
            start(server, LOADS["cold"][1])
            scenarios.first_answers(server, argparse.Namespace(load_cpu=0), 10**9)
            parent, children = server.processes()
            if len(children) != server.child_count:
                raise RuntimeError("%d children run, not %d" % (len(children), server.child_count))
            result[count] = {"parent": memory_kb(parent), "children": [memory_kb(pid) for pid in children]}
        finally:
            server.stop()
    print("\nmemory after an answer to each client, MB: RSS, PSS, private")
    print("| core | parent | children |\n|---|---|---|")
    for count, figures in result.items():
        cells = ["%.1f, %.1f, %.1f" % tuple(m[key] / 1024 for key in ("rss", "pss", "private"))
                 for m in [figures["parent"]] + figures["children"]]
        print("| %s | %s | %s |" % (title(count), cells[0], "; ".join(cells[1:])))
    sys.stdout.flush()
    return result


def title(count):
    if count in (BUILTIN, NIO):
        return "builtin" if count == BUILTIN else "nio"
    return "%d child%s" % (count, "" if count == 1 else "ren")


def say(name, rows):
    print("\n%s" % name)
    print("| core | answers/s | to builtin | ms CPU: parent | children | load | CPUs busy | at most/s | to builtin "
          "| load elsewhere: to builtin | p50 ms | p99 ms |")
    print("|---" * 12 + "|")
    for count, row in rows.items():
        print("| %s | %.0f | %.2f | %.2f | %.2f | %.2f | %.0f %% | %.0f | %.2f | %.2f | %.2f | %.2f |%s" % (
            title(count), row["rate"], row["to_builtin"], row["parent_ms"], row["children_ms"], row["load_ms"],
            100 * row["busy"], row["ceiling"], row["ceiling_to_builtin"], row["elsewhere_to_builtin"],
            row["p50_ms"], row["p99_ms"],
            " %d ERRORS: %s" % (row["errors"], row["first_error"][:100]) if row["errors"] else ""))
    builtin = rows[BUILTIN]
    free = os.cpu_count() * builtin["parent_ms"] / (builtin["parent_ms"] + builtin["load_ms"])
    print("With the load on these %d CPUs, a division of the builtin core's work that cost nothing would give %.2f." % (
        os.cpu_count(), free))
    sys.stdout.flush()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", default="large")
    parser.add_argument("--only", default="memory,cold,warm", help="parts: memory," + ",".join(LOADS))
    parser.add_argument("--children", default="1,2,4")
    parser.add_argument("--nio", action="store_true", help="also the core on SwiftNIO, after builtin")
    parser.add_argument("--connections", default="1,8", help="requests at a time, separated by commas")
    parser.add_argument("--seconds", type=float, default=3, help="duration of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", help="bcfg2-server to measure", default=servers.Ours.binary)
    parser.add_argument("--out", help="file for the figures, JSON")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if set(options.only) - set(LOADS) - {"memory"}:
        parser.error("--only: memory,%s are the parts" % ",".join(LOADS))
    options.children = [int(n) for n in options.children.split(",") if n]
    options.cores = [BUILTIN] + ([NIO] if options.nio else []) + options.children
    options.connections = [int(n) for n in options.connections.split(",")]
    return options


def main():
    options = parse()
    servers.Ours.binary = os.path.abspath(options.binary)
    missing = servers.Ours.missing()
    if missing:
        sys.exit("cores.py: %s" % missing)
    subprocess.run(["make", "-s", "-C", os.path.join(run.HERE, "load")], check=True)
    figures = {"machine": run.machine(), "site": options.site, "seconds": options.seconds, "rounds": options.rounds,
               "loads": {}}
    print(json.dumps(figures["machine"], indent=1))
    work = tempfile.mkdtemp(prefix="bcfg2-cores-")
    os.chmod(work, 0o755)
    try:
        for name in options.only:
            if name == "memory":
                figures["memory_kb"] = measure_memory(options, work, os.path.join(work, "pki"))
            else:
                figures["loads"][name] = measure_load(name, options, work, os.path.join(work, "pki"))
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if options.out:
            with open(options.out, "w") as f:
                json.dump(figures, f, indent=1)
                f.write("\n")
    errors = sum(row["errors"] for load in figures["loads"].values() for rows in load["loads"].values()
                 for row in rows.values())
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    servers.unwind_at_signals()
    main()
