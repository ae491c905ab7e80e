#!/usr/bin/env python3
"""Measures how many interactions a second are stored, by Bcfg2 1.4 and by bcfg2-report-collector, from the same uploads.

    scripts/reference-servers.sh
    benchmarks/reporting.py .build/release/bcfg2-report-collector .build/reference/1.4/bin/python
    benchmarks/reporting.py ... --postgresql HOST USER      also with PostgreSQL, where USER may make databases

Each upload has 100 bad or modified entries, out of 300 that all clients have. Both read the pickles that Bcfg2's server leaves for
its collector, one after the other on the same machine: the times have all of the work from the file to the database.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

REPORTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "Reports")
sys.path.insert(0, REPORTS)
import uploads  # noqa: E402

STORAGE = os.path.join(REPORTS, "storage.py")


def site(folder, name, database):
    repository = os.path.join(folder, name)
    work = os.path.join(repository, "Reporting", "LocalFilesystem", "work")
    os.makedirs(work)
    os.makedirs(os.path.join(repository, "etc"))
    conf = os.path.join(folder, name + ".conf")
    with open(conf, "w") as file:
        file.write("[server]\nrepository = %s\nplugins = Reporting\n[database]\n%s\n[reporting]\n"
                   "transport = LocalFilesystem\n" % (repository, database % {"name": name, "folder": repository}))
    return conf, work


def measure(options, folder, engine, database):
    rates = {}
    for program, clients in (("bcfg2", options.bcfg2), ("ours", options.ours)):
        name = "%s%s%d" % (program, engine, os.getpid())
        if engine == "postgresql":
            subprocess.run(["createdb", "-h", options.postgresql[0], "-U", options.postgresql[1], name], check=True)
        conf, work = site(folder, name, database)
        given = uploads.uploads(clients, 4, 100, 300)
        subprocess.run([options.python, STORAGE, conf, "pickle", work], input=json.dumps(given).encode(), check=True)
        if program == "bcfg2":
            answer = subprocess.run([options.python, "-W", "ignore", STORAGE, conf, "import", work], check=True, stdout=subprocess.PIPE)
            seconds = float(answer.stdout.split()[-1])
        else:
            empty = site(folder, name + "empty", database.replace("%(name)s", name).replace("%(folder)s", os.path.dirname(conf) + "/" + name))
            subprocess.run([options.collector, "-C", empty[0], "--once"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # Makes the tables.
            begin = time.monotonic()
            subprocess.run([options.collector, "-C", conf, "--once"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            seconds = time.monotonic() - begin
            if os.listdir(work):
                raise SystemExit("the collector left uploads")
        rates[program] = len(given) / seconds
    print("| %s | %.1f | %.0f | %.0f x |" % (engine, rates["bcfg2"], rates["ours"], rates["ours"] / rates["bcfg2"]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collector")
    parser.add_argument("python", help="Python 2.7 with Bcfg2 1.4, Django and psycopg2")
    parser.add_argument("--postgresql", nargs=2, metavar=("HOST", "USER"))
    parser.add_argument("--bcfg2", type=int, default=25, metavar="CLIENTS", help="clients with four runs each")
    parser.add_argument("--ours", type=int, default=250, metavar="CLIENTS")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="reporting.")
    try:
        print("| database | Bcfg2 1.4 | ours | ratio |\n|---|---|---|---|")
        measure(options, folder, "sqlite", "engine = sqlite3\nname = %(folder)s/db.sqlite")
        if options.postgresql:
            measure(options, folder, "postgresql",
                    "engine = postgresql_psycopg2\nname = %%(name)s\nhost = %s\nuser = %s" % tuple(options.postgresql))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
