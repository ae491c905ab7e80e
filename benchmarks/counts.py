#!/usr/bin/env python3
"""Counts allocations, system calls and instructions of one GetConfig, cached and built, on a kept and on a new connection.

  counts.py --binary .build/release/bcfg2-server            print the counts
  counts.py --binary .build/debug/bcfg2-server --check      compare with thresholds.json; status 1 where one is above

The counts repeat across machines, other than times. For allocations and system calls the server runs with load/count.c
preloaded, for instructions under valgrind's callgrind (left out, and said, where there is none).
"""
import argparse
import base64
import contextlib
import glob
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
# Requests of one round, whose instructions are counted together.
CALLGRIND_ROUNDS, CALLGRIND_REQUESTS = 5, 20
CALL = b"<?xml version='1.0'?><methodCall><methodName>GetConfig</methodName><params></params></methodCall>"


def counters(path):
    with open(path, "rb") as f:
        return dict(zip(NAMES, struct.unpack("5Q", f.read(40))))


def settled(path):
    """The counters once they have settled: work after an answer belongs to it."""
    same, last = 0, counters(path)
    while same < 3:
        time.sleep(0.003)
        now = counters(path)
        same = same + 1 if now == last else 0
        last = now
    return last


class Client:
    """One client by its address; `keeps` keeps the connection. Writes a request at once and reads a whole answer."""

    def __init__(self, site, ca, number, keeps):
        self.site, self.number, self.keeps, self.socket = site, number, keeps, None
        self.context = ssl.create_default_context(cafile=ca)
        self.context.check_hostname = False
        login = base64.b64encode(("root:" + site["password"]).encode()).decode()
        self.request = ("POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\n"
                        "Authorization: Basic %s\r\n%sContent-Length: %d\r\n\r\n" % (
                            login, "" if keeps else "Connection: close\r\n", len(CALL))).encode() + CALL

    def connect(self):
        """Returns the end of the handshake: it is sent with the request, so that both always arrive together."""
        source = "127.1.%d.%d" % (self.number // 250, self.number % 250 + 1)
        self.socket = socket.create_connection(("127.0.0.1", self.site["port"]), 60, (source, 0))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = self.context.wrap_bio(self.incoming, self.outgoing)
        self.steps(self.tls.do_handshake)

    def steps(self, call, *arguments):
        """The result of a call, after receiving the bytes that it needs."""
        while True:
            try:
                return call(*arguments)
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                more = self.socket.recv(1 << 20)
                if not more:
                    raise ConnectionResetError("the connection ends")
                self.incoming.write(more)

    def ask(self):
        if self.socket is None:
            self.connect()
        self.tls.write(self.request)
        self.socket.sendall(self.outgoing.read())
        answer, length = b"", None
        while length is None or len(answer) < length:
            more = self.steps(self.tls.read, 1 << 20)
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


def wait_for_first(client, process, log, seconds):
    """Waits until the server returns its first answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return client.ask()
        except OSError:
            client.socket = None
            if process.poll() is not None or time.monotonic() > deadline:
                with open(log, errors="replace") as f:
                    raise SystemExit("the server did not start: " + f.read()[-2000:])
            time.sleep(0.05)


def per_request(path, ask, rounds):
    """The minimum of each counter over several requests: a busy machine splits answers into more pieces, a timer may run."""
    samples = []
    for n in range(rounds):
        before = settled(path)
        ask(n)
        after = settled(path)
        samples.append({name: after[name] - before[name] for name in NAMES})
    return {name: min(s[name] for s in samples) for name in NAMES}


@contextlib.contextmanager
def served(binary, site, site_dir, counts):
    """The server of a site, with what it counts in a file, and a client that was answered on a kept connection."""
    environment = dict(os.environ, LD_PRELOAD=os.path.join(HERE, "..", ".build", "benchmarks", "libcount.so"),
                       BCFG2_COUNTS=counts)
    with open(counts + ".log", "wb") as log:
        process = subprocess.Popen([binary, "-C", os.path.join(site_dir, "bcfg2.conf")], env=environment,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        client = Client(site, os.path.join(site_dir, "pki", "ca.crt"), 0, True)
        wait_for_first(client, process, log.name, 60)
        for _ in range(3):
            client.ask()
        yield client
    finally:
        process.terminate()
        process.wait(20)


def measure(binary, preset, work):
    site_dir = os.path.join(work, preset)
    site = generate.generate(["--preset", preset, "--out", site_dir, "--port", str(servers.free_port())])
    counts = os.path.join(work, preset + ".counts")
    with served(binary, site, site_dir, counts) as kept:
        new = Client(site, os.path.join(site_dir, "pki", "ca.crt"), 0, False)
        for _ in range(3):
            new.ask()
        result = {"kept": per_request(counts, lambda n: kept.ask(), 120),
                  "kept_new_connection": per_request(counts, lambda n: new.ask(), 120)}
        # Built answers: each request follows an edit, whose own counts are subtracted.
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
    # The line of the log as an object.
    conf = os.path.join(site_dir, "bcfg2.conf")
    with open(conf) as f:
        text = f.read()
    with open(conf, "w") as f:
        f.write(text.replace("[logging]\n", "[logging]\nformat = json\n"))
    with served(binary, site, site_dir, counts + "-json") as kept:
        result["kept_json"] = per_request(counts + "-json", lambda n: kept.ask(), 60)
    return result


def totals(path):
    """The instructions of each dump of callgrind, by file."""
    found = {}
    for name in glob.glob(path + "*"):
        with open(name, errors="replace") as f:
            match = re.search(r"^totals: (\d+)", f.read(), re.M)
        if match:
            found[name] = int(match.group(1))
    return found


def count_instructions(binary, preset, work, built):
    """Instructions of one GetConfig on a kept connection: the minimum of some rounds, and the spread up to the maximum.

    Kernel and idle waits are not in it. None, and the reason, where callgrind cannot be asked.
    """
    for program in ("valgrind", "vgdb", "strip"):
        if not shutil.which(program):
            return None, "no " + program
    # Valgrind 3.19 fails on the debugging information of Swift's compiler.
    stripped = os.path.join(work, "stripped")
    subprocess.run(["strip", "-g", "-o", stripped, binary], check=True)
    name = "%s-%s" % (preset, "built" if built else "kept")
    site_dir = os.path.join(work, "callgrind-" + name)
    site = generate.generate(["--preset", preset, "--out", site_dir, "--port", str(servers.free_port())]
                             + (["--configurations", "0"] if built else []))
    out = os.path.join(work, name + ".callgrind")
    log = os.path.join(work, name + ".log")
    with open(log, "wb") as f:
        # Otherwise the order of dictionaries, and so the cost of look-ups, differs in each process.
        process = subprocess.Popen(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, stripped, "-C",
                                    os.path.join(site_dir, "bcfg2.conf")], stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                   env=dict(os.environ, SWIFT_DETERMINISTIC_HASHING="1"))

    def tell(command):
        run = subprocess.run(["vgdb", "--pid=%d" % process.pid, command], capture_output=True, text=True, timeout=60)
        if run.returncode:
            raise LookupError("vgdb: " + run.stderr.strip()[-200:])

    try:
        client = Client(site, os.path.join(site_dir, "pki", "ca.crt"), 0, True)
        wait_for_first(client, process, log, 300)
        for _ in range(10):
            client.ask()
        samples = []
        for _ in range(CALLGRIND_ROUNDS):
            time.sleep(0.1)
            tell("zero")
            for _ in range(CALLGRIND_REQUESTS):
                client.ask()
            # Work after an answer belongs to it.
            time.sleep(0.1)
            known = totals(out)
            tell("dump")
            new = {path: total for path, total in totals(out).items() if path not in known}
            samples += [total // CALLGRIND_REQUESTS for total in new.values()]
            for path in new:
                os.unlink(path)
        return {"instructions": min(samples), "spread_percent": 100 * (max(samples) - min(samples)) / min(samples)}, None
    except LookupError as error:
        return None, str(error)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(HERE, "..", ".build", "release", "bcfg2-server"))
    parser.add_argument("--sites", default="small,large")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    subprocess.run(["make", "-s", "-C", os.path.join(HERE, "load"), "count"], check=True)
    # The server watches the folders above its repository: in /tmp it would count changes of others.
    work = tempfile.mkdtemp(prefix="counts-", dir=os.path.join(HERE, "..", ".build", "benchmarks"))
    try:
        binary = os.path.abspath(options.binary)
        result = {site: measure(binary, site, work) for site in options.sites.split(",")}
        for site in result:
            for case in ("kept", "built"):
                counted, why = count_instructions(binary, site, work, case == "built")
                if counted is None:
                    print("%s: instructions are not counted: %s" % (site, why))
                else:
                    result[site][case].update(counted)
    finally:
        shutil.rmtree(work)
    for site, cases in result.items():
        for case, counts in cases.items():
            print("%-6s %-20s %s" % (site, case, "  ".join(
                "%s %s" % (name, "%.2f" % value if isinstance(value, float) else value)
                for name, value in counts.items())))
    if not options.check:
        return
    kind = "debug" if "/debug/" in options.binary else "release"
    with open(os.path.join(HERE, "thresholds.json")) as f:
        thresholds = json.load(f)["counts"][kind]
    above = ["%s is %d, at most %d" % (name, result[s][c][counter], most)
             for name, most in thresholds.items()
             for s, c, counter in [name.split("/")]
             if s in result and (counter != "instructions" or counter in result[s][c]) and result[s][c][counter] > most]
    print("\n".join(above) or "every count is within thresholds.json")
    sys.exit(1 if above else 0)


if __name__ == "__main__":
    servers.unwind_at_signals()
    main()
