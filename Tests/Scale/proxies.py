#!/usr/bin/env python3
"""One server behind haproxy, which tells it each client's address: by the PROXY protocol, and by the header Forwarded or
X-Forwarded-For.

    proxies.py [--server PATH] [--keep]

Clients connect from 127.0.0.2 and 127.0.0.3, each the address of one client of clients.xml, and name themselves not at all: the
server knows them by what haproxy says. Each has to get its own configuration, through haproxy as TCP proxy with certificates
end to end, and as HTTP proxy that ends TLS; a client that says something itself must not be believed. Health checks must
leave no line in the log above debug, and a client that goes past haproxy must be served as itself.

Exit status 0 if all that holds, 1 if not, 3 if haproxy is missing.
"""
import argparse, base64, http.client, os, ssl, sys, tempfile, time, xmlrpc.client

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Conformance"))
import conform  # noqa: E402

sys.path.insert(0, os.path.join(HERE, "..", "Python"))
import ending  # noqa: E402
from programs import Background, Missing, finish, program  # noqa: E402

CLIENTS = {"127.0.0.2": "two.example.com", "127.0.0.3": "three.example.com"}


def case(folder, server):
    """A repository whose configuration shows for which client it is."""
    repo = os.path.join(folder, "case", "repo")
    os.makedirs(os.path.join(repo, "Metadata"))
    os.makedirs(os.path.join(repo, "Bundler"))
    names = "".join('<Client name="%s" profile="base" address="%s"/>' % (n, a) for a, n in CLIENTS.items())
    with open(os.path.join(repo, "Metadata", "clients.xml"), "w") as f:
        f.write('<Clients>%s<Client name="free.example.com" profile="base" location="floating" auth="cert"/></Clients>' % names)
    with open(os.path.join(repo, "Metadata", "groups.xml"), "w") as f:
        f.write('<Groups><Group name="base" profile="true" default="true"><Bundle name="who"/></Group></Groups>')
    with open(os.path.join(repo, "Bundler", "who.xml"), "w") as f:
        f.write("<Bundle>%s</Bundle>" % "".join(
            '<Client name="%s"><BoundAction name="%s"/></Client>' % (n, n) for n in list(CLIENTS.values()) + ["free.example.com"]))
    return {"dir": os.path.join(folder, "case"), "plugins": ["Metadata", "Bundler"],
            "conf": {"server": dict(server, trusted_proxies="127.0.0.1"), "logging": {"verbose": "true"}}}


class Daemon(conform.Server):
    """A server that is asked whether it is up by somebody who is no proxy."""

    def call(self, step, timeout=30):
        return super().call(dict(step, **{"from": "127.0.0.2"}), timeout)


class Proxy(Background):
    """haproxy with two frontends in front of one server: TCP, and HTTP that ends TLS."""

    def __init__(self, folder, port, pki, options, headers):
        super().__init__(os.path.join(folder, "haproxy.out"))
        self.tcp, self.http = conform.free_port(), conform.free_port()
        both = os.path.join(folder, "both.pem")
        with open(both, "w") as out:
            for path in (pki.cert, pki.key):
                with open(path) as f:
                    out.write(f.read())
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w") as f:
            f.write("defaults\n timeout connect 2s\n timeout client 60s\n timeout server 60s\n"
                    "listen tcp\n mode tcp\n bind 127.0.0.1:%d\n server s 127.0.0.1:%d source 127.0.0.1 %s\n"
                    % (self.tcp, port, options))
            # In this mode haproxy sets no port, and asks over connections that it uses again.
            f.write("listen http\n mode http\n http-reuse always\n bind 127.0.0.1:%d ssl crt %s\n%s"
                    " server s 127.0.0.1:%d source 127.0.0.1 ssl verify required ca-file %s %s\n"
                    % (self.http, both, headers, port, pki.ca, "" if headers else options))
        self.begin(program("haproxy"), "-db", "-f", path)


def ask(port, source, pki, certificate=None, headers=(), user="root"):
    """The client whose configuration is the answer, or the HTTP status, or None where the connection ends."""
    context = ssl.create_default_context(cafile=pki.ca)
    if certificate:
        context.load_cert_chain(*pki.issue(certificate))
    deadline = time.time() + 20
    while True:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, source_address=(source, 0), timeout=30)
        try:
            body = xmlrpc.client.dumps((), "GetConfig").encode()
            login = base64.b64encode(("%s:%s" % (user, conform.PASSWORD)).encode()).decode()
            connection.putrequest("POST", "/RPC2")
            for name, value in [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))] + list(headers):
                connection.putheader(name, value)
            if user:
                connection.putheader("Authorization", "Basic " + login)
            connection.endheaders(body)
            response = connection.getresponse()
            data = response.read()
        except ConnectionRefusedError:
            # haproxy does not listen yet.
            if time.time() > deadline:
                raise
            time.sleep(0.05)
            continue
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if response.status == 503 and time.time() < deadline:
            time.sleep(0.05)
            continue
        if response.status != 200:
            return response.status
        text = str(xmlrpc.client.loads(data)[0][0])
        return "+".join(n for n in list(CLIENTS.values()) + ["free.example.com"] if "'%s'" % n in text or '"%s"' % n in text)


def check(folder, options, name, server, send, headers, questions):
    """One server with its settings behind haproxy with its; returns what is wrong."""
    folder = os.path.join(folder, name)
    os.makedirs(os.path.join(folder, "work"))
    pki_folder = os.path.join(folder, "pki")
    os.mkdir(pki_folder)
    pki = conform.Pki(pki_folder)
    daemon = Daemon(os.path.abspath(options.server), case(folder, server), os.path.join(folder, "work"), pki)
    proxy = None
    wrong = []
    try:
        daemon.start()
        proxy = Proxy(folder, daemon.port, pki, send, headers)
        ports = {"tcp": proxy.tcp, "http": proxy.http, "past": daemon.port}
        for place, source, further, expected in questions:
            answer = ask(ports[place], source, pki, **further)
            if answer != expected:
                wrong.append("%s: %s from %s with %s: %r in place of %r" % (name, place, source, further, answer, expected))
        # Some health checks.
        time.sleep(1)
        if proxy.process.poll() is not None:
            wrong.append("%s: haproxy has ended" % name)
    finally:
        if proxy:
            proxy.stop()
        daemon.stop()
    with open(os.path.join(folder, "work", "log"), errors="replace") as f:
        noise = [line for line in f if "closed by the peer while" in line or "handshake failed" in line]
    return wrong + ["%s: a health check is in the log: %s" % (name, line.strip()) for line in noise[:3]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default=os.path.join(HERE, "..", "..", ".build", "release", "bcfg2-server"))
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    options = parser.parse_args()
    try:
        program("haproxy")
    except Missing as error:
        print("%s is not installed" % error)
        sys.exit(3)
    folder = tempfile.mkdtemp(prefix="bcfg2-proxies-")
    own = [(a, n) for a, n in CLIENTS.items()]
    free = {"certificate": "free.example.com", "user": None}
    protocol = (
        [("tcp", a, {}, n) for a, n in own]
        + [("http", a, {}, n) for a, n in own]
        + [("tcp", "127.0.0.4", free, "free.example.com"), ("tcp", "127.0.0.4", {}, 401)]
        # haproxy has ended TLS: nobody's certificate reaches the server.
        + [("http", "127.0.0.4", free, 401)]
        + [("past", "127.0.0.2", {}, "two.example.com"), ("past", "127.0.0.1", {}, None)])

    def forwarded():
        spoofs = [("Forwarded", "for=127.0.0.3"), ("X-Forwarded-For", "127.0.0.3")]
        return ([("http", a, {}, n) for a, n in own]
                + [("http", "127.0.0.2", {"headers": [spoof]}, "two.example.com") for spoof in spoofs]
                + [("past", "127.0.0.2", {"headers": [spoof]}, "two.example.com") for spoof in spoofs]
                + [("http", "127.0.0.4", free, 401), ("http", "127.0.0.4", {}, 401)])

    checks = "check inter 100ms check-send-proxy"
    wrong = check(folder, options, "proxy_protocol", {"proxy_protocol": "yes"},
                  "send-proxy-v2 proxy-v2-options crc32c,unique-id " + checks, "", protocol)
    # haproxy 2.8 has `option forwarded`; this does the same with older ones.
    wrong += check(folder, options, "forwarded", {"forwarded": "yes"}, "check inter 100ms",
                   " http-request add-header Forwarded for=%[src]\n", forwarded())
    wrong += check(folder, options, "x-forwarded-for", {"forwarded": "x-forwarded-for"}, "check inter 100ms",
                   " option forwardfor\n", forwarded())
    finish(wrong, folder, options.keep, "each client was known by the address that haproxy told")


if __name__ == "__main__":
    ending.unwind_at_signals()
    main()
