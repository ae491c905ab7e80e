#!/usr/bin/env python3
"""Has clients change clients.xml where it has many clients, and measures what a change costs the server.

  clients.py --server FILE [--clients 100000] [--changes 20] [--milliseconds 60] [--pause 60] [NAME ...]

Time is the server's time on a processor for one change that comes alone, helpers not counted; the pause is the longest
time that an answer to somebody else took meanwhile. An edit by the administrator, which is read whole, is measured, too,
and may cost what it costs. Exit status 1 where a change costs more than is allowed.
"""
import argparse
import sys
import threading
import time

from target import Target, body_of, fault_of

GROUPS = '<Groups><Group name="p" profile="true" public="true" default="true"/>\n' \
         '<Group name="q" profile="true" public="true"/></Groups>\n'


def clients_xml(count):
    return "<Clients>\n%s</Clients>\n" % "".join(
        '  <Client name="host%06d.example.com" profile="p" uuid="host%06d.example.com" address="10.%d.%d.%d"/>\n' % (
            n, n, n // 65536, n // 256 % 256, n % 256) for n in range(count))


class Other(threading.Thread):
    """Somebody else, who asks all the time."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.longest, self.ends = target, 0.0, False

    def run(self):
        while not self.ends:
            start = time.monotonic()
            self.target.call(body_of("listMethods"), user="host000001.example.com")
            self.longest = max(self.longest, time.monotonic() - start)
            time.sleep(0.002)


def make(target, change, number):
    body, user = change(number)
    status, answer = target.call(body, user=user)
    fault = fault_of(answer)
    if status != 200 or fault:
        sys.exit("%s of %s: %s %s" % (body, user, status, fault))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--clients", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--milliseconds", type=float, default=60)
    parser.add_argument("--pause", type=float, default=60)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    text = clients_xml(options.clients)
    files = {"Metadata/clients.xml": (text, 0o600), "Metadata/groups.xml": (GROUPS, 0o644)}
    changes = {
        "a version": lambda n: (body_of("DeclareVersion", "1.4.%d" % n), "host%06d.example.com" % (n + 10)),
        "a profile": lambda n: (body_of("AssertProfile", "q"), "host%06d.example.com" % (n + 40)),
        "a new client": lambda n: (body_of("AssertProfile", "q"), "new%d.example.com" % n),
        "a new client by its probes": lambda n: (body_of("GetProbes"), "newer%d.example.com" % n),
    }
    failures = 0
    conf = {"metadata": {"clients": "1000000"}}
    with Target(options.server, "Metadata,Probes", files, conf) as target:
        make(target, changes["a version"], -1)
        for name, change in changes.items():
            if options.names and not any(part in name for part in options.names):
                continue
            other = Other(target)
            start = target.cpu()
            for number in range(options.changes):
                make(target, change, number)
            milliseconds = (target.cpu() - start) * 1000 / options.changes
            other.start()
            for number in range(options.changes, 2 * options.changes):
                make(target, change, number)
            other.ends = True
            other.join()
            pause = other.longest * 1000
            is_bad = milliseconds > options.milliseconds or pause > options.pause
            failures += is_bad
            print("%-4s %7.1f ms  %7.1f ms  %s" % ("BAD" if is_bad else "ok", milliseconds, pause, name), flush=True)
        start = target.cpu()
        with open(target.path + "/repo/Metadata/clients.xml", "r+") as file:
            file.seek(0, 2)
            file.write("<!-- -->\n")
        target.call(body_of("listMethods"), user="host000001.example.com")
        print("     %7.1f ms              an administrator's edit" % ((target.cpu() - start) * 1000))
    print("%d clients, %d changes cost too much" % (options.clients, failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
