"""A Bcfg2 server to attack: started on loopback with a small repository of its own, measured from outside.

For the scripts of this folder. Python 3 standard library and the openssl program only.
"""
import http.client
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xml.sax.saxutils
import xmlrpc.client

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "Python"))
import loopback  # noqa: E402  (what the folders of tests share)

PASSWORD = "secret"
FILES = {
    "Metadata/clients.xml": '<Clients version="3.0">\n  <Client name="one" profile="p" address="127.0.0.1"/>\n</Clients>\n',
    "Metadata/groups.xml": '<Groups version="3.0">\n  <Group name="p" profile="true" public="true"><Bundle name="b"/></Group>\n'
                           '</Groups>\n',
    "Bundler/b.xml": '<Bundle name="b"><Path name="/etc/motd"/></Bundle>\n',
    "Cfg/etc/motd/motd": "hello\n",
    "Probes/value": "#!/bin/sh\necho value\n",
}


class Target:
    """A running server; a context manager that ends it and removes its files."""

    def __init__(self, command, plugins, files=(), conf=None):
        self.folder = tempfile.TemporaryDirectory(prefix="bcfg2-attack-")
        self.path = self.folder.name
        for name, (text, mode) in {**{n: (t, 0o644) for n, t in FILES.items()}, **dict(files)}.items():
            path = os.path.join(self.path, "repo", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, mode)
        loopback.make_certificate(self.path)
        self.port = loopback.free_port()
        self.http = loopback.Client(self.port, self.path + "/crt", password=PASSWORD, timeout=600)
        sections = {
            "server": {"repository": self.path + "/repo", "plugins": plugins},
            "communication": {"password": PASSWORD, "certificate": self.path + "/crt", "key": self.path + "/key",
                              "protocol": "xmlrpc/ssl"},
            "components": {"bcfg2": "https://127.0.0.1:%d" % self.port},
        }
        for section, options in (conf or {}).items():
            sections.setdefault(section, {}).update(options)
        with open(self.path + "/bcfg2.conf", "w") as file:
            for section, options in sections.items():
                file.write("[%s]\n%s\n" % (section, "".join("%s = %s\n" % pair for pair in options.items())))
        self.log = open(self.path + "/log", "wb")
        self.process = subprocess.Popen(shlex.split(command) + ["-C", self.path + "/bcfg2.conf"], stdout=self.log,
                                        stderr=subprocess.STDOUT)

    def __enter__(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError("the server ended at its start: " + self.end_of_log())
            try:
                self.call(body_of("listMethods"))
                return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the server answers nothing: " + self.end_of_log())

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def end_of_log(self):
        with open(self.path + "/log", errors="replace") as file:
            return file.read()[-2000:]

    def call(self, body, headers=(), user="one"):
        """HTTP status and body of the answer; status 0 where the connection ended without one."""
        try:
            return self.http.post(body, headers, user)
        except (http.client.HTTPException, ConnectionResetError):
            return 0, b""

    # Measured from outside.

    def status(self, name):
        """A field of /proc/PID/status in bytes."""
        with open("/proc/%d/status" % self.process.pid) as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))

    def forget_peak(self):
        with open("/proc/%d/clear_refs" % self.process.pid, "w") as file:
            file.write("5")

    def cpu(self):
        """Seconds on a processor since the start."""
        with open("/proc/%d/schedstat" % self.process.pid) as file:
            return int(file.read().split()[0]) / 1e9

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def children(self):
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as file:
            return len(file.read().split())


def text_of(document):
    """The document as text of XML, in the fewest bytes."""
    return "<![CDATA[%s]]>" % document if "]]>" not in document else xml.sax.saxutils.escape(document)


def body_of(method, *documents):
    """A call with strings as parameters, as bytes."""
    params = "".join("<param><value><string>%s</string></value></param>" % text_of(document) for document in documents)
    return ("<methodCall><methodName>%s</methodName><params>%s</params></methodCall>" % (method, params)).encode()


def fault_of(answer):
    """The fault of a response; None where it is none."""
    try:
        xmlrpc.client.loads(answer)
    except xmlrpc.client.Fault as fault:
        return fault
    except Exception:
        return None
    return None
