#!/usr/bin/env python
"""Asks the collection classes of an installed Bcfg2 (1.3.4 or 1.4): run by the Python of scripts/reference-servers.sh.

Reads one JSON object from standard input:
  {"type": "apt", "sources": "<Sources>...</Sources>", "groups": ["amd64", ...], "queries": [
    {"base": ["bash", ...], "recommended": {"bash": "true"}, "essential": true, "groups": [["core", "default"], ...]}, ...]}
and writes one to standard output:
  {"version": ..., "load_seconds": ..., "names": ..., "essential": [...], "answers": [
    {"packages": [...], "unknown": [...], "seconds": ..., "again": ...} or {"error": "KeyError: 'global'"}, ...]}
Files are fetched by the reference's own code into a temporary folder; sources may have file:// addresses.
"""
from __future__ import print_function
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import time

import lxml.etree
from Bcfg2.version import __version__

OLD = __version__.startswith("1.3")


class Client(object):
    def __init__(self, groups):
        self.hostname = "client.example.com"
        self.groups = set(groups)


class Settings(object):
    """1.3.4's setup.cfp: every option has its default."""
    cfp = property(lambda self: self)

    def get(self, section, option, default=None):
        return default

    getboolean = get

    def has_section(self, section):
        return False


def classes(kind):
    name = "Bcfg2.Server.Plugins.Packages.%s" % kind.title()
    if not OLD:
        import Bcfg2.Options
        import Bcfg2.Server.Plugins.Packages.Collection
        sys.modules["Bcfg2.Server.Plugins.Packages.Collection"].get_fam = lambda: None
        Bcfg2.Options.setup.debug = False
        Bcfg2.Options.setup.use_yum_libraries = False
        Bcfg2.Options.setup.packages_metadata = True
    module = __import__(name, fromlist=["x"])
    return getattr(module, "%sCollection" % kind.title()), getattr(module, "%sSource" % kind.title())


def main():
    logging.basicConfig(level=logging.CRITICAL)
    # 1.3.4 prints warnings to standard output.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    question = json.load(sys.stdin)
    make_collection, make_source = classes(question["type"])
    cache = tempfile.mkdtemp()
    try:
        tree = lxml.etree.XML(question["sources"])
        client = Client(question["groups"])
        begin, cpu = time.time(), os.times()
        sources = []
        for element in tree.findall(".//Source"):
            source = make_source(cache, element, Settings()) if OLD else make_source(cache, element)
            source.setup_data(force_update=True)
            if source.arch_groups_match(client) if not OLD else source.magic_groups_match(client):
                sources.append(source)
        spent = os.times()
        load = {"load_seconds": time.time() - begin, "load_cpu": spent[0] + spent[1] - cpu[0] - cpu[1]}
        collection = (make_collection(client, sources, cache, cache, None) if OLD
                      else make_collection(client, sources, cache, cache))
        essential = sorted(collection.get_essential())
        answers = []
        for query in question["queries"]:
            base = set(str(name) for name in query["base"])
            if query.get("groups"):
                for names in collection.get_groups(sorted(tuple(g) for g in query["groups"])).values():
                    base.update(names)
            if query.get("essential"):
                base.update(essential)
            begin = time.time()
            try:
                if OLD:
                    packages, unknown = collection.complete(base)
                else:
                    packages, unknown = collection.complete(
                        base, dict((str(k), str(v)) for k, v in query.get("recommended", {}).items()))
            except Exception:  # the server logs it, and the client has no packages from here
                error = sys.exc_info()[1]
                answers.append({"error": "%s: %s" % (error.__class__.__name__, error)})
                continue
            # The first answer of a collection includes what it keeps for the later ones.
            seconds = time.time() - begin
            begin = time.time()
            collection.complete(base)
            answers.append({"packages": sorted(packages), "unknown": sorted(unknown), "seconds": seconds,
                            "again": time.time() - begin})
        names = set()
        for source in sources:
            names.update(source.pkgnames)
            for some in getattr(source, "packages", {}).values():
                names.update(some)
        answer = {"version": __version__, "names": len(names), "essential": essential, "answers": answers,
                  "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        if question.get("list"):
            answer["all"] = sorted(names)
        answer.update(load)
        json.dump(answer, output)
    finally:
        shutil.rmtree(cache)


if __name__ == "__main__":
    main()
