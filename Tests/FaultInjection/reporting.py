#!/usr/bin/env python3
"""Kills server and report collector, fills their disk, and looks whether every acknowledged report is stored once.

  reporting.py [--server FILE] [--seconds N] [SCENARIO ...]

Scenarios: collector (killed at its n-th write, synchronization, file and so on, with 1,000 reports), kill (the server at random moments
under load, with a disk that takes 20 ms), full (the n-th write or synchronization of the server fails), away (1,000 reports while there is
no database, which then is there). The collector is the program beside the server. Exit status 1 where anything is wrong.
"""
import argparse
import errno
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import xmlrpc.client

import durability
import run
from run import ending, loopback

KILL = 0xFFFF
SEGMENTS, EACH = 40, 25


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def number(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def text(value):
    data = value.encode()
    return number(len(data)) + data


def record(count):
    """A report as Sources/ReportRecords/RecordEncoding.swift writes it."""
    attributes = [("name", f"p{count % 50}"), ("version", "2"), ("current_version", "1")]
    data = (b"\1" + number(1_700_000_000_000_000 + count)
            + b"".join(text(value) for value in (f"host{count % 30}", "server", "web", "dirty", str(count)))
            + number(2) + number(4) + b"\0" + number(1) + text("web") + number(0) + number(0)
            + number(1) + b"\1" + text("Package") + number(len(attributes))
            + b"".join(text(name) + text(value) for name, value in attributes) + number(0))
    return struct.pack("<II", len(data), crc32c(data)) + data


class Site:
    """A repository whose reports go to an SQLite file, and the collector."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.program = os.path.join(os.path.dirname(options.server), "bcfg2-report-collector")
        self.spool = folder + "/repo/Reporting/spool"
        os.makedirs(self.spool, exist_ok=True)
        self.configuration = folder + "/collector.conf"
        with open(self.configuration, "w") as file:
            file.write(f"[server]\nrepository = {folder}/repo\n[communication]\npassword = secret\n[logging]\nsyslog = false\n"
                       f"[reporting]\ntransport = LocalFilesystem\n[database]\nname = {folder}/reports.sqlite\n")
        self.control = run.Control(folder + "/collector-control")

    def collect(self):
        """Runs the collector to its end. Returns its status."""
        environment = dict(os.environ, LD_PRELOAD=self.options.preload, FAULT_CONTROL=self.folder + "/collector-control",
                           SWIFT_BACKTRACE="enable=no")
        with open(self.folder + "/collector-log", "a") as log:
            return subprocess.run([self.program, "-C", self.configuration, "--once"], env=environment, stdout=log,
                                  stderr=subprocess.STDOUT, timeout=300).returncode

    def rows(self, statement):
        database = sqlite3.connect(self.folder + "/reports.sqlite", timeout=30)
        try:
            return database.execute(statement).fetchall()
        finally:
            database.close()

    def stored(self):
        """How often each revision is stored."""
        return dict(self.rows('SELECT "repo_rev_code", COUNT(*) FROM "Reporting_interaction" GROUP BY 1'))


def collector(options, problems):
    kills = 0
    for kind in ("write", "fsync", "open", "close", "read", "stat"):
        with tempfile.TemporaryDirectory() as folder:
            site = Site(options, folder)
            for segment in range(SEGMENTS):
                name = f"{segment:016}.{EACH}.records"
                with open(f"{site.spool}/{name}", "wb") as file:
                    file.write(b"BCFG2SP\1" + b"".join(record(segment * EACH + count) for count in range(EACH)))
            at, killed = 1, 0
            while True:
                site.control.arm(kind, at, KILL)
                status = site.collect()
                site.control.disarm()
                if status != -signal.SIGKILL:
                    break
                killed += 1
                # Each start gets further than the one before: in the end one does all.
                at += 1 + at // 8
            kills += killed
            if status != 0:
                problems.append(f"collector, {kind} {at}: status {status}")
            left = [name for name in os.listdir(site.spool) if name.endswith((".records", ".open"))]
            stored = site.stored()
            if left or stored != {str(count): 1 for count in range(SEGMENTS * EACH)}:
                problems.append(f"collector, {kind}: {len(stored)} stored, left {left[:3]}")
            for table in ("packages", "groups"):
                links = site.rows(f'SELECT COUNT(*) FROM "Reporting_interaction_{table}"')[0][0]
                if links != SEGMENTS * EACH:
                    problems.append(f"collector, {kind}: {links} links to {table}")
            print(f"collector, {kind}: {killed} kills", flush=True)


class ServerSite(durability.Site):
    """A server that keeps reports, beside its collector."""

    def __init__(self, options, settings="[reporting]\ntransport = LocalFilesystem\n"):
        super().__init__(options, settings=settings)
        path = self.folder + "/bcfg2.conf"
        with open(path) as file:
            lines = file.read().replace("Probes,Rules", "Probes,Reporting,Rules").split("\n")
        with open(path, "w") as file:
            file.write("\n".join(lines))
        self.stop()
        self.server.start()
        self.wait()
        self.reports = Site(options, self.folder)
        self.acknowledged, self.tried = set(), set()

    def upload(self, client, revision):
        """Sends a report; returns whether it was acknowledged, None without an answer."""
        self.tried.add(revision)
        try:
            self.call(client, "RecvStats", (
                f'<upload-statistics><Statistics total="2" good="1" state="dirty" version="2.0" revision="{revision}">'
                '<Bad><Package name="p" version="1" current_version="0"/></Bad></Statistics></upload-statistics>'))
        except xmlrpc.client.Fault:
            return False
        except loopback.NO_ANSWER:
            return None
        self.acknowledged.add(revision)
        return True

    def look(self, name, problems):
        """Stores what is there, and compares."""
        if self.reports.collect() != 0:
            problems.append(f"{name}: the collector failed")
        stored = self.reports.stored()
        for revision in self.acknowledged - set(stored):
            problems.append(f"{name}: {revision} was acknowledged and is lost")
        for revision, count in stored.items():
            if count != 1 or revision not in self.tried:
                problems.append(f"{name}: {revision} is stored {count} times")


def kill(options, problems):
    chance = random.Random(1)
    site = ServerSite(options)
    rounds, end = 0, time.monotonic() + options.seconds
    try:
        while time.monotonic() < end or rounds < 3:
            rounds += 1
            site.server.control.delay(20)

            def work(client, rounds=rounds):
                count = 0
                while site.upload(client, f"{rounds}.{client}.{count}") is not None:
                    count += 1
            threads = [threading.Thread(target=work, args=(f"c{number}",)) for number in range(durability.CLIENTS)]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.1, 1.0))
            if rounds % 3 == 0:
                # Helpers that wait for the disk live on for a while, with the segment.
                site.server.control.delay(2000)
                time.sleep(0.1)
            site.server.process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
            site.server.control.delay(0)
            if rounds % 2:
                # Also where the server does not come back before.
                site.look("kill", problems)
            site.restart()
            site.look("kill", problems)
        print(f"kill: {rounds} rounds, {len(site.acknowledged)} reports")
    finally:
        site.end()


def full(options, problems):
    site = ServerSite(options)
    faults = 0
    try:
        for kind, errors in (("write", [errno.ENOSPC, errno.EIO, errno.EDQUOT, run.SHORT]), ("fsync", [errno.EIO, errno.ENOSPC]),
                             ("open", [errno.ENOSPC, errno.EMFILE]), ("rename", [errno.EIO])):
            for error in errors:
                for at in (1, 2, 4):
                    # A segment begins with each.
                    time.sleep(0.6)
                    site.server.control.arm(kind, at, error)
                    answers = [site.upload("c0", f"{kind}.{error}.{at}.{count}") for count in range(4)]
                    faults += site.server.control.disarm()
                    if None in answers or site.server.process.poll() is not None:
                        problems.append(f"full, {kind} {at}: the server gave no answer")
                    if site.upload("c1", f"after.{kind}.{error}.{at}") is not True:
                        problems.append(f"full, {kind} {at}: the next report is refused")
        time.sleep(0.6)
        site.stop()
        site.look("full", problems)
        print(f"full: {faults} faults, {len(site.acknowledged)} reports")
    finally:
        site.end()


def away(options, problems):
    # The server's own collector, and a database in a folder that is not there.
    site = ServerSite(options, "[database]\nname = @/there/reports.sqlite\n")
    try:
        with open(site.folder + "/bcfg2.conf") as file:
            configuration = file.read()
        with open(site.folder + "/bcfg2.conf", "w") as file:
            file.write(configuration.replace("@/there", site.folder + "/not/there"))
        site.stop()
        site.server.start()
        site.wait()
        begin = time.monotonic()

        def work(number):
            for count in range(number, 1000, durability.CLIENTS):
                site.upload(f"c{number}", f"{number}.{count}")
        threads = [threading.Thread(target=work, args=(number,)) for number in range(durability.CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.monotonic() - begin
        if len(site.acknowledged) != 1000:
            problems.append(f"away: {len(site.acknowledged)} of 1000 reports were acknowledged")
        os.makedirs(site.folder + "/not/there")
        path = site.folder + "/not/there/reports.sqlite"

        def rows():
            try:
                database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
                try:
                    return database.execute('SELECT c."name", i."repo_rev_code" FROM "Reporting_interaction" i '
                                            'JOIN "Reporting_client" c ON c."id" = i."client_id" ORDER BY i."id"').fetchall()
                finally:
                    database.close()
            except sqlite3.OperationalError:
                return []
        begin = time.monotonic()
        if not run.wait_for(lambda: len(rows()) >= 1000, 120):
            problems.append(f"away: only {len(rows())} reports are stored: {site.server.end_of_log()}")
        stored = rows()
        if len(stored) != 1000 or {revision for _, revision in stored} != site.acknowledged:
            problems.append(f"away: {len(stored)} rows")
        for number in range(durability.CLIENTS):
            counts = [int(revision.split(".")[1]) for client, revision in stored if client == f"c{number}"]
            if counts != sorted(counts):
                problems.append(f"away: reports of c{number} are not in their order")
        print(f"away: 1000 reports in {taken:.1f} s, stored {time.monotonic() - begin:.1f} s after there was a database")
    finally:
        site.end()


SCENARIOS = {"collector": collector, "kill": kill, "full": full, "away": away}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--server", default=os.path.join(run.HERE, os.pardir, os.pardir, ".build/release/bcfg2-server"))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], metavar="SCENARIO")
    options = parser.parse_args()
    options.server = os.path.abspath(options.server)
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        options.preload = folder + "/libfault.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", options.preload, run.HERE + "/fault.c", "-ldl"], check=True)
        for name in options.scenarios or SCENARIOS:
            SCENARIOS[name](options, problems)
    for problem in problems[:50]:
        print("reporting: " + problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    ending.unwind_at_signals()
    sys.exit(main())
