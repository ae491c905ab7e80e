#!/usr/bin/env python3
"""Compares the packages that bcfg2-packages resolves with those of real installations of Bcfg2 1.3.4 and 1.4.

  compare.py                       all scenarios, 20 base sets each; a quarter of an hour
  compare.py --sets 3 apt-main     some scenarios, fewer sets
  compare.py --list                the scenarios

Needs `bcfg2-packages` (--tool), what scripts/reference-servers.sh installs (--reference), and mirrors (--mirror): what is
missing there is fetched from deb.debian.org, or made by rpmrepo.py with createrepo_c. Base sets are random, with a seed each.
Status 1 if any answer differs. Both read the same files: ours through file:// addresses with all its checks; the reference its
gz files, which are made from xz where a mirror has none.
"""
import argparse
import gzip
import json
import lzma
import os
import random
import subprocess
import sys
import tempfile
import urllib.request
import xml.sax.saxutils as sax

import rpmrepo

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
COMPONENTS = ["main", "contrib", "non-free", "non-free-firmware"]
ARCHIVES = {"debian": "bookworm", "debian-security": "bookworm-security"}
GROUPS = ["core", "base", "desktop", "empty"]
VERSIONS = {"1.3.4": "1.3", "1.4": "1.4"}


# Mirrors

def fetch(mirror, path):
    target = os.path.join(mirror, path)
    if not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with urllib.request.urlopen("http://deb.debian.org/" + path, timeout=120) as answer, open(target + ".part", "wb") as f:
            f.write(answer.read())
        os.rename(target + ".part", target)
    return target


def prepare_archive(mirror, archive):
    suite = ARCHIVES[archive]
    fetch(mirror, "%s/dists/%s/InRelease" % (archive, suite))
    for component in COMPONENTS:
        for arch in ("amd64", "arm64"):
            path = fetch(mirror, "%s/dists/%s/%s/binary-%s/Packages.xz" % (archive, suite, component, arch))
            plain = path[:-2] + "gz"
            if not os.path.exists(plain):
                with lzma.open(path) as packed, gzip.GzipFile(plain + ".part", "wb", 6, mtime=0) as f:
                    f.write(packed.read())
                os.rename(plain + ".part", plain)


def prepare(mirror, kind):
    if kind == "apt":
        for archive in ARCHIVES:
            prepare_archive(mirror, archive)
    elif not os.path.exists(os.path.join(mirror, "yum", "zst", "repodata", "repomd.xml")):
        rpmrepo.make(os.path.join(mirror, "yum"), 10000, 1, ["gz", "xz", "zst"])


# Scenarios

class Source:
    """A <Source>, for our server and for the reference."""

    def __init__(self, kind, place, arches, version="", components=(), lists=(), reference=None, **attributes):
        self.kind, self.place, self.arches, self.version = kind, place, arches, version
        self.components, self.lists, self.attributes = components, lists, attributes
        self.reference = reference or place

    def xml(self, mirror, is_ours):
        place = "file://%s/%s/" % (mirror, self.place if is_ours else self.reference)
        attributes = dict(self.attributes, type=self.kind, version=self.version)
        attributes["url" if self.components else "rawurl"] = place
        children = [("Component", c) for c in self.components] + [("Arch", a) for a in self.arches] + list(self.lists)
        return "<Source %s>%s</Source>" % (
            " ".join("%s=%s" % (k, sax.quoteattr(v)) for k, v in sorted(attributes.items())),
            "".join("<%s>%s</%s>" % (tag, sax.escape(text), tag) for tag, text in children))


class Scenario:
    def __init__(self, sources, groups):
        self.sources, self.groups, self.kind = sources, groups, sources[0].kind

    def xml(self, mirror, is_ours):
        return "<Sources>\n%s\n</Sources>\n" % "\n".join(s.xml(mirror, is_ours) for s in self.sources)


def debian(*arches, **options):
    return Source("apt", "debian", arches, "bookworm", COMPONENTS, **options)


def security(*arches, **options):
    return Source("apt", "debian-security", arches, "bookworm-security", COMPONENTS, **options)


def main_only(**options):
    return Source("apt", "debian", ["amd64"], "bookworm", ["main"], **options)


def yum(kind, **options):
    return Source("yum", "yum/" + kind, ["x86_64"], reference="yum/gz", **options)


BOTH = ("amd64", "arm64")
SCENARIOS = {
    "apt-main": Scenario([main_only()], ["amd64"]),
    "apt-recommended": Scenario([main_only(recommended="true", lists=[("Blacklist", "libc6"), ("Blacklist", "perl")])],
                                ["amd64"]),
    "apt-all-amd64": Scenario([debian(*BOTH), security(*BOTH)], ["amd64"]),
    "apt-all-arm64": Scenario([debian(*BOTH), security(*BOTH)], ["arm64"]),
    "apt-all-both": Scenario([debian(*BOTH), security(*BOTH)], ["amd64", "arm64"]),
    "apt-security-first": Scenario([security(*BOTH), debian(*BOTH)], ["amd64"]),
    "apt-security-alone": Scenario([security(*BOTH)], ["arm64"]),
    "yum-gz": Scenario([yum("gz")], ["x86_64"]),
    "yum-xz": Scenario([yum("xz")], ["x86_64"]),
    "yum-zst": Scenario([yum("zst")], ["x86_64"]),
    "yum-blacklist": Scenario([yum("gz", lists=[("Blacklist", "gdranovay1"), ("Blacklist", "python3-cidrprw0")])], ["x86_64"]),
}


# Questions

def questions(names, count, kind):
    """Random base sets: names of packages, now and then one that is none, essential packages, groups, recommendations."""
    made = []
    for seed in range(count):
        chance = random.Random(seed)
        base = chance.sample(names, min(len(names), chance.randint(5, 80)))
        question = {"base": base, "essential": chance.random() < 0.7, "recommended": {}, "groups": []}
        if kind == "apt" and chance.random() < 0.5:
            question["recommended"] = {n: chance.choice(["true", "false"]) for n in chance.sample(base, len(base) // 3)}
        if kind == "yum":
            question["groups"] = [[g, chance.choice(["mandatory", "default", "optional", "all"])]
                                  for g in sorted(chance.sample(GROUPS, chance.randint(0, len(GROUPS))))]
        if chance.random() < 0.3:
            question["base"] = base + ["nosuchpackage", "choice-x", "rpmlib(x)"]
        made.append(question)
    return made


def line(question):
    """A question as `bcfg2-packages resolve` reads it."""
    wishes = question["recommended"]
    words = ["%s=%s" % (n, wishes[n]) if n in wishes else n for n in question["base"]]
    words += ["@essential"] if question["essential"] else []
    return "\t".join(words + ["@%s:%s" % tuple(g) for g in question["groups"]])


class Reference:
    def __init__(self, version, options):
        self.python = os.path.join(options.reference, version, "bin", "python")
        self.version = version

    def ask(self, scenario, mirror, queries, **more):
        question = dict(more, type=scenario.kind, sources=scenario.xml(mirror, False), groups=scenario.groups, queries=queries)
        run = subprocess.run([self.python, os.path.join(HERE, "oracle.py")], input=json.dumps(question), capture_output=True,
                             text=True)
        if run.returncode:
            raise RuntimeError("oracle of %s: %s" % (self.version, run.stderr[-2000:]))
        return json.loads(run.stdout)


class Ours:
    """A repository with one sources.xml, fetched and indexed."""

    def __init__(self, tool, folder, sources, **options):
        self.tool, self.folder = tool, folder
        os.makedirs(os.path.join(folder, "Packages"), exist_ok=True)
        with open(os.path.join(folder, "Packages", "sources.xml"), "w") as f:
            f.write(sources)
        self.configure("1.4")

    def configure(self, compatibility):
        with open(os.path.join(self.folder, "bcfg2.conf"), "w") as f:
            f.write("[server]\nrepository = %s\nplugins = Metadata,Packages\ncompatibility = %s\n" % (self.folder, compatibility))

    def run(self, command, *arguments, **options):
        run = subprocess.run([self.tool, command, "-C", os.path.join(self.folder, "bcfg2.conf")] + list(arguments),
                             capture_output=True, text=True, **options)
        if run.returncode > 1 or (command == "refresh" and run.returncode):
            raise RuntimeError("%s: status %d\n%s%s" % (command, run.returncode, run.stdout[-1000:], run.stderr[-2000:]))
        return run.stdout

    def resolve(self, groups, queries, *arguments):
        lines = "".join(line(q) + "\n" for q in queries)
        output = self.run("resolve", "--json", "--groups", ",".join(groups), *arguments, input=lines)
        return [json.loads(text) for text in output.splitlines()]


def difference(theirs, ours):
    """What differs between two answers; None if nothing does."""
    if "error" in theirs or "error" in ours:
        return None if theirs.get("error") == ours.get("error") else "error %s, ours %s" % (
            theirs.get("error"), ours.get("error"))
    found = []
    # An empty name between two commas is unknown to Bcfg2.
    pairs = (("packages", theirs["packages"], ours["packages"]),
             ("unknown", [n for n in theirs["unknown"] if n], [u["name"] for u in ours["unknown"]]))
    for what, one, other in pairs:
        if one != other:
            found.append("%s only theirs %s, only ours %s" % (
                what, sorted(set(one) - set(other))[:8], sorted(set(other) - set(one))[:8]))
    return "; ".join(found) or None


def compare(name, scenario, options):
    prepare(options.mirror, scenario.kind)
    different = 0
    references = {version: Reference(version, options) for version in VERSIONS}
    names = references["1.4"].ask(scenario, options.mirror, [], list=True)["all"]
    queries = questions(names, options.sets, scenario.kind)
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(options.tool, folder, scenario.xml(options.mirror, True))
        ours.run("refresh", "--quiet")
        for version, compatibility in VERSIONS.items():
            theirs = references[version].ask(scenario, options.mirror, queries)["answers"]
            ours.configure(compatibility)
            answers = ours.resolve(scenario.groups, queries)
            if len(answers) != len(queries):
                raise RuntimeError("%s: %d answers to %d questions" % (name, len(answers), len(queries)))
            count = 0
            for seed, (one, other) in enumerate(zip(theirs, answers)):
                found = difference(one, other)
                if found:
                    count += 1
                    print("  %s, %s, base set %d: %s" % (name, version, seed, found))
            sizes = sorted(len(a.get("packages", [])) for a in theirs)
            print("%s, %s: %d differences in %d base sets; %d names, closures of %d to %d packages" % (
                name, version, count, len(queries), len(names), sizes[0], sizes[-1]))
            sys.stdout.flush()
            different += count
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    parser.add_argument("--tool", default=os.path.join(ROOT, ".build", "debug", "bcfg2-packages"))
    parser.add_argument("--reference", default=os.path.join(ROOT, ".build", "reference"))
    parser.add_argument("--mirror", default=os.path.join(ROOT, ".build", "mirror"))
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(SCENARIOS))
        return 0
    unknown = [s for s in options.scenarios if s not in SCENARIOS]
    if unknown:
        parser.error("no scenario %s" % unknown[0])
    options.mirror = os.path.abspath(options.mirror)
    different = sum(compare(name, SCENARIOS[name], options) for name in options.scenarios or SCENARIOS)
    print("%d differences" % different)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
