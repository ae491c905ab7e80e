"""EC2 on loopback for tests: DescribeInstances over TLS, with signatures checked, and the instance metadata service.

Prints {"port": N, "metadata": N, "ca": PATH}, then answers commands: one JSON object a line on standard input, one line of JSON on
standard output. It ends with its standard input.

  {"do": "tags", "host": H, "tags": [[NAME, VALUE], ...]}         an instance; null for none
  {"do": "keys", "id": I, "secret": S, "token": T}                which keys are right
  {"do": "role", "id": I, "secret": S, "token": T, "end": TIME}   what the metadata service gives
  {"do": "fail", "status": N, "code": C, "message": M, "times": N}   the next requests fail; a code of "" has no document
  {"do": "pages", "count": N}                                     empty answers before the one with an instance
  {"do": "clock", "ahead": SECONDS}                               of the time of this service
  {"do": "gather", "count": N}                                    requests wait until so many are there
  {"do": "others", "count": N}                                    further instances with the same name, in each answer
  {"do": "hang", "count": N}                                      the metadata service answers nothing where N is 1; it says who asked
  {"do": "requests"}                                              hosts asked for since the last time, the most at once, connections
"""

import email.utils
import hashlib
import hmac
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

lock = threading.Condition()
instances = {}
keys = {"id": "AKIDEXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token": None}
role = {}
failures = []
state = {"pages": 0, "ahead": 0, "gather": 0, "others": 0, "hang": 0, "inside": 0, "most": 0, "connections": 0}
asked = []


def signature(command, path, headers, names, body, scope, stamp):
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    canonical = "\n".join([command, path, "", lines, ";".join(names), hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + keys["secret"].encode()
    for step in scope.split("/") + [text]:
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key.hex()


def refusal(handler, body):
    """Status, code and message where the request is not one of the owner of the keys; None where it is."""
    headers = {name.lower(): value for name, value in handler.headers.items()}
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/([^/]+)/ec2/aws4_request), SignedHeaders=([^,]+), "
                         r"Signature=([0-9a-f]{64})", headers.get("authorization", ""))
    if not found:
        return 401, "AuthFailure", "no signature"
    key, scope, region, signed, given = found.groups()
    stamp = headers.get("x-amz-date", "")
    names = signed.split(";")
    if key != keys["id"] or keys["token"] != headers.get("x-amz-security-token"):
        return 401, "AuthFailure", "AWS was not able to validate the provided access credentials"
    if not {"host", "x-amz-date", "content-type"} <= set(names) or (keys["token"] and "x-amz-security-token" not in names):
        return 400, "MissingAuthenticationToken", "a header is not signed"
    sent = time.mktime(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - time.timezone
    if abs(sent - time.time() - state["ahead"]) > 900:
        return 400, "RequestExpired", "Request has expired."
    if given != signature(handler.command, handler.path, headers, names, body, scope, stamp):
        # As AWS does, it repeats what was sent.
        return 403, "SignatureDoesNotMatch", f"The Canonical String should have been x-amz-security-token:{keys['token']}"
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        with lock:
            state["connections"] += 1

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(time.time() + state["ahead"], usegmt=True)

    def reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml;charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, code, message):
        self.reply(status, f"<?xml version='1.0' encoding='UTF-8'?>\n<Response><Errors><Error><Code>{code}</Code><Message>"
                           f"{escape(message)}</Message></Error></Errors><RequestID>1</RequestID></Response>" if code else "busy")


class Service(Handler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        host = re.sub(r"\\(.)", r"\1", form.get("Filter.1.Value.1", ""))
        with lock:
            asked.append(host)
            state["inside"] += 1
            state["most"] = max(state["most"], state["inside"])
            lock.notify_all()
            lock.wait_for(lambda: state["inside"] >= state["gather"], 60)
            state["gather"] = 0
            lock.notify_all()
        try:
            self.answer(body, form, host)
        finally:
            with lock:
                state["inside"] -= 1

    def answer(self, body, form, host):
        with lock:
            failure = failures[0] if failures else None
            if failure:
                failure["times"] -= 1
                if failure["times"] == 0:
                    failures.pop(0)
        refused = refusal(self, body)
        if failure:
            return self.error(failure["status"], failure["code"], failure["message"])
        if refused:
            return self.error(*refused)
        if form.get("Action") != "DescribeInstances" or form.get("Filter.1.Name") != "private-dns-name":
            return self.error(400, "InvalidAction", "x")
        with lock:
            is_page = state["pages"] > 0
            if is_page:
                state["pages"] -= 1
        found, token = "", "<nextToken>next+/=</nextToken>" if is_page else ""
        if not is_page and instances.get(host) is not None:
            tags = "".join(f"<item><key>{escape(name)}</key><value>{escape(value)}</value></item>"
                           for name, value in instances[host])
            found = (f"<item><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-1</instanceId>"
                     f"<privateDnsName>{escape(host)}</privateDnsName><tagSet>{tags}</tagSet></item></instancesSet></item>")
            found += "<item><instancesSet><item><tagSet/></item></instancesSet></item>" * state["others"]
        self.reply(200, f'<?xml version="1.0" encoding="UTF-8"?>\n<DescribeInstancesResponse '
                        f'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>'
                        f"<reservationSet>{found}</reservationSet>{token}</DescribeInstancesResponse>")


class MetadataService(Handler):
    def do_PUT(self):
        with lock:
            if state["hang"]:
                asked.append("metadata")
            lock.wait_for(lambda: not state["hang"], 60)
        is_right = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.reply(200 if is_right else 403, "session")

    def do_GET(self):
        folder = "/latest/meta-data/iam/security-credentials/"
        if self.headers.get("X-aws-ec2-metadata-token") != "session":
            self.reply(401, "")
        elif self.path == folder:
            self.reply(200 if role else 404, "the role")
        elif self.path == folder + "the%20role" and role:
            with lock:
                asked.append("role")
            self.reply(200, json.dumps({"Code": "Success", "AccessKeyId": role["id"], "SecretAccessKey": role["secret"],
                                        "Token": role["token"], "Expiration": role["end"]}))
        else:
            self.reply(404, "")


def serve(handler, context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def obey(order):
    with lock:
        if order["do"] == "tags":
            instances[order["host"]] = order["tags"]
        elif order["do"] == "keys":
            keys.update({name: order[name] for name in ("id", "secret", "token")})
        elif order["do"] == "role":
            role.update({name: order[name] for name in ("id", "secret", "token", "end")})
        elif order["do"] == "fail":
            failures.append({name: order[name] for name in ("status", "code", "message", "times")})
        elif order["do"] == "pages":
            state["pages"] = order["count"]
        elif order["do"] == "clock":
            state["ahead"] = order["ahead"]
        elif order["do"] in ("gather", "others", "hang"):
            state[order["do"]] = order["count"]
            lock.notify_all()
        elif order["do"] == "requests":
            answer = {"hosts": asked[:], "most": state["most"], "connections": state["connections"]}
            asked.clear()
            state.update({"most": state["inside"], "connections": 0})
            return answer
    return {}


def main():
    with tempfile.TemporaryDirectory(prefix="bcfg2-ec2-") as folder:
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", folder + "/key", "-out", folder + "/crt"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/crt", folder + "/key")
        print(json.dumps({"port": serve(Service, context), "metadata": serve(MetadataService), "ca": os.path.join(folder, "crt")}),
              flush=True)
        for line in sys.stdin:
            print(json.dumps(obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
