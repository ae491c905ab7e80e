#!/usr/bin/env python3
"""Several servers behind haproxy on one database, under load, while each part is killed and started again.

    servers.py [--server PATH] [--database postgresql|sqlite] [--servers N] [--clients N] [--rounds N]

Each call of a client is a new connection, which haproxy gives to the next server. A client reports the number of its run by
probes: as groups, one for each bit, and as text. Then it asks for its configuration once more than there are servers. Its
answers have to show the number that was acknowledged last, or one of those that it sent since then and got no answer to.
Meanwhile every server is killed (SIGKILL) and started, and the database is restarted, once orderly and once as after a
crash. In the end the database has to have of each client what was acknowledged, or sent since.

Exit status 0 if all that holds, 1 if not, 3 if a program that it needs is missing.
"""
import argparse, http.client, os, pwd, re, shutil, signal, socket, sqlite3, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Conformance"))
import conform  # noqa: E402

sys.path.insert(0, os.path.join(HERE, "..", "Python"))
import ending  # noqa: E402
from programs import Background, Missing, program  # noqa: E402

BITS = 16


class PostgreSQL:
    """A server of its own on a socket in a folder, which belongs to nobody if this runs as root."""

    def __init__(self, folder):
        places = ("/usr/lib/postgresql/*/bin",)
        self.folder = os.path.join(folder, "pg")
        os.mkdir(self.folder, 0o700)
        self.user = None
        if os.geteuid() == 0:
            self.user = "nobody"
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
            os.chmod(folder, 0o755)
        self.ctl, self.psql = program("pg_ctl", places), program("psql", places)
        self.data = os.path.join(self.folder, "data")
        self.run(program("initdb", places), "-D", self.data, "-U", "bcfg2", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            f.write("listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = on\n" % self.folder)
        self.start()

    def run(self, *command):
        # As root the folder of the caller may be closed to nobody.
        done = subprocess.run(command, user=self.user, cwd="/", capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError("%s: %s%s" % (command[0], done.stdout, done.stderr))
        return done.stdout

    def control(self, *arguments):
        done = subprocess.run([self.ctl, "-D", self.data, "-w"] + list(arguments), user=self.user, cwd="/",
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError("pg_ctl %s failed" % " ".join(arguments))

    def start(self):
        self.control("-l", os.path.join(self.folder, "log"), "start")

    def restart(self, mode):
        self.control("-m", mode, "stop")
        time.sleep(1)
        self.start()

    def stop(self):
        self.control("-m", "immediate", "stop")

    def conf(self):
        return {"engine": "postgresql", "name": "postgres", "user": "bcfg2", "host": self.folder}

    def rows(self, sql):
        text = self.run(self.psql, "-h", self.folder, "-U", "bcfg2", "-At", "-F", "\t", "-c", sql, "postgres")
        return [line.split("\t") for line in text.splitlines()]


class SQLite:
    def __init__(self, folder):
        self.path = os.path.join(folder, "bcfg2.sqlite")

    def restart(self, mode):
        """Others write for a while, which all have to wait for."""
        with sqlite3.connect(self.path, timeout=60) as database:
            database.execute("BEGIN IMMEDIATE")
            time.sleep(1)

    def stop(self):
        pass

    def conf(self):
        return {"engine": "sqlite3", "name": self.path}

    def rows(self, sql):
        with sqlite3.connect(self.path, timeout=60) as database:
            return [["" if v is None else str(v) for v in row] for row in database.execute(sql)]


class Balancer(Background):
    """haproxy, which gives each connection to the next server that answers."""

    def __init__(self, folder, servers):
        super().__init__(os.path.join(folder, "haproxy.out"))
        self.port = conform.free_port()
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w") as f:
            f.write("defaults\n mode tcp\n timeout connect 2s\n timeout client 60s\n timeout server 60s\n retries 3\n"
                    " option redispatch 1\nlisten bcfg2\n bind 127.0.0.1:%d\n balance roundrobin\n" % self.port)
            for number, server in enumerate(servers):
                f.write(" server s%d 127.0.0.1:%d check inter 200ms fall 1 rise 1\n" % (number, server.port))
        self.begin(program("haproxy"), "-db", "-f", path)
        deadline = time.time() + 10
        while time.time() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("haproxy does not listen")


def case(folder):
    """A repository whose configuration shows the groups of a client's probes."""
    repo = os.path.join(folder, "case", "repo")
    os.makedirs(os.path.join(repo, "Metadata"))
    os.makedirs(os.path.join(repo, "Bundler"))
    os.makedirs(os.path.join(repo, "Probes"))
    with open(os.path.join(repo, "Metadata", "groups.xml"), "w") as f:
        f.write('<Groups><Group name="base" profile="true" default="true"><Bundle name="bits"/></Group></Groups>')
    with open(os.path.join(repo, "Bundler", "bits.xml"), "w") as f:
        f.write("<Bundle>%s</Bundle>" % "".join(
            '<Group name="bit%d"><BoundAction name="bit%d"/></Group>' % (n, n) for n in range(BITS)))
    with open(os.path.join(repo, "Probes", "number"), "w") as f:
        f.write("#!/bin/sh\n")
    return {"dir": os.path.join(folder, "case"), "plugins": ["Metadata", "Bundler", "Probes"],
            "conf": {"metadata": {"use_database": "true"}, "probes": {"use_database": "true"}}}


class Client(threading.Thread):
    def __init__(self, number, balancer, pki, servers, end):
        super().__init__(daemon=True)
        self.name, self.port, self.pki, self.count, self.end = "c%d.example.com" % number, balancer.port, pki, servers, end
        # Number of the last run that was acknowledged, and those sent since.
        self.run_number, self.acknowledged, self.sent = 0, 0, []
        self.version = None
        self.answers = self.lost = 0
        self.reasons = {}
        self.wrong = []

    def call(self, method, *parameters):
        return conform.Server.call(self, {"call": method, "params": list(parameters), "user": self.name}, timeout=60)

    @staticmethod
    def hide(data):
        return data

    def attempt(self, method, *parameters):
        """The answer; None where there is none, or a fault."""
        try:
            answer = self.call(method, *parameters)
        except (OSError, http.client.HTTPException) as error:
            answer = {"lost": type(error).__name__}
        if "value" in answer or "xml" in answer:
            self.answers += 1
            return answer
        self.lost += 1
        text = answer.get("string", "")
        reason = text or str(answer.get("lost") or answer)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if text and "try again later" not in text:
            self.wrong.append("%s: %s" % (method, text))
        return None

    def run(self):
        while not self.end.is_set():
            self.run_number += 1
            number = self.run_number
            version = "1.4.%d" % number
            if self.attempt("DeclareVersion", version):
                self.version = number
            groups = "".join("group:bit%d\n" % n for n in range(BITS) if number >> n & 1)
            data = '<probe-data><probe-data name="number" source="Probes">%srun %d</probe-data></probe-data>' % (groups, number)
            self.sent.append(number)
            if self.attempt("RecvProbeData", data):
                self.acknowledged, self.sent = number, []
            for _ in range(self.count + 1):
                answer = self.attempt("GetConfig")
                if not answer:
                    continue
                shown = sum(1 << int(n) for n in set(re.findall(r"'bit(\d+)'", str(answer))))
                if shown not in [self.acknowledged] + self.sent:
                    self.wrong.append("%s has %d, acknowledged is %d, sent since are %s" % (
                        self.name, shown, self.acknowledged, self.sent))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default=os.path.join(HERE, "..", "..", ".build", "release", "bcfg2-server"))
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="bcfg2-scale-")
    try:
        status = check(options, folder)
    except Missing as error:
        print("%s is not installed" % error)
        status = 3
    if not options.keep and status != 1:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print("logs: %s" % folder)
    sys.exit(status)


def check(options, folder):
    started = []
    try:
        haproxy = program("haproxy")  # Missing is told before anything is started.
        assert haproxy
        pki_folder = os.path.join(folder, "pki")
        os.mkdir(pki_folder)
        pki = conform.Pki(pki_folder)
        database = {"postgresql": PostgreSQL, "sqlite": SQLite}[options.database](folder)
        started.append(database)
        site = case(folder)
        site["conf"]["database"] = database.conf()
        servers = []
        for number in range(options.servers):
            work = os.path.join(folder, "s%d" % number)
            os.mkdir(work)
            server = conform.Server(os.path.abspath(options.server), site, work, pki)
            server.start()
            servers.append(server)
            started.append(server)
        balancer = Balancer(folder, servers)
        started.append(balancer)
        end = threading.Event()
        clients = [Client(n, balancer, pki, options.servers, end) for n in range(options.clients)]
        begin = time.time()
        for client in clients:
            client.start()
        time.sleep(2)
        for _ in range(options.rounds):
            for server in servers:
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
                time.sleep(1)
                server.start()
                time.sleep(1)
            for mode in ("fast", "immediate"):
                database.restart(mode)
                time.sleep(2)
        end.set()
        for client in clients:
            client.join(120)
        seconds = time.time() - begin
        return judge(clients, database, seconds)
    finally:
        for part in reversed(started):
            part.stop()


def judge(clients, database, seconds):
    stored = {}
    for host, data in database.rows('SELECT "hostname", "data" FROM "Server_probesdatamodel"'):
        stored.setdefault(host, []).append(data)
    versions = dict(database.rows('SELECT "hostname", "version" FROM "Server_metadataclientmodel"'))
    wrong = []
    for client in clients:
        wrong += client.wrong
        if client.is_alive():
            wrong.append("%s waits for an answer" % client.name)
        allowed = ["run %d" % n for n in [client.acknowledged] + client.sent]
        if len(stored.get(client.name, [])) != 1 or stored[client.name][0] not in allowed:
            wrong.append("%s: the database has %s, not one of %s" % (client.name, stored.get(client.name), allowed))
        version = versions.get(client.name, "")
        if client.version and int(version.split(".")[-1] or 0) < client.version:
            wrong.append("%s: the database has version %s, acknowledged is 1.4.%d" % (client.name, version, client.version))
        if client.acknowledged < 3:
            wrong.append("%s had only %d runs acknowledged" % (client.name, client.acknowledged))
    answers = sum(c.answers for c in clients)
    print("%d clients, %d answers in %.0f s, %d calls without one; last runs %d to %d" % (
        len(clients), answers, seconds, sum(c.lost for c in clients), min(c.run_number for c in clients),
        max(c.run_number for c in clients)))
    reasons = {}
    for client in clients:
        for reason, count in client.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    for reason, count in sorted(reasons.items()):
        print("  %d: %s" % (count, reason))
    for line in wrong[:20]:
        print("WRONG: " + line)
    return 1 if wrong else 0


if __name__ == "__main__":
    ending.unwind_at_signals()
    main()
