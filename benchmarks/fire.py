#!/usr/bin/env python3
"""Measures what faulty peers cost the others: the numbers of docs/reliability.md.

  benchmarks/fire.py [--server FILE] [--seconds S] [--resets N] [--parts latency,idle,descriptors,resets]

latency       a client's p99 alone, and among 1,000 silent peers, 1,000 that send a byte a second, and 500 that stop
              reading in the middle of an answer; each peer comes again when the server sends it away. They come
              spread over the time that the server leaves them; the last case is 1,000 that come at one moment
idle          10,000 idle TLS connections: memory of each, and CPU time of the server
descriptors   the server's limit of descriptors is taken away while peers connect, and given back
resets        N connections opened and reset at every stage of their life: descriptors and memory before and after

Needs a release build and `make -C benchmarks/load`. Loopback only; source addresses are 127.1 to 127.3.
"""
import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD = os.path.join(HERE, "../.build/benchmarks/bcfg2-load")
LIMITS = """connections = 30000
unauthenticated_connections = 30000
connections_per_address = 30000
unauthenticated_per_address = 30000
"""


class Site:
    """A site whose answers are so large that one does not fit into the socket's buffers."""

    def __init__(self, folder, program):
        self.folder, self.program = folder, program
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name, size in (("small", "600"), ("wide", "200000")):
            subprocess.run([sys.executable, HERE + "/sites/generate.py", "--preset", "small", "--file-bytes", size,
                            "--out", f"{folder}/{name}", "--port", str(self.port)], check=True, capture_output=True)

    def start(self, name, more=""):
        base = f"{self.folder}/{name}"
        with open(base + "/bcfg2.conf") as file:
            text = file.read().replace("[server]\n", "[server]\n" + LIMITS + more, 1)
        with open(base + "/fire.conf", "w") as file:
            file.write(text)
        self.name = name
        self.log = open(base + "/log", "w")
        environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
        self.process = subprocess.Popen([self.program, "-C", base + "/fire.conf"], stdout=self.log,
                                        stderr=subprocess.STDOUT, env=environment)
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the server does not start")

    def stop(self):
        self.process.terminate()
        status = self.process.wait(30)
        if status != 0:
            raise SystemExit(f"the server ends with {status}")

    def load_command(self, arguments):
        base = f"{self.folder}/{self.name}"
        return [LOAD, "--clients", base + "/load/clients.txt", "--login", "uuid", *arguments, f"127.0.0.1:{self.port}"]

    def load(self, *arguments):
        done = subprocess.run(self.load_command(arguments), capture_output=True, text=True)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise SystemExit(f"bcfg2-load: {done.stderr or done.stdout}")

    def hold(self, *arguments):
        """Starts faulty peers and returns when all are where they stay."""
        process = subprocess.Popen(self.load_command(("--connections", "0", "--announce", *arguments)),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while True:
            line = process.stderr.readline()
            if line == "ready\n":
                return process
            if not line:
                raise SystemExit("the faulty peers do not come to rest: " + process.stdout.read())

    def status(self, name):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(name))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def latency(site, options):
    normal = ("--connections", "1", "--seconds", str(options.seconds), "--timeout", "60", "--rate")
    groups = 100
    cases = [("alone", "small", []), ("1000 silent before the handshake", "small", ["silent-connect=1000"]),
             ("1000 silent after the handshake", "small", ["silent-handshake=1000"]),
             ("1000 with a byte a second", "small", ["drip-headers=1000"]),
             ("alone, large answers", "wide", []), ("500 that stop reading", "wide", ["stall-answer=500"]),
             ("1000 silent after the handshake that come at one moment", "small", ["silent-handshake=1000"])]
    for title, name, faults in cases:
        site.start(name)
        site.load("--connections", "1", "--requests", "40")
        peers = []
        for fault in faults:
            mode, count = fault.split("=")
            parts = 1 if "moment" in title else groups
            for _ in range(parts):
                peers.append(site.hold("--fault-sources", "200", "--fault", f"{mode}={int(count) // parts}"))
                time.sleep(0.1 if parts > 1 else 0)
        before = site.cpu_seconds()
        result = site.load(*normal, "40" if name == "small" else "4")
        used = site.cpu_seconds() - before
        times = result["latency_ms"]
        print(f"{title}: {result['requests']} requests, {result['errors']} errors, p50 {times['p50']:.1f} ms, "
              f"p99 {times['p99']:.1f} ms, max {times['max']:.1f} ms; server {100 * used / options.seconds:.1f} % of a "
              f"processor, {site.status('VmRSS')} kB", flush=True)
        for process in peers:
            process.terminate()
            process.wait()
        site.stop()


def idle(site, options):
    count = options.idle
    site.start("small", "keepalive_timeout = 3600\n")
    site.load("--connections", "4", "--requests", "200")
    before = site.status("VmRSS")
    peers = site.hold("--fault", f"idle={count}", "--fault-sources", "200")
    time.sleep(2)
    after, busy = site.status("VmRSS"), site.cpu_seconds()
    time.sleep(10)
    used = site.cpu_seconds() - busy
    print(f"{site.descriptors()} descriptors with {count} idle connections: {(after - before) / count:.1f} KiB each, "
          f"{used * 10:.2f} % of a processor")
    peers.terminate()
    peers.wait()
    time.sleep(3)
    print(f"resident memory: {before} kB before, {after} kB with them, {site.status('VmRSS')} kB after", flush=True)
    site.stop()


def descriptors(site, options):
    site.start("small", "linger_timeout = 1\n")
    site.load("--connections", "1", "--requests", "20")
    base = site.descriptors()
    pid = site.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (base + 50, hard))
    before = site.cpu_seconds()
    peers = subprocess.Popen(site.load_command(("--connections", "0", "--fault", "silent-connect=400")),
                             stdout=subprocess.DEVNULL)
    time.sleep(5)
    with open(f"{site.folder}/small/log") as file:
        lines = [line for line in file if "Too many open files" in line]
    print(f"out of descriptors: {site.descriptors()} of {base + 50} open, {len(lines)} lines in the log, "
          f"{20 * (site.cpu_seconds() - before):.1f} % of a processor")
    peers.terminate()
    peers.wait()
    result = site.load("--connections", "1", "--requests", "40", "--timeout", "10")
    print(f"afterwards, still few: {result['requests']} requests, {result['errors']} errors")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    time.sleep(2)
    print(f"descriptors: {base} before, {site.descriptors()} after", flush=True)
    site.stop()


def resets(site, options):
    modes = ["storm", "reset-connect", "reset-handshake", "reset-headers", "reset-body", "reset-answer", "reset-idle",
             "half-close", "half-close-early", "garbage"]
    site.start("small", "linger_timeout = 1\n")
    faults = sum((["--fault", f"{mode}=12"] for mode in modes), [])
    opened = 0
    # The first thousands fill what grows once: tables, the heap's arenas, sessions.
    base, rows = None, []
    while opened < options.resets:
        result = site.load("--connections", "1", "--rate", "5", "--seconds", "20", "--timeout", "60", "--pause-ms", "1",
                           "--dwell-ms", "5", "--fault-sources", "200", "--sources", "50", *faults)
        opened += sum(mode["opened"] for mode in result["faults"].values())
        time.sleep(3)
        now = (opened, site.descriptors(), site.status("VmRSS"), result["latency_ms"]["p99"], result["errors"])
        base = base or now
        rows.append(now)
        print("%d connections: %d descriptors, %d kB resident; a client beside them: p99 %.1f ms, %d errors" % now,
              flush=True)
    result = site.load("--connections", "1", "--requests", "40")
    print(f"afterwards: {result['errors']} errors in {result['requests']} requests; from {base[0]} to {opened} connections "
          f"{rows[-1][1] - base[1]:+d} descriptors, {rows[-1][2] - base[2]:+d} kB", flush=True)
    site.stop()


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--server", default=os.path.join(HERE, "../.build/release/bcfg2-server"))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--resets", type=int, default=200000)
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--parts", default="latency,idle,descriptors,resets")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = tempfile.mkdtemp()
    site = Site(folder, os.path.abspath(options.server))
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; "
          f"ulimit -n {hard}")
    try:
        for part in options.parts.split(","):
            {"latency": latency, "idle": idle, "descriptors": descriptors, "resets": resets}[part](site, options)
    finally:
        if getattr(site, "process", None) and site.process.poll() is None:
            site.process.kill()
            site.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
