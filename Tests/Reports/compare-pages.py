#!/usr/bin/env python3
"""Compares bcfg2-web with Bcfg2's own pages: each fact on a page of theirs must be on ours.

    Tests/Reports/compare-pages.py --python VIRTUALENV/bin/python --database FILE --url http://127.0.0.1:8080

VIRTUALENV has Bcfg2 1.4 and Django (scripts/reference-servers.sh makes it), FILE is an SQLite database of reports, and a bcfg2-web of the same
database answers at the URL. A fact is the text of a table's cell, a list's entry or a heading. Words of the pages themselves are no facts; times
count to the minute.
"""
import argparse
import html.parser
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

# Runs under Python 2.7: prints pages of Django as JSON.
THEIRS = r"""
import json, sys
from Bcfg2.Options import get_parser
import Bcfg2.DBSettings
get_parser().add_component(Bcfg2.DBSettings)
get_parser().parse(["-C", sys.argv[1]])
from django.conf import settings
import django
if hasattr(django, "setup"):
    django.setup()
settings.ALLOWED_HOSTS = ["*"]
settings.DATETIME_FORMAT = settings.SHORT_DATETIME_FORMAT = "Y-m-d H:i"
settings.DATE_FORMAT = settings.SHORT_DATE_FORMAT = "Y-m-d"
settings.USE_L10N = False
from django.test.client import Client
client = Client()
pages = {}
for path in json.load(sys.stdin):
    answer = client.get(path, follow=True)
    pages[path] = [answer.status_code, answer.content.decode("utf-8")]
json.dump(pages, sys.stdout)
"""

# What Bcfg2's pages say themselves.
WORDS = set("""node state good bad modified extra last run server name client timestamp value parse probe inventory install config total
served by profile revision managed entries deviation expected found problem type group owner permissions status version expiration manage active
package target symlink hard link entry detail details element elements
detailed list documentation entries configured grid view homepage reason recent interactions occurences on overview clients reports summary
count common problems timing group bundle membership nodes are were reporting in did not run within the configurations have""".split())


class Cells(html.parser.HTMLParser):
    """The texts of cells, headings and entries of lists, and all text."""
    KEPT = ("td", "th", "h2", "h3", "li", "pre")

    def __init__(self, text):
        super().__init__()
        self.stack, self.cells, self.all = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag in self.KEPT or tag in ("script", "style", "select"):
            self.stack.append((tag, []))

    def handle_endtag(self, tag):
        if self.stack and self.stack[-1][0] == tag:
            tag, parts = self.stack.pop()
            if tag in self.KEPT:
                self.cells.append(" ".join("".join(parts).split()))

    def handle_data(self, data):
        self.all.append(data)
        if self.stack:
            self.stack[-1][1].append(data)


def facts(text, within=None):
    found = set()
    for cell in Cells(text[text.find("id=\"content\""):] if within and within in text else text).cells:
        for part in re.split(r"\s\|\s|\[\+\]|\[–\]|—|--", cell):
            part = part.strip(" :;()")
            words = re.findall(r"[a-z]+", part.lower())
            if not part or (words and all(word in WORDS for word in words) and not re.search(r"\d", part)):
                continue
            found.add(part)
    return found


def is_there(fact, text):
    if fact in text:
        return True
    # `2026-11-30 06:55` is the start of ours; percents and decimals may have more digits.
    words = [word.strip("():,.") for word in re.split(r"[\s,]+", fact)]
    return all(word in text or word.lower() in WORDS or word.lower() in text.lower() for word in words)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--url", required=True)
    options = parser.parse_args()
    with urllib.request.urlopen(options.url + "/detailed.json") as answer:
        clients = json.load(answer)["clients"]
    dirty = [client for client in clients if client["state"] == "dirty"][:5]
    paths = ["/grid/", "/detailed/", "/detailed/?sort=-bad", "/summary/", "/timing/", "/manage/", "/history/", "/elements/bad/",
             "/elements/modified/", "/elements/extra/", "/common/2/", "/grid/state/dirty/", "/detailed/group/base/"]
    for client in dirty + clients[:2]:
        paths += ["/client/%s/" % client["client"], client["link"] + "/", "/history/%s/" % client["client"]]
    for client in dirty:
        with urllib.request.urlopen(options.url + client["link"] + ".json") as answer:
            run = json.load(answer)
        for state in ("bad", "modified", "extra"):
            for entry in run.get(state, [])[:2]:
                with urllib.request.urlopen(options.url + client["link"]) as answer:
                    links = re.findall(r'href="(/(?:element|entry)/[^"]+)"', answer.read().decode())
                paths += [link + "/" for link in links if "POSIX" not in link][:6]
    paths = list(dict.fromkeys(paths))
    with tempfile.TemporaryDirectory(prefix="bcfg2-pages.") as folder:
        conf = os.path.join(folder, "bcfg2.conf")
        with open(conf, "w") as file:
            file.write("[server]\nrepository = %s\n[reporting]\ntime_zone = UTC\n[database]\nengine = sqlite3\nname = %s\n" % (folder, os.path.abspath(options.database)))
        run = subprocess.run([options.python, "-c", THEIRS, conf], input=json.dumps(paths), stdout=subprocess.PIPE, text=True, check=True)
        theirs = json.loads(run.stdout[run.stdout.index("{"):])
    missing, count = 0, 0
    for path in paths:
        status, text = theirs[path]
        with urllib.request.urlopen(options.url + path) as answer:
            ours = " ".join("".join(Cells(answer.read().decode()).all).split())
        if status != 200:
            print("%s: theirs has status %d" % (path, status))
            continue
        body = text[text.find("contentwrapper"):] if "contentwrapper" in text else text
        for fact in sorted(facts(body)):
            count += 1
            if not is_there(fact, ours):
                missing += 1
                print("%s: not on ours: %s" % (path, fact[:200]))
    print("%d facts of %d pages, %d not on ours" % (count, len(paths), missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
