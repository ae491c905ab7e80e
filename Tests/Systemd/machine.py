#!/usr/bin/env python3
"""The Debian packages on a machine with systemd: a small Debian boots in a container, and all is tried in there.

    Tests/Systemd/machine.py [--build .build/release] [--packages FOLDER] [--keep]

Makes the packages of a release build, or takes those of a folder that has some. The Debian is kept in .build/debian-systemd.tar for the next
time. --keep opens a shell in the container at a failure. Exit status 3: no root, no systemd-nspawn, no mirror of Debian, or a
kernel that does not let a container boot.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback

import machine_services
from booted import COLLECTOR, FETCH, SERVER, SOCKET, TIMER, WEB, Machine
from container import Impossible, apart_folder, run_apart, why_impossible
from machine_site import Askers

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
INSTALLED = ["systemd", "systemd-sysv", "dbus", "logrotate", "openssl", "openssh-client", "libsqlite3-0", "gpgv", "python3",
             "python3-genshi", "python3-lxml"]


def a_new_installation_enables_the_server_and_starts_nothing(m):
    m.path("/packages").mkdir()
    for name in ("server", "tools", "web"):
        built, = m.packages.glob(f"bcfg2-swift-{name}_*.deb")
        m.path(f"/packages/{name}.deb").write_bytes(built.read_bytes())
    m.install("server.deb", "tools.deb", "web.deb")
    assert m.is_enabled(SERVER) == "enabled"
    for unit in (SOCKET, COLLECTOR, WEB, TIMER):
        assert m.is_enabled(unit) == "disabled", unit
    for unit in (SERVER, SOCKET, COLLECTOR, WEB, TIMER, FETCH):
        assert m.show(unit, "LoadState") == "loaded" and m.show(unit, "NeedDaemonReload") == "no", unit
        assert m.show(unit, "ActiveState") == "inactive", unit
    assert not m.run("systemctl", "--failed", "--no-legend").stdout, m.run("systemctl", "--failed").stdout
    assert m.shell("stat -c '%a %U %G' /var/lib/bcfg2").stdout == "750 _bcfg2 _bcfg2\n"
    # Without bcfg2.conf there is nothing to start, and nothing has failed.
    m.systemctl("start", SERVER)
    assert m.show(SERVER, "ConditionResult") == "no" and not m.servers()


def a_boot_starts_what_is_enabled_once(m):
    m.power_off()
    m.boot()
    assert m.is_active(SERVER) and m.is_active(TIMER) and not m.is_active(COLLECTOR) and not m.is_active(WEB)
    assert len(m.servers()) == 1 and m.show(SERVER, "NRestarts") == "0"
    m.answers()


def restarts_and_upgrades_refuse_no_client(m):
    m.systemctl("stop", SERVER)
    m.systemctl("enable", "--now", SOCKET)
    # The first connection starts the server.
    assert not m.servers()
    m.answers()
    assert m.is_active(SERVER) and len(m.servers()) == 1
    m.systemctl("enable", "--now", COLLECTOR, WEB)
    askers = Askers(m)
    askers.go_on()
    for _ in range(3):
        m.systemctl("restart", SERVER)
        askers.go_on()
    before = {unit: m.show(unit, "MainPID") for unit in (SERVER, COLLECTOR, WEB)}
    make_next(m, "server")
    make_next(m, "web")
    m.install("server-next.deb", "web-next.deb")
    askers.go_on()
    askers.end()
    for unit, process in before.items():
        assert m.working(unit) not in (None, process), unit
    assert m.is_active(SOCKET) and m.is_active(TIMER)
    print(f"  {askers.count} answers")


def make_next(m, name):
    """A package of the next version."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-R", m.path(f"/packages/{name}.deb"), folder + "/tree"], check=True)
        control = pathlib.Path(folder, "tree/DEBIAN/control")
        control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1.next", control.read_text()))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", folder + "/tree", m.path(f"/packages/{name}-next.deb")],
                       check=True, stdout=subprocess.DEVNULL)


def an_upgrade_starts_nothing_that_was_stopped(m):
    m.systemctl("disable", "--now", SOCKET, SERVER)
    m.systemctl("disable", "--now", COLLECTOR)
    m.install("server-next.deb")
    for unit in (SERVER, SOCKET, COLLECTOR):
        assert m.is_enabled(unit) == "disabled" and not m.is_active(unit), unit
    m.systemctl("enable", "--now", SOCKET, SERVER, COLLECTOR)
    m.answers()


def a_removal_stops_all_and_a_purge_leaves_nothing(m):
    assert all(m.is_active(unit) for unit in (SERVER, SOCKET, COLLECTOR, WEB, TIMER))
    # The site is the site's.
    tree = "find /var/lib/bcfg2 /etc/bcfg2.conf /etc/ssl/bcfg2.* -type f ! -path '*/Packages/cache/*' | sort"
    before = m.shell(tree).stdout
    m.shell("dpkg -r bcfg2-swift-web bcfg2-swift-server bcfg2-swift-tools", seconds=120)
    running = m.shell("for p in /proc/[0-9]*; do readlink $p/exe; done; true").stdout
    assert "/usr/sbin/bcfg2" not in running, running
    for unit in (SERVER, SOCKET, COLLECTOR, WEB, TIMER):
        assert not m.is_active(unit), unit
    assert not m.run("systemctl", "--failed", "--no-legend").stdout
    m.shell("rm -f /etc/bcfg2-web.conf && dpkg -P bcfg2-swift-web bcfg2-swift-server bcfg2-swift-tools", seconds=120)
    assert m.shell(tree).stdout == before
    assert not m.left(), m.left()
    assert "bcfg2" not in m.run("systemctl", "list-unit-files", "--no-legend").stdout


# What stands for Bcfg2's package: no unit, a daemon of root's.
OLD = {
    "DEBIAN/control": """Package: bcfg2-server
Version: 1.4.0~pre2-1
Architecture: all
Maintainer: Nobody <nobody@example.com>
Description: stands for the server of Bcfg2
""",
    "DEBIAN/conffiles": "/etc/init.d/bcfg2-server\n",
    "usr/sbin/bcfg2-server": "#!/bin/sh\nexec sleep 1000\n",
    "etc/init.d/bcfg2-server": """#!/bin/sh
### BEGIN INIT INFO
# Provides: bcfg2-server
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
case $1 in
  start) /usr/sbin/bcfg2-server & echo $! >/run/old.pid ;;
  stop) kill $(cat /run/old.pid) ;;
esac
""",
}


def a_server_of_an_init_script_makes_way(m):
    m.shell("chown -R root:root /var/lib/bcfg2 /etc/bcfg2.conf /etc/ssl/bcfg2.key && "
            "printf '\n[logging]\npath = /var/log/bcfg2.log\n' >>/etc/bcfg2.conf")
    for path, text in OLD.items():
        m.write("/packages/old/" + path, text, mode=0o755 if path.endswith("bcfg2-server") else 0o644)
    m.shell("dpkg-deb -b /packages/old /packages/old.deb && dpkg -i /packages/old.deb && systemctl daemon-reload")
    m.systemctl("start", SERVER)
    old = m.shell("cat /run/old.pid").stdout.strip()
    assert m.run("test", "-e", f"/proc/{old}", check=False).returncode == 0 and m.show(SERVER, "SourcePath")
    m.shell("dpkg -B -i /packages/server.deb /packages/tools.deb", seconds=120)
    assert m.run("test", "-e", f"/proc/{old}", check=False).returncode == 1, "Bcfg2's server runs on"
    assert not m.is_active(SERVER) and m.is_enabled(SERVER) == "enabled" and m.show(SERVER, "NeedDaemonReload") == "no"
    assert m.show(SERVER, "FragmentPath") == "/lib/systemd/system/bcfg2-server.service"
    m.systemctl("start", SERVER)
    m.answers()
    # As Bcfg2's: the repository is root's, the log is elsewhere.
    assert m.path("/var/log/bcfg2.log").exists()
    assert m.status_of(m.show(SERVER, "MainPID"))["Uid"].split() == ["0"] * 4
    m.shell("dpkg -P bcfg2-swift-server bcfg2-swift-tools bcfg2-server", seconds=120)
    assert not m.left() and not m.servers(), m.left()


STEPS = [a_new_installation_enables_the_server_and_starts_nothing, *machine_services.STEPS, a_boot_starts_what_is_enabled_once,
         restarts_and_upgrades_refuse_no_client, an_upgrade_starts_nothing_that_was_stopped,
         a_removal_stops_all_and_a_purge_leaves_nothing, a_server_of_an_init_script_makes_way]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / ".build/release")
    parser.add_argument("--packages", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    try:
        reason = why_impossible()
        if reason:
            raise Impossible(reason)
        sys.exit(try_all(options) if apart_folder() else run_apart())
    except Impossible as error:
        print(f"machine: {error}", file=sys.stderr)
        sys.exit(3)


def try_all(options):
    """The exit status of all steps in one container, which ends with this process."""
    made = options.packages and any(options.packages.glob("*.deb"))
    packages = (options.packages if made else apart_folder() / "packages").absolute()
    cached = ROOT / ".build/debian-systemd.tar"
    commands = [[ROOT / "scripts/debian-root.sh", cached, packages, *INSTALLED]]
    if not made:
        commands.insert(0, [ROOT / "scripts/package.sh", "--fast", "--build", options.build, "--into", packages])
    for command in commands:
        status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        if status:
            return status
    machine = Machine(cached, packages)
    machine.boot()
    for each in STEPS:
        start = time.monotonic()
        try:
            each(machine)
        except Exception:
            print(machine.run("journalctl", "--no-pager", "--lines=60", check=False).stdout, file=sys.stderr)
            traceback.print_exc()
            print(f"{each.__name__}: failed", file=sys.stderr)
            if options.keep:
                subprocess.run(machine.command(["bash", "-i"]))
            return 1
        print(f"{each.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    machine.power_off()
    return 0


if __name__ == "__main__":
    main()
