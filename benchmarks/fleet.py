#!/usr/bin/env python3
"""Measures what an edit costs when every client of a site asks again: CPU time beside cached answers. See README.md.

  fleet.py                     every row; about ten minutes
  fleet.py --rounds 1 --clients 200 --only cfg,bundle
  fleet.py --check             status 1 where a figure misses its limit
  fleet.py --parts --check     counts the parts that are made for 20 clients instead, and compares them with thresholds.json

A sweep is one GetConfig of each client, each on a TLS connection of its own. `kept` is a sweep after which nothing has
changed; each sweep after an edit stands between two of them, and its ratio is that to their mean. The time is that of the
server and its children, from before the edit until the server is idle after the last answer. The server promises that an
answer includes every edit finished before its request: so a sweep follows its edit at once, and the answers are checked.
"""
import argparse
import base64
import http.client
import json
import os
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import xmlrpc.client

import run
import scenarios
import servers
import table

GROUP = "fleet-probed"
# Repetitions of the row `probe` in a round: each measures single answers.
PROBE_REPEATS = 10
CHILDREN = 2
# Clients whose parts are counted: five of each profile.
COUNTED_CLIENTS = 20


class Fleet(servers.Ours):
    """Our server on the site `fleet`, with files that no client's answer contains and bundles that ask for a probed group."""

    def __init__(self, work, name, options, pki, git=False, configurations=None):
        more = ["--clients", str(options.clients)]
        more += ["--configurations", str(configurations)] if configurations is not None else []
        super().__init__(os.path.join(work, name), "fleet", pki, options.server_cpu, more)
        self.next_client = options.clients
        self.put("Cfg/etc/unused/unused", "nobody has this\n")
        self.put("Bundler/unused.xml", '<Bundle>\n  <Path name="/etc/unused"/>\n</Bundle>\n')
        self.probed_bundles = ["Bundler/bundle-%03d.xml" % n for n in (2, 3)]
        for path in self.probed_bundles:
            self.put(path, self.text(path).replace("</Bundle>", '  <Group name="%s"><BoundPath name="/etc/%s" '
                     'type="directory" owner="root"/></Group>\n</Bundle>' % (GROUP, os.path.basename(path))))
        self.everywhere = self.file_of_all()
        self.package = self.package_of_all()
        conf = os.path.join(self.dir, "bcfg2.conf")
        with open(conf) as f:
            text = f.read()
        self.builders = CHILDREN if options.backend == "multiprocessing" else 0
        if self.builders:
            text = text.replace("[server]\n", "[server]\nbackend = multiprocessing\nchildren = %d\n" % CHILDREN, 1)
        if git:
            text = re.sub(r"(?m)^plugins = .*", r"\g<0>,Git", text)
            self.git("init", "-q")
            self.git("add", "-A")
            self.git("commit", "-q", "-m", "the site")
        with open(conf, "w") as f:
            f.write(text)

    def put(self, path, text):
        path = os.path.join(self.repo, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def text(self, path):
        with open(os.path.join(self.repo, path)) as f:
            return f.read()

    def edit(self, path, text):
        scenarios.edit(self, path, text.encode())

    def git(self, *arguments):
        done = subprocess.run(["git", "-C", self.repo, "-c", "user.name=fleet", "-c", "user.email=fleet@example.com",
                               "-c", "gc.auto=0", *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def file_of_all(self):
        """A Cfg file without variants: no entry of Cfg is under a condition."""
        for folder, _, files in sorted(os.walk(os.path.join(self.repo, "Cfg", "etc"))):
            base = os.path.basename(folder)
            if base.endswith(".conf") and base in files and set(files) <= {base, "info.xml"}:
                return os.path.relpath(os.path.join(folder, base), self.repo)
        raise RuntimeError("no Cfg file without variants")

    def package_of_all(self):
        """A package in the file of 400 rules that no bundle has under a condition."""
        conditional = set()
        for name in os.listdir(os.path.join(self.repo, "Rules")):
            conditional.update(re.findall(r'<Package name="(\S+)-other-(\d+)"', self.text("Rules/" + name)))
        rules = self.text("Rules/packages.xml")
        if rules.count("<Package ") != 400:
            raise RuntimeError("%d rules in Rules/packages.xml" % rules.count("<Package "))
        for bundle, number in re.findall(r'<Package name="(\S+)-package-(\d+)"', rules):
            if (bundle, number) not in conditional:
                return "%s-package-%s" % (bundle, number)
        raise RuntimeError("no package that all clients have")

    def begin(self):
        """Starts the server and waits until it has read the repository; no configuration is built yet."""
        self.start()
        self.wait_for_port()
        deadline = time.monotonic() + 60
        while builders(self) < self.builders:
            if time.monotonic() > deadline:
                raise RuntimeError("not %d children: %s" % (self.builders, self.tail()))
            time.sleep(0.01)
        scenarios.ask(self, "GetProbes")


def builders(server):
    """The number of processes that build configurations for their parent."""
    count = 0
    for pid in servers.descendants(server.process.pid):
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            count += b"--build-for-parent" in f.read()
    return count


def spent(server, action):
    """CPU seconds that an action causes, until the server is idle: work after an answer belongs to it."""
    before = server.cpu_seconds()
    action()
    last, same = server.cpu_seconds(), 0
    for _ in range(1000):
        time.sleep(0.002)
        now = server.cpu_seconds()
        same = same + 1 if now == last else 0
        last = now
        if same == 3:
            return now - before
    raise RuntimeError("%s is not idle after its last answer" % server.name)


def answer(server, client=0):
    return scenarios.ask(server, "GetConfig", client=client)[0]


def sweep(server, options):
    """One GetConfig of each client, each on a new connection."""
    result = scenarios.load(server, options.load_cpu, "--requests", options.clients, "--connections", options.connections,
                            "--lengths-vary")
    if result["errors"] or result["requests"] != options.clients:
        raise RuntimeError("%d errors in %d of %d requests: %s" % (
            result["errors"], result["requests"], options.clients, result["first_error"]))


# Edits: each makes edit number n and returns a check of an answer made before and one made after it.

def has_mark(mark):
    def check(server, before, after):
        if mark not in after or mark in before:
            raise RuntimeError("an edit is not in the answer: %s" % mark)
    return check


def is_unchanged(server, before, after):
    if before != after:
        raise RuntimeError("an edit of a file that no answer contains changed an answer")


def edit_unused_file(server, n):
    server.edit("Cfg/etc/unused/unused", "nobody has edit %d\n" % n)
    return is_unchanged


def edit_unused_bundle(server, n):
    server.edit("Bundler/unused.xml", '<Bundle>\n  <Path name="/etc/unused-%d"/>\n</Bundle>\n' % n)
    return is_unchanged


def edit_file(server, n):
    mark = "edit number %d of this file" % n
    server.edit(server.everywhere, re.sub(r"edit number \d+ of this file\n", "", server.text(server.everywhere)) + mark + "\n")
    return has_mark(mark)


def edit_bundle(server, n):
    path, mark = "Bundler/bundle-001.xml", "/usr/sbin/reload edit-%d" % n
    server.edit(path, re.sub(r'command="[^"]*"', 'command="%s"' % mark, server.text(path)))
    return has_mark(mark)


def edit_rule(server, n):
    path, mark = "Rules/packages.xml", "77.%d-0" % n
    server.edit(path, re.sub(r'(<Package name="%s" [^>]*version=)"[^"]*"' % re.escape(server.package), r'\1"%s"' % mark,
                             server.text(path)))
    return has_mark(mark)


def edit_clients(server, n):
    number = server.next_client
    server.next_client += 1
    server.edit("Metadata/clients.xml", server.text("Metadata/clients.xml").replace(
        "</Clients>", '<Client name="client-%05d.example.com" profile="profile-1" address="127.1.%d.%d" uuid="uuid-%d" '
        'password="password-%d"/>\n</Clients>' % (number, number // 250, number % 250 + 1, number, number)))

    def check(server, before, after):
        is_unchanged(server, before, after)
        answer(server, number)
    return check


def commit(server, n):
    server.git("commit", "-q", "--allow-empty", "-m", "commit %d" % n)
    head = server.git("rev-parse", "HEAD")

    def check(server, before, after):
        without = [re.sub(r' revision="[^"]*"', "", text, count=1) for text in (before, after)]
        if 'revision="%s"' % head not in after or without[0] != without[1]:
            raise RuntimeError("a commit did not change the revision of an answer alone")
    return check


EDITS = {"unused-cfg": edit_unused_file, "unused-bundle": edit_unused_bundle, "cfg": edit_file, "bundle": edit_bundle,
         "rule": edit_rule, "client": edit_clients, "commit": commit}


def summary(values, kept, answers=1):
    """Median, lowest and highest ratio of pairs, and milliseconds of CPU of one answer."""
    ratios = [value / base for value, base in zip(values, kept)]
    return {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios), "rounds": len(ratios),
            "cpu_ms": 1000 * statistics.median(values) / answers, "kept_cpu_ms": 1000 * statistics.median(kept) / answers}


def between_kept(server, options, measured):
    """Takes turns: a kept sweep, a measured one, a kept one. `measured` returns the CPU seconds of its sweep."""
    sweep(server, options)
    values, bases = [], []
    before = spent(server, lambda: sweep(server, options))
    for n in range(options.rounds):
        values.append(measured(n + 1))
        after = spent(server, lambda: sweep(server, options))
        bases.append((before + after) / 2)
        before = after
    return summary(values, bases, options.clients)


def after_edit(server, options, make_edit):
    def measured(n):
        before, check = answer(server), []

        def act():
            check.append(make_edit(server, n))
            sweep(server, options)
        seconds = spent(server, act)
        check[0](server, before, answer(server))
        return seconds
    return between_kept(server, options, measured)


def after_start(server, options):
    """Each client's first answer after a start; reading the repository is not in it."""
    def measured(n):
        server.stop()
        server.begin()
        return spent(server, lambda: sweep(server, options))
    return between_kept(server, options, measured)


def probed(server, options):
    """One client's answer after its probe data gave it a group that two bundles ask for.

    Those bundles are edited before each repetition, so that no other client has them with that group. One more client of
    the same profile, asked before and after, tells whether the data of the first cost it anything.
    """
    data = '<probe-data><probe-data name="probe-0" source="Probes">Linux\n%s</probe-data></probe-data>'
    built, others, kept, kept_others = [], [], [], []
    profiles = server.site["profiles"]
    for n in range(PROBE_REPEATS * options.rounds):
        client = n % (options.clients - profiles)
        other = client + profiles
        scenarios.ask(server, "RecvProbeData", data % "", client=client)
        for path in server.probed_bundles:
            server.edit(path, re.sub(r'(type="directory" owner=)"[^"]*"', r'\1"owner-%d"' % n, server.text(path)))
        mark = "owner-%d" % n
        if mark in answer(server, client):
            raise RuntimeError("client %d has the probed group already" % client)
        answer(server, other)
        before = [[spent(server, lambda: answer(server, who)) for _ in range(3)] for who in (client, other)]
        scenarios.ask(server, "RecvProbeData", data % ("group:%s\n" % GROUP), client=client)
        texts = []
        built.append(spent(server, lambda: texts.append(answer(server, client))))
        if texts[0].count(mark) != 2:
            raise RuntimeError("client %d did not get the entries of its probed group" % client)
        others.append(spent(server, lambda: answer(server, other)))
        after = [spent(server, lambda: answer(server, client)) for _ in range(3)]
        kept.append(statistics.median(before[0] + after))
        kept_others.append(statistics.median(before[1]))
        scenarios.ask(server, "RecvProbeData", data % "", client=client)
    return dict(summary(built, kept), of_another_client=summary(others, kept_others)["ratio"])


def built_alone(work, options, pki, kept_server):
    """CPU of an answer for which nothing is there to be used again: no cache. Kept connections, as in run.py's growth."""
    server = Fleet(work, "no-cache", options, pki, configurations=0)
    try:
        server.begin()
        scenarios.first_answers(server, options, options.clients)
        scenarios.first_answers(kept_server, options, options.clients)
        values, kept = [], []
        for _ in range(options.rounds):
            for one, into in ((server, values), (kept_server, kept)):
                into.append(scenarios.first_answers(one, options, options.clients)["cpu_ms_per_request"] / 1000)
        return summary(values, kept)
    finally:
        server.stop()


def beside_nginx(work, options, pki, server):
    """Cached answers on new and on kept connections, beside nginx with the same bytes."""
    nginx = servers.Nginx(work, "fleet", pki, options.server_cpu, ["--clients", "1", "--bundles", "1"])
    try:
        nginx.serve("/GetConfig", scenarios.ask(server, "GetConfig")[1])
        nginx.start()
        nginx.wait_for_port()
        return scenarios.warm([server, nginx], options, run.say, ["getconfig-new", "getconfig-keep"])
    finally:
        nginx.stop()


def memory(server, options):
    """Resident memory after an answer to each client, of all processes."""
    server.stop()
    server.begin()
    for _ in range(2):
        sweep(server, options)
    return {"rss_kb": server.memory_kb()["rss"]}


def part_counts(server, pki):
    """How many parts were made and used again since the start, and how often the metadata of a client was made."""
    context = ssl.create_default_context(cafile=os.path.join(pki, "ca.crt"))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=60)
    login = base64.b64encode(("root:" + server.site["password"]).encode()).decode()
    connection.request("POST", "/RPC2", xmlrpc.client.dumps((), "get_statistics"),
                       {"Authorization": "Basic " + login, "Content-Type": "text/xml"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError("get_statistics: status %d" % response.status)
    found = xmlrpc.client.loads(body)[0][0]

    def count(kind, what):
        return sum(value[3] for name, value in found.items() if name.endswith("parts:%s:%s" % (kind, what)))
    return {"made": count("structures", "made"), "used": count("structures", "used"), "metadata": count("metadata", "made")}


def count_parts(options, work):
    """The parts that all clients' answers cost after the start and after each edit."""
    counts, pki = {}, os.path.join(work, "pki")

    def counted(server, name, make_edit):
        before = part_counts(server, pki)
        check = make_edit(server, 1)
        for client in range(options.clients):
            answer(server, client)
        after = part_counts(server, pki)
        counts[name] = {key: after[key] - before[key] for key in after}
        return check

    for git in (False, True):
        server = Fleet(work, "counted-git" if git else "counted", options, pki, git=git)
        try:
            server.begin()
            counted(server, "start-git" if git else "start", lambda server, n: None)
            for name, make_edit in EDITS.items():
                if (name == "commit") == git:
                    counted(server, name, make_edit)
        finally:
            server.stop()
    return counts


def parts_outside(counts):
    """Counts above their thresholds, and those that have none."""
    with open(os.path.join(run.HERE, "thresholds.json")) as f:
        known = json.load(f)["parts"]
    return ["%s: %d %s, at most %s" % (name, count, key, known.get(name, {}).get(key, "unknown"))
            for name, values in counts.items() for key, count in values.items() if key != "used" and count > known.get(name, {}).get(key, -1)]


# Row, title, limit, whether it is a least value, unit, the figure and its scale.
ROWS = [
    ("unused-cfg", "all clients after an edit of a Cfg file that none has, to kept", 1.03, False, "", "ratio", 1),
    ("unused-bundle", "the same, of a bundle that none has", 1.03, False, "", "ratio", 1),
    ("cfg", "after an edit of one Cfg file that all have", 1.15, False, "", "ratio", 1),
    ("bundle", "after an edit of one bundle that all have, 23 of 900 entries", 1.25, False, "", "ratio", 1),
    ("rule", "after an edit of one rule in a file of 400", 1.25, False, "", "ratio", 1),
    ("client", "after a new client in clients.xml", 1.10, False, "", "ratio", 1),
    ("commit", "after a commit that changes the revision alone", 1.10, False, "", "ratio", 1),
    ("probe", "one client after its probe data gave it a group that two bundles ask for", 1.6, False, "", "ratio", 1),
    ("start", "all clients after the start (4 profiles, 60 groups)", 1.5, False, "", "ratio", 1),
    ("build", "one build without a cache, kept connection, CPU", 2.31, False, " ms", "cpu_ms", 1),
    ("nginx-new", "GetConfig kept, new connection, per CPU second, to nginx", 1.0, True, "",
     "getconfig-new/ratios/per_cpu_to_nginx", 1),
    ("nginx-keep", "GetConfig kept, kept connection, per CPU second, to nginx", 1.5, True, "",
     "getconfig-keep/ratios/per_cpu_to_nginx", 1),
    ("memory", "resident memory with all answers kept", 32, False, " MB", "rss_kb", 1 / 1024),
]


def cells(row, figures):
    """The row of the table: that of run.py's table, with the times behind a ratio as its note."""
    name, title, limit, at_least, unit, path, scale = row
    of = "rows/%s/%s" % (name, path)
    result = table.Row(title, of, limit, at_least, unit, scale,
                       of=of.rpartition("/ratios/")[0] or None).cells(figures)
    found = table.find(figures, "rows/" + name)
    if found and "kept_cpu_ms" in found:
        result[-1] = "%.2f ms an answer, kept %.2f ms; ratio %.2f to %.2f in %d rounds" % tuple(
            found[k] for k in ("cpu_ms", "kept_cpu_ms", "lowest", "highest", "rounds"))
        if "of_another_client" in found:
            result[-1] += "; another client %.2f" % found["of_another_client"]
    return result


def markdown(figures):
    lines = ["| What | Limit | Measured | Reached | CPU |", "|---|---|---|---|---|"]
    return "\n".join(lines + ["| %s |" % " | ".join(cells(row, figures)) for row in ROWS
                              if figures["rows"].get(row[0]) is not None])


def measure(options, work, figures):
    pki, rows = os.path.join(work, "pki"), figures["rows"]

    def store(name, result):
        rows[name] = result
        print("| %s |" % " | ".join(cells(next(r for r in ROWS if r[0] == name), figures)), flush=True)

    if set(options.rows) - {"commit"}:
        server = Fleet(work, "fleet", options, pki)
        try:
            server.begin()
            for name in options.rows:
                if name in EDITS and name != "commit":
                    store(name, after_edit(server, options, EDITS[name]))
            if "start" in options.rows:
                store("start", after_start(server, options))
            if "probe" in options.rows:
                store("probe", probed(server, options))
            if "build" in options.rows:
                store("build", built_alone(work, options, pki, server))
            if "memory" in options.rows:
                store("memory", memory(server, options))
            if options.nginx_rows:
                warm = beside_nginx(work, options, pki, server)
                for name in options.nginx_rows:
                    store(name, warm)
        finally:
            server.stop()
    if "commit" in options.rows:
        server = Fleet(work, "git", options, pki, git=True)
        try:
            server.begin()
            store("commit", after_edit(server, options, commit))
        finally:
            server.stop()


def parse():
    names = [row[0] for row in ROWS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="bcfg2-server to measure", default=servers.Ours.binary)
    parser.add_argument("--rounds", type=int, default=3, help="of each row; its figure is the median")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--only", default=",".join(names), help="rows: " + ",".join(names))
    parser.add_argument("--backend", choices=["builtin", "multiprocessing"], default="builtin",
                        help="multiprocessing: with %d children" % CHILDREN)
    parser.add_argument("--connections", type=int, default=8, help="at a time")
    parser.add_argument("--seconds", type=float, default=2, help="duration of a load beside nginx")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    parser.add_argument("--out", help="file for the figures, JSON")
    parser.add_argument("--check", action="store_true", help="status 1 where a figure misses its limit")
    parser.add_argument("--parts", action="store_true", help="count parts instead of measuring time")
    options = parser.parse_args()
    if options.parts:
        options.clients = COUNTED_CLIENTS
    options.rows = options.only.split(",")
    if set(options.rows) - set(names):
        parser.error("--only: %s are the rows" % ",".join(names))
    if options.clients < 20 or options.rounds < 1:
        parser.error("at least 20 clients and one round are needed")
    options.nginx_rows = [name for name in options.rows if name.startswith("nginx")]
    return options


def main():
    options = parse()
    # The measuring process stays away from the servers' CPU.
    os.sched_setaffinity(0, {options.load_cpu})
    servers.Ours.binary = os.path.abspath(options.binary)
    missing = servers.Ours.missing()
    if missing:
        sys.exit("fleet.py: %s" % missing)
    if options.nginx_rows and servers.Nginx.missing():
        print("the rows with nginx are left out: %s" % servers.Nginx.missing())
        options.nginx_rows = []
    subprocess.run(["make", "-s", "-C", os.path.join(run.HERE, "load")], check=True)
    figures = {"machine": run.machine(), "version": servers.Ours.version(), "backend": options.backend,
               "clients": options.clients, "rounds": options.rounds, "rows": {}}
    print(json.dumps(figures["machine"], indent=1), flush=True)
    work = tempfile.mkdtemp(prefix="bcfg2-fleet-")
    os.chmod(work, 0o755)
    if options.parts:
        try:
            counts = count_parts(options, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        print("\n".join("%-14s made %4d  used %4d  metadata %3d" % (name, c["made"], c["used"], c["metadata"])
                        for name, c in counts.items()))
        outside = parts_outside(counts) if options.check else []
        if options.check:
            print("\n".join(outside) or "every count is within thresholds.json")
        sys.exit(1 if outside else 0)
    began = time.monotonic()
    try:
        measure(options, work, figures)
        figures["seconds"] = time.monotonic() - began
        print("\n" + markdown(figures))
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if options.out:
            with open(options.out, "w") as f:
                json.dump(figures, f, indent=1)
                f.write("\n")
    if options.check:
        outside = ["%s: %s, %s" % (row[0], result[2], result[1]) for row in ROWS
                   for result in [cells(row, figures)] if row[0] in options.rows and result[3] != "yes"]
        print("\n".join(outside) or "every figure is within its limit")
        sys.exit(1 if outside else 0)


if __name__ == "__main__":
    servers.unwind_at_signals()
    main()
