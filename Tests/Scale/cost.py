#!/usr/bin/env python3
"""What the database costs a call: processor time of the server and of the database for calls of one kind.

    cost.py [--server PATH] [--clients N] [--rounds N]

Calls come on kept connections, one for each of N clients, which call in turns. Data in files beside SQLite and PostgreSQL, in
rounds that take turns. Prints microseconds of processor time a call, of the server with its helper processes and of PostgreSQL,
and the time that one client waits: the median of the rounds.
"""
import argparse, base64, http.client, os, shutil, ssl, statistics, sys, tempfile, time, xmlrpc.client

import servers
from servers import conform, ending



def tree(root):
    """A process and those below it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    parents[int(name)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    found, grown = {root}, True
    while grown:
        more = {p for p, parent in parents.items() if parent in found} | found
        grown, found = more != found, more
    return found


def processor_time(root):
    """Seconds, to the microsecond where the kernel counts them."""
    total = 0
    for process in tree(root):
        try:
            with open("/proc/%d/schedstat" % process) as f:
                total += int(f.read().split()[0]) / 1e9
        except OSError:
            pass
    return total


class Connection:
    def __init__(self, server, name):
        context = ssl.create_default_context(cafile=server.pki.ca)
        context.check_hostname = False
        self.http = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=60)
        login = base64.b64encode(("%s:%s" % (name, conform.PASSWORD)).encode()).decode()
        self.headers = {"Content-Type": "text/xml", "Authorization": "Basic " + login}

    def call(self, method, *parameters):
        self.http.request("POST", "/RPC2", xmlrpc.client.dumps(parameters, method), self.headers)
        response = self.http.getresponse()
        data = response.read()
        if response.status != 200 or b"<fault>" in data:
            raise RuntimeError("%s: %d %s" % (method, response.status, data[:300]))


def report(number):
    return '<probe-data><probe-data name="number" source="Probes">group:bit%d\nrun %d</probe-data></probe-data>' % (
        number % servers.BITS, number)


KINDS = {
    "GetConfig, repeated": lambda connection, number: connection.call("GetConfig"),
    "RecvProbeData, nothing new": lambda connection, number: connection.call("RecvProbeData", report(1)),
    "RecvProbeData, changed": lambda connection, number: connection.call("RecvProbeData", report(number + 2)),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default=os.path.join(servers.HERE, "..", "..", ".build", "release", "bcfg2-server"))
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder, started = tempfile.mkdtemp(prefix="bcfg2-cost-"), []
    try:
        os.mkdir(os.path.join(folder, "pki"))
        pki = conform.Pki(os.path.join(folder, "pki"))
        postgres = servers.PostgreSQL(folder)
        started.append(postgres)
        with open(os.path.join(postgres.data, "postmaster.pid")) as f:
            postmaster = int(f.readline())
        sites = {}
        for name, database in (("files", None), ("SQLite", servers.SQLite(folder)), ("PostgreSQL", postgres)):
            work = os.path.join(folder, name)
            os.mkdir(work)
            site = servers.case(work)
            if database:
                site["conf"]["database"] = database.conf()
            else:
                site["conf"] = {}
            # Each site's connections wait while the others are measured.
            site["conf"]["server"] = {"keepalive_timeout": 3600}
            server = conform.Server(os.path.abspath(options.server), site, work, pki)
            server.start()
            started.append(server)
            connections = [Connection(server, "c%d.example.com" % n) for n in range(options.clients)]
            for connection in connections:
                connection.call("RecvProbeData", report(1))
                connection.call("GetConfig")
            sites[name] = (server, connections)
        figures = {}
        for _ in range(options.rounds):
            for kind, call in KINDS.items():
                for name, (server, connections) in sites.items():
                    own, other = processor_time(server.process.pid), processor_time(postmaster)
                    begin = time.time()
                    for number in range(options.calls):
                        call(connections[number % len(connections)], number // len(connections))
                    seconds = time.time() - begin
                    figures.setdefault((kind, name), []).append([
                        1e6 * (processor_time(server.process.pid) - own) / options.calls,
                        1e6 * (processor_time(postmaster) - other) / options.calls, 1e6 * seconds / options.calls])
        print("| Call | Data | Server, us | PostgreSQL, us | One client waits, us |\n|---|---|---|---|---|")
        for (kind, name), rounds in figures.items():
            row = [statistics.median(column) for column in zip(*rounds)]
            print("| %s | %s | %.0f | %s | %.0f |" % (
                kind, name, row[0], "%.0f" % row[1] if name == "PostgreSQL" else "-", row[2]))
    finally:
        for part in reversed(started):
            part.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    ending.unwind_at_signals()
    sys.exit(main())
