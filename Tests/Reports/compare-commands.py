#!/usr/bin/env python3
"""Compares the output of bcfg2-reports with that of the real ones, byte for byte, on the same made-up database.

    scripts/reference-servers.sh            installs Bcfg2 1.4 and 1.3.4; 1.3.4 needs 'Django<1.7' and south besides
    Tests/Reports/compare-commands.py [--reference .build/reference] [--bin .build/debug]

Prints the command lines whose output or exit status differs; status 1 if there are any.
"""
import argparse
import difflib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "..", "Conformance", "cases")
OLD = {"1.4": "reporting-old-reports", "1.3.4": "reporting-old-server-134"}
# 1.3.4's command has no option for its configuration file.
WRAPPER = """
import sys
import Bcfg2.Options
Bcfg2.Options.CFILE.default = Bcfg2.Options.WEB_CFILE.default = Bcfg2.Options.DEFAULT_CONFIG_LOCATION = sys.argv[1]
program = sys.argv[2]
sys.argv[:] = [program] + sys.argv[3:]
exec(compile(open(program).read(), program, "exec"))
"""
KINDS = {
    "action": "status, output", "package": "target_version, current_version, verification_details",
    "service": "target_status, current_status", "path": "path_type, detail_type, details, current_perms_id, target_perms_id",
    "seboolean": "value", "seport": "selinuxtype", "sefcontext": "selinuxtype, filetype", "senode": "selinuxtype, proto",
    "selogin": "selinuxuser", "seuser": "roles, prefix", "seinterface": "selinuxtype", "sepermissive": "",
    "semodule": "disabled, current_disabled", "posixuser": '"group", gecos, home, shell', "posixgroup": "",
}
NUMBERS = {"output", "detail_type", "current_perms_id", "target_perms_id", "value", "disabled", "current_disabled"}


def fill(path, flags):
    """Adds 40 clients with up to 5 runs each, and entries of every kind. Returns some of their names."""
    rng = random.Random(15)
    database = sqlite3.connect(path)
    entries = []
    for kind, columns in KINDS.items():
        names = [c.strip() for c in columns.split(",") if c.strip()]
        for number in range(8):
            values = [1 if n in NUMBERS else "v" for n in names]
            row = database.execute(
                'INSERT INTO Reporting_%sentry (name, state, "exists", hash_key%s) VALUES (?, ?, 1, ?%s)' % (
                    kind, "".join(", " + n for n in names), ", ?" * len(names)),
                [rng.choice(["z", "B", "a", "/etc/x y", "lib:foo", "n" * 75]) + str(number % 5), number % 4, number] + values)
            entries.append((kind, row.lastrowid))
    for number in range(40):
        name = "host%d%s.example.com" % (number, "-long" * rng.choice([0, 0, 1, 3]))
        expired = "2020-01-01 00:00:00" if number % 9 == 4 else None
        client = database.execute("INSERT INTO Reporting_client (creation, name, expiration) VALUES (?, ?, ?)",
                                  ["2019-03-01 10:00:00.123456", name, expired]).lastrowid
        latest = None
        for run in range(rng.choice([0, 1, 2, 5])):
            clean = rng.random() < 0.4
            time = "2019-03-%02d %02d:00:0%d%s" % (run * 3 + 1, rng.randrange(24), run, rng.choice(["", ".000500", ".120000"]))
            latest = database.execute(
                'INSERT INTO Reporting_interaction (client_id, timestamp, state, repo_rev_code, server, good_count, total_count,'
                ' bad_count, modified_count, extra_count%s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?%s)' % (
                    (", dry_run, only_important", ", ?, ?") if flags else ("", "")),
                [client, time, "clean" if clean else "dirty", "r%d" % run, "s", 90 if clean else 80, 90, 0 if clean else 7,
                 rng.randrange(30), rng.randrange(3)] + ([rng.random() < 0.5, rng.random() < 0.4] if flags else [])).lastrowid
            for kind, entry in rng.sample(entries, rng.randrange(40)):
                database.execute("INSERT INTO Reporting_interaction_%ss (interaction_id, %sentry_id) VALUES (?, ?)" % (
                    kind, kind), [latest, entry])
        database.execute("UPDATE Reporting_client SET current_interaction_id = ? WHERE id = ?", [latest, client])
    database.commit()
    hosts = [row[0] for row in database.execute("SELECT name FROM Reporting_client")]
    names = [("%s" % kind, row[0]) for kind in KINDS for row in database.execute("SELECT DISTINCT name FROM Reporting_%sentry" % kind)]
    database.close()
    # Each command of Bcfg2 takes half a second.
    return hosts[:14], rng.sample(names, 25)


def display(kind):
    special = {"seboolean": "SEBoolean", "seport": "SEPort", "sefcontext": "SEFcontext", "senode": "SENode",
               "selogin": "SELogin", "seuser": "SEUser", "seinterface": "SEInterface", "sepermissive": "SEPermissive",
               "semodule": "SEModule", "posixuser": "POSIXUser", "posixgroup": "POSIXGroup"}
    return special.get(kind, kind.title())


def lines_of_14(hosts, entries, file):
    for more in [[], ["-c"], ["-d"], ["--stale"], ["--stale", "--clean"], ["-n"], ["-i"], ["-n", "-i", "--dirty"],
                 ["-n", "--stale"], ["-i", "--fields", "name,stale,time"], ["--fields", ""],
                 ["--fields", "total, good ,bad,modified,extra,stale,name,time,state"],
                 ["--fields", "creation,expiration,id,pk,current_interaction,current_interaction_id,nonsense,two words,x1y"]]:
        yield ["clients"] + more
    for host in hosts + ["nobody"]:
        for more in [[], ["-b"], ["-m", "-e"], ["-n"], ["-i", "-n", "-b"]]:
            yield ["show"] + more + [host]
        yield ["total", host]
        yield ["total", "-n", host]
    for kind, name in entries:
        # Bcfg2 takes a name to its first colon, and stops at a second one.
        if ":" in name:
            continue
        text = "%s:%s" % (display(kind), name)
        yield ["entry", text]
        for state in ["--badentry", "--modifiedentry", "--extraentry"]:
            yield ["entries", state, text]
    yield ["entry", "-n", "--fields", "state,state,bad", "Package:a1"]
    yield ["entry", "Failure:x"]
    yield ["entry", "Bogus:x"]
    yield ["entries", "--badentry", "--file", file]
    yield ["entries", "-n", "--badentry", "Package:a1", "Bogus:x", "Service:B1", "Package:a1", "Path:z1"]
    yield ["entries", "--badentry", "--extraentry", "Package:a1"]
    yield ["entries", "Package:a1"]
    yield ["entries", "--badentry"]
    for host in hosts[:5] + ["nobody"]:
        yield ["expire", host]
    yield ["clients"]
    yield ["expire", hosts[0]]
    yield ["nosuch"]
    yield ["show"]


def lines_of_13(hosts, entries, file):
    for more in [["-a"], ["-c"], ["-d"], ["--stale"], ["--all", "ignored"], ["-a", "--fields", "time,state,bad"],
                 ["-c", "--fields=total,good,bad,modified,extra,name,nonsense"], ["-a", "-c"], ["-s"], []]:
        yield more
    with_runs = [h for h in hosts if h[1]]
    for host, _ in with_runs:
        for more in [["-s"], ["-b"], ["-me"], ["-t"], ["--show"], ["--bad", "--extra"]]:
            yield more + [host]
    yield ["-s", "nobody"]
    yield ["-t", "nobody"]
    for kind, name in entries:
        if ":" in name:
            continue
        text = "%s:%s" % (display(kind), name)
        # --entrystatus of 1.3.4 ends with a NameError whatever the entry is.
        for state in ["--badentry", "--modifiedentry", "--extraentry"]:
            yield [state, text]
    yield ["--badentry", "--file", file]
    yield ["--badentry", "Package:a1", "Service:B1", "Package:a1"]
    yield ["--badentry"]
    for host, _ in with_runs[:4]:
        yield ["-x", host]
    yield ["-a"]
    yield ["-x", with_runs[0][0]]
    yield ["-x", "nobody"]


def run(command):
    done = subprocess.run(command, capture_output=True, timeout=120)
    return done.returncode, done.stdout.decode("utf-8", "backslashreplace")


def compare(version, reference, program, work):
    paths = [os.path.join(work, name + version) for name in ("theirs", "ours")]
    database = paths[0] + ".sqlite"
    shutil.copy(os.path.join(CASES, OLD[version], "repo", "etc", "old.sqlite"), database)
    os.chmod(database, 0o644)
    hosts, entries = fill(database, version == "1.4")
    shutil.copy(database, paths[1] + ".sqlite")
    for path in paths:
        with open(path + ".conf", "w") as f:
            f.write("[server]\nrepository = %s\nplugins = Bundler,Metadata\n[reporting]\ntime_zone = UTC\n[database]\n"
                    "engine = sqlite3\nname = %s.sqlite\n" % (work, path))
            if version == "1.4":
                f.write("reporting_engine = sqlite3\nreporting_name = %s.sqlite\n" % path)
    names = os.path.join(work, "names")
    with open(names, "w") as f:
        f.write("Package:a1\n  Service:B1  \nPath:z1\n")
    folder = os.path.join(reference, version, "bin")
    if version == "1.4":
        theirs = [os.path.join(folder, "bcfg2-reports"), "-C", paths[0] + ".conf"]
        lines = lines_of_14(hosts, entries, names)
    else:
        wrapper = os.path.join(work, "wrapper.py")
        with open(wrapper, "w") as f:
            f.write(WRAPPER)
        theirs = [os.path.join(folder, "python"), wrapper, paths[0] + ".conf", os.path.join(folder, "bcfg2-reports")]
        found = sqlite3.connect(database).execute("SELECT name, current_interaction_id FROM Reporting_client").fetchall()[:14]
        lines = lines_of_13(found, entries, names)
    failed = count = 0
    for line in lines:
        count += 1
        one, two = run(theirs + line), run([program, "-C", paths[1] + ".conf"] + line)
        if one != two:
            failed += 1
            print("%s: %s: %d, %d" % (version, " ".join(line), one[0], two[0]))
            sys.stdout.writelines(list(difflib.unified_diff(
                one[1].splitlines(True), two[1].splitlines(True), "Bcfg2", "ours", n=0))[:12])
            sys.stdout.flush()
    print("%s: %d command lines, %d differ" % (version, count, failed))
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", default=".build/reference")
    parser.add_argument("--bin", default=".build/debug")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as work:
        failed = sum(compare(version, options.reference, os.path.join(options.bin, "bcfg2-reports"), work)
                     for version in ("1.4", "1.3.4"))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
