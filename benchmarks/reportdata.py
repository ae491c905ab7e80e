#!/usr/bin/env python3
"""Makes a reporting database in SQLite of any size, for measurements of bcfg2-web and bcfg2-reports.

    benchmarks/reportdata.py FILE [--clients 10000] [--runs 1000000] [--schema SQL]

FILE is a database whose tables exist already (bcfg2-admin initreports) unless --schema names a file of SQL that makes them.
Everything is drawn from a generator with a fixed seed, relative to the present.
"""
import argparse
import datetime
import random
import sqlite3

GROUPS = ["base", "debian", "web", "db", "desktop", "basic-server", "dmz", "monitoring"]
BUNDLES = ["ssh", "ntp", "motd", "apache", "postgresql", "users", "cron", "syslog"]
DIFF = """--- /etc/motd
+++ /etc/motd (expected)
@@ -1,3 +1,3 @@
 Welcome
-to <b>an old</b> machine & more
+to a machine
 of ours
"""


def entries(db, rng):
    """Rows of all types of entries; returns ids by type, and which of them are in which state."""
    found = {}

    def insert(table, **values):
        names = ", ".join('"%s"' % name for name in values)
        marks = ", ".join("?" for _ in values)
        return db.execute('INSERT INTO "Reporting_%s" (%s) VALUES (%s)' % (table, names, marks),
                          list(values.values())).lastrowid

    perms = [insert("fileperms", owner=o, group=g, mode=m)
             for o, g, m in [("", "", ""), ("root", "root", "0644"), ("root", "root", "0600"), ("daemon", "adm", "0640")]]
    for number in range(400):
        state = rng.choice([1, 1, 2, 3])
        exists = rng.random() > 0.1
        found.setdefault(("paths", "pathentry_id"), []).append((state, insert(
            "pathentry", name="/etc/app%d/file %d%%.conf" % (number % 40, number), state=state, exists=exists,
            path_type=rng.choice(["file", "directory", "permissions"]),
            detail_type=1 if number % 3 == 0 else 0, details=DIFF if number % 3 == 0 else "",
            current_perms_id=rng.choice(perms), target_perms_id=rng.choice(perms[1:]), hash_key=number)))
    for number in range(20):
        entry = insert("pathentry", name="/usr/local/link%d" % number, state=1, exists=True, path_type="symlink",
                       detail_type=0, details="", current_perms_id=perms[0], target_perms_id=perms[1], hash_key=9000 + number)
        insert("linkentry", pathentry_ptr_id=entry, target_path="/srv/new", current_path="/srv/old")
        found[("paths", "pathentry_id")].append((1, entry))
    for number in range(400):
        state = rng.choice([1, 2, 3])
        found.setdefault(("packages", "packageentry_id"), []).append((state, insert(
            "packageentry", name="package-%d" % (number % 150), state=state, exists=True,
            target_version="" if state == 3 else "1.%d-2" % number, current_version="1.%d-1" % number,
            verification_details="", hash_key=number)))
    for number in range(60):
        state = rng.choice([1, 2, 3])
        found.setdefault(("services", "serviceentry_id"), []).append((state, insert(
            "serviceentry", name="service%d" % number, state=state, exists=True, target_status="on",
            current_status="off", hash_key=number)))
    for number in range(20):
        found.setdefault(("actions", "actionentry_id"), []).append((1, insert(
            "actionentry", name="action %d" % number, state=1, exists=True, status="check", output=number, hash_key=number)))
    for number in range(10):
        found.setdefault(("posixusers", "posixuserentry_id"), []).append((2, insert(
            "posixuserentry", name="user%d" % number, state=2, exists=True, uid=1000 + number, current_uid=2000 + number,
            group="users", current_group="users", gecos="A user", current_gecos="A <user>", home="/home/u",
            current_home="/home/u", shell="/bin/bash", current_shell="/bin/sh", hash_key=number)))
        found.setdefault(("failures", "failureentry_id"), []).append((1, insert(
            "failureentry", name="/etc/broken%d" % number, entry_type="Path",
            message="Traceback (most recent call last):\n  TemplateError: <undefined> & so on", hash_key=number)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--clients", type=int, default=10000)
    parser.add_argument("--runs", type=int, default=1000000)
    parser.add_argument("--schema", help="SQL that makes the tables")
    options = parser.parse_args()
    rng = random.Random(15)
    db = sqlite3.connect(options.file)
    db.execute("PRAGMA synchronous = OFF")
    if options.schema:
        with open(options.schema) as file:
            db.executescript(file.read())
    db.execute("BEGIN") if not db.in_transaction else None
    by_state = {1: [], 2: [], 3: []}
    for (plural, column), rows in entries(db, rng).items():
        for state, entry in rows:
            by_state[state].append((plural, column, entry))
    groups = [db.execute('INSERT INTO "Reporting_group" ("name", "profile", "public", "category", "comment") '
                         "VALUES (?, 0, 0, '', '')", (name,)).lastrowid for name in GROUPS]
    bundles = [db.execute('INSERT INTO "Reporting_bundle" ("name") VALUES (?)', (name,)).lastrowid for name in BUNDLES]
    now = datetime.datetime.now().replace(microsecond=0)
    each = max(1, options.runs // options.clients)
    links = {}
    interactions, performance = [], []
    run = 0
    for client in range(1, options.clients + 1):
        name = "host%05d.example.com" % client
        expired = client % 97 == 0
        db.execute('INSERT INTO "Reporting_client" ("id", "creation", "name", "expiration") VALUES (?, ?, ?, ?)',
                   (client, str(now - datetime.timedelta(days=400)), name, str(now) if expired else None))
        is_stale = client % 50 == 1
        sickness = rng.random()
        for number in range(each):
            run += 1
            hours = (each - 1 - number) * 4 + (40 if is_stale else 0)
            time = now - datetime.timedelta(hours=hours, seconds=rng.randrange(1, 3600))
            dirty = rng.random() < (0.6 if sickness < 0.15 else 0.02)
            counts = {1: 0, 2: 0, 3: 0}
            if dirty:
                counts = {1: rng.randrange(1, 4), 2: rng.randrange(0, 2), 3: rng.randrange(0, 3)}
            for state, count in counts.items():
                for plural, column, entry in rng.sample(by_state[state], count):
                    links.setdefault((plural, column), []).append((run, entry))
            interactions.append((run, str(time), "dirty" if dirty else "clean", "r%d" % (number + 100),
                                 "bcfg2-%d.example.com" % (client % 3), 200 - counts[1], 200, counts[1], counts[2],
                                 counts[3], client, groups[client % 8], False, False))
            if number >= each - 5:
                for group in (client % 8, (client + 3) % 8):
                    links.setdefault(("groups", "group_id"), []).append((run, groups[group]))
                for bundle in (client % 8, (client + 1) % 8):
                    links.setdefault(("bundles", "bundle_id"), []).append((run, bundles[bundle]))
                at = 0.0
                for metric in ("start", "probe_download", "probe_upload", "config_download", "config_parse",
                               "initialization", "inventory", "install", "finished"):
                    performance.append((metric, round(1000 + at, 4), run))
                    at += rng.random()
        if client % 500 == 0 or client == options.clients:
            db.executemany('INSERT INTO "Reporting_interaction" ("id", "timestamp", "state", "repo_rev_code", "server", '
                           '"good_count", "total_count", "bad_count", "modified_count", "extra_count", "client_id", '
                           '"profile_id", "dry_run", "only_important") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)', interactions)
            db.executemany('INSERT INTO "Reporting_performance" ("metric", "value", "interaction_id") VALUES (?,?,?)',
                           performance)
            for (plural, column), rows in links.items():
                db.executemany('INSERT INTO "Reporting_interaction_%s" ("interaction_id", "%s") VALUES (?,?)'
                               % (plural, column), rows)
            interactions, performance, links = [], [], {}
    db.execute('UPDATE "Reporting_client" SET "current_interaction_id" = (SELECT i."id" FROM "Reporting_interaction" i '
               'WHERE i."client_id" = "Reporting_client"."id" ORDER BY i."timestamp" DESC LIMIT 1)')
    db.commit()
    db.execute("ANALYZE")
    db.commit()


if __name__ == "__main__":
    main()
