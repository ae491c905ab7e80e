#!/usr/bin/env python3
"""Fails the n-th system call of each kind while a client runs, and looks at what the server makes of it.

  run.py [--server FILE] [--complete] [--kinds recv,send,...] [--jobs N]

One server process takes all faults; with --jobs each kind has one, and N of them run at a time. A client's run is its seven calls, each on a connection of its own. After each
fault the next client must be served, no descriptor may be left behind, and what was acknowledged (probe data, version,
profile) must be on disk. --complete fails every n until the run needs fewer calls than n; without it n = 1, 2, 3, 5,
8, ... and, of the errors of a kind, one for each n in turn. Exit status 1 where anything is wrong.
"""
import argparse
import concurrent.futures
import errno
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
import xmlrpc.client

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "Python"))
import ending  # noqa: E402
import loopback  # noqa: E402  (what the folders of tests share)

HERE = os.path.dirname(os.path.abspath(__file__))
SHORT = 0
# In the order of `enum kind` in fault.c; 0 is a short read or write.
KINDS = {
    "recv": [errno.EINTR, errno.EAGAIN, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENOMEM,
             errno.ENOBUFS, SHORT],
    "send": [errno.EINTR, errno.EAGAIN, errno.ECONNRESET, errno.EPIPE, errno.EHOSTUNREACH, errno.ENOMEM, errno.ENOBUFS,
             SHORT],
    "accept": [errno.EINTR, errno.EAGAIN, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM,
               errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH],
    "epoll_ctl": [errno.ENOMEM, errno.ENOSPC],
    "epoll_wait": [errno.EINTR],
    "open": [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EIO, errno.ENOSPC, errno.EROFS, errno.EINTR],
    "read": [errno.EINTR, errno.EIO, SHORT],
    "write": [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR, errno.EFBIG, SHORT],
    "fsync": [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINVAL],
    "rename": [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EDQUOT, errno.EROFS],
    "close": [errno.EINTR, errno.EIO],
    "stat": [errno.EIO, errno.EACCES, errno.ENOMEM],
    "setsockopt": [errno.ENOMEM, errno.EINVAL],
    "shutdown": [errno.ENOTCONN, errno.ENOBUFS],
    "malloc": [errno.ENOMEM],
}
NAMES = list(KINDS)
FILES = {
    "Metadata/clients.xml": '<Clients version="3.0">\n  <Client name="one" profile="p1" address="127.0.0.1"/>\n</Clients>\n',
    "Metadata/groups.xml": '<Groups version="3.0">\n'
                           '  <Group name="p1" profile="true" public="true"><Bundle name="b"/></Group>\n'
                           '  <Group name="p2" profile="true" public="true"><Bundle name="b"/></Group>\n</Groups>\n',
    "Bundler/b.xml": '<Bundle name="b"><Path name="/etc/motd"/><Package name="x"/></Bundle>\n',
    "Rules/rules.xml": '<Rules priority="1"><Package name="x" version="1" type="deb"/></Rules>\n',
    "Cfg/etc/motd/motd": "hello\n" * 500,
    "Probes/value": "#!/bin/sh\necho value\n",
}


class Control:
    """The shared memory of fault.c."""

    def __init__(self, path):
        size = 4 * (6 + len(NAMES))
        with open(path, "wb") as file:
            file.write(bytes(size))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), size)

    def arm(self, kind, number, error):
        self.memory[4:-4] = struct.pack("=4I", NAMES.index(kind), number, error, 0) + bytes(4 * len(NAMES))
        self.memory[:4] = struct.pack("=I", 1)

    def delay(self, milliseconds):
        """Makes every synchronization with the disk take that long."""
        self.memory[-4:] = struct.pack("=I", milliseconds)

    def disarm(self):
        """Returns whether the call was failed."""
        self.memory[:4] = struct.pack("=I", 0)
        return struct.unpack_from("=I", self.memory, 16)[0] == 1


class Server:
    def __init__(self, program, folder, files=FILES, options=""):
        self.program, self.folder = program, folder
        for name, text in files.items():
            path = os.path.join(folder, "repo", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        loopback.make_certificate(folder)
        self.port = loopback.free_port()
        with open(folder + "/bcfg2.conf", "w") as file:
            file.write(f"[server]\nrepository = {folder}/repo\nplugins = Bundler,Cfg,Metadata,Probes,Rules\n"
                       f"handshake_timeout = 2\nheader_timeout = 2\nkeepalive_timeout = 1\nlinger_timeout = 1\n{options}"
                       f"[communication]\npassword = secret\ncertificate = {folder}/crt\nkey = {folder}/key\n"
                       f"protocol = xmlrpc/ssl\n[components]\nbcfg2 = https://127.0.0.1:{self.port}\n")
        self.control = Control(folder + "/control")
        self.log = open(folder + "/log", "a")
        self.start()

    def start(self):
        environment = dict(os.environ, LD_PRELOAD=self.folder + "/libfault.so", FAULT_CONTROL=self.folder + "/control",
                           SWIFT_BACKTRACE=os.environ.get("SWIFT_BACKTRACE", "enable=no"))
        self.process = subprocess.Popen([self.program, "-C", self.folder + "/bcfg2.conf"], env=environment,
                                        stdout=self.log, stderr=subprocess.STDOUT)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def end_of_log(self):
        with open(self.folder + "/log", errors="replace") as file:
            return "".join(file.readlines()[-30:])


class Client:
    def __init__(self, server):
        self.server = server
        self.call = loopback.Client(server.port, server.folder + "/crt", timeout=8).call
        self.run_number = 0
        # What was acknowledged last.
        self.acknowledged = {}

    def run(self):
        """The seven calls. Each may fail; returns how many succeeded."""
        self.run_number += 1
        value, profile, version = f"value-{self.run_number}", f"p{1 + self.run_number % 2}", f"1.3.{self.run_number}"
        probe = f'<probe-data><probe-data name="value" source="Probes">{value}</probe-data></probe-data>'
        stats = ('<upload-statistics><Statistics total="0" good="0" bad="0" state="clean" version="2.0" revision="-1" '
                 'client_version="1.3.4"><Bad/><Modified/><Extra/></Statistics></upload-statistics>')
        calls = [("DeclareVersion", [version], "version", version), ("GetProbes", [], None, None),
                 ("RecvProbeData", [probe], "probe", value), ("AssertProfile", [profile], "profile", profile),
                 ("GetDecisionList", ["whitelist"], None, None), ("GetConfig", [], None, None),
                 ("RecvStats", [stats], None, None)]
        good = 0
        for method, arguments, what, said in calls:
            # A call that fails may have been carried out or not.
            if what:
                self.acknowledged.setdefault(what, set()).add(said)
            try:
                answer = self.call(method, *arguments)
            except (*loopback.NO_ANSWER, xmlrpc.client.Fault):
                continue
            if method == "GetConfig" and "/etc/motd" not in answer:
                raise AssertionError("GetConfig without its file")
            good += 1
            if what:
                self.acknowledged[what] = {said}
        return good

    def lost(self):
        """What was acknowledged and is not on disk."""
        found = {}
        try:
            client = ElementTree.parse(self.server.folder + "/repo/Metadata/clients.xml").find("Client")
            found["version"], found["profile"] = client.get("version"), client.get("profile")
            probed = ElementTree.parse(self.server.folder + "/repo/Probes/probed.d/one.xml")
            found["probe"] = probed.find("Probe").get("value")
        except (OSError, ElementTree.ParseError, AttributeError) as error:
            return [str(error)]
        return [f"{what}: {found[what]} on disk, {sorted(said)[:3]} acknowledged"
                for what, said in self.acknowledged.items() if found[what] not in said]


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class Test:
    def __init__(self, server, is_complete):
        self.server, self.is_complete = server, is_complete
        self.client = Client(server)
        self.problems, self.faults = [], 0
        self.base = 0

    def start(self):
        def answers():
            if self.server.process.poll() is not None:
                raise SystemExit("the server has ended:\n" + self.server.end_of_log())
            try:
                self.client.call("GetConfig")
                return True
            except OSError:
                return False
        if not wait_for(answers, 30):
            raise SystemExit("the server does not answer:\n" + self.server.end_of_log())
        if self.client.run() != 7:
            raise SystemExit("a run without a fault fails:\n" + self.server.end_of_log())
        self.settle()
        self.base = self.server.descriptors()

    def settle(self):
        """Waits until the server's connections have ended: no fewer descriptors than before."""
        last = [None]

        def is_still():
            before, last[0] = last[0], self.server.descriptors()
            time.sleep(0.05)
            return before == last[0]
        wait_for(is_still, 5)

    def fail(self, kind, number, error):
        """One run with one fault. Returns whether the fault happened."""
        name = f"{kind} {number} {errno.errorcode.get(error, 'short')}"
        self.server.control.arm(kind, number, error)
        self.client.run()
        happened = self.server.control.disarm()
        if self.server.process.poll() is not None:
            self.problems.append(f"{name}: the server has ended with {self.server.process.returncode}")
            raise SystemExit(self.report())
        if not happened:
            return False
        self.faults += 1
        try:
            if not wait_for(lambda: self.served(), 5):
                self.problems.append(f"{name}: the next client is not served")
        except AssertionError as wrong:
            self.problems.append(f"{name}: {wrong}")
        if not wait_for(lambda: self.server.descriptors() <= self.base, 5):
            self.problems.append(f"{name}: {self.server.descriptors()} descriptors, {self.base} before")
            self.base = self.server.descriptors()
        lost = self.client.lost()
        if lost:
            self.problems.append(f"{name}: lost: {'; '.join(lost)}")
        return True

    def served(self):
        try:
            return "/etc/motd" in self.client.call("GetConfig")
        except (*loopback.NO_ANSWER, xmlrpc.client.Fault):
            return False

    def kind(self, kind):
        errors, first = KINDS[kind], self.faults
        if self.is_complete:
            for error in errors:
                number = 1
                while self.fail(kind, number, error):
                    number += 1
        else:
            number, next_number, turn = 1, 2, 0
            while self.fail(kind, number, errors[turn % len(errors)]):
                number, next_number, turn = next_number, number + next_number, turn + 1
        print(f"{kind}: {self.faults - first} faults", flush=True)

    def report(self):
        for problem in self.problems:
            print("fault injection: " + problem)
        if self.problems:
            print(self.server.end_of_log())
        print(f"{self.faults} faults, {len(self.problems)} problems")
        return 1 if self.problems else 0


def spread(options):
    """Runs each kind by itself, the longest first. Exit status as without --jobs."""
    command = [sys.executable, os.path.abspath(__file__), "--server", options.server]
    if options.complete:
        command.append("--complete")
    kinds = sorted(options.kinds.split(","), key=lambda kind: kind not in ("malloc", "recv", "send", "close"))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(subprocess.run, command + ["--kinds", kind], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True) for kind in kinds]
        status, faults = 0, 0
        for run in concurrent.futures.as_completed(runs):
            lines = run.result().stdout.splitlines()
            ended = re.match(r"(\d+) faults", lines[-1]) if lines else None
            status = status or run.result().returncode or (0 if ended else 1)
            faults += int(ended[1]) if ended else 0
            # A kind that went well is one line.
            print("\n".join(lines if run.result().returncode or not ended else lines[:1]), flush=True)
    print(f"{faults} faults, {'problems above' if status else '0 problems'}")
    return status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default=os.path.join(HERE, "../../.build/release/bcfg2-server"))
    parser.add_argument("--complete", action="store_true")
    parser.add_argument("--kinds", default=",".join(NAMES))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    if options.jobs > 1:
        return spread(options)
    folder = tempfile.mkdtemp()
    server = None
    try:
        subprocess.run(["cc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-o", folder + "/libfault.so", HERE + "/fault.c",
                        "-ldl"], check=True)
        server = Server(os.path.abspath(options.server), folder)
        test = Test(server, options.complete)
        test.start()
        before = server.resident()
        for kind in options.kinds.split(","):
            test.kind(kind)
        print(f"resident memory: {before} kB before, {server.resident()} kB after")
        server.process.terminate()
        if server.process.wait(20) != 0:
            test.problems.append(f"the server ends with {server.process.returncode}")
        return test.report()
    finally:
        if server and server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    ending.unwind_at_signals()
    sys.exit(main())
