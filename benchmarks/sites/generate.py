#!/usr/bin/env python3
"""Writes a Bcfg2 site of a known size: repository, bcfg2.conf, key, certificates, and files for a load.

  generate.py --preset large --out DIR [--port 6789] [--seed 1] [--clients N] [--bundles N] [--entries N] ...

The same numbers and seed give the same repository, byte for byte; only the keys differ (--pki DIR reuses a folder
of keys). Into DIR go

  repo/            Bundler, Cfg, Metadata, Probes, Rules
  bcfg2.conf       of the server, with absolute paths; it listens on 127.0.0.1 and the port given
  pki/             ca.crt, server.crt, server.key (RSA, 2048 bits)
  load/            clients.txt (name, address, uuid, password: a line per client), probe-data.xml, stats.xml
  site.json        the numbers, and what there is to count

Client number i is at 127.1.(i / 250).(i % 250 + 1), has the uuid "uuid-i" and a password of its own, and takes the
site's too. In every bundle about 62 % of the entries are Cfg files, the others packages, services and symbolic
links bound by Rules, and one bound action; a part stands under Group conditionals whose two sides have as many
entries, so that all clients get about the same amount.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys

PASSWORD = "site-password"
PLUGINS = ["Bundler", "Cfg", "Metadata", "Probes", "Rules"]

# preset: options that differ from the defaults of the command line. Answer: the HTTP body of GetConfig.
PRESETS = {
    "small": {"clients": 50, "bundles": 6, "entries": 10, "groups": 12, "profiles": 4, "file_bytes": 619},
    "large": {"clients": 1000, "bundles": 40, "entries": 22.5, "groups": 60, "profiles": 20, "file_bytes": 1550,
              "cfg_share": 0.36, "services": 0.12, "info": 0.8, "variants": 0.65, "conditionals": 0.3},
    # The large site for fleet.py: few profiles, so that clients have much in common, and a file of 400 rules.
    "fleet": {"clients": 1000, "bundles": 40, "entries": 22.5, "groups": 60, "profiles": 4, "file_bytes": 1550,
              "cfg_share": 0.36, "services": 0.12, "info": 0.8, "variants": 0.65, "conditionals": 0.3, "rules_per_file": 400},
    "huge": {"clients": 5000, "bundles": 150, "entries": 40, "groups": 200, "profiles": 50, "file_bytes": 852,
             "cfg_share": 0.5625},
}
WORDS = ("server listen cache limit address route queue timeout backend upstream domain realm module policy allow "
         "deny default network storage account session mirror archive journal facility level format target").split()


def picks(number, share):
    """Whether an evenly spread share of all numbers includes this one."""
    return int((number + 1) * share + 1e-9) > int(number * share + 1e-9)


class Site:
    """The numbers of a site, its random source, and the written files."""

    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.repo = os.path.join(options.out, "repo")
        self.files = 0
        self.rules = {"packages": [], "services": [], "links": []}

    def write(self, path, content, mode=0o644):
        path = os.path.join(self.repo, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        self.files += 1

    # --- Cfg

    def text(self, size):
        """Lines like those of configuration files, with a few bytes that XML escapes."""
        lines, length = [], 0
        while length < size:
            words = self.random.choices(WORDS, k=self.random.randint(2, 6))
            form = self.random.randrange(12)
            if form == 0:
                line = "# " + " ".join(words)
            elif form == 1:
                line = "<%s %s>" % (words[0], words[1])
            elif form == 2:
                line = "\t%s = \"%s & %s\"" % (words[0], words[1], words[-1])
            else:
                line = "%s_%s = %d" % (words[0], words[1], self.random.randrange(65536))
            lines.append(line)
            length += len(line) + 1
        return "\n".join(lines)[:max(size - 1, 0)] + "\n"

    def draw_sizes(self):
        """Sizes as in real repositories: many small files, few large ones, with the given mean."""
        count = int(self.options.bundles * self.options.entries * self.options.cfg_share)
        shares = [0.2] * 35 + [0.6] * 30 + [1.0] * 22 + [3.0] * 11 + [8.0] * 2
        drawn = [shares[int((i + 0.5) * len(shares) / count)] if count < len(shares) else shares[i % len(shares)]
                 for i in range(count)]
        self.random.shuffle(drawn)
        unit = self.options.file_bytes * count / sum(drawn) if drawn else 0
        self.sizes = [int(share * unit) for share in drawn]

    def cfg_file(self, number, name):
        folder, base = "Cfg" + name, os.path.basename(name)
        size = self.sizes[number]
        if self.options.binary and number % 100 < self.options.binary * 100:
            self.write("%s/%s" % (folder, base), self.random.randbytes(size))
            self.write(folder + "/info.xml", '<FileInfo>\n  <Info encoding="base64"/>\n</FileInfo>\n')
            return
        self.write("%s/%s" % (folder, base), self.text(size))
        if picks(number, self.options.info):
            self.write(folder + "/info.xml",
                       '<FileInfo>\n  <Group name="os-1"><Info mode="0600"/></Group>\n'
                       '  <Group name="os-1" negate="true"><Info owner="root" group="adm" mode="0640"/></Group>\n'
                       '</FileInfo>\n')
        if picks(number + 2, self.options.variants):
            variant = ".G50_os-1" if number % 2 else ".G50_role-%d" % (number % self.roles() + 1)
            self.write("%s/%s%s" % (folder, base, variant), self.text(size))

    # --- Bundler and Rules

    def bundle(self, number, entries):
        options, lines, cfg_files = self.options, [], []
        name = "bundle-%03d" % number
        # Shares hold over all bundles, not within each: 22.5 entries and 62 % are whole numbers nowhere.
        cfg_count = int((number + 1) * options.entries * options.cfg_share) - int(number * options.entries * options.cfg_share)
        conditional = round(entries * options.conditionals)
        for i in range(entries):
            if i < cfg_count:
                path = "/etc/%s/%s-%02d.conf" % (name, WORDS[i % len(WORDS)], i)
                cfg_files.append(path)
                lines.append('<Path name="%s"/>' % path)
            elif i == entries - 1 and entries > 8:
                lines.append('<BoundAction name="%s-reload" command="/usr/sbin/reload %s" when="modified" timing="post" '
                             'status="check"/>' % (name, name))
            elif picks(i - cfg_count + 1, options.services):
                service = "%s-service-%d" % (name, i)
                self.rules["services"].append('<Service name="%s" type="systemd" status="on" restart="true"/>' % service)
                lines.append('<Service name="%s"/>' % service)
            elif (i - cfg_count) % 16 == 3:
                link = "/opt/%s/link-%d" % (name, i)
                self.rules["links"].append('<Path name="%s" type="symlink" to="/srv/%s/%d"/>' % (link, name, i))
                lines.append('<Path name="%s"/>' % link)
            else:
                package = "%s-package-%d" % (name, i)
                self.rules["packages"].append('<Package name="%s" type="deb" version="%d.%d-%d"/>' % (
                    package, self.random.randrange(9), self.random.randrange(30), self.random.randrange(5)))
                lines.append('<Package name="%s"/>' % package)
        # The last few before the action are wrapped: one side for a group, the other for those without it.
        for k in range(conditional):
            at = len(lines) - 2 - k
            if at < cfg_count or not lines[at].startswith("<Package"):
                continue
            group = "os-1" if k % 2 == 0 else "role-%d" % (number % self.roles() + 1)
            other = lines[at].replace("-package-", "-other-")
            self.rules["packages"].append(other.replace("/>", ' type="deb" version="1.0"/>'))
            lines[at] = '<Group name="%s">\n    %s\n  </Group>\n  <Group name="%s" negate="true">\n    %s\n  </Group>' % (
                group, lines[at], group, other)
        self.write("Bundler/%s.xml" % name,
                   '<Bundle>\n  %s\n</Bundle>\n' % "\n  ".join(lines))
        return cfg_files

    def bundles(self):
        number = 0
        for b in range(self.options.bundles):
            entries = int((b + 1) * self.options.entries) - int(b * self.options.entries)
            for path in self.bundle(b, entries):
                self.cfg_file(number, path)
                number += 1
        for kind, lines in self.rules.items():
            lines, most = sorted(lines), self.options.rules_per_file or len(lines)
            for first in range(0, len(lines), most or 1):
                self.write("Rules/%s%s.xml" % (kind, "-%d" % (first // most + 1) if first else ""),
                           '<Rules priority="10">\n  %s\n</Rules>\n' % "\n  ".join(lines[first:first + most]))

    # --- Metadata

    def roles(self):
        """Groups that are neither a profile's nor an operating system's: at least four."""
        return max(4, self.options.groups - self.options.profiles - 4)

    def groups(self):
        options, roles = self.options, self.roles()
        lines = []
        for p in range(1, options.profiles + 1):
            lines.append('<Group name="profile-%d" profile="true" public="true"%s>' % (
                p, ' default="true"' if p == 1 else ""))
            lines.append('  <Group name="base"/>')
            lines.append('  <Group name="os-%d"/>' % (p % 4 + 1))
            for r in range(3):
                lines.append('  <Group name="role-%d"/>' % ((p * 3 + r) % roles + 1))
            lines.append("</Group>")
        lines.append('<Group name="base">')
        for b in range(options.bundles):
            lines.append('  <Bundle name="bundle-%03d"/>' % b)
        lines.append("</Group>")
        for n in range(1, 5):
            lines.append('<Group name="os-%d" category="os"/>' % n)
        for r in range(1, roles + 1):
            # Every fourth role implies the next one, nested under a condition.
            inner = '<Group name="os-2"><Group name="role-%d"/></Group>' % (r % roles + 1) if r % 4 == 0 else ""
            lines.append('<Group name="role-%d">%s</Group>' % (r, inner) if inner else '<Group name="role-%d"/>' % r)
        self.write("Metadata/groups.xml", '<Groups version="3.0">\n  %s\n</Groups>\n' % "\n  ".join(lines))

    def clients(self):
        lines, load = [], []
        for i in range(self.options.clients):
            name, uuid, password = "client-%05d.example.com" % i, "uuid-%d" % i, "password-%d" % i
            address = "127.1.%d.%d" % (i // 250, i % 250 + 1)
            lines.append('<Client name="%s" profile="profile-%d" address="%s" uuid="%s" password="%s"/>' % (
                name, i % self.options.profiles + 1, address, uuid, password))
            load.append("%s %s %s %s" % (name, address, uuid, password))
        self.write("Metadata/clients.xml", '<Clients version="3.0">\n  %s\n</Clients>\n' % "\n  ".join(lines))
        self.beside("load/clients.txt", "\n".join(load) + "\n")

    # --- Probes, and a client's answers

    def probes(self):
        data = []
        for p in range(self.options.probes):
            self.write("Probes/probe-%d" % p, "#!/bin/sh\n# probe %d\nuname -a\necho group:probed-%d\n" % (p, p), 0o755)
            data.append('<probe-data name="probe-%d" source="Probes">Linux host 6.1.0 #1 SMP x86_64\ngroup:probed-%d'
                        "</probe-data>" % (p, p))
        self.beside("load/probe-data.xml", "<probe-data>%s</probe-data>" % "".join(data))
        modified = "".join('<Path name="/etc/bundle-000/modified-%d.conf" type="file" owner="root" group="root" '
                           'mode="0644" current_mode="0600"/>' % n for n in range(3))
        total = int(self.options.bundles * self.options.entries)
        self.beside("load/stats.xml",
                    '<upload-statistics><Statistics total="%d" good="%d" bad="0" state="clean" version="2.0" '
                    'revision="-1" client_version="1.3.4"><Bad/><Modified>%s</Modified><Extra/>'
                    '<OpStamps start="1700000000.0" end="1700000010.0"/></Statistics></upload-statistics>'
                    % (total, total, modified))

    # --- around the repository

    def beside(self, path, text):
        path = os.path.join(self.options.out, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def conf(self):
        out, pki = os.path.abspath(self.options.out), os.path.abspath(self.options.pki or os.path.join(self.options.out, "pki"))
        sections = {
            "server": {"repository": os.path.join(out, "repo"), "plugins": ",".join(PLUGINS), "filemonitor": "inotify",
                       # As with nginx here: the load resumes no session, and no Bcfg2 client does.
                       "session_tickets": "false"},
            "communication": {"protocol": "xmlrpc/ssl", "password": PASSWORD, "certificate": pki + "/server.crt",
                              "key": pki + "/server.key", "ca": pki + "/ca.crt"},
            "components": {"bcfg2": "https://127.0.0.1:%d" % self.options.port},
            "database": {"engine": "sqlite3", "name": os.path.join(out, "bcfg2.sqlite")},
            "logging": {"path": os.path.join(out, "log"), "syslog": "false"},
        }
        caching = {"client_metadata": self.options.caching, "configurations": self.options.configurations}
        sections["caching"] = {name: value for name, value in caching.items() if value is not None}
        self.beside("bcfg2.conf", "\n".join(
            "[%s]\n%s\n" % (name, "\n".join("%s = %s" % item for item in values.items()))
            for name, values in sections.items()))

    def summary(self):
        options = vars(self.options)
        numbers = {k: options[k] for k in ("preset", "seed", "clients", "bundles", "entries", "groups", "profiles",
                                           "file_bytes", "cfg_share", "services", "info", "variants", "conditionals", "binary", "probes", "caching")}
        numbers.update(files=self.files, password=PASSWORD, profile="profile-1", port=self.options.port)
        self.beside("site.json", json.dumps(numbers, indent=1) + "\n")
        return numbers


def make_pki(folder):
    """A CA and a server certificate for localhost; existing ones are kept."""
    os.makedirs(folder, exist_ok=True)
    at = lambda name: os.path.join(folder, name)
    if os.path.exists(at("server.crt")):
        return

    def openssl(*arguments):
        subprocess.run(("openssl",) + arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    openssl("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", at("ca.key"), "-out", at("ca.crt"),
            "-days", "3650", "-subj", "/CN=benchmark CA")
    openssl("req", "-nodes", "-newkey", "rsa:2048", "-keyout", at("server.key"), "-out", at("server.csr"),
            "-subj", "/CN=localhost")
    with open(at("server.ext"), "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", at("server.csr"), "-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-CAcreateserial",
            "-days", "3650", "-out", at("server.crt"), "-extfile", at("server.ext"))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=sorted(PRESETS))
    parser.add_argument("--out", required=True, help="folder to write; its repo/ and load/ are replaced")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--bundles", type=int, default=6)
    parser.add_argument("--entries", type=float, default=10, help="per bundle; 22.5 gives 22 and 23 in turn")
    parser.add_argument("--groups", type=int, default=12)
    parser.add_argument("--profiles", type=int, default=4)
    parser.add_argument("--file-bytes", type=float, default=600, help="mean size of a Cfg file")
    parser.add_argument("--cfg-share", type=float, default=0.62, help="share of Cfg files among the entries")
    parser.add_argument("--services", type=float, default=1 / 3, help="share of services among the entries of Rules")
    parser.add_argument("--info", type=float, default=0.2, help="share of the Cfg files with an info.xml")
    parser.add_argument("--variants", type=float, default=0.22, help="share of the Cfg files with a variant for a group")
    parser.add_argument("--conditionals", type=float, default=0.1, help="share of the entries under Group conditionals")
    parser.add_argument("--rules-per-file", type=int, default=0, help="the most rules in a file; 0: one file of each kind")
    parser.add_argument("--binary", type=float, default=0.0, help="share of the Cfg files that are binary")
    parser.add_argument("--probes", type=int, default=5)
    parser.add_argument("--caching", help="[caching] client_metadata")
    parser.add_argument("--configurations", help="[caching] configurations; 0: every answer is built")
    parser.add_argument("--port", type=int, default=6789)
    parser.add_argument("--pki", help="folder of keys, made if missing; default DIR/pki")
    first, _ = parser.parse_known_args(arguments)
    if first.preset:
        parser.set_defaults(**PRESETS[first.preset])
    return parser.parse_args(arguments)


def generate(arguments):
    """Writes a site as the command line does; returns its summary."""
    options = parse(arguments)
    for name in ("repo", "load"):
        shutil.rmtree(os.path.join(options.out, name), ignore_errors=True)
    site = Site(options)
    site.draw_sizes()
    site.groups()
    site.clients()
    site.bundles()
    site.probes()
    os.makedirs(os.path.join(site.repo, "etc"), exist_ok=True)
    make_pki(options.pki or os.path.join(options.out, "pki"))
    site.conf()
    return site.summary()


if __name__ == "__main__":
    print(json.dumps(generate(sys.argv[1:])))
