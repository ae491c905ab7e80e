"""Plays the service manager for the server: its notification socket, its watchdog, and the sockets that it passes."""
import fcntl
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "Python"))
import ending  # noqa: E402, F401
import loopback  # noqa: E402

PATIENCE = 60


class Site:
    """A folder with a small repository, a certificate, and bcfg2.conf."""

    def __init__(self, folder, port, extra=None):
        self.folder, self.port = pathlib.Path(folder), port
        repository = self.folder / "repository"
        (repository / "Metadata").mkdir(parents=True)
        (repository / "Metadata/groups.xml").write_text(
            '<Groups><Group name="base" profile="true" public="true" default="true"/></Groups>')
        (repository / "Metadata/clients.xml").write_text(
            '<Clients><Client name="localhost" profile="base" address="127.0.0.1"/></Clients>')
        for plugin in ("Bundler", "Rules"):
            (repository / plugin).mkdir()
        loopback.make_certificate(str(self.folder))
        self.write(extra or {})

    def write(self, extra):
        sections = {
            "server": {"repository": self.folder / "repository", "plugins": "Bundler,Metadata,Rules"},
            "communication": {"password": "secret", "key": self.folder / "key", "certificate": self.folder / "crt",
                              "protocol": "xmlrpc/ssl"},
            "components": {"bcfg2": f"https://127.0.0.1:{self.port}"},
            "logging": {"syslog": "false"},
        }
        for section, options in extra.items():
            sections.setdefault(section, {}).update(options)
        lines = []
        for section, options in sections.items():
            lines.append(f"[{section}]")
            lines += [f"{name} = {value}" for name, value in options.items() if value is not None]
        (self.folder / "bcfg2.conf").write_text("\n".join(lines) + "\n")

    @property
    def configuration(self):
        return str(self.folder / "bcfg2.conf")

    def client(self):
        return loopback.Client(self.port, str(self.folder / "crt"))


class Manager:
    """Starts one service and collects what it says."""

    def __init__(self, folder, abstract=False):
        if abstract:
            self.address = f"\0bcfg2-test-{os.getpid()}-{id(self)}"
        else:
            self.address = str(pathlib.Path(folder) / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.messages = []
        self.process = None

    def start(self, command, environment=None, listeners=(), names=None, watchdog=None, log=None):
        """Runs a command as systemd does: descriptors from 3 on, and variables with the number of the process itself."""
        variables = {name: value for name, value in os.environ.items()
                     if not name.startswith(("LISTEN_", "WATCHDOG_", "NOTIFY_"))}
        variables["NOTIFY_SOCKET"] = self.address.replace("\0", "@")
        variables.update(environment or {})
        own = ["WATCHDOG_PID=$$"] if watchdog else []
        if watchdog:
            variables["WATCHDOG_USEC"] = str(watchdog)
        fds = []
        if listeners:
            if "LISTEN_PID" not in variables:
                own.append("LISTEN_PID=$$")
            variables["LISTEN_FDS"] = str(len(listeners))
            if names:
                variables["LISTEN_FDNAMES"] = ":".join(names)
            # The shell puts them in their places, from numbers above all of these: what it runs with exec keeps its number.
            fds = [fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 64) for listener in listeners]
        moves = [f"{3 + index}<&{fd} {fd}<&-" for index, fd in enumerate(fds)]
        shell = " ".join((["export " + " ".join(own) + ";"] if own else []) + ['exec "$@"'] + moves)
        self.process = subprocess.Popen(["bash", "-c", shell, "bash"] + command, env=variables, pass_fds=fds,
                                        stdout=subprocess.DEVNULL, stderr=log or subprocess.DEVNULL)
        for fd in fds:
            os.close(fd)
        return self.process

    def receive(self, seconds):
        """One message as a dictionary; None if there is none within the time."""
        if not select.select([self.socket], [], [], max(0, seconds))[0]:
            return None
        data, _ = self.socket.recvfrom(65536)
        message = dict(line.split("=", 1) for line in data.decode().split("\n"))
        self.messages.append(message)
        return message

    def wait_for(self, name, value=None, seconds=PATIENCE):
        """The next message that has a variable, with a value if one is given."""
        end = time.monotonic() + seconds
        while True:
            message = self.receive(end - time.monotonic())
            assert message is not None, f"no {name} within {seconds} s, but {self.messages}"
            if name in message and (value is None or message[name] == value):
                return message

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        while self.receive(0):
            pass
        return status

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.socket.close()


def listening_socket(port):
    """What a socket unit makes."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(4096)
    return listener


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="bcfg2-systemd-")
