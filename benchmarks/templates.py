#!/usr/bin/env python3
"""Measures templates: our server and its renderers against a Python Bcfg2 server, on the same sites. See README.md.

  templates.py --python /path/to/venv/bin/bcfg2-server       (1.4; about three minutes; left out where there is none)
  templates.py --clients 40 --rounds 1
  templates.py --only kept                                   (kept results beside the site without templates)

The site is the large one of generate.py, in which 200 entries of an answer are Genshi templates with a Python block that
read groups and the profile only, as most real ones do. Everything runs on one CPU (--server-cpu), the load on another.
"""
import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

import run
import scenarios
import servers

HEAD = """{% python
import os
from genshi.template import TemplateError
if 'base' not in metadata.groups:
    raise TemplateError('not for this client')
roles = sorted(g for g in metadata.groups if g.startswith('role-'))
short = os.path.basename(name)
%}\\
# $short of ${metadata.profile}, ${len(roles)} roles
{% for role in roles %}\\
include /etc/roles/${role}.conf
{% end %}\\
"""

MEMBERSHIP = """{% python
import os
from genshi.template import TemplateError
if 'base' not in metadata.groups:
    raise TemplateError('not for this client')
is_first = metadata.inGroup('os-1')
short = os.path.basename(name)
%}\\
# $short{% if is_first %} of the first system{% end %}
{% for role in ('role-1', 'role-2', 'role-3') %}\\
{% if role in metadata.groups %}\\
include /etc/roles/${role}.conf
{% end %}\\
{% end %}\\
"""


# See kept_beside_without.
SITES = ("templates", "plain", "files")

# What HEAD gives, for files that are no templates: as long as for a client of profile-1.
PLAIN = """# %s of profile-1, 3 roles
include /etc/roles/role-4.conf
include /etc/roles/role-5.conf
include /etc/roles/role-6.conf
"""


def make_templates(repo, count, head=HEAD):
    """Turns several entries of Cfg, with all their variants, into templates; returns one that all clients get. With
    PLAIN as head they stay plain files of the size that templates give."""
    made = []
    for folder, _, files in sorted(os.walk(os.path.join(repo, "Cfg"))):
        base = os.path.basename(folder)
        variants = [name for name in files if name == base or name.startswith(base + ".G")]
        if not variants or len(made) == count:
            continue
        for name in variants:
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            if head is PLAIN:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(head % base + text)
                continue
            text = text.replace("$", "$$")
            with open(path + ".genshi", "w", encoding="utf-8") as f:
                f.write(head + text)
            os.unlink(path)
        if head is PLAIN:
            made.append(os.path.join(folder, base))
        elif variants == [base]:
            made.append(os.path.join(folder, base + ".genshi"))
        else:
            made.insert(0, os.path.join(folder, base + ".genshi"))
    return [path for path in made if len(os.listdir(os.path.dirname(path))) <= 2][-1], len(made)


class Ours(servers.Ours):
    """Our server with templates, and settings of [caching] and [templates]."""

    def __init__(self, work, name, pki, cpu, clients, templates, sections, head=HEAD, site=()):
        self.name = name
        super().__init__(work, "large", pki, cpu, ["--clients", str(clients), *site])
        self.template, self.made = make_templates(self.repo, templates, head) if templates else (None, 0)
        self.configure(sections)

    def configure(self, sections):
        with open(os.path.join(self.dir, "bcfg2.conf"), "a") as f:
            for section, options in sections.items():
                f.write("[%s]\n%s\n" % (section, "\n".join("%s = %s" % item for item in options.items())))

    def all_clients(self, options):
        """Sends one request for each client; returns the server's line about rendered templates."""
        scenarios.load(self, options.load_cpu, "--requests", options.clients, "--lengths-vary", "--keep-alive", "--login",
                       "uuid", "--rotate")
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with open(os.path.join(self.dir, "output", "server.out")) as f:
                lines = [line for line in f if "Templates:" in line]
            if lines:
                return lines[-1].strip()
            time.sleep(0.1)
        return None

    def renderers(self):
        """Resident memory of each renderer, in kB."""
        found = []
        for pid in servers.descendants(self.process.pid)[1:]:
            try:
                with open("/proc/%d/comm" % pid) as f:
                    if not f.read().startswith(("python", "bcfg2-renderer"[:15])):
                        continue
                with open("/proc/%d/status" % pid) as f:
                    found.append(int(next(line for line in f if line.startswith("VmRSS")).split()[1]))
            except (FileNotFoundError, StopIteration):
                pass
        return found


class Python14(Ours):
    """The Python server of --python."""
    path = None

    def command(self):
        return [self.path, "-C", os.path.join(self.dir, "bcfg2.conf")]


def genshi_alone(work, repo, count, rounds=20):
    """Seconds of Genshi for the loaded templates of one answer, in a process of its own."""
    program = r"""
import glob, os, sys, time
from genshi.template import NewTextTemplate, TemplateLoader
class M(object):
    hostname, profile = 'client', 'profile-1'
    groups = set(['base', 'os-2', 'role-4', 'role-5', 'role-6'])
loader = TemplateLoader(max_cache_size=0)
paths = [p for p in glob.glob(sys.argv[1] + '/Cfg/etc/*/*/*.genshi') if os.path.basename(p) == os.path.basename(os.path.dirname(p)) + '.genshi']
loaded = [(p, loader.load(p, cls=NewTextTemplate)) for p in sorted(paths)[:int(sys.argv[2])]]
def once():
    for p, t in loaded:
        t.generate(name=p, path=p, source_path=p, repo=sys.argv[1], metadata=M()).render('text', encoding='utf-8')
once()
start = time.process_time()
for _ in range(int(sys.argv[3])): once()
print((time.process_time() - start) / int(sys.argv[3]), len(loaded))
"""
    text = subprocess.run(["/usr/bin/python3", "-c", program, repo, str(count), str(rounds)], capture_output=True,
                          text=True, check=True).stdout.split()
    return float(text[0]), int(text[1])


def make_files_of(server, repo):
    """Puts files, one for each profile, in the place of the templates of another server, with what they give: the answers
    of both are equal."""
    folders = {}
    for folder, _, files in os.walk(os.path.join(server.repo, "Cfg")):
        if any(name.endswith(".genshi") for name in files):
            name = "/" + os.path.relpath(folder, os.path.join(server.repo, "Cfg"))
            folders[name] = os.path.join(repo, os.path.relpath(folder, server.repo))
    for number in range(server.site["profiles"]):
        text, _ = scenarios.ask(server, "GetConfig", client=number)
        for entry in ET.fromstring(text).iter("Path"):
            folder = folders.get(entry.get("name"))
            if folder is not None:
                path = os.path.join(folder, "%s.G99_profile-%d" % (os.path.basename(folder), number + 1))
                with open(path, "w", encoding="utf-8", newline="") as f:
                    f.write(entry.text or "")


def edit_of_no_client(server, number):
    """Edits a file that no client gets, and waits until the server has seen it."""
    path = "Cfg/etc/of-no-client/of-no-client"
    os.makedirs(os.path.join(server.repo, os.path.dirname(path)), exist_ok=True)
    scenarios.edit(server, path, b"edit number %d\n" % number)
    # An edit that was finished before a request counts for it.
    scenarios.ask(server, "GetConfig", client=server.site["clients"] - 1)


def kept_beside_without(work, pki, options):
    """Answers whose templates all have kept results, beside those of two sites without templates: CPU of an answer and
    ratios, in turn, so that all have the same noise. The files of `plain` are as long as what the templates give, and most
    clients share them, as the templates themselves; those of `files` are byte for byte what the templates give."""
    arguments = (pki, options.server_cpu, options.clients, options.templates)
    never_cached = {"caching": {"configurations": 0}}
    servers_, answers = {}, {}
    for suffix, sections in (("", {}), ("-built", never_cached)):
        for site in SITES:
            server = servers_[site + suffix] = Ours(work, site + suffix, *arguments, sections,
                                                    HEAD if site == "templates" else PLAIN)
            if site == "files":
                make_files_of(servers_["templates"], server.repo)
            server.start()
            server.wait_for_port()
            answers[site + suffix] = scenarios.settled_config(server)[1]
            scenarios.first_answers(server, options, options.clients)
    if len({answers[name] for name in ("templates", "files", "templates-built", "files-built")}) != 1:
        raise RuntimeError("the files do not give what the templates give")
    requests = ("--requests", max(options.clients, 400), "--lengths-vary")
    kept_connection = ("--keep-alive", "--login", "uuid", "--rotate")
    ways = {
        "cached, new connections": lambda server, _: scenarios.load(server, options.load_cpu, *requests, "--call", "GetConfig"),
        "cached, kept connection": lambda server, _: scenarios.load(server, options.load_cpu, *requests, *kept_connection),
        "built after an edit elsewhere": lambda server, number: (
            edit_of_no_client(server, number),
            scenarios.load(server, options.load_cpu, "--requests", options.clients - 1, "--lengths-vary",
                           *kept_connection))[1],
    }
    result = {"answer_bytes": {name: len(body) for name, body in answers.items()}}
    for way, ask in ways.items():
        cpu = {site: [] for site in SITES}
        for number in range(options.rounds + 1):
            for name in cpu:
                cpu[name].append(scenarios.figures(ask(servers_[name], number))["cpu_ms_per_request"])
        result[way] = compared(cpu)
    cpu = {site: [] for site in SITES}
    for number in range(options.rounds + 1):
        for name in cpu:
            run = scenarios.first_answers(servers_[name + "-built"], options, options.clients)
            cpu[name].append(run["cpu_ms_per_request"])
    result["built each time"] = compared(cpu)
    for server in servers_.values():
        server.stop()
    return result


def compared(cpu):
    """Medians without the first round, and the median of the ratios of rounds."""
    result = {site + "_ms": statistics.median(cpu[site][1:]) for site in SITES}
    for other in SITES[1:]:
        ratios = [a / b for a, b in zip(cpu["templates"][1:], cpu[other][1:])]
        result["to_" + other] = statistics.median(ratios)
        result["rounds_to_" + other] = [round(ratio, 3) for ratio in ratios]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="bcfg2-server of a Python Bcfg2, in an environment with its libraries")
    parser.add_argument("--binary", default=servers.Ours.binary)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--builds", type=int, default=40, help="built answers for a figure")
    parser.add_argument("--templates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--load-cpu", default="1")
    parser.add_argument("--only", choices=["kept"], help="one part")
    parser.add_argument("--out", help="write the figures as JSON")
    options = parser.parse_args()
    servers.Ours.binary = options.binary
    subprocess.run(["make", "-s", "-C", os.path.join(run.HERE, "load")], check=True)
    work = tempfile.mkdtemp(prefix="bcfg2-templates-")
    pki = os.path.join(work, "pki")
    figures = {"clients": options.clients, "templates": options.templates}
    try:
        figures["kept_beside_without_templates"] = kept_beside_without(work, pki, options)
        if options.only:
            return report(figures, options)
        never = {"caching": {"configurations": 0}, "templates": {"cache": "never"}}
        rebuilt = {"caching": {"configurations": 0}}
        arguments = (pki, options.server_cpu, options.clients, options.templates)
        building = {"never": Ours(work, "never", *arguments, never), "kept": Ours(work, "kept", *arguments, rebuilt),
                    "without": Ours(work, "without", *arguments, rebuilt, PLAIN)}
        if options.python:
            Python14.path = options.python
            building["python"] = Python14(work, "python", *arguments, {})
        for server in building.values():
            server.start()
            server.wait_for_port()
            scenarios.settled_config(server)
        # In turn, so that all have the same noise.
        rounds = {name: [] for name in building}
        for _ in range(options.rounds + 1):
            for name, server in building.items():
                rounds[name].append(scenarios.first_answers(server, options, options.builds)["cpu_ms_per_request"])
        cpu = {name: statistics.median(values[1:]) for name, values in rounds.items()}
        figures["cpu_ms_of_an_answer"] = cpu
        alone, count = genshi_alone(work, building["never"].repo, options.templates)
        figures["genshi_alone_ms"] = 1000 * alone
        figures["share_beside_genshi"] = 1 - 1000 * alone / cpu["never"]
        if "python" in cpu:
            figures["times_python_per_cpu_second"] = cpu["python"] / cpu["never"]
        figures["renderer_rss_kb"] = building["never"].renderers()
        figures["server_rss_kb"] = {name: building[name].memory_kb()["rss"] - sum(building[name].renderers())
                                    for name in ("never", "kept", "without")}
        for server in building.values():
            server.stop()

        # All clients after the start, and the first template.
        warm = Ours(work, "warm", *arguments, {})
        began = warm.start()
        warm.wait_for_port()
        listening = time.monotonic() - began
        began = time.monotonic()
        scenarios.ask(warm, "GetConfig")
        figures["first_answer_ms"] = 1000 * (time.monotonic() - began)
        figures["counters"] = warm.all_clients(options)
        keeping = scenarios.first_answers(warm, options, options.builds)["cpu_ms_per_request"]
        figures["kept_answer_cpu_ms"] = keeping

        # All clients of four profiles, with templates that ask for single groups only.
        members = Ours(work, "members", *arguments, {}, head=MEMBERSHIP, site=("--profiles", "4"))
        members.start()
        members.wait_for_port()
        scenarios.settled_config(members)
        figures["counters_of_membership"] = members.all_clients(options)
        rendered, used = map(int, re.search(r"(\d+) rendered, (\d+) kept", figures["counters_of_membership"]).groups())
        figures["membership_rendered_share"] = rendered / (rendered + used)
        members.stop()

        # From an edit of a template to the first correct answer, and a build without an edit.
        path = os.path.relpath(warm.template, warm.repo)
        with open(warm.template, "rb") as f:
            before = f.read()
        caller, latencies = scenarios.Caller(warm, 0), []
        for number in range(20):
            mark = b"edit number %d of this run" % number
            began = time.monotonic()
            scenarios.edit(warm, path, before + mark + b"\n")
            while mark not in caller.ask("GetConfig"):
                pass
            latencies.append(1000 * (time.monotonic() - began))
        figures["edit_to_answer_ms"] = statistics.median(latencies)
        warm.stop()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report(figures, options)


def report(figures, options):
    print(json.dumps(figures, indent=1))
    if options.out:
        with open(options.out, "w") as f:
            json.dump(figures, f, indent=1)


if __name__ == "__main__":
    servers.unwind_at_signals()
    sys.exit(main())
