"""What machine.py tries with the services, step after step: each leaves the server running."""
import re
import time

from booted import COLLECTOR, FETCH, SERVER, SERVICES, SOCKET, TIMER, WEB
from container import until
from machine_site import REPORT

STEPS = []


def step(function):
    STEPS.append(function)
    return function


@step
def a_start_returns_when_clients_are_served(m):
    # As README.Debian has it.
    m.run("bcfg2-admin", "init", "--batch", "--hostname", "localhost", "--server", "https://localhost:6789")
    m.shell("chown -R _bcfg2:_bcfg2 /var/lib/bcfg2 && chown _bcfg2 /etc/bcfg2.conf /etc/ssl/bcfg2.key")
    m.site.prepare()
    m.site.trust()
    m.systemctl("start", SERVER)
    m.answers()
    m.run("bcfg2-admin", "xcmd", "get_statistics")
    assert m.show(SERVER, "StatusText") == "Serving 1 client with 7 plugins"
    assert 'Status: "Serving 1 client ' in m.run("systemctl", "status", SERVER).stdout
    process = m.show(SERVER, "MainPID")
    status, user = m.status_of(process), m.run("id", "-u", "_bcfg2").stdout.strip()
    assert status["Uid"].split() == [user] * 4, status["Uid"]
    assert status["CapEff"] == status["CapBnd"] == "0" * 16 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status


@step
def a_reload_reads_all_again_in_the_same_process(m):
    process = m.show(SERVER, "MainPID")
    m.systemctl("reload", SERVER)
    until(lambda: (5, "Reading configuration, certificates and repository again") in m.journal(SERVER), "the reload")
    until(lambda: m.is_active(SERVER), "the end of the reload")
    assert m.show(SERVER, "ReloadResult") == "success" and m.show(SERVER, "MainPID") == process
    m.answers()


@step
def a_start_that_fails_says_why(m):
    m.systemctl("stop", SERVER)
    assert m.show(SERVER, "Result") == "success" and not m.servers()
    assert not m.path("/run/bcfg2-server").exists()
    m.shell("mv /etc/ssl/bcfg2.key /etc/ssl/away")
    assert m.systemctl("start", SERVER, check=False).returncode != 0
    assert "Keyfile" in m.show(SERVER, "StatusText"), m.show(SERVER, "StatusText")
    m.shell("mv /etc/ssl/away /etc/ssl/bcfg2.key")
    m.systemctl("start", SERVER)
    m.answers()


@step
def paths_are_read_only_but_for_those_of_the_server(m):
    process = m.show(SERVER, "MainPID")

    def writes(path):
        # Even as root, who sees here what the server sees.
        return m.run("nsenter", "--target", process, "--mount", "sh", "-c", f"touch {path}/written && rm {path}/written",
                     check=False).returncode == 0

    for path in ("/etc", "/usr", "/var", "/var/lib", "/var/log", "/srv", "/opt", "/home", "/root"):
        assert not writes(path), path
    for path in ("/var/lib/bcfg2", "/var/log/bcfg2", "/run/bcfg2-server", "/tmp", "/var/tmp"):
        assert writes(path), path
    m.shell("touch /tmp/of-others")
    found = m.run("nsenter", "--target", process, "--mount", "sh", "-c", "ls -A /tmp /root /dev", check=False).stdout
    assert "of-others" not in found and "bashrc" not in found and "null" in found and "console" not in found, found


@step
def what_the_server_does_works_within_the_sandbox(m):
    m.site.fill()
    m.systemctl("restart", SERVER)
    assert "of the probe" in m.site.call("GetProbes")
    assert m.site.call("RecvProbeData", '<ProbeData><probe-data name="kernel" source="Probes">6.1.0-x</probe-data></ProbeData>') is True
    document = m.site.call("GetConfig")
    assert "Hello localhost: written and run\n" in document, document
    assert "PRIVATE KEY" in document and "failure=" not in document, document
    assert 'name="liba"' in document and "deb http://127.0.0.1:8000/deb/ stable main" in document, document
    assert m.site.call("RecvStats", REPORT) is True
    site = m.path("/var/lib/bcfg2")
    assert "6.1.0-x" in (site / "Probes/probed.xml").read_text()
    assert list((site / "SSHbase").glob("ssh_host_rsa_key.H_localhost*")) and list((site / "Packages/cache").iterdir())
    warnings = [line for line in m.journal(SERVER) if line[0] < 5 and re.search("denied|not permitted|Read-only", line[1])]
    assert not warnings, warnings


@step
def the_collector_and_the_report_pages_work_within_theirs(m):
    m.systemctl("start", COLLECTOR)
    m.systemctl("reload", COLLECTOR)
    until(lambda: any("Imported interaction for localhost" in text for _, text in m.journal(COLLECTOR)), "the import")
    # The pages of the repository's SQLite file, by the example.
    m.write("/etc/bcfg2-web.conf", "[server]\nrepository = /var/lib/bcfg2\n[database]\nengine = sqlite3\n", mode=0o640)
    m.shell("chgrp _bcfg2 /etc/bcfg2-web.conf")
    m.drop_in(WEB, m.example("web-sqlite.conf"))
    m.systemctl("start", WEB)
    assert "broken-by-hand" in m.site.inside("page", "http://127.0.0.1:8080/elements/bad")
    assert m.status_of(m.show(WEB, "MainPID"))["CapEff"] == "0" * 16
    m.systemctl("stop", WEB)
    # A file of its own, by the unit as it is.
    m.shell("mkdir /srv/reports && cp /var/lib/bcfg2/etc/bcfg2.sqlite /srv/reports/ && chown -R _bcfg2-web /srv/reports")
    m.write("/etc/bcfg2-web.conf", "[database]\nengine = sqlite3\nname = /srv/reports/bcfg2.sqlite\n", mode=0o640)
    m.shell("chgrp _bcfg2-web /etc/bcfg2-web.conf")
    m.drop_in(WEB, None)
    m.systemctl("start", WEB)
    assert "broken-by-hand" in m.site.inside("page", "http://127.0.0.1:8080/elements/bad")
    # bcfg2.conf is read by both, this file by the report pages alone.
    m.systemctl("restart", SERVER)
    m.answers()
    m.systemctl("start", FETCH)
    assert m.show(FETCH, "Result") == "success" and m.show(FETCH, "ExecMainStatus") == "0"
    for unit in (COLLECTOR, WEB, FETCH):
        assert not any("Failed" in text for _, text in m.journal(unit)), m.journal(unit)
    m.systemctl("enable", "--now", TIMER)
    assert m.show(TIMER, "NextElapseUSecRealtime")


@step
def log_lines_arrive_with_their_priorities(m):
    m.systemctl("restart", SERVER)
    assert m.site.inside("refused").strip() == "401"
    m.systemctl("reload", SERVER)
    until(lambda: any(level == 5 for level, _ in m.journal(SERVER)), "the reload")
    lines = m.journal(SERVER)
    for level, start in ((3, "Authentication Failure of"), (5, "Reading configuration"), (6, "service available at")):
        # Once each, though /dev/log is the journal's, too.
        assert [line[0] for line in lines if line[1].startswith(start)] == [level], lines


@step
def options_of_etc_default_count_and_logs_rotate(m):
    default = m.path("/etc/default/bcfg2-server").read_text()
    m.write("/etc/default/bcfg2-server", default + 'BCFG2_SERVER_OPTIONS="-v -o /var/log/bcfg2/server.log"\n')
    m.systemctl("restart", SERVER)
    process = m.show(SERVER, "MainPID")
    command = m.run("cat", f"/proc/{process}/cmdline").stdout
    assert command == "/usr/sbin/bcfg2-server\0-v\0-o\0/var/log/bcfg2/server.log\0", command
    log = m.path("/var/log/bcfg2/server.log")
    assert "service available" in log.read_text()
    rotated = m.run("logrotate", "--force", "/etc/logrotate.d/bcfg2-server")
    assert not rotated.stderr, rotated.stderr
    m.site.inside("refused")
    until(lambda: "Authentication Failure" in log.read_text(), "lines in the new log")
    assert m.shell("stat -c '%a %U %G' /var/log/bcfg2/server.log").stdout == "640 _bcfg2 _bcfg2\n"
    assert "service available" in m.path("/var/log/bcfg2/server.log.1").read_text()
    assert m.show(SERVER, "MainPID") == process and m.is_active(COLLECTOR)
    m.write("/etc/default/bcfg2-server", default)


@step
def a_server_that_hangs_is_killed_and_started_again(m):
    m.drop_in(SERVER, "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n")
    m.systemctl("restart", SERVER)
    process, start = m.show(SERVER, "MainPID"), time.monotonic()
    m.shell(f"kill -STOP {process}")
    until(lambda: m.working(SERVER) not in (None, process), "a new server", seconds=20)
    print(f"  after {time.monotonic() - start:.1f} s, WatchdogSec=2s")
    m.answers()
    assert m.show(SERVER, "NRestarts") == "1"
    # One that works is left alone: the loop says so in time.
    process, end = m.show(SERVER, "MainPID"), time.monotonic() + 5
    while time.monotonic() < end:
        m.answers()
    assert m.show(SERVER, "MainPID") == process
    m.drop_in(SERVER, None)
    m.systemctl("restart", SERVER)


@step
def credentials_are_for_the_server_alone(m):
    conf = m.path("/etc/bcfg2.conf").read_text()
    password = re.search(r"(?m)^password = (\S+)\n", conf).group(1)
    m.write("/etc/bcfg2/password", password + "\n", mode=0o600)
    m.shell("mkdir -p /etc/ssl/private && cp /etc/ssl/bcfg2.key /etc/ssl/private/ && cp /etc/ssl/bcfg2.crt /etc/ssl/certs/ && "
            "cp /etc/ssl/bcfg2.crt /etc/ssl/certs/bcfg2-ca.crt && mv /etc/ssl/bcfg2.key /etc/ssl/away && chown root /etc/ssl/away")
    m.write("/etc/bcfg2.conf", re.sub(r"(?m)^(password|key|certificate|ca) = .*\n", "", conf))
    m.drop_in(SERVER, m.example("credentials.conf"))
    m.systemctl("restart", SERVER)
    m.answers()
    # Sealed for this machine.
    m.shell("systemd-creds --name=bcfg2.communication.password encrypt /etc/bcfg2/password /etc/bcfg2/password.cred")
    m.drop_in(SERVER, re.sub(r"LoadCredential=(bcfg2.communication.password:\S+)", r"LoadCredentialEncrypted=\1.cred",
                             m.example("credentials.conf")))
    m.systemctl("restart", SERVER)
    m.answers()
    m.shell("mv /etc/ssl/away /etc/ssl/bcfg2.key && chown _bcfg2 /etc/ssl/bcfg2.key && rm -r /etc/bcfg2 /etc/ssl/certs/bcfg2* "
            "/etc/ssl/private/bcfg2.key")
    m.path("/etc/bcfg2.conf").write_text(conf)
    m.drop_in(SERVER, None)
    m.systemctl("restart", SERVER)


@step
def units_are_valid_and_confined(m):
    found = m.run("systemd-analyze", "verify", "--man=no", *SERVICES, SOCKET, TIMER)
    assert not found.stderr.strip(), found.stderr
    for unit in SERVICES:
        found = m.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)
        print("  " + found.stdout.strip().splitlines()[-1].lstrip("→ "))


@step
def monitors_ask_at_a_socket_by_the_example(m):
    m.write("/etc/systemd/system/bcfg2-metrics.socket", m.example("bcfg2-metrics.socket"))
    m.run("systemctl", "daemon-reload")
    # systemd opens no socket for a service that runs.
    m.systemctl("stop", SERVER)
    m.systemctl("enable", "--now", "bcfg2-metrics.socket")
    m.systemctl("start", SERVER)
    assert "bcfg2" in m.site.inside("page", "http://127.0.0.1:9644/metrics")
    m.systemctl("disable", "--now", "bcfg2-metrics.socket")
    m.path("/etc/systemd/system/bcfg2-metrics.socket").unlink()
    m.run("systemctl", "daemon-reload")
    m.systemctl("restart", SERVER)


@step
def root_by_the_example_gives_itself_up(m):
    conf = m.path("/etc/bcfg2.conf").read_text()
    m.path("/etc/bcfg2.conf").write_text(conf.replace("[server]\n", "[server]\nuser = _bcfg2\ngroup = _bcfg2\n"))
    m.shell("chown root /etc/bcfg2.conf /etc/ssl/bcfg2.key")
    m.drop_in(SERVER, m.example("root.conf"))
    m.systemctl("restart", SERVER)
    m.answers()
    status, user = m.status_of(m.show(SERVER, "MainPID")), m.run("id", "-u", "_bcfg2").stdout.strip()
    assert status["Uid"].split() == [user] * 4 and status["CapEff"] == "0" * 16, status
    m.shell("chown _bcfg2 /etc/bcfg2.conf /etc/ssl/bcfg2.key")
    m.path("/etc/bcfg2.conf").write_text(conf)
    m.drop_in(SERVER, None)
    m.systemctl("restart", SERVER)
    m.answers()


@step
def an_init_script_is_the_unit(m):
    script = "/etc/init.d/bcfg2-server"
    process = m.show(SERVER, "MainPID")
    m.run(script, "start")
    assert m.show(SERVER, "MainPID") == process and len(m.servers()) == 1
    assert m.run(script, "status").returncode == 0
    m.run(script, "stop")
    assert not m.is_active(SERVER) and not m.servers()
    assert m.run(script, "status", check=False).returncode == 3
    m.run(script, "try-restart")
    assert not m.servers()
    m.run(script, "start")
    assert m.is_active(SERVER) and len(m.servers()) == 1
    m.run(script, "reload")
    m.run("service", "bcfg2-server", "restart")
    assert m.is_active(SERVER) and len(m.servers()) == 1
    assert m.show(SERVER, "FragmentPath") == "/lib/systemd/system/bcfg2-server.service"
    m.answers()
