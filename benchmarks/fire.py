#!/usr/bin/env python3
"""Measures how faulty peers affect others: the numbers of docs/reliability.md.

  benchmarks/fire.py [--server FILE] [--seconds S] [--resets N] [--parts ...] [--out FILE]
  benchmarks/fire.py --table FILE [--update]     print what such a run wrote as the document has it, or put it there

latency       a client's p99 alone, and among 1,000 silent peers, 1,000 that send a byte a second, and 500 that stop
              reading in the middle of an answer; each peer comes again when the server sends it away. They come
              spread over the time that the server leaves them
storm         the same, but the peers come at one moment while the client is measured, and again at one moment
idle          10,000 idle TLS connections: memory of each, and CPU time of the server
descriptors   the server's limit of descriptors is taken away while peers connect, and given back
resets        N connections opened and reset at every stage of their life: descriptors and memory before and after

Needs a release build and `make -C benchmarks/load`; about ten minutes, on a machine with nothing else to do. Loopback
only; source addresses are 127.1 to 127.3.
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
    """A site with answers larger than the socket's buffers."""

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
        """Starts faulty peers and returns when all have reached their faulty state."""
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

    def settle(self, base):
        """Waits until at most `base` descriptors are open or, for at most 60 s, until their number is stable."""
        before, end = None, time.monotonic() + 60
        while True:
            count = self.descriptors()
            if count <= base or (base == 0 and count == before) or time.monotonic() > end:
                return count
            before = count
            time.sleep(2 if base == 0 else 0.1)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Title, site, and the fault, if any.
ALONE = [("none", "small", None), ("none, answers of 7 MB", "wide", None)]
CROWDS = [("1,000 that connect and say nothing", "small", "silent-connect=1000"),
          ("1,000 that shake hands and say nothing", "small", "silent-handshake=1000"),
          ("1,000 that send a byte of the headers a second", "small", "drip-headers=1000"),
          ("500 that stop reading in an answer of 7 MB", "wide", "stall-answer=500")]


def measure(site, options, case, parts):
    """One client's latency among peers that connect in several groups; a single group connects during the measurement."""
    title, name, fault = case
    site.start(name)
    site.load("--connections", "1", "--requests", "40")
    peers = []

    def bring():
        mode, count = fault.split("=")
        for _ in range(parts):
            peers.append(site.hold("--fault-sources", "200", "--fault", f"{mode}={int(count) // parts}"))
            time.sleep(0.1 if parts > 1 else 0)

    if fault and parts > 1:
        bring()
    before = site.cpu_seconds()
    client = subprocess.Popen(
        site.load_command(("--connections", "1", "--seconds", str(options.seconds), "--timeout", "60", "--rate",
                           "40" if name == "small" else "4")), stdout=subprocess.PIPE, text=True)
    if fault and parts == 1:
        time.sleep(1)
        bring()
    result = json.loads(client.communicate()[0])
    row = {"peers": title, "requests": result["requests"], "errors": result["errors"], **result["latency_ms"],
           "processor": 100 * (site.cpu_seconds() - before) / options.seconds, "resident_kb": site.status("VmRSS")}
    say(f"{title}: {row['requests']} requests, {row['errors']} errors, p50 {row['p50']:.1f} ms, p99 {row['p99']:.1f} ms, "
        f"max {row['max']:.1f} ms; server {row['processor']:.1f} % of a processor, {row['resident_kb']} kB")
    for process in peers:
        process.terminate()
        process.communicate()
    site.stop()
    return row


def latency(site, options):
    return [measure(site, options, case, 100) for case in ALONE + CROWDS]


def storm(site, options):
    return [measure(site, options, case, 1) for case in CROWDS]


def idle(site, options):
    count = options.idle
    site.start("small", "keepalive_timeout = 3600\n")
    site.load("--connections", "4", "--requests", "200")
    before = site.status("VmRSS")
    peers = site.hold("--fault", f"idle={count}", "--fault-sources", "200")
    time.sleep(2)
    during, busy = site.status("VmRSS"), site.cpu_seconds()
    time.sleep(10)
    row = {"connections": count, "kib_each": (during - before) / count,
           "processor": (site.cpu_seconds() - busy) * 10, "before_kb": before, "during_kb": during}
    peers.terminate()
    peers.communicate()
    site.settle(0)
    row["after_kb"] = site.status("VmRSS")
    say(f"{count} idle connections: {row['kib_each']:.1f} KiB each, {row['processor']:.2f} % of a processor; resident "
        f"{before} kB before, {during} kB with them, {row['after_kb']} kB after")
    site.stop()
    return row


def descriptors(site, options):
    site.start("small", "linger_timeout = 1\n")
    site.load("--connections", "1", "--requests", "20")
    base = site.settle(0)
    pid = site.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (base + 50, hard))
    before = site.cpu_seconds()
    peers = subprocess.Popen(site.load_command(("--connections", "0", "--fault", "silent-connect=400")),
                             stdout=subprocess.DEVNULL)
    time.sleep(5)
    row = {"before": base, "limit": base + 50, "during": site.descriptors(),
           "processor": 20 * (site.cpu_seconds() - before)}
    with open(f"{site.folder}/small/log") as file:
        row["log_lines"] = sum("Too many open files" in line for line in file)
    peers.terminate()
    peers.wait()
    result = site.load("--connections", "1", "--requests", "40", "--timeout", "10")
    row["requests"], row["errors"] = result["requests"], result["errors"]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    row["after"] = site.settle(base)
    say(f"out of descriptors: {row['during']} of {row['limit']} open, {row['log_lines']} lines in the log, "
        f"{row['processor']:.1f} % of a processor; afterwards, still few: {row['requests']} requests, {row['errors']} "
        f"errors; descriptors: {base} before, {row['after']} after")
    site.stop()
    return row


def resets(site, options):
    modes = ["storm", "reset-connect", "reset-handshake", "reset-headers", "reset-body", "reset-answer", "reset-idle",
             "half-close", "half-close-early", "garbage"]
    site.start("small", "linger_timeout = 1\n")
    site.load("--connections", "1", "--requests", "20")
    faults = sum((["--fault", f"{mode}=12"] for mode in modes), [])
    base = site.settle(0)
    opened, rounds = 0, []
    while opened < options.resets:
        # The client is a process of its own, apart from the load of the peers.
        peers = subprocess.Popen(
            site.load_command(("--connections", "0", "--seconds", "20", "--pause-ms", "1", "--dwell-ms", "5",
                               "--fault-sources", "200", *faults)), stdout=subprocess.PIPE, text=True)
        result = site.load("--connections", "1", "--rate", "5", "--seconds", "19", "--timeout", "60", "--sources", "50")
        opened += sum(mode["opened"] for mode in json.loads(peers.communicate()[0])["faults"].values())
        began = time.monotonic()
        left = site.settle(base)
        rounds.append({"opened": opened, "descriptors": left, "settled_s": time.monotonic() - began,
                       "resident_kb": site.status("VmRSS"), "p99": result["latency_ms"]["p99"],
                       "errors": result["errors"]})
        say("{opened} connections: {descriptors} descriptors {settled_s:.1f} s later, {resident_kb} kB resident; a client "
            "beside them: p99 {p99:.1f} ms, {errors} errors".format(**rounds[-1]))
    result = site.load("--connections", "1", "--requests", "40")
    # The first thousands grow tables, the heap's arenas and sessions to their final size.
    row = {"before": base, "after": site.settle(base), "first": rounds[0]["opened"], "opened": opened,
           "grown_kb": rounds[-1]["resident_kb"] - rounds[0]["resident_kb"], "requests": result["requests"],
           "errors": result["errors"], "p99_least": min(r["p99"] for r in rounds),
           "p99_most": max(r["p99"] for r in rounds), "rounds": rounds}
    say(f"afterwards: {row['errors']} errors in {row['requests']} requests; descriptors: {base} before, {row['after']} "
        f"after; {row['grown_kb']:+d} kB from {row['first']} to {opened} connections")
    site.stop()
    return row


def say(text):
    print(text, flush=True)


def table(results):
    """The text between the marks of docs/reliability.md."""
    text = f"Load average before: {results['load_average']:.1f} on {results['processors']} processors.\n\n"
    for part, title in (("latency", "Peers"), ("storm", "Peers that come at one moment")):
        if part in results:
            text += f"| {title} | p50 ms | p99 ms | Server, of a processor |\n| --- | --- | --- | --- |\n"
            for row in results[part]:
                text += f"| {row['peers']} | {row['p50']:.1f} | {row['p99']:.1f} | {row['processor']:.1f} % |\n"
            text += "\n"
    if "idle" in results:
        text += ("- **Idle.** {connections:,} idle TLS connections cost {kib_each:.1f} KiB each and {processor:.2f} % of a "
                 "processor in ten seconds.\n  Resident: {before_kb:,} kB before, {during_kb:,} kB with them, {after_kb:,} "
                 "kB after.\n").format(**results["idle"])
    if "descriptors" in results:
        row = results["descriptors"]
        text += ("- **Descriptors.** With the limit taken down to 50 more than it had, and 400 peers connecting: the "
                 "listener pauses and\n  looks again each second, {processor:.1f} % of a processor; then {good} of "
                 "{requests} requests are answered, and the server has\n  {after} descriptors, {before} before.\n"
                 ).format(good=row["requests"] - row["errors"], **row)
    if "resets" in results:
        text += ("- **Resets.** {opened:,} connections opened and reset, closed or half-closed at every stage of their "
                 "life: {before}\n  descriptors before, {after} after, {grown_kb:+,} kB of resident memory from "
                 "connection {first:,} on; {errors} errors in {requests}\n  requests afterwards. In such a storm, as fast "
                 "as both sides can, a client beside it has a p99 of {p99_least:.0f} to {p99_most:.0f} ms.\n"
                 ).format(**results["resets"])
    return text


def update(text):
    """Writes the text between the marks of docs/reliability.md."""
    path = os.path.join(HERE, "../docs/reliability.md")
    with open(path) as file:
        before, rest = file.read().split("<!-- measured -->\n", 1)
    after = rest.split("<!-- end -->\n", 1)[1]
    with open(path, "w") as file:
        file.write(f"{before}<!-- measured -->\n{text}<!-- end -->\n{after}")


def main():
    parts = {"latency": latency, "storm": storm, "idle": idle, "descriptors": descriptors, "resets": resets}
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--server", default=os.path.join(HERE, "../.build/release/bcfg2-server"))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--resets", type=int, default=200000)
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--parts", default=",".join(parts))
    parser.add_argument("--out", help="write the results to this file as JSON")
    parser.add_argument("--table", metavar="FILE", help="only print such a file in the form of docs/reliability.md")
    parser.add_argument("--update", action="store_true", help="with --table: write it into docs/reliability.md, too")
    options = parser.parse_args()
    if options.table:
        with open(options.table) as file:
            text = table(json.load(file))
        say(text)
        if options.update:
            update(text)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = tempfile.mkdtemp()
    site = Site(folder, os.path.abspath(options.server))
    results = {"load_average": os.getloadavg()[0], "processors": os.cpu_count(), "open_files": hard}
    say(f"load of the machine before: {results['load_average']:.1f} on {results['processors']} processors; "
        f"ulimit -n {hard}")
    try:
        for part in options.parts.split(","):
            results[part] = parts[part](site, options)
            if options.out:
                with open(options.out, "w") as file:
                    json.dump(results, file, indent=1)
    finally:
        if getattr(site, "process", None) and site.process.poll() is None:
            site.process.kill()
            site.process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    say("\n" + table(results))


if __name__ == "__main__":
    main()
