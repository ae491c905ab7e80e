#!/usr/bin/env python3
"""Counts allocations and system calls of one GetConfig, kept and built, on a kept connection and on a new one.

  counts.py --binary .build/release/bcfg2-server            print the counts
  counts.py --binary .build/debug/bcfg2-server --check      compare with thresholds.json; status 1 where one is above

The counts repeat across machines, other than times. The server runs with load/count.c preloaded; no root, no ptrace.
"""
import argparse
import base64
import json
import os
import re
import shutil
import socket
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
    """One client by its address; the connection is kept where `keeps`. A request is one write, an answer read whole."""

    def __init__(self, site, ca, number, keeps):
        self.site, self.number, self.keeps, self.socket = site, number, keeps, None
        self.context = ssl.create_default_context(cafile=ca)
        self.context.check_hostname = False
        login = base64.b64encode(("root:" + site["password"]).encode()).decode()
        self.request = ("POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\n"
                        "Authorization: Basic %s\r\n%sContent-Length: %d\r\n\r\n" % (
                            login, "" if keeps else "Connection: close\r\n", len(CALL))).encode() + CALL

    def connect(self):
        source = "127.1.%d.%d" % (self.number // 250, self.number % 250 + 1)
        plain = socket.create_connection(("127.0.0.1", self.site["port"]), 60, (source, 0))
        self.socket = self.context.wrap_socket(plain)

    def ask(self):
        if self.socket is None:
            self.connect()
        self.socket.sendall(self.request)
        answer, length = b"", None
        while length is None or len(answer) < length:
            more = self.socket.recv(1 << 20)
            if not more:
                raise SystemExit("the answer ends after %d bytes" % len(answer))
            answer += more
            if length is None and b"\r\n\r\n" in answer:
                head, _, _ = answer.partition(b"\r\n\r\n")
                length = len(head) + 4 + int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
        if not answer.startswith(b"HTTP/1.1 200") or b"<fault>" in answer[:1000]:
            raise SystemExit("%r" % answer[:1000])
        if not self.keeps:
            self.socket.close()
            self.socket = None


def per_request(path, ask, rounds):
    """The least of each counter over so many requests: a busy machine cuts answers into more pieces, a timer may run."""
    samples = []
    for n in range(rounds):
        time.sleep(0.004)  # what the server does behind an answer belongs to it
        before = counters(path)
        ask(n)
        time.sleep(0.004)
        after = counters(path)
        samples.append({name: after[name] - before[name] for name in NAMES})
    return {name: min(s[name] for s in samples) for name in NAMES}


def measure(binary, preset, work):
    site_dir = os.path.join(work, preset)
    site = generate.generate(["--preset", preset, "--out", site_dir, "--port", str(servers.free_port())])
    conf = os.path.join(site_dir, "bcfg2.conf")
    counts = os.path.join(work, preset + ".counts")
    environment = dict(os.environ, LD_PRELOAD=os.path.join(HERE, "..", ".build", "benchmarks", "libcount.so"),
                       BCFG2_COUNTS=counts)
    with open(os.path.join(work, preset + ".log"), "wb") as log:
        process = subprocess.Popen([binary, "-C", conf], env=environment,
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
                kept.socket = None
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the server did not start: " + open(log.name).read()[-2000:])
                time.sleep(0.05)
        new = Client(site, ca, 0, False)
        for _ in range(3):
            kept.ask()
            new.ask()
        result = {"kept": per_request(counts, lambda n: kept.ask(), 120),
                  "kept_new_connection": per_request(counts, lambda n: new.ask(), 120)}
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
        for n in range(40):
            edit(n)
            samples.append(per_request(counts, lambda n: kept.ask(), 1))
        result["built"] = {name: min(s[name] for s in samples) for name in NAMES}
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
    # The server watches the folders above its repository: what others do in /tmp would be counted.
    work = tempfile.mkdtemp(prefix="counts-", dir=os.path.join(HERE, "..", ".build", "benchmarks"))
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
