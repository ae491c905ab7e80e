"""The site that machine.py serves in its container: bcfg2.conf, a repository that uses what the sandbox must allow, a mirror."""
import gzip
import json
import pathlib
import re

TESTS = pathlib.Path(__file__).resolve().parent.parent
PLUGINS = "Bundler,Cfg,Metadata,Packages,Probes,Reporting,Rules,SSHbase"
FILES = {
    "Metadata/groups.xml": """<Groups>
  <Group name="base" profile="true" public="true" default="true"><Bundle name="all"/><Group name="amd64"/><Group name="debian"/></Group>
</Groups>
""",
    "Metadata/clients.xml": '<Clients><Client name="localhost" profile="base"/></Clients>\n',
    "Bundler/all.xml": """<Bundle>
  <Path name="/etc/motd"/>
  <Path name="/etc/ssh/ssh_host_rsa_key"/>
  <Path name="/etc/apt/sources.list.d/bcfg2-packages-generated-sources.list"/>
  <Package name="app"/>
</Bundle>
""",
    # What templates may ask of their process: a file, a folder of their own, a program.
    "Cfg/etc/motd/motd.genshi": """{% python
import os, subprocess, tempfile
with tempfile.TemporaryDirectory() as folder:
    open(folder + '/x', 'w').write('written')
    text = open(folder + '/x').read() + subprocess.check_output(['/bin/echo', '-n', ' and run']).decode()
for path in ('/usr/written', '/etc/written', '/var/lib/written', repo + '/written'):
    try:
        open(path, 'w')
        text += ', and wrote ' + path
    except OSError:
        pass
%}Hello ${metadata.hostname}: ${text}
""",
    "Probes/kernel": "#!/bin/sh\necho of the probe\n",
    "Packages/sources.xml": """<Sources>
  <Source type="apt" url="http://127.0.0.1:8000/deb" version="stable"><Component>main</Component><Arch>amd64</Arch></Source>
</Sources>
""",
}
INDEX = """Package: app
Version: 1.0
Architecture: amd64
Depends: liba
Description: made up

Package: liba
Version: 1.0
Architecture: amd64
Description: made up
"""
REPORT = """<upload-statistics><Statistics total="2" good="1" state="dirty" version="2.0" revision="r1">
<Bad><Package name="broken-by-hand" version="1" current_version="0"/></Bad></Statistics></upload-statistics>"""


class Site:
    """Of one container."""

    def __init__(self, container):
        self.container = container

    def prepare(self):
        """Brings the clients' program in."""
        for path in (TESTS / "Python/loopback.py", TESTS / "Systemd/inside.py"):
            self.container.write("/opt/test/" + path.name, path.read_text())

    def trust(self):
        """Gives clients the certificate and the password that the site has now."""
        conf = self.container.path("/etc/bcfg2.conf").read_text()
        self.container.write("/etc/test/ca.crt", self.container.path("/etc/ssl/bcfg2.crt").read_text())
        password = re.search(r"(?m)^password = (\S+)$", conf).group(1)
        self.container.write("/etc/test/client.conf", f"[communication]\npassword = {password}\n", mode=0o600)

    def fill(self):
        """Has the server do all that needs something of the sandbox."""
        conf = self.container.path("/etc/bcfg2.conf")
        text = re.sub(r"(?m)^plugins = .*$", "plugins = " + PLUGINS, conf.read_text())
        conf.write_text(text.replace("[reporting]", "[packages]\nfirst_fetch_wait = 30\n\n[reporting]"))
        for name, text in FILES.items():
            self.container.write("/var/lib/bcfg2/" + name, text)
        folder = self.container.path("/srv/www/deb/dists/stable/main/binary-amd64")
        folder.mkdir(parents=True)
        (folder / "Packages.gz").write_bytes(gzip.compress(INDEX.encode(), mtime=0))
        self.container.shell("chown -R _bcfg2:_bcfg2 /var/lib/bcfg2")
        self.container.run("systemd-run", "--quiet", "--unit=mirror", "--working-directory=/srv/www", "python3", "-m",
                           "http.server", "8000", "--bind", "127.0.0.1")

    def inside(self, *arguments):
        return self.container.run("python3", "/opt/test/inside.py", *arguments).stdout

    def call(self, method, *arguments):
        return json.loads(self.inside("call", method, *arguments))


class Askers:
    """Clients that ask all the time."""

    def __init__(self, container):
        self.process = container.start("python3", "/opt/test/inside.py", "ask")
        self.count, self.failures = 0, []

    def look(self):
        self.process.stdin.write("\n")
        self.count, self.failures = json.loads(self.process.stdout.readline())
        return self.count

    def go_on(self, answers=20):
        """Waits for more answers, and for what failed meanwhile."""
        wanted = self.look() + answers
        while self.look() < wanted:
            assert not self.failures, self.failures

    def end(self):
        self.process.stdin.close()
        self.count, self.failures = json.loads(self.process.stdout.readlines()[-1])
        self.process.wait(60)
        assert not self.failures, self.failures
