"""A bcfg2-web on a database of its own, for tests."""
import os
import re
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "Tests", "Python"))
import ending  # noqa: E402, F401


class Site:
    """A filled database and a server of it."""

    def __init__(self, build, options="", clients=60, level=()):
        self.folder = tempfile.TemporaryDirectory(prefix="bcfg2-web.")
        self.conf = os.path.join(self.folder.name, "bcfg2.conf")
        self.database = os.path.join(self.folder.name, "reports.sqlite")
        with open(self.conf, "w") as file:
            file.write("[server]\nrepository = %s\n[database]\nengine = sqlite3\nname = %s\n" % (self.folder.name, self.database))
            file.write("[reporting]\n" + options)
        subprocess.run([os.path.join(build, "bcfg2-admin"), "-C", self.conf, "initreports"], check=True)
        subprocess.run([sys.executable, os.path.join(ROOT, "benchmarks", "reportdata.py"), self.database, "--clients", str(clients),
                        "--runs", str(50 * clients)], check=True)
        self.process = subprocess.Popen([os.path.join(build, "bcfg2-web"), "-C", self.conf, "--listen", "127.0.0.1:0", *level],
                                        stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r"serves (http://127\.0\.0\.1:\d+)/", line)
            if found:
                self.url = found.group(1)
                self.port = int(self.url.rsplit(":", 1)[1])
                return
        raise SystemExit("bcfg2-web ended before it listened")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(20) != 0:
            raise SystemExit("bcfg2-web ended with %d" % self.process.returncode)
        self.process.stderr.close()
        self.folder.cleanup()


class Failures(list):
    def check(self, condition, text):
        if not condition:
            self.append(text)
            print("FAILED: " + text)
