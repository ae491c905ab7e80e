#!/usr/bin/env python3
"""Counts allocations and system calls of one GetConfig, kept and built, on a kept connection and on a new one.

  counts.py --binary .build/release/bcfg2-server            print the counts
  counts.py --binary .build/debug/bcfg2-server --check      compare with thresholds.json; status 1 where one is above

The counts repeat across machines, other than times. The server runs with load/count.c preloaded; no root, no ptrace.
"""
import argparse
import http.client
import json
import os
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "sites"))
import generate  # noqa: E402
import servers  # noqa: E402

NAMES = ("allocations", "allocated_bytes", "frees", "system_calls", "sent_bytes")
CALL = b"<?xml version='1.0'?><methodCall><methodName>GetConfig</methodName><params></params></methodCall>"


def counters(path):
    with open(path, "rb") as f:
        return dict(zip(NAMES, struct.unpack("5Q", f.read(40))))


class Client:
    """One client by its address; the connection is kept where `keeps`."""

    def __init__(self, site, ca, number, keeps):
        self.site, self.number, self.keeps, self.connection = site, number, keeps, None
        self.context = ssl.create_default_context(cafile=ca)
        self.context.check_hostname = False

    def ask(self):
        if self.connection is None:
            source = ("127.1.%d.%d" % (self.number // 250, self.number % 250 + 1), 0)
            self.connection = http.client.HTTPSConnection(
                "127.0.0.1", self.site["port"], context=self.context, source_address=source, timeout=60)
        import base64
        login = base64.b64encode(("root:" + self.site["password"]).encode()).decode()
        headers = {"Content-Type": "text/xml", "Authorization": "Basic " + login}
        if not self.keeps:
            headers["Connection"] = "close"
        self.connection.request("POST", "/RPC2", CALL, headers)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200 or b"<fault>" in body:
            raise SystemExit("HTTP %d: %r" % (response.status, body[:200]))
        if not self.keeps:
            self.connection.close()
            self.connection = None
        return body


def per_request(path, ask, rounds):
    """The median of each counter over so many requests: a timer in between does not count."""
    samples = []
    for n in range(rounds):
        time.sleep(0.02)  # what the server does behind an answer belongs to it
        before = counters(path)
        ask(n)
        time.sleep(0.02)
        after = counters(path)
        samples.append({name: after[name] - before[name] for name in NAMES})
    return {name: sorted(s[name] for s in samples)[rounds // 2] for name in NAMES}


def measure(binary, preset, work):
    site_dir = os.path.join(work, preset)
    site = generate.generate(["--preset", preset, "--out", site_dir, "--port", str(servers.free_port())])
    counts = os.path.join(work, preset + ".counts")
    environment = dict(os.environ, LD_PRELOAD=os.path.join(HERE, "..", ".build", "benchmarks", "libcount.so"),
                       BCFG2_COUNTS=counts)
    with open(os.path.join(work, preset + ".log"), "wb") as log:
        process = subprocess.Popen([binary, "-C", os.path.join(site_dir, "bcfg2.conf")], env=environment,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        ca = os.path.join(site_dir, "pki", "ca.crt")
        kept = Client(site, ca, 0, True)
        deadline = time.monotonic() + 60
        while True:
            try:
                kept.ask()
                break
            except OSError:
                kept.connection = None
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the server did not start: " + open(log.name).read()[-2000:])
                time.sleep(0.05)
        new = Client(site, ca, 0, False)
        for _ in range(3):
            kept.ask()
            new.ask()
        result = {"kept": per_request(counts, lambda n: kept.ask(), 15),
                  "kept_new_connection": per_request(counts, lambda n: new.ask(), 15)}
        # What is built: an edit before each request, of which the counts are taken off.
        target = os.path.join(site_dir, "repo", "Bundler", "bundle-000.xml")
        with open(target, "rb") as f:
            text = f.read()

        def edit(n):
            with open(target + ".swp", "wb") as f:
                f.write(text + b"<!-- %d -->\n" % n)
            os.rename(target + ".swp", target)
            time.sleep(0.05)

        samples = []
        for n in range(9):
            edit(n)
            samples.append(per_request(counts, lambda n: kept.ask(), 1))
        result["built"] = {name: sorted(s[name] for s in samples)[4] for name in NAMES}
        return result
    finally:
        process.terminate()
        process.wait(20)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(HERE, "..", ".build", "release", "bcfg2-server"))
    parser.add_argument("--sites", default="small,large")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    subprocess.run(["make", "-s", "-C", os.path.join(HERE, "load"), "count"], check=True)
    work = tempfile.mkdtemp(prefix="bcfg2-counts-")
    try:
        result = {site: measure(os.path.abspath(options.binary), site, work) for site in options.sites.split(",")}
    finally:
        shutil.rmtree(work)
    for site, cases in result.items():
        for case, counts in cases.items():
            print("%-6s %-20s %s" % (site, case, "  ".join("%s %d" % item for item in counts.items())))
    if not options.check:
        return
    kind = "debug" if "/debug/" in options.binary else "release"
    with open(os.path.join(HERE, "thresholds.json")) as f:
        thresholds = json.load(f)["counts"][kind]
    above = ["%s is %d, at most %d" % (name, result[s][c][counter], most)
             for name, most in thresholds.items()
             for s, c, counter in [name.split("/")] if s in result and result[s][c][counter] > most]
    print("\n".join(above) or "every count is within thresholds.json")
    sys.exit(1 if above else 0)


if __name__ == "__main__":
    main()
