"""The container with the packages, and words for what systemd does in it."""
import json
import re

from container import Container
from machine_site import Site

SERVER, SOCKET, COLLECTOR = "bcfg2-server.service", "bcfg2-server.socket", "bcfg2-report-collector.service"
WEB, TIMER, FETCH = "bcfg2-web.service", "bcfg2-packages.timer", "bcfg2-packages.service"
SERVICES = (SERVER, COLLECTOR, FETCH, WEB)


class Machine(Container):
    """The container with the packages, and words for what systemd does."""

    def __init__(self, cached, packages):
        super().__init__(cached)
        self.packages = packages
        self.site = Site(self)

    def show(self, unit, name):
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def is_active(self, unit):
        return self.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active"

    def working(self, unit):
        """The main process of a unit that is active, or None. Both are asked at once: a unit may end between two questions."""
        lines = self.run("systemctl", "show", "--property", "ActiveState,MainPID", unit).stdout.splitlines()
        found = dict(line.split("=", 1) for line in lines)
        return found["MainPID"] if found["ActiveState"] == "active" and found["MainPID"] != "0" else None

    def is_enabled(self, unit):
        return self.run("systemctl", "is-enabled", unit, check=False).stdout.strip()

    def systemctl(self, *words, check=True):
        """Many starts in ten seconds are what a test does: systemd need not count them."""
        self.run("systemctl", "reset-failed", check=False)
        return self.run("systemctl", *words, check=check)

    def drop_in(self, unit, text):
        """A drop-in of this test; without text it goes."""
        path = self.path(f"/etc/systemd/system/{unit}.d/test.conf")
        if text:
            self.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        else:
            path.unlink()
            path.parent.rmdir()
        self.run("systemctl", "daemon-reload")

    def example(self, name):
        return self.path(f"/usr/share/bcfg2-swift/systemd/{name}").read_text()

    def status_of(self, process):
        """/proc/PID/status of a process by its number inside."""
        return dict(line.split(":\t", 1) for line in self.run("cat", f"/proc/{process}/status").stdout.splitlines() if ":\t" in line)

    def servers(self):
        """The processes of the server's program that have no parent of the same program."""
        found = self.shell("for p in /proc/[0-9]*; do [ \"$(readlink $p/exe)\" = /usr/sbin/bcfg2-server ] && "
                           "sed -n 's/^PPid:\\t//p' $p/status; done; true").stdout.split()
        return [parent for parent in found if parent == "1"]

    def entries(self, unit):
        """The journal's entries since the present or last start of a unit."""
        lines = self.run("journalctl", "--no-pager", "--output=json", "_SYSTEMD_INVOCATION_ID=" + self.show(unit, "InvocationID"))
        return [json.loads(line) for line in lines.stdout.splitlines()]

    def journal(self, unit):
        """Priority and message of each."""
        return [(int(entry["PRIORITY"]), str(entry["MESSAGE"])) for entry in self.entries(unit)]

    def answers(self):
        assert self.site.call("DeclareVersion", "1.4") is True

    def install(self, *names):
        self.shell("dpkg -i " + " ".join(f"/packages/{name}" for name in names), seconds=120)

    def left(self):
        """What has the packages' name below folders of the system, but for what is the site's."""
        found = self.shell("find /etc /usr /lib/systemd /run /var -xdev -name '*bcfg2*' ! -path '/var/lib/dpkg/*'; "
                           "find /run -name '*bcfg2*'").stdout.split()
        ours = re.compile(r"/etc/bcfg2\.conf|/etc/ssl/bcfg2\.(key|crt)|/var/lib/bcfg2|/var/lib/bcfg2/.*|/var/log/bcfg2\.log|.*\.pyc")
        return sorted({path for path in found if not ours.fullmatch(path)})
