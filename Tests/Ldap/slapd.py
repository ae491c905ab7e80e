#!/usr/bin/env python3
"""The plugin Ldap with a real LDAP server: OpenLDAP's slapd, in a folder of its own on a loopback port.

    slapd.py [--server PATH] [--keep]

A client's configuration has to show what the directory has, with a bind and a filter by the client's name; the next one what was
changed there, and one without a change must not be made again. Where slapd is restarted, nothing is lost; where it is stopped,
the query is tried again and gives None; where it hangs, other clients have their answers meanwhile, and this one has it in the
end. The password of config.py must be in no log.

Exit status 0 if all that holds, 1 if not, 3 if slapd, its tools or python3-ldap are missing.
"""
import argparse, os, signal, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Conformance"))
sys.path.insert(0, os.path.join(HERE, "..", "Python"))
import conform  # noqa: E402
import ending  # noqa: E402
from programs import Background, Missing, finish, program  # noqa: E402

ROOT, PASSWORD = "cn=root,dc=example,dc=com", "a-word-for-the-directory"
CLIENTS = {"127.0.0.2": "one.example.com", "127.0.0.3": "two.example.com"}
CONFIG = '''
import ldap
from Bcfg2.Server.Plugins.Ldap import LdapConnection, LdapQuery

__queries__ = ['Owner']
conn = LdapConnection(port=@LDAP@, host='127.0.0.1', binddn='%s', bindpw='%s', options={ldap.OPT_REFERRALS: 0})


class Owner(LdapQuery):
    base = 'ou=people,dc=example,dc=com'
    scope = 'one'
    attrs = ['cn', 'mail', 'jpegPhoto']
    connection = conn

    def prepare_query(self, metadata):
        self.filter = '(description=%%s)' %% metadata.hostname

    def process_result(self, metadata):
        if self.result is None:
            return None
        return [(entry['cn'][0], sorted(entry['mail']), entry['jpegPhoto'][0] == b'\\xff\\xd8') for dn, entry in self.result]
''' % (ROOT, PASSWORD)


def module_folder():
    for folder in sorted(os.listdir("/usr/lib")) + [""]:
        path = os.path.join("/usr/lib", folder, "ldap")
        if os.path.isdir(path):
            return path
    return "/usr/lib/openldap"


class Directory(Background):
    """slapd with one tree."""

    def __init__(self, folder):
        os.makedirs(os.path.join(folder, "data"))
        super().__init__(os.path.join(folder, "slapd.out"))
        self.folder, self.port = folder, conform.free_port()
        self.conf = os.path.join(folder, "slapd.conf")
        schema = "/etc/ldap/schema" if os.path.isdir("/etc/ldap/schema") else "/etc/openldap/schema"
        with open(self.conf, "w") as f:
            for name in ("core", "cosine", "inetorgperson"):
                f.write("include %s/%s.schema\n" % (schema, name))
            f.write("modulepath %s\nmoduleload back_mdb\npidfile %s/pid\ndatabase mdb\nmaxsize 10485760\n" % (module_folder(), folder))
            f.write('suffix "dc=example,dc=com"\nrootdn "%s"\nrootpw %s\ndirectory %s/data\n' % (ROOT, PASSWORD, folder))
            # Nobody reads without the bind.
            f.write("access to * by * none\n")
        self.url = "ldap://127.0.0.1:%d" % self.port

    def start(self):
        self.begin(program("slapd"), "-f", self.conf, "-h", self.url, "-d", "0")
        deadline = time.time() + 20
        while time.time() < deadline:
            if self.tool("ldapwhoami").returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("slapd does not answer: see %s" % self.log.name)

    def tool(self, name, text=""):
        return subprocess.run([program(name), "-x", "-H", self.url, "-D", ROOT, "-w", PASSWORD], input=text, text=True,
                              capture_output=True, timeout=20)

    def change(self, name, text):
        done = self.tool(name, text)
        if done.returncode:
            raise RuntimeError("%s: %s" % (name, done.stderr))

    def freeze(self):
        """Stops it without an end: returns when no thread of it runs any more."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = "/proc/%d/task" % self.process.pid
        for task in os.listdir(tasks):
            while True:
                with open(os.path.join(tasks, task, "stat")) as f:
                    if f.read().rsplit(")", 1)[1].split()[0] == "T":
                        break
                time.sleep(0.01)


PEOPLE = '''dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: cn=Änne,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
cn: Änne
sn: Anders
mail: a@example.com
mail: anne@example.com
jpegPhoto:: /9g=
description: one.example.com
'''
CHANGE = '''dn: cn=Änne,ou=people,dc=example,dc=com
changetype: modify
replace: mail
mail: new@example.com
'''


class Daemon(conform.Server):
    def call(self, step, timeout=60):
        return super().call(dict({"from": "127.0.0.3"}, **step), timeout)

    def configuration(self, address):
        answer = self.call({"call": "GetConfig", "from": address})
        return str(answer)


def site(folder, port, backend):
    repo = os.path.join(folder, "case", "repo")
    files = {
        "Metadata/clients.xml": "<Clients>%s</Clients>" % "".join(
            '<Client name="%s" profile="%s" address="%s"/>' % (name, name.split(".")[0], address)
            for address, name in CLIENTS.items()),
        "Metadata/groups.xml": '<Groups><Group name="one" profile="true" default="true"><Bundle name="ldap"/></Group>'
                               '<Group name="two" profile="true"><Bundle name="plain"/></Group></Groups>',
        "Bundler/ldap.xml": '<Bundle><Path name="/owner"/></Bundle>',
        "Bundler/plain.xml": '<Bundle><Path name="/plain"/></Bundle>',
        "Cfg/owner/owner.genshi": "owner: ${repr(metadata.Ldap['Owner'])}\n",
        "Cfg/plain/plain.genshi": "plain ${metadata.hostname}\n",
        "Ldap/config.py": CONFIG.replace("@LDAP@", str(port)),
    }
    for name, text in files.items():
        path = os.path.join(repo, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
    return {"dir": os.path.join(folder, "case"), "plugins": ["Metadata", "Bundler", "Cfg", "Ldap"],
            "conf": {"server": {"backend": backend, "children": "2"}, "logging": {"verbose": "true"}, "ldap": {"retry_delay": "0.2", "retries": "2", "timeout": "6"},
                     "templates": {"processes": "1"}}}


def check(folder, options, backend):
    wrong = []

    def expect(what, text, answer):
        if text not in answer:
            wrong.append("%s: %s: no %r in %s" % (backend, what, text, answer[:800]))

    folder = os.path.join(folder, backend)

    directory = Directory(os.path.join(folder, "directory"))
    pki_folder = os.path.join(folder, "pki")
    os.makedirs(pki_folder)
    os.mkdir(os.path.join(folder, "work"))
    daemon = None
    try:
        directory.start()
        directory.change("ldapadd", PEOPLE)
        daemon = Daemon(os.path.abspath(options.server), site(folder, directory.port, backend), os.path.join(folder, "work"),
                        conform.Pki(pki_folder))
        daemon.start()
        first = "owner: [('Änne', ['a@example.com', 'anne@example.com'], True)]"
        expect("what the directory has", first, daemon.configuration("127.0.0.2"))
        expect("the same again", first, daemon.configuration("127.0.0.2"))
        directory.change("ldapmodify", CHANGE)
        second = "owner: [('Änne', ['new@example.com'], True)]"
        expect("a change", second, daemon.configuration("127.0.0.2"))
        expired = daemon.call({"call": "Ldap.expire_cache", "params": ["Owner", "one.example.com"], "from": "127.0.0.1"})
        expect("expiry", "1", str(expired))
        expect("after expiry", second, daemon.configuration("127.0.0.2"))
        shown = daemon.run({"run": "bcfg2-info", "args": ["-C", "@CONF@", "showclient", "one.example.com"]})
        expect("bcfg2-info", "new@example.com", str(shown))
        checked = daemon.run({"run": "bcfg2-server", "args": ["-C", "@CONF@", "--check-templates"]})
        expect("the check", "2 templates, 2 clients: 2 rendered, 0 failed", str(checked))
        directory.stop()
        directory.start()
        expect("after a restart", second, daemon.configuration("127.0.0.2"))
        directory.stop()
        expect("while it is stopped", "owner: None", daemon.configuration("127.0.0.2"))
        directory.start()
        expect("when it is back", second, daemon.configuration("127.0.0.2"))

        directory.freeze()
        slow = []
        thread = threading.Thread(target=lambda: slow.append(daemon.configuration("127.0.0.2")))
        thread.start()
        for _ in range(5):
            start = time.time()
            # Rendered anew each time.
            with open(os.path.join(daemon.repo, "Cfg", "plain", "plain.genshi"), "a") as f:
                f.write("more\n")
            expect("another client", "plain two.example.com", daemon.configuration("127.0.0.3"))
            if time.time() - start > 1.5:
                wrong.append("another client waited for %.1f s" % (time.time() - start))
        if not thread.is_alive():
            wrong.append("a directory that hangs kept nobody waiting")
        thread.join()
        expect("a directory that hangs", "owner: None", slow[0])
        directory.process.send_signal(signal.SIGCONT)
        expect("when it goes on", second, daemon.configuration("127.0.0.2"))
    finally:
        directory.stop()
        if daemon:
            daemon.stop()
    text = ""
    for name in ("log", "server.out"):
        path = os.path.join(folder, "work", name)
        if os.path.exists(path):
            with open(path, errors="replace") as f:
                text += f.read()
    expect("the log", "Retry 2/2 in", text)
    expect("the log", "TIMEOUT", text)
    if PASSWORD in text:
        wrong.append("the password is in the log")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default=os.path.join(HERE, "..", "..", ".build", "release", "bcfg2-server"))
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    options = parser.parse_args()
    try:
        for name in ("slapd", "ldapadd", "ldapmodify", "ldapwhoami"):
            program(name)
        if subprocess.run(["/usr/bin/python3", "-c", "import ldap, genshi"], stderr=subprocess.DEVNULL).returncode:
            raise Missing("python3-ldap or python3-genshi")
    except Missing as error:
        print("%s is not installed" % error)
        sys.exit(3)
    folder = tempfile.mkdtemp(prefix="bcfg2-ldap-")
    wrong = [line for backend in ("builtin", "multiprocessing") for line in check(folder, options, backend)]
    finish(wrong, folder, options.keep, "clients had what the directory has")


if __name__ == "__main__":
    ending.unwind_at_signals()
    main()
