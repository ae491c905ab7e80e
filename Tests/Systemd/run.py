"""The server under a service manager: what it says to it, what it takes from it, and the unit files.

    python3 Tests/Systemd/run.py [--build .build/debug] [NAME...]

Plays systemd (manager.py), so that it runs without one; systemd-analyze checks the units where it is installed.
"""
import argparse
import grp
import json
import os
import pathlib
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import xmlrpc.client

import sandbox
from manager import PATIENCE, Manager, Site, ending, listening_socket, loopback, temporary_folder

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
UNITS = ROOT / "packaging/systemd"
CASES = []


def case(function):
    CASES.append(function)
    return function


class Run:
    """One server with its manager."""

    def __init__(self, build, extra=None, abstract=False, port=None):
        self.server = str(build / "bcfg2-server")
        self.build = build
        self.folder = temporary_folder()
        self.site = Site(self.folder.name, port or loopback.free_port(), extra)
        self.manager = Manager(self.folder.name, abstract)
        self.log = open(self.folder.name + "/log", "w+b")

    def start(self, *options, program=None, before=(), **how):
        command = [program or self.server, *before, "-C", self.site.configuration, *options]
        return self.manager.start(command, log=self.log, **how)

    def log_text(self):
        return pathlib.Path(self.folder.name, "log").read_text()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            sys.stderr.write(self.log_text())
        self.manager.close()
        self.log.close()
        self.folder.cleanup()


def cores(build):
    """The builtin core, and the one on SwiftNIO where the server has it."""
    with Run(build, {"server": {"backend": "nio", "repository": "/nonexistent"}}) as run:
        assert run.start().wait(PATIENCE) == 1
        has_nio = "was built without SwiftNIO" not in run.log_text()
    return ["builtin", "nio"] if has_nio else ["builtin"]


def environment_of(process):
    return dict(entry.split("=", 1) for entry in
                pathlib.Path(f"/proc/{process}/environ").read_bytes().decode().split("\0") if "=" in entry)


def children_of(process):
    return [int(child) for task in pathlib.Path(f"/proc/{process}/task").iterdir()
            for child in (task / "children").read_text().split()]


@case
def it_tells_of_its_life(build):
    for core in cores(build):
        for abstract in (False, True):
            with Run(build, {"server": {"backend": core}}, abstract=abstract) as run:
                process = run.start()
                ready = run.manager.wait_for("READY", "1")
                # Whoever is told that it is ready is served.
                assert run.site.client().call("DeclareVersion", "1.4") is True
                assert ready["MAINPID"] == str(process.pid), ready
                assert ready["STATUS"] == "Serving 1 client with 4 plugins", ready
                before = [message for message in run.manager.messages if message is not ready]
                assert all(int(message["EXTEND_TIMEOUT_USEC"]) > 0 for message in before), before
                phases = [message["STATUS"] for message in before]
                assert any(phase.startswith("Loading Metadata") for phase in phases), phases

                start = time.monotonic_ns() // 1000
                process.send_signal(signal.SIGHUP)
                reloading = run.manager.wait_for("RELOADING", "1")
                assert start <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000, reloading
                run.manager.wait_for("READY", "1")

                assert run.manager.stop() == 0
                assert run.manager.messages[-1]["STOPPING"] == "1", run.manager.messages


@case
def it_says_why_it_does_not_start(build):
    with Run(build) as run:
        (run.site.folder / "key").unlink()
        assert run.start().wait(PATIENCE) == 1
        message = run.manager.wait_for("STATUS")
        assert "Keyfile" in message["STATUS"], message


@case
def the_loop_feeds_the_watchdog(build):
    for core in cores(build):
        with Run(build, {"server": {"backend": core}}) as run:
            process = run.start(watchdog=200_000)
            run.manager.wait_for("READY", "1")
            for _ in range(5):
                run.manager.wait_for("WATCHDOG", "1")
            # A server that hangs: whoever watches hears nothing for as long as it wants to wait.
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            while run.manager.receive(0):
                pass
            assert run.manager.receive(0.6) is None
            process.send_signal(signal.SIGCONT)
            run.manager.wait_for("WATCHDOG", "1")
            assert run.manager.stop() == 0


@case
def a_watchdog_for_another_process_is_not_fed(build):
    with Run(build) as run:
        process = run.start(environment={"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
        run.manager.wait_for("READY", "1")
        process.send_signal(signal.SIGHUP)
        run.manager.wait_for("RELOADING", "1")
        run.manager.wait_for("READY", "1")
        assert not any("WATCHDOG" in message for message in run.manager.messages), run.manager.messages
        assert run.manager.stop() == 0


@case
def a_full_socket_delays_the_message_and_nobody_else(build):
    with Run(build) as run:
        # The kernel queues few datagrams for one receiver: fill it before the server starts.
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        filler.setblocking(False)
        try:
            while True:
                filler.sendto(b"X_FILL=1", run.manager.address)
        except BlockingIOError:
            pass
        run.start()
        client, end = run.site.client(), time.monotonic() + PATIENCE
        while True:
            try:
                assert client.call("DeclareVersion", "1.4") is True
                break
            except loopback.NO_ANSWER:
                assert time.monotonic() < end
        run.manager.wait_for("READY", "1")
        assert run.manager.stop() == 0


@case
def children_start_before_it_is_ready_and_inherit_nothing(build):
    with Run(build, {"server": {"backend": "multiprocessing", "children": "2"}}) as run:
        process = run.start(watchdog=10_000_000)
        run.manager.wait_for("READY", "1")
        children = children_of(process.pid)
        assert len(children) >= 2, children
        for child in children:
            names = environment_of(child)
            assert not [name for name in names if re.match("NOTIFY_|WATCHDOG_|LISTEN_", name)], names
        assert run.manager.stop() == 0


@case
def a_daemon_is_named_to_the_manager(build):
    with Run(build) as run:
        pid_file = run.folder.name + "/run/server.pid"
        starter = run.start("-D", pid_file)
        assert starter.wait(PATIENCE) == 0
        daemon = int(pathlib.Path(pid_file).read_text())
        try:
            # The one that the manager takes: of the process that it started.
            first = run.manager.wait_for("MAINPID", str(daemon))
            assert first["READY"] == "1", first
            assert daemon != starter.pid
        finally:
            os.kill(daemon, signal.SIGTERM)
        run.manager.wait_for("STOPPING", "1")


@case
def restarts_drop_no_connection(build):
    for core in cores(build):
        a_restart_drops_no_connection(build, core)


def a_restart_drops_no_connection(build, core):
    """A parent keeps the listening socket; clients ask all the time while two servers follow each other."""
    port = loopback.free_port()
    listener = listening_socket(port)
    with Run(build, {"server": {"backend": core}}, port=port) as run:
        failures, answers, done = [], [], threading.Event()

        def ask():
            client = run.site.client()
            while not done.is_set():
                try:
                    client.call("DeclareVersion", "1.4")
                    answers.append(time.monotonic())
                except loopback.NO_ANSWER as error:
                    failures.append(error)

        # The first client waits in the backlog for a server that does not run yet.
        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        for _ in range(3):
            run.start(listeners=[listener], names=["bcfg2"])
            run.manager.wait_for("READY", "1")
            count = len(answers)
            while len(answers) < count + 20:
                assert not failures, failures
                time.sleep(0.01)
            assert run.manager.stop() == 0
        run.start(listeners=[listener])
        run.manager.wait_for("READY", "1")
        done.set()
        for asker in askers:
            asker.join()
        assert not failures, failures
        assert run.manager.stop() == 0
        text = run.log_text()
        assert "1 listening sockets of the service manager are used, not [components] bcfg2" in text, text
        assert f"service available at https://127.0.0.1:{port}" in text, text
    listener.close()


@case
def what_is_no_listening_socket_is_refused(build):
    def refuses(made, names, reason):
        with Run(build) as run:
            assert run.start(listeners=[made], names=names).wait(PATIENCE) == 1
            text = run.log_text()
            assert reason in text, text
        made.close()

    refuses(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ["bcfg2"],
            "Descriptor 3 (bcfg2) of the service manager cannot be served: it is no stream socket")
    refuses(socket.socket(), None, "Descriptor 3 of the service manager cannot be served: it does not listen")
    refuses(socket.socket(socket.AF_UNIX), ["bcfg2"], "it is neither IPv4 nor IPv6")
    refuses(open("/dev/null"), ["bcfg2-server.socket"], "it is no socket")
    refuses(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), ["metrics"],
            "Descriptor 3 (metrics) of the service manager cannot be served: it is no stream socket")
    # What has another name is not for clients; the server binds its own.
    with Run(build) as run, listening_socket(loopback.free_port()) as other:
        run.start(listeners=[other], names=["other"])
        run.manager.wait_for("READY", "1")
        assert run.site.client().call("DeclareVersion", "1.4") is True
        assert "descriptor 3 (other), which nothing here uses" in run.log_text()
        assert run.manager.stop() == 0


def page(listener, path):
    """The status and the body of a page at a listening socket, TCP or UNIX."""
    with socket.socket(listener.family) as asker:
        asker.settimeout(PATIENCE)
        asker.connect(listener.getsockname())
        asker.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := asker.recv(65536):
            answer += piece
    head, body = answer.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), body.decode()


@case
def monitors_ask_at_sockets_of_the_manager(build):
    with temporary_folder() as folder, socket.socket(socket.AF_UNIX) as local, \
            listening_socket(loopback.free_port()) as remote, listening_socket(loopback.free_port()) as other:
        local.bind(folder + "/metrics.sock")
        local.listen(16)
        # The manager's sockets count, whatever bcfg2.conf says.
        unused = loopback.free_port()
        for round in range(2):
            with Run(build, {"metrics": {"listen": f"127.0.0.1:{unused}"}}, port=other.getsockname()[1]) as run:
                process = run.start(listeners=[local, other, remote], names=["metrics", "bcfg2", "metrics"])
                run.manager.wait_for("READY", "1")
                assert run.site.client().call("DeclareVersion", "1.4") is True
                for listener in (local, remote):
                    assert page(listener, "/readyz") == (200, "ready\n")
                    assert "bcfg2_ready 1" in page(listener, "/metrics")[1]
                with socket.socket() as asker:
                    assert asker.connect_ex(("127.0.0.1", unused)) != 0
                # A new bcfg2.conf neither closes them nor opens others.
                run.site.write({"metrics": {"listen": f"127.0.0.1:{loopback.free_port()}"}})
                process.send_signal(signal.SIGHUP)
                run.manager.wait_for("RELOADING", "1")
                run.manager.wait_for("READY", "1")
                assert page(local, "/healthz") == (200, "ok\n") and page(remote, "/healthz") == (200, "ok\n")
                text = run.log_text()
                assert f"metrics available at unix:{folder}/metrics.sock" in text, text
                assert f"metrics available at http://127.0.0.1:{remote.getsockname()[1]}/metrics" in text, text
                assert "2 sockets of the service manager are used for metrics, not [metrics] listen" in text, text
                assert "which nothing here uses" not in text, text
                assert run.manager.stop() == 0
            # The file is the manager's.
            assert os.path.exists(folder + "/metrics.sock")
    # One that others reach is for this machine alone, unless [metrics] allow says more.
    with socket.socket() as everywhere, Run(build) as run:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen(16)
        run.start(listeners=[everywhere], names=["bcfg2-metrics.socket"])
        run.manager.wait_for("READY", "1")
        assert "Only this machine may ask for metrics at 0.0.0.0:" in run.log_text(), run.log_text()
        assert page(everywhere, "/healthz") == (200, "ok\n")
        assert run.manager.stop() == 0


@case
def sockets_for_another_process_are_left_alone(build):
    with Run(build) as run, listening_socket(loopback.free_port()) as other:
        run.start(listeners=[other], names=["bcfg2"], environment={"LISTEN_PID": "1"})
        run.manager.wait_for("READY", "1")
        assert run.manager.stop() == 0


@case
def key_certificate_and_password_come_as_credentials(build):
    with Run(build) as run:
        credentials = run.site.folder / "credentials"
        credentials.mkdir()
        for option, name in (("key", "key"), ("certificate", "crt")):
            os.rename(run.site.folder / name, credentials / f"bcfg2.communication.{option}")
        shutil.copy(credentials / "bcfg2.communication.certificate", run.site.folder / "crt")
        (credentials / "bcfg2.communication.password").write_text("another\n")
        run.site.write({"communication": {"key": None, "certificate": None, "password": None}})
        run.start(environment={"CREDENTIALS_DIRECTORY": str(credentials)})
        run.manager.wait_for("READY", "1")
        client = run.site.client()
        client.password = "another"
        assert client.call("DeclareVersion", "1.4") is True
        assert run.manager.stop() == 0


@case
def the_report_collector_tells_too(build):
    with Run(build, {"server": {"plugins": "Bundler,Metadata,Rules,Reporting"},
                     "reporting": {"transport": "LocalFilesystem"}}) as run:
        run.start(program=str(build / "bcfg2-report-collector"))
        run.manager.wait_for("READY", "1")
        assert run.manager.stop() == 0
        assert run.manager.messages[-1]["STOPPING"] == "1", run.manager.messages


@case
def the_report_pages_tell_too(build):
    with Run(build, {"reporting": {"web_listen": f"127.0.0.1:{loopback.free_port()}"}}) as run:
        # The tables are the collector's.
        subprocess.run([build / "bcfg2-report-collector", "-C", run.site.configuration, "--once"], check=True,
                       stderr=run.log)
        run.start(program=str(build / "bcfg2-web"))
        run.manager.wait_for("READY", "1")
        assert run.manager.stop() == 0
        assert run.manager.messages[-1]["STOPPING"] == "1", run.manager.messages


class Journal:
    """Plays systemd-journald: its stream, which is the server's standard error, and its socket. Reads all the time, as that does."""

    def __init__(self, folder, has_socket=True):
        self.path = os.path.join(folder, "journal")
        self.stream, self.end = socket.socketpair()
        self.wakeup, self.waker = socket.socketpair()
        self.sources = [self.stream]
        if has_socket:
            self.sources.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            self.sources[1].bind(self.path)
        self.entries, self.text = [], b""
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def environment(self):
        status = os.fstat(self.end.fileno())
        return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}", "BCFG2_JOURNAL_SOCKET": self.path}

    def take(self):
        while True:
            ready = select.select([*self.sources, self.wakeup], [], [])[0]
            if ready == [self.wakeup]:
                return
            if self.stream in ready:
                data = self.stream.recv(1 << 20)
                if not data:
                    return
                self.text += data
            for source in self.sources[1:]:
                if source in ready:
                    self.entries.append(self.parse(source.recv(1 << 20)))

    def read(self):
        """Everything that has come; the last call."""
        self.waker.close()
        self.thread.join()
        return self.entries

    @property
    def lines(self):
        return self.text.decode().splitlines()

    @staticmethod
    def parse(data):
        entry = {}
        while data:
            line, _, data = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                count = int.from_bytes(data[:8], "little")
                value, data = data[8:8 + count], data[9 + count:]
            entry[name.decode()] = value.decode()
        return entry

    def close(self):
        for each in (*self.sources, self.end, self.wakeup):
            each.close()


def each_call_of_a_run(client):
    client.call("DeclareVersion", "1.4.0")
    client.call("GetProbes")
    client.call("GetConfig")
    client.call("GetConfig")
    client.call("RecvStats", '<upload-statistics><Statistics state="clean" version="2.0" total="0" good="0" bad="0"/>'
                             '</upload-statistics>')


@case
def the_journal_gets_fields(build):
    for core in ("builtin", "multiprocessing"):
        with Run(build, {"server": {"backend": core, "children": "1"}}) as run:
            journal = Journal(run.folder.name)
            run.log.close()
            run.log = journal.end
            run.log_text = lambda: "\n".join(map(str, journal.entries + journal.lines))
            run.start(environment=journal.environment())
            run.manager.wait_for("READY", "1")
            each_call_of_a_run(run.site.client())
            assert run.manager.stop() == 0
            entries = journal.read()
            assert journal.lines == [], journal.lines
            assert all(entry["SYSLOG_IDENTIFIER"] == "bcfg2-server" for entry in entries), entries
            built = [entry for entry in entries if entry["MESSAGE"].startswith("Generated config for localhost in ")]
            assert len(built) == 2 and built[0]["PRIORITY"] == "6", entries
            assert all(entry["BCFG2_CLIENT"] == "localhost" and entry["BCFG2_METHOD"] == "GetConfig"
                       and entry["BCFG2_ADDRESS"] == "127.0.0.1" for entry in built), built
            assert built[0]["BCFG2_REQUEST"] != built[1]["BCFG2_REQUEST"], built
            assert re.fullmatch(r"[0-9a-f]{8}-\d+", built[0]["BCFG2_REQUEST"]), built
            assert built[0]["CODE_FILE"].endswith(".swift") and int(built[0]["CODE_LINE"]) > 0, built
            cost, = [entry for entry in entries if entry["MESSAGE"].startswith("Client run of localhost")]
            assert cost["BCFG2_CALLS"] == "5" and cost["BCFG2_CONFIGURATION"] == "kept", cost
            assert int(cost["BCFG2_SENT_BYTES"]) > 500 and "BCFG2_UNFINISHED" not in cost, cost
            journal.close()


@case
def without_the_journals_socket_lines_have_levels(build):
    with Run(build) as run:
        journal = Journal(run.folder.name, has_socket=False)
        run.log.close()
        run.log = journal.end
        run.start(environment=journal.environment())
        run.manager.wait_for("READY", "1")
        assert run.manager.stop() == 0
        journal.read()
        assert journal.lines and all(re.match(r"<[2-7]>\S", line) for line in journal.lines), journal.lines
        journal.close()
    # Standard error was redirected: the variable is about another file.
    with Run(build) as run:
        journal = Journal(run.folder.name)
        run.start(environment=journal.environment())
        run.manager.wait_for("READY", "1")
        assert run.manager.stop() == 0
        assert journal.read() == [] and run.log_text() and not run.log_text().startswith("<"), run.log_text()
        journal.close()


@case
def each_line_of_the_log_is_json_with_its_request(build):
    for core in ("builtin", "multiprocessing"):
        with Run(build, {"server": {"backend": core, "children": "2"},
                         "logging": {"format": "json", "debug": "true", "path": None}}) as run:
            path = run.site.folder / "server.log"
            run.site.write({"server": {"backend": core, "children": "2"},
                            "logging": {"format": "json", "debug": "true", "path": path}})
            process = run.start()
            run.manager.wait_for("READY", "1")
            client = run.site.client()
            each_call_of_a_run(client)
            # What a stranger sends is in the log, and breaks no line.
            call = xmlrpc.client.dumps((), 'x\n{"level": "error"}\u202e')
            status, body = client.post(call.encode())
            assert status == 200 and b"<fault>" in body, (status, body)
            process.send_signal(signal.SIGHUP)
            run.manager.wait_for("RELOADING", "1")
            run.manager.wait_for("READY", "1")
            assert run.manager.stop() == 0
            lines = path.read_text().split("\n")
            assert lines.pop() == "", lines
            # Those of the parent and of its children: the console has the same.
            console = [line for line in run.log_text().splitlines()]
            assert sorted(lines) == sorted(console), (set(lines) ^ set(console))
            entries = [json.loads(line) for line in lines]
            for entry in entries:
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry["time"]), entry
                assert {"level", "logger", "pid", "message"} <= entry.keys(), entry
                if "method" in entry:
                    assert entry["request"] and entry["client"] == "localhost", entry
            calls = {}
            for entry in entries:
                if "method" in entry:
                    calls.setdefault(entry["request"], set()).add(entry["method"])
            # Each id stands for one call.
            assert all(len(methods) == 1 for methods in calls.values()), calls
            methods = sorted(method for methods in calls.values() for method in methods)
            assert methods.count("GetConfig") == 2 and any("\u202e" in method for method in methods), methods
            built = [entry for entry in entries if entry["message"].startswith("Getting structures for localhost")]
            # The second one was kept.
            assert len(built) == 1 and built[0]["method"] == "GetConfig", built
            assert (built[0]["pid"] != process.pid) == (core == "multiprocessing"), built
            cost, = [entry for entry in entries if entry["message"].startswith("Client run of localhost")]
            assert cost["calls"] == 5 and cost["method"] == "RecvStats" and cost["kept_answers"] >= 1, cost
            assert cost["seconds"] >= cost["server_seconds"] > 0 and cost["configuration"] == "kept", cost


@case
def templates_keys_and_git_work_within_the_units_system_calls(build):
    if not sandbox.is_possible():
        print("  not x86-64, or systemd-analyze is missing: not tried")
        return
    with Run(build, {"server": {"plugins": "Bundler,Cfg,Git,Metadata,Rules,SSHbase"}}) as run:
        repository = run.site.folder / "repository"
        (repository / "Metadata/groups.xml").write_text(
            '<Groups><Group name="base" profile="true" public="true" default="true"><Bundle name="all"/></Group></Groups>')
        (repository / "Bundler/all.xml").write_text(
            '<Bundle><Path name="/etc/motd"/><Path name="/etc/ssh/ssh_host_rsa_key"/></Bundle>')
        (repository / "Cfg/etc/motd").mkdir(parents=True)
        # What templates may ask of their process: a file, a folder of their own, a program, a priority of their own.
        (repository / "Cfg/etc/motd/motd.genshi").write_text("""{% python
import os, subprocess, tempfile
with tempfile.TemporaryDirectory() as folder:
    open(folder + '/x', 'w').write('written')
    text = open(folder + '/x').read() + subprocess.check_output(['/bin/echo', '-n', ' and run']).decode()
try:
    open(repo + '/written-by-a-template', 'w')
except OSError:
    text += ', confined'
%}Hello ${metadata.hostname}: ${text}
""")
        git = ["git", "-C", repository, "-c", "user.name=x", "-c", "user.email=x@example.com"]
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
            subprocess.run(git + command, check=True)
        head = subprocess.run(git + ["rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        run.start(program=sys.executable, before=[str(pathlib.Path(sandbox.__file__)), str(UNITS / "bcfg2-server.service"),
                                                  run.server])
        run.manager.wait_for("READY", "1")
        client = run.site.client()
        document = client.call("GetConfig")
        assert f'revision="{head}"' in document, document
        assert "Hello localhost: written and run" in document, document
        assert "BEGIN" in document and "failure=" not in document, document
        # The kernel here may have no Landlock; the filter must not be what hides it.
        has_landlock = subprocess.run([sys.executable, "-c", "import ctypes; print(ctypes.CDLL(None).syscall(444, 0, 0, 1))"],
                                      capture_output=True, text=True, check=True).stdout.strip() != "-1"
        assert (", confined" in document) == has_landlock, document
        assert run.manager.stop() == 0
        assert "Operation not permitted" not in run.log_text(), run.log_text()


@case
def units_are_valid_and_confined(build):
    if not shutil.which("systemd-analyze"):
        print("  systemd-analyze is missing: units are not checked")
        return
    units = sorted(path for path in UNITS.iterdir() if path.suffix in (".service", ".socket", ".timer"))
    assert len(units) == 6, units
    units += sorted((UNITS / "examples").glob("*.socket"))
    with temporary_folder() as folder:
        # The programs are where packages put them: verify looks.
        for path in units:
            text = path.read_text()
            for program in set(re.findall(r"/usr/sbin/\S+", text)):
                substitute = pathlib.Path(folder, program[1:].replace("/", "-"))
                shutil.copy("/bin/true", substitute)
                text = text.replace(program, str(substitute))
            pathlib.Path(folder, path.name).write_text(re.sub(r"(?m)^Documentation=.*\n", "", text))
        made = sorted(str(path) for path in pathlib.Path(folder).iterdir() if path.name in {unit.name for unit in units})
        found = subprocess.run(["systemd-analyze", "verify", "--man=no", *made], capture_output=True, text=True)
        assert found.returncode == 0 and not found.stderr.strip(), found.stderr
    for path in units:
        if path.suffix != ".service":
            continue
        found = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", path],
                               capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr


@case
def a_site_of_another_server_gets_drop_ins(build):
    with temporary_folder() as folder:
        top = pathlib.Path(folder)
        (top / "etc").mkdir()
        (top / "srv/bcfg2/Metadata").mkdir(parents=True)
        (top / "etc/bcfg2.conf").write_text(
            "[server]\nrepository = /srv/bcfg2 ; here\nplugins = Metadata\n[logging]\nPath: /var/log/bcfg2.log\n"
            "[database]\nname = /home/db/bcfg2.sqlite\n")
        names = ("bcfg2-server", "bcfg2-report-collector", "bcfg2-packages")

        def existing_site(what):
            found = subprocess.run(["dash", UNITS / "examples/existing-site.sh", what], capture_output=True, text=True,
                                   env=dict(os.environ, SITE_ROOT=folder))
            assert found.returncode == 0 and not found.stderr, found
            return found.stdout.split()

        def files():
            return sorted(str(path.relative_to(top)) for path in top.glob("etc/systemd/system/*/*"))

        both = sorted(f"etc/systemd/system/{name}.service.d/{file}.conf" for name in names for file in ("root", "paths"))
        assert sorted(existing_site("write")) == ["/" + path for path in both] and files() == both, files()
        server = (top / "etc/systemd/system/bcfg2-server.service.d/paths.conf").read_text().split("\n")
        assert server[1:] == ["[Service]", "ReadWritePaths=-/srv/bcfg2", "ReadWritePaths=-/var/log", "ReadWritePaths=-/home/db",
                              "ProtectHome=no", ""], server
        packages = (top / "etc/systemd/system/bcfg2-packages.service.d/paths.conf").read_text()
        assert "\nConditionPathExists=\n" in packages and "\nConditionPathExists=/srv/bcfg2/Packages\n" in packages, packages
        if shutil.which("systemd-analyze"):
            for name in names:
                unit = re.sub(r"/usr/sbin/[a-z0-9-]+", "/bin/true", (UNITS / f"{name}.service").read_text())
                (top / f"etc/systemd/system/{name}.service").write_text(re.sub(r"(?m)^Documentation=.*\n", "", unit))
            made = sorted(map(str, top.glob("etc/systemd/system/*.service")))
            found = subprocess.run(["systemd-analyze", "verify", "--man=no", *made], capture_output=True, text=True)
            assert found.returncode == 0 and not found.stderr.strip(), found.stderr
            for path in made:
                os.unlink(path)
        # Bcfg2's units have these names, too: nothing of it binds them after a removal, and it is back after an installation.
        assert existing_site("write") == []
        existing_site("aside")
        existing_site("aside")
        assert files() == [path + ".aside" for path in both], files()
        existing_site("restore")
        assert files() == both, files()
        # Those of the administrator stay.
        own = top / "etc/systemd/system/bcfg2-server.service.d/own.conf"
        own.write_text("[Service]\n")
        existing_site("purge")
        assert files() == [str(own.relative_to(top))], files()
        assert len(existing_site("write")) == 4

        # A new installation, or one with the places of the units, needs none.
        shutil.rmtree(top / "etc/systemd")
        (top / "etc/bcfg2.conf").write_text("[server]\nplugins = Metadata\n[logging]\npath = /var/log/bcfg2/server.log\n")
        assert existing_site("write") == [] and files() == []


@case
def logs_rotate_in_folders_of_both_owners(build):
    logrotate = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin:/sbin")
    if not logrotate or os.geteuid():
        print("  logrotate is missing, or this is not root: no log is rotated")
        return
    text = (ROOT / "packaging/logrotate/bcfg2-server").read_text()
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name

    def rotates(owner, mode, su=None):
        with temporary_folder() as top:
            os.chmod(top, 0o755)
            logs, conf = pathlib.Path(top, "logs"), pathlib.Path(top, "conf")
            logs.mkdir()
            (logs / "server.log").write_text("old\n")
            os.chown(logs / "server.log", nobody.pw_uid, nobody.pw_gid)
            os.chown(logs, *owner)
            os.chmod(logs, mode)
            own = text.replace("/var/log/bcfg2", str(logs)).replace("_bcfg2 _bcfg2", f"nobody {group}")
            # The server is asked to open its log again elsewhere.
            own = re.sub(r"(?s)postrotate.*?endscript", f"postrotate\n touch {top}/told\n endscript", own)
            if su:
                own = own.replace("    # su ", "    su ").replace(f"su nobody {group}", f"su {su}")
            conf.write_text(own)
            os.chmod(conf, 0o644)
            done = subprocess.run([logrotate, "--force", "-s", f"{top}/state", conf], capture_output=True, text=True)
            is_rotated = (logs / "server.log.1").exists()
            if is_rotated:
                made = (logs / "server.log").stat()
                assert not done.stderr and pathlib.Path(top, "told").exists(), done.stderr
                assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (nobody.pw_uid, nobody.pw_gid, 0o640), made
            else:
                assert done.returncode != 0, done
            return is_rotated

    root, own = (0, 0), (nobody.pw_uid, nobody.pw_gid)
    assert rotates(root, 0o755) and rotates(own, 0o750)
    # What the comment says of folders that others may write to.
    assert not rotates(own, 0o770)
    assert rotates(own, 0o770, su=f"nobody {group}") and not rotates(root, 0o755, su=f"nobody {group}")


@case
def init_scripts_do_what_they_say(build):
    for name in ("bcfg2-server", "bcfg2-report-collector"):
        with Run(build, {"server": {"plugins": "Bundler,Metadata,Rules,Reporting"},
                         "reporting": {"transport": "LocalFilesystem"}}) as run:
            script = pathlib.Path(run.folder.name, name)
            defaults = pathlib.Path(run.folder.name, "default")
            text = (ROOT / f"packaging/sysv/{name}.init").read_text()
            text = text.replace(f"/usr/sbin/{name}", str(build / name)).replace("/run/", run.folder.name + "/run/")
            text = text.replace("/etc/default/bcfg2-server", str(defaults)).replace("/etc/sysconfig", run.folder.name + "/sysconfig")
            script.write_text(text)
            log = run.folder.name + "/daemon.log"
            # As Bcfg2's file has it.
            option = "BCFG2_SERVER_OPTIONS" if name == "bcfg2-server" else "BCFG2_REPORT_OPTIONS"
            defaults.write_text(f'{option}="-C {run.site.configuration} -o {log} -v"\nBCFG2_SERVER_ENABLED=1\n')

            def does(action, status, words, shell="dash"):
                found = subprocess.run([shell, script, action], capture_output=True, text=True, timeout=120)
                assert found.returncode == status and words in found.stdout + found.stderr, (action, found)
                return found.stdout

            does("status", 3, "is not running")
            does("stop", 0, "is not running")
            does("reload", 7, "is not running")
            does("start", 0, f"Started {name}")
            does("start", 0, "is running already")
            first = re.search(r"pid (\d+)", does("status", 0, "is running")).group(1)
            if name == "bcfg2-server":
                assert run.site.client().call("DeclareVersion", "1.4") is True
            # SIGHUP opens the log again.
            os.rename(log, log + ".1")
            does("reload", 0, "")
            end = time.monotonic() + PATIENCE
            while not os.path.exists(log):
                assert time.monotonic() < end
                time.sleep(0.01)
            does("restart", 0, f"Started {name}", shell="sh")
            assert re.search(r"pid (\d+)", does("status", 0, "is running")).group(1) != first
            does("stop", 0, f"Stopped {name}")
            does("status", 3, "is not running")
            does("frobnicate", 2, "Usage")
            defaults.write_text("BCFG2_SERVER_ENABLED=0\n")
            does("start", 0, "is disabled")
            defaults.write_text(f'{option}="-C {run.folder.name}/missing.conf"\n')
            does("start", 1, "missing.conf")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / ".build/debug")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    build = arguments.build.absolute()
    unknown = set(arguments.names) - {each.__name__ for each in CASES}
    if unknown:
        parser.error(f"unknown cases: {', '.join(sorted(unknown))}")
    for each in CASES:
        if arguments.names and each.__name__ not in arguments.names:
            continue
        start = time.monotonic()
        each(build)
        print(f"{each.__name__}: {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    ending.unwind_at_signals()
    main()
