#!/usr/bin/env python3
"""Measures packages beside Bcfg2 1.3.4, on the same files: fetching and indexing Debian main, resolving, and what the
plugin costs the server. See README.md.

  packages.py                        about five minutes; needs release builds of bcfg2-server and bcfg2-packages
  packages.py --only index,resolve   without the server
  packages.py --check                compare with thresholds.json; status 1 where a figure is outside

Files come from a local HTTP server in this process: what Tests/Packages/compare.py fetches (--mirror). Python is that of
scripts/reference-servers.sh. CPU seconds are those of the measured processes alone, on one CPU.
"""
import argparse
import functools
import http.server
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading

import run
import scenarios
import servers

ROOT = os.path.abspath(os.path.join(run.HERE, ".."))
sys.path.insert(0, os.path.join(ROOT, "Tests", "Packages"))
import compare  # noqa: E402

PARTS = ["index", "resolve", "server"]
QUESTIONS = 20
# A client's bundles name 300 packages, which need some 1,500: a hundred that others do not need, and 200 of what these need.
NAMES, ROOTS = 300, {"debian": 90, "yum": 240}
ALL_KINDS = {"debian": "apt", "yum": "yum"}


class Mirror:
    """The mirror's folder over HTTP, on a thread of this process."""

    def __init__(self, folder):
        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.address = "http://127.0.0.1:%d/" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def sources(kind, address):
    if kind == "debian":
        return ('<Source type="apt" url="%sdebian/" version="bookworm"><Component>main</Component><Arch>amd64</Arch></Source>'
                % address)
    return '<Source type="yum" rawurl="%syum/gz/"><Arch>x86_64</Arch></Source>' % address


def pinned(options, command, **more):
    """Runs a process on the server's CPU: its output, CPU seconds and peak of resident memory in kB."""
    process = subprocess.Popen(["taskset", "-c", options.server_cpu] + command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    # Both outputs are small, or read by threads of communicate; the process is waited for by hand, for its usage.
    holder = {}

    def wait():
        holder["status"], holder["usage"] = os.wait4(process.pid, 0)[1:]
        process.returncode = os.waitstatus_to_exitcode(holder["status"])

    output = []
    readers = [threading.Thread(target=lambda stream=stream: output.append((stream, stream.read())))
               for stream in (process.stdout, process.stderr)]
    for reader in readers:
        reader.start()
    process.stdin.write(more.get("input", ""))
    process.stdin.close()
    wait()
    for reader in readers:
        reader.join()
    texts = {id(stream): text for stream, text in output}
    if process.returncode > more.get("most", 0):
        raise RuntimeError("%s: status %d\n%s" % (command[0], process.returncode, texts[id(process.stderr)][-2000:]))
    usage = holder["usage"]
    return texts[id(process.stdout)], usage.ru_utime + usage.ru_stime, usage.ru_maxrss


class Tool(compare.Ours):
    """bcfg2-packages with a repository of its own."""

    def measured_refresh(self, options):
        _, cpu, peak = pinned(options, [self.tool, "refresh", "--quiet", "-C", os.path.join(self.folder, "bcfg2.conf")])
        return cpu, peak


def oracle(options, kind, address, queries, **more):
    question = dict(more, type=ALL_KINDS[kind], sources="<Sources>%s</Sources>" % sources(kind, address),
                    groups=["amd64", "x86_64"], queries=queries)
    python = os.path.join(options.reference, "1.3.4", "bin", "python")
    output, _, _ = pinned(options, [python, os.path.join(ROOT, "Tests", "Packages", "oracle.py")], input=json.dumps(question))
    return json.loads(output)


def measure_index(options, mirror, work, kind):
    """From nothing to an index: ours fetches, checks, decompresses, parses and writes; Python fetches, parses and pickles."""
    ours, python = [], []
    for number in range(options.rounds):
        folder = os.path.join(work, "%s-%d" % (kind, number))
        tool = Tool(options.tool, folder, "<Sources>%s</Sources>" % sources(kind, mirror.address))
        ours.append(tool.measured_refresh(options))
        answer = oracle(options, kind, mirror.address, [])
        python.append((answer["load_cpu"], answer["peak_kb"]))
    figures = {"ours": {"cpu_seconds": statistics.median(c for c, _ in ours), "peak_kb": max(p for _, p in ours)},
               "python": {"cpu_seconds": statistics.median(c for c, _ in python), "peak_kb": max(p for _, p in python)},
               "names": answer["names"]}
    figures["cpu_ratio"] = figures["python"]["cpu_seconds"] / figures["ours"]["cpu_seconds"]
    return figures


def questions(names, kind, tool):
    """Base sets of NAMES names."""
    made = []
    for seed in range(QUESTIONS):
        chance = random.Random(seed)
        base = chance.sample(names, ROOTS[kind])
        question = {"base": base, "essential": True, "recommended": {}, "groups": []}
        needed = [n for n in tool.resolve(["amd64", "x86_64"], [question])[0]["packages"] if n not in set(base)]
        made.append(dict(question, base=base + chance.sample(needed, min(len(needed), NAMES - len(base)))))
    return made


def measure_resolve(options, mirror, work, kind):
    """Milliseconds to resolve NAMES names and the essential packages. `first`: nothing kept; `later`: Python keeps a table of what
    provides what for each collection."""
    names = oracle(options, kind, mirror.address, [], list=True)["all"]
    tool = Tool(options.tool, os.path.join(work, "resolve-" + kind), "<Sources>%s</Sources>" % sources(kind, mirror.address))
    tool.configure("1.3")
    tool.run("refresh", "--quiet")
    queries = questions(names, kind, tool)
    # Python's first answer of a collection makes the table: one process for each would take minutes, so three are asked.
    first = [1000 * oracle(options, kind, mirror.address, [query])["answers"][0]["seconds"] for query in queries[:3]]
    answers = oracle(options, kind, mirror.address, queries)["answers"]
    figures = {"python": {"first_ms": statistics.median(first),
                          "later_ms": 1000 * statistics.median(a["again"] for a in answers)}}
    for solver in ("bcfg2", "strict"):
        ours = tool.resolve(["amd64", "x86_64"], queries, "--times", "20", "--solver", solver)
        figures[solver] = {"ms": 1000 * statistics.median(a["seconds"] for a in ours),
                           "packages": statistics.median(len(a["packages"]) for a in ours)}
        if solver == "bcfg2":
            different = sum(compare.difference(one, other) is not None for one, other in zip(answers, ours))
            if different:
                raise RuntimeError("%d of %d answers differ from Python's" % (different, len(ours)))
    figures["first_ratio"] = figures["python"]["first_ms"] / figures["bcfg2"]["ms"]
    figures["later_ratio"] = figures["python"]["later_ms"] / figures["bcfg2"]["ms"]
    return figures


# The server

class Site(servers.Ours):
    """The small site whose clients also get NAMES packages of Debian main: from a bundle of names through the plugin Packages,
    or all that it makes of them written into the bundle."""

    def __init__(self, work, name, options, pki, packages, has_plugin, mirror):
        self.name = name
        super().__init__(work, "small", pki, options.server_cpu)
        tag = "Package" if has_plugin else "BoundPackage"
        more = "" if has_plugin else ' version="auto" type="deb" origin="Packages"'
        with open(os.path.join(self.repo, "Bundler", "packages.xml"), "w") as f:
            f.write('<Bundle name="packages">\n%s</Bundle>\n' % "".join(
                '<%s name="%s"%s/>\n' % (tag, package, more) for package in packages))
        path = os.path.join(self.repo, "Metadata", "groups.xml")
        with open(path) as f:
            text = f.read()
        text, count = re.subn(r'(<Group name="profile-\d+" profile="true"[^>]*[^/>]>)',
                              r'\1<Bundle name="packages"/><Group name="amd64"/>', text)
        if not count:
            raise RuntimeError("groups.xml of the site has no profile")
        with open(path, "w") as f:
            f.write(text)
        if has_plugin:
            self.add_plugin(options, mirror)

    def add_plugin(self, options, mirror):
        configuration = os.path.join(self.dir, "bcfg2.conf")
        with open(configuration) as f:
            text = f.read()
        with open(configuration, "w") as f:
            f.write(re.sub(r"(?m)^plugins = (.*)$", r"plugins = \1,Packages", text))
        os.makedirs(os.path.join(self.repo, "Packages"), exist_ok=True)
        with open(os.path.join(self.repo, "Packages", "sources.xml"), "w") as f:
            f.write("<Sources>%s</Sources>\n" % sources("debian", mirror.address))
        subprocess.run([options.tool, "refresh", "--quiet", "-C", configuration], check=True)


def measure_server(options, mirror, work):
    """What the plugin costs the server: at the start, at rest, and in each cached answer."""
    pki = os.path.join(work, "pki")
    names = oracle(options, "debian", mirror.address, [], list=True)["all"]
    tool = Tool(options.tool, os.path.join(work, "closure"), "<Sources>%s</Sources>" % sources("debian", mirror.address))
    tool.run("refresh", "--quiet")
    query = questions(names, "debian", tool)[0]
    packages = tool.resolve(["amd64"], [query])[0]["packages"]
    sites = [Site(work, "with", options, pki, query["base"], True, mirror),
             Site(work, "without", options, pki, packages, False, mirror)]
    figures = {"packages": len(packages)}
    wanted = {}
    for site in sites:
        site.start()
        site.wait_for_port()
        wanted[site.name] = scenarios.canonical(scenarios.settled_config(site)[0])
    # In turn, so that both have the same noise.
    starts = {site.name: [] for site in sites}
    for _ in range(options.rounds + 2):
        for site in sites:
            starts[site.name].append(scenarios.start_to_first_answer(site, wanted[site.name]))
    for site in sites:
        figures[site.name] = {
            "start_ms": statistics.median(ms for ms, _ in starts[site.name]),
            "start_cpu_ms": statistics.median(cpu for _, cpu in starts[site.name]),
            "rest_kb": scenarios.at_rest(site)["rss"]}
        scenarios.first_answers(site, options, 10 ** 9)
    for way in ("getconfig-new", "getconfig-keep"):
        cpu = {site.name: [] for site in sites}
        for _ in range(options.rounds):
            for site in sites:
                loaded = scenarios.load(site, options.load_cpu, "--connections", options.connections, "--seconds",
                                        options.seconds, *scenarios.WARM[way][0])
                cpu[site.name].append(scenarios.figures(loaded)["cpu_ms_per_request"])
        medians = {name: statistics.median(values) for name, values in cpu.items()}
        figures[way] = dict(medians, ratio=medians["with"] / medians["without"])
    for site in sites:
        site.stop()
    figures["start_more_ms"] = figures["with"]["start_ms"] - figures["without"]["start_ms"]
    figures["rest_more_kb"] = figures["with"]["rest_kb"] - figures["without"]["rest_kb"]
    return figures


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default=os.path.join(ROOT, ".build", "release", "bcfg2-packages"))
    parser.add_argument("--binary", default=servers.Ours.binary)
    parser.add_argument("--reference", default=os.path.join(ROOT, ".build", "reference"))
    parser.add_argument("--mirror", default=os.path.join(ROOT, ".build", "mirror"))
    parser.add_argument("--only", default=",".join(PARTS), help="parts: %s" % ", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--load-cpu", default="1")
    parser.add_argument("--out", help="write the figures as JSON")
    parser.add_argument("--check", action="store_true", help="compare with thresholds.json")
    return parser.parse_args()


def outside(figures):
    with open(os.path.join(run.HERE, "thresholds.json")) as f:
        bounds = json.load(f)["packages"]
    found = []
    for path, bound in bounds.items():
        value = figures
        for key in path.split("/"):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and not bound.get("min", value) <= value <= bound.get("max", value):
            found.append("%s is %s, wanted %s" % (path, run.number(value), bound))
    return found


def main():
    options = parse()
    options.mirror = os.path.abspath(options.mirror)
    servers.Ours.binary = options.binary
    parts = options.only.split(",")
    for kind in ALL_KINDS.values():
        compare.prepare(options.mirror, kind)
    mirror = Mirror(options.mirror)
    work = tempfile.mkdtemp(prefix="bcfg2-packages-")
    figures = {"machine": run.machine()}
    try:
        for kind in ALL_KINDS:
            for part, measure in (("index", measure_index), ("resolve", measure_resolve)):
                if part in parts:
                    figures.setdefault(part, {})[kind] = measure(options, mirror, work, kind)
        if "server" in parts:
            subprocess.run(["make", "-s", "-C", os.path.join(run.HERE, "load")], check=True)
            figures["server"] = measure_server(options, mirror, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(figures, indent=1))
    if options.out:
        with open(options.out, "w") as f:
            json.dump(figures, f, indent=1)
    found = outside(figures) if options.check else []
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    servers.unwind_at_signals()
    sys.exit(main())
