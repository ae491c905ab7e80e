#!/usr/bin/env python3
"""Sends requests to bcfg2-web, good and bad ones, and looks at the answers.

    Tests/Web/server.py [--build .build/debug]
"""
import argparse
import base64
import os
import re
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from webserver import ROOT, Failures, Site, ending  # noqa: E402

# Of `openssl passwd -6 -salt saltsalt secret`.
HASH = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"


class Answer:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if lines[0] else 0
        self.headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
        self.text = self.body.decode("utf-8", "replace")


def raw(site, data, timeout=60):
    with socket.create_connection(("127.0.0.1", site.port), timeout) as connection:
        connection.sendall(data)
        received = b""
        while True:
            try:
                more = connection.recv(1 << 20)
            except ConnectionResetError:
                break
            if not more:
                break
            received += more
    return received


def ask(site, path, method="GET", headers=(), body=None, host="localhost"):
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + host, "Connection: close", *headers]
    if body is not None:
        lines += ["Content-Type: application/x-www-form-urlencoded", "Content-Length: %d" % len(body)]
    return Answer(raw(site, "\r\n".join(lines + ["", body or ""]).encode()))


def check_headers(site, failures):
    for path, status in (("/", 200), ("/nothing", 404), ("/style.css", 200), ("/grid.json", 200)):
        answer = ask(site, path)
        failures.check(answer.status == status, "%s: %d" % (path, answer.status))
        policy = answer.headers.get("content-security-policy", "")
        failures.check("default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script" not in policy, path + ": policy")
        failures.check(answer.headers.get("x-content-type-options") == "nosniff", path + ": nosniff")
        failures.check(answer.headers.get("referrer-policy") == "same-origin", path + ": referrer")
    answer = ask(site, "/", "HEAD")
    failures.check(answer.status == 200 and not answer.body and int(answer.headers["content-length"]) > 1000, "HEAD")
    failures.check(ask(site, "/", "DELETE").status == 405, "DELETE")
    failures.check(ask(site, "/detailed.csv").headers["content-type"].startswith("text/csv"), "type of CSV")
    failures.check(ask(site, "/detailed.csv?table=nothing").status == 404, "a table that is not there")


def check_hosts(site, failures):
    for host, status in (("localhost", 200), ("127.0.0.1:80", 200), ("[::1]:80", 200), ("LOCALHOST.", 421), ("evil.example.com", 421),
                         ("reports.example.com", 200), ("", 421)):
        failures.check(ask(site, "/", host=host).status == status, "Host %r: not %d" % (host, status))


def check_bad_requests(site, failures):
    failures.check(ask(site, "/" + "a" * 5000).status in (400, 414), "a long target")
    failures.check(ask(site, "/", headers=["X-Long: " + "a" * 20000]).status in (400, 431), "a long header")
    failures.check(ask(site, "/grid", "POST", body="op=" + "a" * 20000).status == 413, "a long form")
    failures.check(ask(site, "/grid", "POST", body="op=timeview&cal_date=%zz").status == 400, "a damaged form")
    failures.check(ask(site, "/grid", "POST", body="op=timeview&cal_date=2026-99-01").status == 400, "a wrong date")
    failures.check(ask(site, "/?q=%ff").status == 404, "a query that is no text")
    failures.check(ask(site, "/search?q=%27%22%3Cscript%3E").text.count("<script") == 0, "text of a query becomes markup")
    failures.check(b" 400 " in raw(site, b"nonsense\r\n\r\n").split(b"\r\n")[0] + b" ", "nonsense")
    for state in ("bad' OR 1=1 --", "dirty%00"):
        failures.check(ask(site, "/grid/state/" + state.replace(" ", "%20")).status in (200, 404), "a state of SQL")


def check_time_view(site, failures):
    for form, place in (("cal_date=2026/11/29", "/grid/2026-11-29"), ("cal_date=2026/11/29 14:30", "/grid/2026-11-29/14-30"),
                        ("cal_date=2026-11-29T14%3A30", "/grid/2026-11-29/14-30")):
        answer = ask(site, "/grid", "POST", body="op=timeview&" + form.replace(" ", "+"))
        failures.check((answer.status, answer.headers.get("location")) == (303, place), "time travel: %s" % answer.headers.get("location"))
    answer = ask(site, "/history/host00002.example.com/99")
    failures.check(answer.status == 303 and answer.headers["location"].endswith("/2"), "past the last page")
    answer = ask(site, "/common", "POST", body="threshold=3")
    failures.check(answer.headers.get("location") == "/common/3", "threshold")


def check_forms(site, failures):
    page = ask(site, "/manage")
    cookie = page.headers["set-cookie"]
    failures.check("HttpOnly" in cookie and "SameSite=Strict" in cookie, "cookie: " + cookie)
    token = re.search(r'name="token" value="([0-9a-f]+)"', page.text).group(1)
    cookie = "Cookie: " + cookie.split(";")[0]
    good = "client_name=host00002.example.com&client_action=expire&token=" + token
    for headers, body, status, what in (
            ([], good, 403, "no cookie"), ([cookie], good.replace(token, "0" * 64), 403, "a wrong token"),
            ([cookie, "Sec-Fetch-Site: cross-site"], good, 403, "another site"),
            ([cookie], good.replace("expire", "delete"), 400, "another action"),
            ([cookie], good.replace("host00002", "host99999"), 404, "another client"),
            ([cookie, "Sec-Fetch-Site: same-origin"], good, 303, "all is right")):
        failures.check(ask(site, "/manage", "POST", headers, body).status == status, "expire, %s: not %d" % (what, status))
    failures.check("host00002" not in ask(site, "/grid").text, "expiring has no effect")
    failures.check(ask(site, "/grid", "POST", body=good).status == 400, "a form that is of another page")


def check_passwords(build, failures):
    users = os.path.join("/tmp", "bcfg2-web-users.%d" % os.getpid())
    with open(users, "w") as file:
        file.write("ann:%s\n" % HASH)
    site = Site(build, "web_auth = basic\nweb_users = %s\nweb_prefix = /reports\n" % users, clients=3)
    try:
        def header(text):
            return ["Authorization: Basic " + base64.b64encode(text.encode()).decode()]
        answer = ask(site, "/")
        failures.check(answer.status == 401 and answer.headers["www-authenticate"].startswith("Basic "), "no password: %d" % answer.status)
        for text, status in (("ann:secret", 200), ("ann:wrong", 401), ("bob:secret", 401), ("ann:secret", 200)):
            answer = ask(site, "/reports/", headers=header(text))
            failures.check(answer.status == status, "%s: %d" % (text, answer.status))
        failures.check("Signed in as" in ask(site, "/", headers=header("ann:secret")).text, "the page names no user")
        failures.check('href="/reports/grid"' in ask(site, "/", headers=header("ann:secret")).text, "links have no prefix")
        failures.check(ask(site, "/reports/style.css").status == 200, "the stylesheet below the prefix")
        failures.check(ask(site, "/reportsgrid", headers=header("ann:secret")).status == 404, "half a prefix")
    finally:
        site.close()
        os.unlink(users)


def check_header_users(build, failures):
    site = Site(build, "web_auth = header\nweb_proxies = 127.0.0.1\n", clients=3)
    failures.check(ask(site, "/").status == 403, "a proxy that names nobody")
    failures.check(ask(site, "/", headers=["X-Remote-User: ann"]).status == 200, "a proxy that names a user")
    site.close()
    site = Site(build, "web_auth = header\nweb_proxies = 192.0.2.1\n", clients=3)
    failures.check(ask(site, "/", headers=["X-Remote-User: ann"]).status == 403, "a user that a stranger names")
    site.close()


def check_database(build, failures):
    site = Site(build, clients=3)
    os.rename(site.database, site.database + ".away")
    with open(site.database, "wb") as file:
        file.write(b"this is no database " * 100)
    answer = ask(site, "/")
    failures.check(answer.status in (500, 503), "a damaged database: %d" % answer.status)
    os.unlink(site.database)
    answer = ask(site, "/")
    failures.check(answer.status == 503 and "Retry-After" in str(answer.headers).title(), "no database: %d" % answer.status)
    failures.check("cannot be reached" in answer.text, "no database: the page does not say so")
    os.rename(site.database + ".away", site.database)
    failures.check(ask(site, "/").status == 200, "the database is back")
    site.close()


def check_slow(site, failures):
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", site.port), 60) as connection:
        # A byte each second is no progress.
        for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40:
            try:
                connection.sendall(bytes([byte]))
                connection.settimeout(1)
                if connection.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    failures.check(15 < time.monotonic() - begin < 30, "a slow request lasted %d seconds" % (time.monotonic() - begin))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, ".build", "debug"))
    options = parser.parse_args()
    failures = Failures()
    site = Site(options.build, "web_hosts = reports.example.com\n")
    try:
        check_headers(site, failures)
        check_hosts(site, failures)
        check_bad_requests(site, failures)
        check_time_view(site, failures)
        check_forms(site, failures)
        check_slow(site, failures)
    finally:
        site.close()
    check_passwords(options.build, failures)
    check_header_users(options.build, failures)
    check_database(options.build, failures)
    print("%d problems" % len(failures) if failures else "requests are answered as they should be")
    return 1 if failures else 0


if __name__ == "__main__":
    ending.unwind_at_signals()
    sys.exit(main())
