"""The site of soak.py, and what happens to it while its clients come: edits, signals, rotations, certificates, kills.

No edit changes the length of an answer to a client of the load, because each only counts on a number of eight digits: so the
load notices every answer that lacks something. Whether an answer has an edit, clients of this program see, which the load leaves
alone: the server promises that an edit which was finished before a request is in its answer.
"""
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import xml.etree.ElementTree as ET
import xmlrpc.client

import scenarios
import servers

CHECKERS = 10  # clients behind those of the load, and "localhost", whose name the resolver has to find
DIGITS = re.compile(r"soak-\d{8}")

# Caches that the first minute fills: what they take after that, nobody can tell from a leak.
CACHES = "[caching]\nconfigurations = 3m\n[templates]\ncache_size = 512k\n"
FILLING_RUNS = 800

FILES = {
    "cfg": ("Cfg/etc/soak/file/file", "soak-00000000\n"),
    "genshi": ("Cfg/etc/soak/genshi/genshi.genshi",
               "soak-00000000 of $metadata.profile\n{% for group in sorted(metadata.groups) %}\\\n${group}\n{% end %}\\\n"),
    "jinja": ("Cfg/etc/soak/jinja/jinja.jinja2",
              "soak-00000000 of {{ metadata.profile }}\n{% if metadata.Properties %}properties\n{% endif %}\n"),
    "probed": ("Cfg/etc/soak/probed/probed.genshi", "data: ${metadata.Probes.get('soak', 'none')}\n"),
    "bundle": ("Bundler/soak.xml",
               '<Bundle xmlns:py="http://genshi.edgewall.org/">\n'
               '  <py:for each="name in (\'file\', \'genshi\', \'jinja\', \'probed\')"><Path name="/etc/soak/$name"/></py:for>\n'
               '  <Group name="base"><Package name="soak"/></Group>\n'
               '  <BoundPath name="/etc/soak-00000000" type="symlink" to="/etc/soak"/>\n</Bundle>\n'),
    "rule": ("Rules/soak.xml", '<Rules priority="20">\n  <Package name="soak" type="deb" version="soak-00000000"/>\n</Rules>\n'),
    "properties": ("Properties/soak.xml", "<Properties>\n  <mark>soak-00000000</mark>\n</Properties>\n"),
    "probe": ("Probes/soak", "#!/bin/sh\n# soak-00000000\necho data\n"),
}


class Fault(Exception):
    """An answer that is wrong, or a part of the server that does not do its work."""


class Site(servers.Ours):
    """Our server with probes, templates of three kinds, and reports, on the builtin or the multiprocessing core."""

    name = "soak"

    def __init__(self, work, options, pki):
        # Both CPUs: what is measured is whether figures change, not how good they are.
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        super().__init__(work, "small", pki, cpus, ["--clients", str(options.clients + CHECKERS)])
        self.load_clients = options.clients
        self.logged = os.path.join(self.dir, "output", "log")
        self.has_children = options.core == "multiprocessing"
        self.monitored = os.path.join(self.dir, "metrics")
        os.makedirs(os.path.dirname(self.logged))
        for path, text in FILES.values():
            self.put(path, text)
        self.replace("Metadata/groups.xml", '<Group name="base">', '<Group name="base">\n  <Bundle name="soak"/>')
        self.replace("Metadata/clients.xml", "</Clients>", '<Client name="localhost" profile="profile-1"/>\n</Clients>')
        for name, mark in (("probe-data.xml", "</probe-data></probe-data>"), ("stats.xml", "1700000010.0")):
            path = os.path.join(self.dir, "load", name)
            with open(path) as f:
                text = f.read()
            assert mark in text, path
            # The reports and the data of one probe are new in each run, and as long as before.
            text = text.replace(mark, "</probe-data>"
                                '<probe-data name="soak" source="Probes">load</probe-data>'
                                '<probe-data name="run" source="Probes">@RUN-NR@</probe-data></probe-data>'
                                if name == "probe-data.xml" else "17@RUN-NR@.0")
            with open(path, "w") as f:
                f.write(text)
        conf = os.path.join(self.dir, "bcfg2.conf")
        with open(conf) as f:
            text = f.read()
        text = re.sub(r"(?m)^plugins = .*", r"\g<0>,Properties,Reporting", text)
        text = re.sub(r"(?m)^path = .*", "path = " + self.logged + "\nverbose = true", text)
        if options.core == "multiprocessing":
            text = text.replace("[server]\n", "[server]\nbackend = multiprocessing\nchildren = 2\n", 1)
        with open(conf, "w") as f:
            f.write(text + "[soak]\nnumber = soak-00000000\n[metrics]\nlisten = %s\n" % self.monitored + CACHES + options.conf)
        self.pairs = [self.pair(n) for n in (1, 2)]

    def figure(self, name):
        """The sum of a metric's samples."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.monitored)
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        found = re.findall(r"(?m)^%s(?:\{.*\})? (\S+)$" % re.escape(name), text)
        if not found:
            raise Fault("/metrics has no " + name)
        return sum(map(float, found))

    def put(self, path, text):
        os.makedirs(os.path.dirname(os.path.join(self.repo, path)), exist_ok=True)
        scenarios.edit(self, path, text.encode())
        if path.startswith("Probes/"):
            os.chmod(os.path.join(self.repo, path), 0o755)

    def text(self, path):
        with open(os.path.join(self.repo, path)) as f:
            return f.read()

    def replace(self, path, old, new):
        text = self.text(path)
        assert old in text, path
        self.put(path, text.replace(old, new, 1))

    def pair(self, number):
        """One more key and certificate of the same CA: (serial number, certificate, key)."""
        at = lambda name: os.path.join(self.pki, "%s-%d.%s" % ("soak", number, name))
        run = lambda *command: subprocess.run(("openssl",) + command, check=True, capture_output=True, text=True).stdout
        run("req", "-nodes", "-newkey", "rsa:2048", "-keyout", at("key"), "-out", at("csr"), "-subj", "/CN=localhost")
        run("x509", "-req", "-in", at("csr"), "-CA", os.path.join(self.pki, "ca.crt"), "-CAkey",
            os.path.join(self.pki, "ca.key"), "-CAcreateserial", "-days", "30", "-out", at("crt"), "-extfile",
            os.path.join(self.pki, "server.ext"))
        with open(at("crt"), "rb") as crt, open(at("key"), "rb") as key:
            serial = run("x509", "-in", at("crt"), "-noout", "-serial").split("=")[1].strip()
            return serial, crt.read(), key.read()


def role_of(pid):
    """What a process of the server is for, by its command line."""
    with open("/proc/%d/cmdline" % pid, "rb") as f:
        line = f.read().replace(b"\0", b" ")
    for mark, role in ((b"--build-for-parent", "child"), (b"bcfg2-renderer", "renderer"), (b"--sync-helper", "sync helper"),
                       (b"--resolver-helper", "resolver"), (b"bcfg2-report-collector", "collector"),
                       (b"--database-helper", "database helper"), (b" -C ", "server")):
        if mark in line:
            return role
    return "other"


def roles(server):
    """Processes of the server by what they are for."""
    found = {}
    for pid in servers.descendants(server.process.pid):
        try:
            found.setdefault(role_of(pid) if pid != server.process.pid else "server", []).append(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def descriptor_names(pid):
    """What the descriptors of a process are."""
    found = []
    for number in os.listdir("/proc/%d/fd" % pid):
        try:
            found.append(re.sub(r"\d+", "N", os.readlink("/proc/%d/fd/%s" % (pid, number))))
        except FileNotFoundError:
            pass
    return found


class Disturber:
    """Disturbs the server, one thing at a time, and looks whether its answers are right."""

    def __init__(self, server, options, faults):
        self.server, self.faults, self.number, self.checker = server, faults, 0, 0
        self.counts, self.killed, self.reports = {}, {}, 0
        kills = min(180.0, options.minutes * 60 / 5)
        self.schedule = {  # seconds between two of a kind
            self.edit_file: 5, self.edit_properties: 20, self.edit_probe: 20, self.edit_metadata: 20, self.edit_profile: 20,
            self.add_and_remove: 15, self.break_and_repair: 20, self.edit_settings: 20, self.whole_run: 5,
            self.unlisted_address: 10, self.reload: 20, self.rotate: 30, self.change_certificate: 30,
            self.kill_sync_helper: kills / 4, self.kill_resolver: kills / 4, self.kill_renderers: kills / 2,
            # It is started again after a second if it ran for a minute, otherwise each time twice as late.
            self.kill_collector: max(kills, 90)}
        if options.core == "multiprocessing":
            self.schedule[self.kill_child] = kills

    def run(self, until, seconds):
        """Does what is due, until `until()` says that it is enough; no thing twice at a time, at most a few a second.

        Collector and children are killed in the first 40 % of the seconds: what these grow by afterwards shows in their whole
        rest of life. A process that has just been started grows to its size.
        """
        began = time.monotonic()
        due = {action: began + 0.1 * n for n, action in enumerate(self.schedule)}
        while not until():
            action = min(due, key=due.get)
            time.sleep(max(0.0, min(0.5, due[action] - time.monotonic())))
            if due[action] > time.monotonic():
                continue
            if action in (self.kill_collector, self.kill_child) and time.monotonic() > began + 0.4 * seconds:
                del due[action]
                continue
            self.do(action)
            due[action] = max(due[action] + self.schedule[action], time.monotonic())

    def do(self, action):
        name = action.__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        try:
            action()
        except (Fault, OSError, RuntimeError, xmlrpc.client.Fault, ET.ParseError) as error:
            self.faults.append("%s: %s: %s" % (name, type(error).__name__, str(error)[:300]))

    def fill_caches(self):
        """Answers and results of templates that nobody asks for again, until the oldest have to go."""
        for _ in range(FILLING_RUNS):
            self.whole_run()

    # --- clients

    def next_checker(self):
        self.checker = (self.checker + 1) % CHECKERS
        return self.server.load_clients + self.checker

    def config(self, client=None):
        """A configuration without a failed entry."""
        text = scenarios.ask(self.server, "GetConfig", client=self.next_checker() if client is None else client)[0]
        if 'failure="' in text:
            raise Fault("failed entries: " + re.search(r'[^<>]*failure="[^<>]*', text).group(0))
        return text

    def wait(self, what, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Fault("%s: not within %d s" % (what, seconds))
            time.sleep(0.05)

    def mark(self):
        self.number += 1
        return "soak-%08d" % self.number

    def whole_run(self):
        """A client whose probe data is new each time, and of whose text a template makes a file."""
        client, mark = self.next_checker(), self.mark()
        caller = scenarios.Caller(self.server, client)
        value = lambda *call: xmlrpc.client.loads(caller.ask(*call))[0][0]
        try:
            value("DeclareVersion", "1.3.4")
            if 'name="soak"' not in value("GetProbes"):
                raise Fault("GetProbes lacks a probe")
            group = "group:soak-%s" % ("even" if self.number % 2 else "odd")
            value("RecvProbeData", "<probe-data>%s</probe-data>" % "".join(
                '<probe-data name="%s" source="Probes">%s\n%s</probe-data>' % (name, mark, group)
                for name in ["soak"] + ["probe-%d" % n for n in range(5)]))
            if "data: " + mark not in value("GetConfig"):
                raise Fault("probe data is not in the answer")
            with open(os.path.join(self.server.dir, "load", "stats.xml")) as f:
                value("RecvStats", f.read().replace("@RUN-NR@", "%08d" % self.number))
            self.reports += 1
        finally:
            caller.close()

    def unlisted_address(self):
        """A client that is known by the name of its address alone."""
        context = ssl.create_default_context(cafile=os.path.join(self.server.pki, "ca.crt"))
        context.check_hostname = False
        proxy = xmlrpc.client.ServerProxy("https://root:%s@127.0.0.1:%d/RPC2" % (servers.generate.PASSWORD, self.server.port),
                                          context=context)
        with proxy:
            if "<Configuration" not in proxy.GetConfig():
                raise Fault("no configuration for localhost")

    # --- edits

    def count_on(self, path, mark):
        self.server.put(path, DIGITS.sub(mark, self.server.text(path)))

    def edit_file(self):
        """A file, a template of each kind, a bundle, a rule in turn."""
        kinds = ("cfg", "genshi", "jinja", "bundle", "rule")
        path, mark = FILES[kinds[self.counts["edit_file"] % len(kinds)]][0], self.mark()
        self.count_on(path, mark)
        if mark not in self.config():
            raise Fault("an edit of %s is not in the answer" % path)

    def edit_properties(self):
        self.count_on(FILES["properties"][0], self.mark())
        self.config()

    def edit_probe(self):
        mark = self.mark()
        self.count_on(FILES["probe"][0], mark)
        if mark not in scenarios.ask(self.server, "GetProbes", client=self.next_checker())[0]:
            raise Fault("an edit of a probe is not in the answer")

    def edit_metadata(self):
        """A comment: all metadata is made again."""
        path = "Metadata/groups.xml"
        text = re.sub(r"<!-- soak-\d+ -->\n", "", self.server.text(path))
        self.server.put(path, text.replace("</Groups>", "<!-- %s -->\n</Groups>" % self.mark()))
        self.config()

    def edit_profile(self):
        """A client gets another profile, which a template shows."""
        client, profile = self.next_checker(), "profile-%d" % (self.counts["edit_profile"] % 4 + 1)
        text = self.server.text("Metadata/clients.xml")
        self.server.put("Metadata/clients.xml", re.sub(r'(name="client-%05d\.example\.com" profile=)"[^"]*"' % client,
                                                       r'\1"%s"' % profile, text))
        if " of %s\n" % profile not in self.config(client):
            raise Fault("client %d does not have %s" % (client, profile))

    def add_and_remove(self):
        """Files and folders that nobody has come and go."""
        folder = os.path.join(self.server.repo, "Cfg", "etc", "soak-%d" % self.number)
        os.mkdir(folder)
        name = os.path.basename(folder)
        self.server.put("Cfg/etc/%s/%s" % (name, name), self.mark())
        self.server.put("Bundler/%s.xml" % name, '<Bundle>\n  <Path name="/etc/%s"/>\n</Bundle>\n' % name)
        self.config()
        os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
        os.unlink(os.path.join(self.server.repo, "Bundler", name + ".xml"))
        self.config()

    def break_and_repair(self):
        """A file keeps its last good version while it is broken."""
        path = FILES["rule"][0]
        good = self.server.text(path)
        self.server.put(path, good.replace("</Rules>", "</Rule>"))
        self.config()
        self.server.put(path, good)
        self.config()

    def edit_settings(self):
        path = os.path.join(self.server.dir, "bcfg2.conf")
        with open(path) as f:
            text = DIGITS.sub(self.mark(), f.read())
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)
        self.config()

    # --- the server

    def reload(self):
        self.server.process.send_signal(signal.SIGHUP)
        self.config()

    def rotate(self):
        """As logrotate does; what was in the old file is kept with other lines than usual ones only."""
        old = self.server.logged + ".1"
        os.rename(self.server.logged, old)
        self.server.process.send_signal(signal.SIGHUP)
        self.wait("a new log file", lambda: os.path.exists(self.server.logged))
        self.config()
        self.wait("no line in the new log file", lambda: os.path.getsize(self.server.logged) > 0)
        with open(old, errors="replace") as f, open(self.server.logged + ".unusual", "a") as unusual:
            unusual.writelines(unusual_lines(f))
        os.unlink(old)

    def change_certificate(self):
        serial, certificate, key = self.server.pairs[self.counts["change_certificate"] % 2]
        for name, content in (("server.key", key), ("server.crt", certificate)):
            path = os.path.join(self.server.pki, name)
            with open(path + ".new", "wb") as f:
                f.write(content)
            os.rename(path + ".new", path)
        self.server.process.send_signal(signal.SIGHUP)
        self.wait("the new certificate", lambda: self.serial() == serial)

    def serial(self):
        context = ssl.create_default_context(cafile=os.path.join(self.server.pki, "ca.crt"))
        context.check_hostname = False
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as s, context.wrap_socket(s) as tls:
            return tls.getpeercert()["serialNumber"]

    def kill(self, role, all_of_them=False):
        """Kills one process, or all, of a role; returns how many."""
        found = roles(self.server).get(role, [])
        for pid in found if all_of_them else found[:1]:
            os.kill(pid, signal.SIGKILL)
            self.killed[role] = self.killed.get(role, 0) + 1
        return len(found)

    def kill_sync_helper(self):
        self.kill("sync helper")
        self.whole_run()

    def kill_resolver(self):
        self.unlisted_address()
        self.kill("resolver", all_of_them=True)
        self.unlisted_address()

    def kill_renderers(self):
        """While they rest: a template that is being rendered would fail, as one whose process ended by itself."""
        renderers = roles(self.server).get("renderer", [])

        def spent():
            return [cpu_ticks(pid) for pid in renderers]
        for _ in range(50):
            before = spent()
            time.sleep(0.2)
            if spent() == before:
                break
        else:
            raise Fault("the renderers do not rest for 10 s while no template changes")
        self.kill("renderer", all_of_them=True)
        mark = self.mark()
        self.count_on(FILES["genshi"][0], mark)
        if mark not in self.config():
            raise Fault("an edit of a template is not in the answer after its renderers were killed")

    def kill_collector(self):
        before = set(roles(self.server).get("collector", []))
        self.kill("collector")
        self.wait("a new collector", lambda: set(roles(self.server).get("collector", [])) - before)

    def kill_child(self):
        before = set(roles(self.server).get("child", []))
        self.kill("child")
        self.config()
        self.wait("a new child", lambda: len(set(roles(self.server).get("child", [])) - before) > 0
                  and len(roles(self.server)["child"]) == len(before))


def cpu_ticks(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[11:13]
    except FileNotFoundError:
        return None


# Lines of every run. What else the log has, the report shows.
USUAL = re.compile(r"Generated config for|reported state|Handled \d+ events|Imported interaction|Processing config for|"
                   r"Setting client \S+ version|Client run of")


def unusual_lines(lines):
    return [line for line in lines if not USUAL.search(line)]


def kinds_of(lines):
    """Messages without their numbers and times, with how often they came, the most frequent first."""
    counts = {}
    for line in lines:
        text = re.sub(r"^.*?\[\d+\]:? ", "", line.strip())
        text = re.sub(r"\d+(\.\d+)?", "N", text)
        counts[text] = counts.get(text, 0) + 1
    return sorted(counts.items(), key=lambda item: -item[1])
