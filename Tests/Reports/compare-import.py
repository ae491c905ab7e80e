#!/usr/bin/env python3
"""Gives the same uploads to Bcfg2 1.4's storage and to bcfg2-report-collector, and compares the databases and Django's pages.

    scripts/reference-servers.sh
    Tests/Reports/compare-import.py .build/debug/bcfg2-report-collector .build/reference/1.4/bin/python

Tables are compared by what is in them: ids, hash keys and the times of clients' creation differ. Where Bcfg2's storage forgets
what a client sent, ours is changed to what Bcfg2 would have stored (FORGOTTEN), so that nothing else can differ. Pages of Bcfg2
are then rendered from copies of both databases that are changed in the same way, and must have the same lines.
"""

import argparse
import collections
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
import uploads  # noqa: E402

KINDS = [
    "action", "failure", "package", "path", "service", "seboolean", "seport", "sefcontext", "senode", "selogin", "seuser",
    "seinterface", "sepermissive", "semodule", "posixuser", "posixgroup",
]

# What Bcfg2's storage forgets: the columns as it leaves them.
FORGOTTEN = {
    # It reads the attribute by the column's name, which no client sends.
    "service": {"target_status": "", "exists": 1},
    "action": {"output": -1, "exists": 1},
    **{kind: {"exists": 1} for kind in KINDS if kind.startswith(("se", "posix")) and kind != "service"},
}


def forget(kind, row):
    row = dict(row)
    row.update(FORGOTTEN.get(kind, {}))
    # The version of an extra package is in a child, which Bcfg2 takes for missing.
    if kind == "package" and not row["target_version"]:
        row["current_version"] = ""
    return row


def rows(database, query):
    cursor = database.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor]


def content(path):
    """What is in the tables, without ids: a list of facts."""
    database = sqlite3.connect(path)
    permissions = {
        row["id"]: (row["owner"], row["group"], row["mode"]) for row in rows(database, "SELECT * FROM Reporting_fileperms")
    }
    links = {row["pathentry_ptr_id"]: row for row in rows(database, "SELECT * FROM Reporting_linkentry")}
    interactions = {}
    facts = collections.Counter()
    for row in rows(database, "SELECT i.*, c.name client, c.current_interaction_id current, g.name profile FROM"
                    " Reporting_interaction i JOIN Reporting_client c ON c.id = i.client_id"
                    " LEFT JOIN Reporting_group g ON g.id = i.profile_id"):
        key = (row["client"], row["timestamp"])
        interactions[row["id"]] = key
        row["is_current"] = row["current"] == row["id"]
        for column in ("id", "client_id", "profile_id", "current"):
            del row[column]
        facts[("interaction", key, tuple(sorted(row.items())))] += 1
    for kind in KINDS:
        entries = {row["id"]: row for row in rows(database, "SELECT * FROM Reporting_%sentry" % kind)}
        for link in rows(database, "SELECT * FROM Reporting_interaction_%ss" % kind):
            row = forget(kind, entries[link["%sentry_id" % kind]])
            if kind == "path":
                link_row = links.get(row["id"], {})
                row["to"] = (link_row.get("target_path"), link_row.get("current_path"))
                for column in ("target_perms_id", "current_perms_id"):
                    row[column] = permissions[row[column]]
            for column in ("id", "hash_key"):
                del row[column]
            facts[(kind, interactions[link["interaction_id"]], tuple(sorted(row.items())))] += 1
    for name in ("group", "bundle"):
        for row in rows(database, "SELECT l.interaction_id, t.* FROM Reporting_interaction_%ss l JOIN Reporting_%s t"
                        " ON t.id = l.%s_id" % (name, name, name)):
            facts[(name, interactions[row.pop("interaction_id")], tuple(sorted((k, v) for k, v in row.items() if k != "id")))] += 1
    for row in rows(database, "SELECT * FROM Reporting_performance"):
        facts[("performance", interactions[row["interaction_id"]], (row["metric"], row["value"]))] += 1
    for name in ("client", "group", "bundle"):
        for row in rows(database, "SELECT name FROM Reporting_%s" % name):
            facts[("name", name, row["name"])] += 1
    for value in permissions.values():
        facts[("permissions", value)] += 1
    return facts


def compare_tables(theirs, ours):
    left, right = content(theirs), content(ours)
    differences = list((left - right).items()) + list((right - left).items())
    for fact, count in (left - right).items():
        print("only Bcfg2 (%d): %r" % (count, fact))
    for fact, count in (right - left).items():
        print("only ours (%d): %r" % (count, fact))
    print("tables: %d facts, %d differences" % (sum(left.values()), len(differences)))
    return not differences


def settle(source, target):
    """Copies a database; ours as if it had forgotten what Bcfg2 forgets, and both with one row for equal entries: Bcfg2 makes a
    path anew for each interaction."""
    shutil.copy(source, target)
    database = sqlite3.connect(target)
    for kind in KINDS:
        for column, value in FORGOTTEN.get(kind, {}).items():
            database.execute('UPDATE "Reporting_%sentry" SET "%s" = ?' % (kind, column), (value,))
    database.execute("UPDATE Reporting_packageentry SET current_version = '' WHERE target_version = ''")
    for kind in KINDS:
        first = {}
        for row in rows(database, "SELECT * FROM Reporting_%sentry ORDER BY id" % kind):
            key = [value for name, value in sorted(row.items()) if name not in ("id", "hash_key")]
            if kind == "path":
                key.append(database.execute(
                    "SELECT target_path, current_path FROM Reporting_linkentry WHERE pathentry_ptr_id = ?", (row["id"],)).fetchone())
            same = first.setdefault(tuple(key), row["id"])
            if same != row["id"]:
                column = "%sentry_id" % kind
                database.execute("UPDATE Reporting_interaction_%ss SET %s = ? WHERE %s = ?" % (kind, column, column), (same, row["id"]))
                database.execute("DELETE FROM Reporting_%sentry WHERE id = ?" % kind, (row["id"],))
                if kind == "path":
                    database.execute("DELETE FROM Reporting_linkentry WHERE pathentry_ptr_id = ?", (row["id"],))
    database.commit()
    database.close()
    return target


def urls(path):
    """Pages, and for each of one element the fact that it shows, by which the other database's page is found."""
    database = sqlite3.connect(path)
    latest = database.execute("SELECT max(timestamp) FROM Reporting_interaction").fetchone()[0]
    day, minute = latest[:10], latest[11:16].replace(":", "-")
    clients = [name for (name,) in database.execute("SELECT name FROM Reporting_client ORDER BY name")]
    pages = ["/manage", "/summary", "/timing", "/common", "/common/1", "/common/group/web/2", "/grid", "/detailed", "/history"]
    pages += ["/detailed?sort=-%s" % name for name in ("client", "state", "good", "bad", "modified", "extra", "timestamp", "server")]
    pages += ["/elements/%s" % state for state in ("bad", "modified", "extra")]
    pages += ["/summary/%s" % day, "/timing/%s/%s" % (day, minute), "/grid/%s" % day, "/detailed/%s/%s" % (day, minute)]
    pages += ["/grid/state/dirty", "/detailed/group/web", "/detailed/server/server.example.com", "/grid/group/db/clean"]
    pages += ["/elements/bad/%s" % day, "/history|all"]
    pages += ["/client/%s" % name for name in clients] + ["/history/%s" % name for name in clients[:3]]
    return pages


def element_urls(path):
    """Pages of elements by the facts that they show."""
    database = sqlite3.connect(path)
    found = {}
    for kind in KINDS:
        model = MODELS[kind]
        for row in rows(database, "SELECT * FROM Reporting_%sentry ORDER BY id" % kind):
            fact = {name: value for name, value in forget(kind, row).items() if name not in ("id", "hash_key")}
            for column in ("target_perms_id", "current_perms_id"):
                if column in fact:
                    fact[column] = database.execute(
                        'SELECT owner, "group", mode FROM Reporting_fileperms WHERE id = ?', (fact[column],)).fetchone()
            if kind == "path":
                fact["link"] = database.execute(
                    "SELECT target_path, current_path FROM Reporting_linkentry WHERE pathentry_ptr_id = ?", (row["id"],)).fetchone()
            key = (model, tuple(sorted(fact.items())))
            found.setdefault(key, ("/element/%s/%d" % (model, row["id"]), "/entry/%s/%d" % (model, row["id"])))
    return found


MODELS = {
    "action": "ActionEntry", "failure": "FailureEntry", "package": "PackageEntry", "path": "PathEntry", "service": "ServiceEntry",
    "seboolean": "SEBooleanEntry", "seport": "SEPortEntry", "sefcontext": "SEFcontextEntry", "senode": "SENodeEntry",
    "selogin": "SELoginEntry", "seuser": "SEUserEntry", "seinterface": "SEInterfaceEntry", "sepermissive": "SEPermissiveEntry",
    "semodule": "SEModuleEntry", "posixuser": "POSIXUserEntry", "posixgroup": "POSIXGroupEntry",
}


def normal(page):
    """The lines of a page without ids. Rows that the page does not sort are sorted: SQLite gives them in any order."""
    status, text = page
    text = re.sub(r"(/(?:element|entry)/\w+/|/client/[^/\"]+/)\d+(/\d+)?", r"\1ID", text)
    # Django 1.11 prints an object where Bcfg2's template tag returns a template.
    text = re.sub(r"Rendered at [-/0-9]+ [0-9:]+( [ap]\.m\.)?", "Rendered", text)
    text = re.sub(r">\(\d+\) ", ">(ID) ", text)
    text = re.sub(r" object at 0x[0-9a-f]+", "", text)
    text = re.sub(r"(id=['\"]\w+?[-_])\d+|(toggle\w+\(['\"]\w+?[-_])\d+|([-_](?:table|row|body|list)[-_])\d+", "ID", text)
    lines = [" ".join(line.split()) for line in re.split(r"\n|(?=<tr)|(?=<li)", text)]
    return [str(status)] + sorted(line for line in lines if line)


def compare_pages(python, theirs, ours, folder):
    theirs = settle(theirs, os.path.join(folder, "bcfg2.settled"))
    ours = settle(ours, os.path.join(folder, "ours.settled"))
    common = urls(theirs)
    left_elements, right_elements = element_urls(theirs), element_urls(ours)
    shared = [key for key in left_elements if key in right_elements]
    missing = len(left_elements) - len(shared)
    pairs = [(url, url) for url in common]
    pairs += [pair for key in shared for pair in zip(left_elements[key], right_elements[key])]
    left = render(python, theirs, [pair[0] for pair in pairs], folder)
    right = render(python, ours, [pair[1] for pair in pairs], folder)
    wrong = 0
    for first, second in pairs:
        a, b = collections.Counter(normal(left[first])), collections.Counter(normal(right[second]))
        if a != b or left[first][0] >= 500:
            wrong += 1
            if wrong <= 10:
                print("%s: %s" % (first, left[first][0]))
                for line in list((a - b).elements())[:5]:
                    print("  only Bcfg2: %s" % line[:200])
                for line in list((b - a).elements())[:5]:
                    print("  only ours: %s" % line[:200])
    print("pages: %d compared, %d differ; %d elements are only in Bcfg2's" % (len(pairs), wrong, missing))
    return wrong == 0 and missing == 0


def write_conf(folder, name):
    repository = os.path.join(folder, name)
    os.makedirs(os.path.join(repository, "Reporting", "LocalFilesystem", "work"))
    os.makedirs(os.path.join(repository, "etc"))
    conf = os.path.join(folder, name + ".conf")
    with open(conf, "w") as file:
        file.write("[server]\nrepository = %s\nplugins = Reporting\n[database]\nengine = sqlite3\nname = %s/db.sqlite\n"
                   "[reporting]\ntransport = LocalFilesystem\ntime_zone = Europe/Berlin\n" % (repository, repository))
    return conf, os.path.join(repository, "db.sqlite"), os.path.join(repository, "Reporting", "LocalFilesystem", "work")


def render(python, database, pages, folder):
    conf = os.path.join(folder, "pages.conf")
    with open(conf, "w") as file:
        file.write("[server]\nrepository = %s\nplugins = Reporting\n[database]\nengine = sqlite3\nname = %s\n"
                   "[reporting]\ntime_zone = Europe/Berlin\n" % (folder, database))
    answer = subprocess.run([python, os.path.join(FOLDER, "storage.py"), conf, "pages"], input="\n".join(pages).encode(),
                            stdout=subprocess.PIPE, check=True)
    return json.loads(answer.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collector")
    parser.add_argument("python", help="Python 2.7 with Bcfg2 1.4 and Django")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--entries", type=int, default=30)
    parser.add_argument("--keep", action="store_true", help="leave the databases, and say where they are")
    options = parser.parse_args()
    os.environ["TZ"] = "Europe/Berlin"
    folder = tempfile.mkdtemp(prefix="compare-import.")
    try:
        given = uploads.uploads(options.clients, options.runs, options.entries, options.entries * 3)
        storage = os.path.join(FOLDER, "storage.py")
        conf, theirs, work = write_conf(folder, "bcfg2")
        subprocess.run([options.python, storage, conf, "pickle", work], input=json.dumps(given).encode(), check=True)
        subprocess.run([options.python, "-W", "ignore", storage, conf, "import", work], check=True)
        conf, ours, work = write_conf(folder, "ours")
        subprocess.run([options.python, storage, conf, "pickle", work], input=json.dumps(given).encode(), check=True)
        subprocess.run([options.collector, "-C", conf, "--once"], check=True, stdout=subprocess.DEVNULL)
        if os.listdir(work):
            print("the collector left %d uploads" % len(os.listdir(work)))
            return 1
        same = compare_tables(theirs, ours)
        return 0 if compare_pages(options.python, theirs, ours, folder) and same else 1
    finally:
        if options.keep:
            print(folder)
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
