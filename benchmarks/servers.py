"""Configures, starts, watches and ends the measured servers. All listen on loopback only."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "sites"))
import generate  # noqa: E402

sys.path.insert(0, os.path.join(HERE, os.pardir, "Tests", "Python"))
from ending import unwind_at_signals  # noqa: E402, F401
from loopback import free_port  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def descendants(pid):
    """A process and its children, from /proc."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/children" % (pid, task)) as f:
                    todo += map(int, f.read().split())
        except FileNotFoundError:
            pass
    return found


class Server:
    """One server on one site. `name` is its name in the figures."""
    name = None

    def __init__(self, work, preset, pki, cpu, options=()):
        self.preset, self.cpu, self.port, self.process = preset, cpu, free_port(), None
        self.dir = os.path.join(work, "%s-%s" % (self.name, preset))
        self.pki = pki
        arguments = ["--out", self.dir, "--pki", pki, "--port", str(self.port)] + list(options)
        if preset in generate.PRESETS:
            arguments += ["--preset", preset]
        self.site = generate.generate(arguments)
        self.repo = os.path.join(self.dir, "repo")

    def command(self):
        raise NotImplementedError

    def start(self):
        """Starts the process; returns the time of the start."""
        # Not beside bcfg2.conf: its folder is watched, and each line would cause an event.
        os.makedirs(os.path.join(self.dir, "output"), exist_ok=True)
        self.log = open(os.path.join(self.dir, "output", "server.out"), "ab")
        began = time.monotonic()
        self.process = subprocess.Popen(["taskset", "-c", str(self.cpu)] + self.command(), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        return began

    def stop(self):
        """Ends the process by its id. Python 1.3.4 takes up to ten seconds, so it gets one signal only."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(2 if self.name == "python" else 15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            self.log.close()
        self.process = None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def tail(self):
        with open(os.path.join(self.dir, "output", "server.out"), errors="replace") as f:
            return f.read()[-600:]

    def cpu_seconds(self):
        """User and system time of the process, its live children, and those that it has waited for.

        In nanoseconds, but for the last: /proc/PID/stat counts ticks of 10 ms.
        """
        seconds = 0.0
        for pid in descendants(self.process.pid):
            try:
                with open("/proc/%d/stat" % pid) as f:
                    fields = f.read().rpartition(")")[2].split()
                # clock_getcpuclockid(3): the clock of all threads of a process, also of those that have ended.
                seconds += time.clock_gettime(~pid << 3 | 2)
            except (FileNotFoundError, OSError):
                continue
            seconds += sum(map(int, fields[13:15])) / TICK
        return seconds

    def memory_kb(self):
        """{"rss", "anonymous"} of the process and its children, in kB."""
        result = {"rss": 0, "anonymous": 0}
        for pid in descendants(self.process.pid):
            try:
                with open("/proc/%d/status" % pid) as f:
                    text = f.read()
            except FileNotFoundError:
                continue
            for key, field in (("rss", "VmRSS"), ("anonymous", "RssAnon")):
                match = re.search(field + r":\s*(\d+)", text)
                result[key] += int(match.group(1)) if match else 0
        return result

    def wait_for_port(self, seconds=60):
        """Waits until a TLS handshake succeeds."""
        context = ssl.create_default_context(cafile=os.path.join(self.pki, "ca.crt"))
        context.check_hostname = False
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive():
                raise RuntimeError("%s ended: %s" % (self.name, self.tail()))
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as s, context.wrap_socket(s):
                    return
            except OSError:
                time.sleep(0.005)
        raise RuntimeError("%s did not listen within %d s: %s" % (self.name, seconds, self.tail()))


class Ours(Server):
    name = "ours"
    binary = os.path.join(HERE, "..", ".build", "release", "bcfg2-server")

    def command(self):
        return [os.path.abspath(self.binary), "-C", os.path.join(self.dir, "bcfg2.conf")]

    @classmethod
    def missing(cls):
        if not os.access(cls.binary, os.X_OK):
            return "no %s: build it with `swift build -c release --product bcfg2-server`" % os.path.relpath(cls.binary)

    @classmethod
    def version(cls):
        return subprocess.run([cls.binary, "--version"], capture_output=True, text=True).stdout.strip()


class Python(Server):
    name = "python"
    environment = os.path.join(HERE, "..", ".build", "bcfg2-client")

    def command(self):
        return [os.path.join(self.environment, "bin", "bcfg2-server"), "-C", os.path.join(self.dir, "bcfg2.conf")]

    @classmethod
    def missing(cls):
        if not os.access(os.path.join(cls.environment, "bin", "bcfg2-server"), os.X_OK):
            return "no Python environment with Bcfg2 1.3.4 in %s: scripts/setup.sh --test makes one" % cls.environment

    @classmethod
    def version(cls):
        run = subprocess.run([os.path.join(cls.environment, "bin", "python"), "-c",
                              "import sys, ssl, Bcfg2; print('Bcfg2 %s, Python %s, %s' % (Bcfg2.__version__, "
                              "sys.version.split()[0], ssl.OPENSSL_VERSION))"], capture_output=True, text=True)
        return run.stdout.strip() or "Bcfg2 1.3.4"


class Nginx(Server):
    """nginx with one worker, serving a file with our server's answer: the speed limit of TLS and sockets."""
    name = "nginx"
    binary = shutil.which("nginx") or "/usr/sbin/nginx"

    def serve(self, path, content):
        os.makedirs(os.path.join(self.dir, "www"), exist_ok=True)
        with open(os.path.join(self.dir, "www", path.lstrip("/")), "wb") as f:
            f.write(content)

    def command(self):
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w") as f:
            f.write("""daemon off; worker_processes 1; pid %(dir)s/nginx.pid; error_log %(dir)s/error.log;
%(user)s
worker_rlimit_nofile 65536;
events { worker_connections 32768; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type text/xml;
  open_file_cache max=100; open_file_cache_valid 60s;
  client_body_temp_path %(dir)s/t1; proxy_temp_path %(dir)s/t2; fastcgi_temp_path %(dir)s/t3;
  uwsgi_temp_path %(dir)s/t4; scgi_temp_path %(dir)s/t5;
  server {
    listen 127.0.0.1:%(port)d ssl; root %(dir)s/www;
    ssl_certificate %(pki)s/server.crt; ssl_certificate_key %(pki)s/server.key;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
  }
}
""" % {"dir": os.path.abspath(self.dir), "pki": os.path.abspath(self.pki), "port": self.port,
       "user": "user root;" if os.getuid() == 0 else ""})
        return [self.binary, "-c", conf, "-e", os.path.join(os.path.abspath(self.dir), "error.log")]

    @classmethod
    def missing(cls):
        if not os.access(cls.binary, os.X_OK):
            return "no nginx: apt-get install nginx-light"

    @classmethod
    def version(cls):
        return subprocess.run([cls.binary, "-v"], capture_output=True, text=True).stderr.strip()
