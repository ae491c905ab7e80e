"""Starts a server for a case, plays the steps against it, and collects its answers."""
import base64
import functools
import gzip
import http.client
import http.server
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import xmlrpc.client

from answers import answer_of, same

PASSWORD = "foobat"


def run(*cmd):
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Pki:
    """A CA, a server certificate, and client certificates by CN, all in one folder."""

    def __init__(self, folder):
        self.folder, self.lock = folder, threading.Lock()
        self.ca, self.ca_key = self.path("ca.crt"), self.path("ca.key")
        run("openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", self.ca_key, "-out", self.ca,
            "-days", "3650", "-subj", "/CN=conformance CA")
        self.cert, self.key = self.issue("localhost")

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, cn):
        with self.lock:
            return self.made(cn)

    def made(self, cn):
        crt, key = self.path("c-%s.crt" % cn), self.path("c-%s.key" % cn)
        if not os.path.exists(crt):
            csr, ext = self.path("c.csr"), self.path("c.ext")
            run("openssl", "req", "-nodes", "-newkey", "rsa:2048", "-keyout", key, "-out", csr, "-subj", "/CN=" + cn)
            with open(ext, "w") as f:
                f.write("subjectAltName=DNS:%s,IP:127.0.0.1\n" % cn)
            run("openssl", "x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
                "-days", "3650", "-out", crt, "-extfile", ext)
        return crt, key


def free_port():
    """A port below those that the kernel gives to connections, which could take it before the server does."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        limit = int(f.read().split()[0])
    while True:
        port = random.randrange(limit // 2, limit)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Server:
    """A server for one case, on a copy of its repository below `work`.

    `tools` is the folder of bcfg2-info and so on; by default that of the server. `tables` is a command that makes the tables of
    a database before the server starts, for cases with use_database.
    """

    def __init__(self, command, case, work, pki, tools=None, tables=None):
        self.command, self.case, self.pki, self.work = command, case, pki, work
        self.tools, self.tables = tools or os.path.dirname(os.path.abspath(shlex.split(command)[0])), tables
        self.repo, self.port, self.process = os.path.join(work, "repo"), free_port(), None
        shutil.copytree(os.path.join(case["dir"], "repo"), self.repo, symlinks=True)
        os.makedirs(os.path.join(self.repo, "etc"), exist_ok=True)
        for name, target in case.get("links", {}).items():
            os.makedirs(os.path.dirname(os.path.join(self.repo, name)), exist_ok=True)
            os.symlink(target, os.path.join(self.repo, name))
        self.www = self.serve(os.path.join(case["dir"], "www"))
        for name in case.get("replace", []):
            path = os.path.join(self.repo, name)
            with open(path) as f:
                text = self.fill(f.read())
            with open(path, "w") as f:
                f.write(text)
        conf = {
            "server": {"repository": self.repo, "plugins": ",".join(case["plugins"]), "filemonitor": "inotify"},
            "communication": {"password": PASSWORD, "certificate": pki.cert, "key": pki.key, "ca": pki.ca,
                              "protocol": "xmlrpc/ssl"},
            "components": {"bcfg2": "https://localhost:%d" % self.port},
            "database": {"engine": "sqlite3", "name": os.path.join(work, "bcfg2.sqlite")},
            "logging": {"path": os.path.join(work, "log")},
        }
        for further in (case.get("conf", {}), case.get("further_conf", {})):
            for section, options in further.items():
                conf.setdefault(section, {}).update(options)
        self.conf = os.path.join(work, "bcfg2.conf")
        with open(self.conf, "w") as f:
            for section, options in conf.items():
                f.write("[%s]\n" % section)
                for name, value in options.items():
                    f.write("%s = %s\n" % (name, self.fill(str(value))))
                f.write("\n")

    def serve(self, folder):
        """Serves a copy of www/ on loopback; returns the URL without a slash at its end, or '' where there is none."""
        self.http = None
        if not os.path.isdir(folder):
            return ""
        copy = os.path.join(self.work, "www")
        shutil.copytree(folder, copy)
        for directory, _, names in os.walk(copy):
            for name in names:
                if name.endswith(".gz.plain"):
                    path = os.path.join(directory, name)
                    with open(path, "rb") as f, open(path[:-6], "wb") as out:
                        out.write(gzip.compress(f.read(), mtime=0))
                    os.unlink(path)

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=copy))
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return "http://127.0.0.1:%d" % self.http.server_address[1]

    def fill(self, text):
        for mark, value in (("@REPO@", self.repo), ("@DIR@", self.work), ("@PORT@", str(self.port)), ("@WWW@", self.www),
                            ("@CONF@", os.path.join(self.work, "bcfg2.conf")), ("@CA@", self.pki.ca),
                            ("@CERT@", self.pki.cert), ("@KEY@", self.pki.key)):
            text = text.replace(mark, value)
        return text

    def argv(self):
        """The server's command: what it does with bcfg2.conf it says itself, or by -C."""
        words = [self.fill(word) for word in shlex.split(self.command)]
        return words if words != shlex.split(self.command) else words + ["-C", self.conf]

    def make_tables(self):
        wanted = any(options.get("use_database") == "true" for options in self.case.get("conf", {}).values())
        if self.tables and wanted:
            done = subprocess.run([self.fill(word) for word in shlex.split(self.tables)], capture_output=True, text=True,
                                  cwd=self.work, timeout=120)
            if done.returncode:
                raise RuntimeError("the tables were not made, status %d: %s" % (done.returncode, done.stderr[-800:]))

    def start(self):
        self.log = open(os.path.join(self.work, "server.out"), "ab")
        self.process = subprocess.Popen(self.argv(), stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.time() + 30
        while time.time() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError("the server exited with status %d: %s" % (self.process.returncode, self.tail()))
            try:
                answer = self.call({"call": "listMethods"}, timeout=3)
                if "http" not in answer or answer["http"] < 500:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("the server answered nothing in 30 s: " + self.tail())

    def close(self):
        if self.http:
            self.http.shutdown()
            self.http.server_close()

    def stop(self, patience=20):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            self.log.close()

    def tail(self):
        with open(os.path.join(self.work, "server.out"), errors="replace") as f:
            return f.read()[-800:]

    def call(self, step, timeout=30):
        context = ssl.create_default_context(cafile=self.pki.ca)
        context.check_hostname = False
        if step.get("cert"):
            context.load_cert_chain(*self.pki.issue(step["cert"]))
        source = (step["from"], 0) if step.get("from") else None
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, source_address=source,
                                                 timeout=timeout)
        body = xmlrpc.client.dumps(tuple(step.get("params", [])), step["call"], allow_none=True)
        body = body.encode("ascii", "xmlcharrefreplace")  # as clients do: the Python server stumbles over other bytes
        login = "%s:%s" % (step.get("user", "root"), step.get("password", PASSWORD))
        headers = {"Content-Type": "text/xml"}
        if step.get("user", "root") is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        try:
            connection.request("POST", "/RPC2", body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status != 200:
            return {"http": response.status}
        try:
            value = xmlrpc.client.loads(self.hide(data))[0][0]
        except xmlrpc.client.Fault as fault:
            return {"fault": fault.faultCode, "string": fault.faultString}
        return answer_of(value, step)

    def read(self, step):
        try:
            with open(os.path.join(self.repo, step["read"]), "rb") as f:
                return answer_of(self.hide(f.read()).decode("utf-8", "backslashreplace"), step)
        except FileNotFoundError:
            return {"missing": True}

    def run(self, step):
        """Runs a command beside the server's, and tells how it ended and what it printed or wrote."""
        done = subprocess.run([os.path.join(self.tools, step["run"])] + [self.fill(a) for a in step.get("args", [])], cwd=self.work, timeout=120,
                              input=self.fill(step.get("input", "")).encode(), capture_output=True)
        answer = {"exit": done.returncode}
        if step.get("file"):
            path = os.path.join(self.work, step["file"])
            if not os.path.exists(path):
                return dict(answer, missing=True)
            with open(path, "rb") as f:
                return dict(answer, **answer_of(self.hide(f.read()).decode("utf-8", "backslashreplace"), step))
        if step.get("exit_only"):
            return answer
        output = done.stderr if step.get("errors") else done.stdout
        lines = self.hide(output).decode("utf-8", "backslashreplace").splitlines()
        if step.get("lines"):
            found = [m for m in (re.search(step["lines"], line) for line in lines) if m]
            lines = [list(m.groups()) if m.groups() else m.group(0) for m in found]
        return dict(answer, lines=sorted(lines) if step.get("sorted") else lines)

    def sql(self, step):
        path = os.path.join(self.work, step.get("database", "bcfg2.sqlite"))
        if not os.path.exists(path):
            return {"missing": True}
        try:
            with sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=10) as database:
                rows = [list(row) for row in database.execute(step["sql"])]
        except sqlite3.Error as error:
            return {"error": type(error).__name__}
        rows = json.loads(self.hide(json.dumps(rows).encode()))
        return {"rows": sorted(rows, key=lambda row: json.dumps(row))}

    def hide(self, data):
        if self.www:
            data = data.replace(self.www.encode(), b"@WWW@")
        return data.replace(self.repo.encode(), b"@REPO@").replace(self.work.encode(), b"@DIR@")


def edit(server, step):
    def path(name):
        return os.path.join(server.repo, step[name])
    if "write" in step:
        os.makedirs(os.path.dirname(path("write")), exist_ok=True)
        data = base64.b64decode(step["base64"]) if "base64" in step else step["text"].encode()
        # In place, but never empty: a server that looks at it meanwhile would take the empty file for an edit of its own.
        with open(os.open(path("write"), os.O_WRONLY | os.O_CREAT, 0o666), "wb") as f:
            f.write(data * step.get("repeat", 1))
            f.truncate()
        if "mode" in step:
            os.chmod(path("write"), step["mode"])
    elif "delete" in step:
        target = path("delete")
        shutil.rmtree(target) if os.path.isdir(target) and not os.path.islink(target) else os.unlink(target)
    elif "rename" in step:
        os.rename(path("rename"), path("to"))
    elif "mkdir" in step:
        os.makedirs(path("mkdir"), exist_ok=True)
    elif "symlink" in step:
        os.symlink(step["to"], path("symlink"))
    else:
        raise ValueError("unknown step: %s" % step)


def play(make_server, case, wanted=None, settle=0.0):
    """Plays a case against what `make_server(work)` returns. Yields (step number, step, answer, whether it is wanted).

    The first question after an edit, a start or a restart is asked again for up to 5 s until its answer is one of the wanted
    ones; with `settle` it is not asked before so many seconds.
    """
    work = tempfile.mkdtemp(prefix="conform-")
    try:
        server = make_server(work)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    try:
        server.make_tables()
        if case.get("server", True):
            server.start()
        edited = True
        for number, step in enumerate(case["steps"]):
            kind = next((k for k in ("call", "read", "run", "sql") if k in step), None)
            if kind:
                ask = getattr(server, kind)
                candidates = [version[number] for version in (wanted or {}).values()]
                if edited and case.get("server", True):
                    time.sleep(settle)
                answer = ask(step)
                deadline = time.time() + (5 if edited and candidates else 0)
                while not any(same(answer, c) for c in candidates) and time.time() < deadline:
                    time.sleep(0.05)
                    answer = ask(step)
                edited = False
                yield number, step, answer, any(same(answer, c) for c in candidates)
            elif "settle" in step:
                if step["settle"] is True:
                    edited = True
                else:
                    time.sleep(step["settle"])
                yield number, step, None, True
            elif "restart" in step:
                server.stop()
                server.start()
                edited = True
                yield number, step, None, True
            else:
                edit(server, step)
                edited = True
                yield number, step, None, True
        if server.process and server.process.poll() is not None:
            raise RuntimeError("the server died: " + server.tail())
    finally:
        if server.process:
            server.stop(patience=3)
        server.close()
        shutil.rmtree(work, ignore_errors=True)
