#!/usr/bin/env python3
"""Kills a server, slows its disk, edits and breaks its files, and looks whether what was acknowledged is still there.

  durability.py [--server FILE] [--seconds N] [SCENARIO ...]

Scenarios: kill (at random moments under load, with a disk that takes 30 ms), takeover (at every rename of taking
probed.xml over, in both directions), broken (starts on an unreadable probed.xml), edit (an administrator's saves of
clients.xml while the disk is waited for), slow (a disk that takes 400 ms: what others notice; figures, no limits).
Exit status 1 where anything is wrong.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
import xmlrpc.client

import run
from run import ending, loopback

KILL = 0xFFFF
CLIENTS = 12
GROUPS = ('<Groups version="3.0"><Group name="p1" profile="true" public="true" default="true"><Bundle name="b"/></Group>'
          '</Groups>\n')


def files(more=None):
    clients = "".join(f'  <Client name="c{number}" profile="p1"/>\n' for number in range(CLIENTS))
    return {**run.FILES, "Metadata/groups.xml": GROUPS,
            "Metadata/clients.xml": f"<Clients>\n{clients}</Clients>\n", **(more or {})}


class Site:
    """A server with a repository of its own."""

    def __init__(self, options, more=None, settings=""):
        self.folder = tempfile.mkdtemp()
        shutil.copy(options.preload, os.path.join(self.folder, "libfault.so"))
        self.problems = []
        self.server = run.Server(options.server, self.folder, files(more), settings)
        self.client = loopback.Client(self.server.port, self.folder + "/crt")

    def end(self):
        if self.server.process.poll() is None:
            self.server.process.kill()
        self.server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return f"{self.folder}/repo/{name}"

    def text(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def call(self, client, method, *arguments, timeout=30):
        return self.client.call(method, *arguments, user=client, timeout=timeout)

    def report(self, client, value):
        return self.call(client, "RecvProbeData", f'<probe-data><probe-data name="value" source="Probes">{value}'
                                                  '</probe-data></probe-data>')

    def wait(self):
        def answers():
            if self.server.process.poll() is not None:
                raise SystemExit("the server has ended:\n" + self.server.end_of_log())
            try:
                return self.call("c0", "GetConfig", timeout=2) is not None
            except loopback.NO_ANSWER:
                return False
        if not run.wait_for(answers, 60):
            raise SystemExit("the server does not answer:\n" + self.server.end_of_log())

    def restart(self):
        self.server.process.wait()
        self.server.start()
        self.wait()

    def stop(self):
        self.server.process.terminate()
        self.server.process.wait(30)

    def probed(self):
        """What is kept, by client, whatever the layout."""
        found = {}
        try:
            for client in ElementTree.parse(self.path("Probes/probed.xml")).getroot():
                found[client.get("name")] = client.find("Probe").get("value")
        except OSError:
            pass
        folder = self.path("Probes/probed.d")
        if os.path.isdir(folder):
            for name in os.listdir(folder):
                if name.endswith(".xml"):
                    client = ElementTree.parse(f"{folder}/{name}").getroot()
                    found[client.get("name")] = client.find("Probe").get("value")
        return found

    def versions(self):
        return {client.get("name"): client.get("version")
                for client in ElementTree.parse(self.path("Metadata/clients.xml")).getroot()}

    def leftovers(self):
        return [name for _, _, names in os.walk(self.path("")) for name in names if name.startswith(".#")]

    def check(self, condition, message):
        if not condition:
            self.problems.append(message)


def kill(options, site):
    """Reports and versions from many threads; SIGKILL; everything that was acknowledged is there after a restart."""
    chance = random.Random(1)
    said = {"probe": {}, "version": {}}
    rounds = 0
    end = time.monotonic() + options.seconds
    while time.monotonic() < end or rounds < 3:
        rounds += 1
        site.server.control.delay(30)
        stopping = threading.Event()

        def work(client, rounds=rounds, stopping=stopping):
            number = 0
            while not stopping.is_set():
                number += 1
                value = f"{rounds}.{number}"
                for what, call in (("probe", lambda: site.report(client, value)),
                                   ("version", lambda: site.call(client, "DeclareVersion", value))):
                    possible = said[what].setdefault(client, {None})
                    possible.add(value)
                    try:
                        call()
                        said[what][client] = {value}
                    except (*loopback.NO_ANSWER, xmlrpc.client.Fault):
                        return
        threads = [threading.Thread(target=work, args=(f"c{number}",)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.1, 1.0))
        site.server.process.send_signal(signal.SIGKILL)
        stopping.set()
        for thread in threads:
            thread.join()
        site.server.control.delay(0)
        site.restart()
        probed, versions = site.probed(), site.versions()
        for client in said["probe"]:
            site.check(probed.get(client) in said["probe"][client], f"probe data of {client}: {probed.get(client)}")
            site.check(client not in said["version"] or versions.get(client) in said["version"][client],
                       f"version of {client}: {versions.get(client)}")
            # What is there now is what counts from now on.
            said["probe"][client], said["version"][client] = {probed.get(client)}, {versions.get(client)}
        if site.leftovers():
            # A helper process that waited for the disk had the lock a moment longer.
            site.stop()
            site.server.start()
            site.wait()
        site.check(not site.leftovers(), f"left behind: {site.leftovers()}")
    print(f"kill: {rounds} rounds")


def takeover(options, site):
    """Kills the n-th rename of a start that takes probed.xml over, then of one that goes back, until there is none."""
    data = {f"c{number}": f"value {number}" for number in range(150)}
    probed = "<Probed>" + "".join(
        f'<Client name="{client}" timestamp="5"><Probe name="value" value="{value}"/></Client>'
        for client, value in data.items()) + "</Probed>"
    kills = 0
    for layout in ("client", "file"):
        number = 1
        while True:
            site.stop()
            if layout == "client":
                shutil.rmtree(site.path("Probes/probed.d"), ignore_errors=True)
                with open(site.path("Probes/probed.xml"), "w") as file:
                    file.write(probed)
            with open(site.folder + "/bcfg2.conf") as file:
                lines = [line for line in file.read().split("\n") if line not in ("[probes]", "layout = file", "layout = client")]
            with open(site.folder + "/bcfg2.conf", "w") as file:
                file.write("\n".join(lines) + f"\n[probes]\nlayout = {layout}\n")
            # The log is looked at for a start.
            site.server.log.truncate(0)
            site.server.control.arm("rename", number, KILL)
            site.server.start()
            is_killed = run.wait_for(lambda: site.server.process.poll() is not None
                                     or "serve_forever() [start]" in site.server.end_of_log(), 30)
            site.server.control.disarm()
            if site.server.process.poll() is None:
                break
            site.check(is_killed and site.server.process.returncode == -signal.SIGKILL, "not killed")
            kills += 1
            site.server.start()
            site.wait()
            site.check(site.probed() == data, f"{layout}, rename {number}: lost data")
            number += 1 if number < 4 or layout == "file" else 37
        site.check(site.probed() == data, f"{layout}: lost data")
    site.check(os.path.exists(site.path("Probes/probed.d")) is False, "probed.d is left")
    print(f"takeover: {kills} kills")


def broken(options, site):
    """An unreadable probed.xml: the server starts, moves it aside, and reports go on."""
    site.report("c0", "first")
    for text in ("<Probed><Client", "", "x" * 100):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            site.server.process.send_signal(sign)
            site.server.process.wait(30)
            with open(site.path("Probes/probed.xml"), "w") as file:
                file.write(text)
            site.restart()
            site.report("c1", f"{len(text)} {sign}")
            found = site.probed()
            site.check(found.get("c0") == "first" and found.get("c1") == f"{len(text)} {sign}", f"lost: {found}")
    aside = sorted(name for name in os.listdir(site.path("Probes")) if "broken" in name)
    site.check(len(aside) == 6, f"moved aside: {aside}")
    site.check(site.text("Probes/probed.xml.broken") == "<Probed><Client", "what was moved aside is another one")
    print(f"broken: {len(aside)} files moved aside")


def edit(options, site):
    """Saves of clients.xml while the server waits for the disk with a version."""
    saves = 20
    for number in range(saves):
        site.server.control.delay(100)
        answers = []

        def declare(number=number):
            try:
                answers.append(site.call("c0", "DeclareVersion", f"1.{number}"))
            except (*loopback.NO_ANSWER, xmlrpc.client.Fault) as error:
                answers.append(error)
        thread = threading.Thread(target=declare)
        thread.start()
        site.check(run.wait_for(lambda: any(name.startswith(".#atomic-write-")
                                            for name in os.listdir(site.path("Metadata"))), 10), "no write was seen")
        text = site.text("Metadata/clients.xml").replace("</Clients>", f'  <Client name="e{number}" profile="p1"/>\n</Clients>')
        if number % 2:
            with open(site.path("Metadata/new"), "w") as file:
                file.write(text)
            os.rename(site.path("Metadata/new"), site.path("Metadata/clients.xml"))
        else:
            with open(site.path("Metadata/clients.xml"), "w") as file:
                file.write(text)
        thread.join()
        site.server.control.delay(0)
        versions = site.versions()
        site.check(answers == [True] and versions["c0"] == f"1.{number}", f"version: {answers} {versions['c0']}")
        site.check(all(f"e{earlier}" in versions for earlier in range(number + 1)), f"save {number} was lost")
    print(f"edit: {saves} saves while the disk was waited for")


def slow(options, site):
    """What others notice of a disk that takes 400 ms; without, for comparison."""
    for delay in (0, 400):
        site.server.control.delay(delay)
        stopping = threading.Event()
        waited, written = [], [0]

        def write(client, delay=delay):
            number = 0
            while not stopping.is_set():
                number += 1
                start = time.monotonic()
                site.report(client, f"{delay} {number}")
                site.call(client, "DeclareVersion", f"{delay}.{number}")
                waited.append(time.monotonic() - start)
                written[0] += 2
        writers = [threading.Thread(target=write, args=(f"c{number}",)) for number in range(1, 4 if delay == 0 else CLIENTS)]
        for writer in writers:
            writer.start()
        times = []
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            start = time.monotonic()
            site.call("c0", "GetConfig")
            times.append(time.monotonic() - start)
            time.sleep(0.01)
        stopping.set()
        for writer in writers:
            writer.join()
        times.sort()
        print(f"slow: fsync takes {delay} ms more: {len(times)} requests of others, p50 {1000 * times[len(times) // 2]:.1f} "
              f"ms, p99 {1000 * times[len(times) * 99 // 100]:.1f} ms, longest {1000 * times[-1]:.1f} ms; "
              f"{written[0]} writes, a pair takes {1000 * sum(waited) / len(waited):.0f} ms")
    site.server.control.delay(0)


SCENARIOS = {"kill": kill, "takeover": takeover, "broken": broken, "edit": edit, "slow": slow}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default=os.path.join(run.HERE, "../../.build/release/bcfg2-server"))
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS))
    options = parser.parse_args()
    options.server = os.path.abspath(options.server)
    folder = tempfile.mkdtemp()
    options.preload = os.path.join(folder, "libfault.so")
    status = 0
    try:
        subprocess.run(["cc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-o", options.preload, os.path.join(run.HERE, "fault.c"),
                        "-ldl"], check=True)
        for name in options.scenarios:
            site = Site(options)
            try:
                site.wait()
                SCENARIOS[name](options, site)
                for problem in site.problems:
                    print(f"{name}: {problem}")
                if site.problems:
                    status = 1
                    print(site.server.end_of_log())
            finally:
                site.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    ending.unwind_at_signals()
    sys.exit(main())
