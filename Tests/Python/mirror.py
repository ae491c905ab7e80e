"""Package mirrors on loopback that can be broken in many ways, for the tests of PackageFetching.

Prints its port, then answers commands: one JSON object a line on standard input, one line of JSON on standard output. It ends
with its standard input. Each command names the mirror that it is for, which is the first part of its addresses; "remove" with an
empty path ends one.

  {"do": "write", "path": P, "text": T, "as": "plain|gz|xz|bz2"}   a file
  {"do": "copy", "from": P, "to": P}                               a file or folder
  {"do": "remove", "path": P}
  {"do": "tar", "path": P, "as": ..., "files": {NAME: TEXT}}
  {"do": "edit", "path": P, "from": T, "to": T}
  {"do": "release", "folder": D, "sign": "inline|detached|no", "by": KEY, "byhash": B, "until": T, "inrelease": B,
   "date": T}
                                                                   Release, InRelease, by-hash for what is below D
  {"do": "repository", "folder": D, "files": {TYPE: {"text": T, "as": ...}}, "sign": B, "checksum": NAME}
                                                                   repodata of createrepo's kind
  {"do": "key", "name": KEY, "path": P, "armoured": B}             a public key as a file
  {"do": "rule", "path": P, RULE}                                  how to answer for P; without RULE as usual
  {"do": "list", "folder": D}                                      the names in a folder
  {"do": "requests"}                                               what was asked since the last time

Rules: "status": N; "truncate": N bytes, then the connection ends; "short": N bytes as if that were all; "drip": true (a byte, then
nothing); "redirect": URL; "zeros": N bytes on the fly; "bomb": N zeros in gzip, made on the fly; "html": true; "norange": true;
"afterwards": D (once P was answered, all requests see folder D); "user": "NAME:PASSWORD"; "length": N (the Content-Length that a
continued file has).
"""

import base64
import bz2
import email.utils
import gzip
import hashlib
import http.server
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zlib

root = tempfile.mkdtemp(prefix="bcfg2-mirror-")
# By mirror.
rules = {}
requests = {}
shown = {}
# The mirror that the present command is for.
mirror = ""
lock = threading.Lock()
ended = threading.Event()


def real(path):
    return os.path.join(root, mirror, path.lstrip("/"))


def compressed(data, kind):
    if kind == "gz":
        return gzip.compress(data, mtime=0)
    if kind == "xz":
        return lzma.compress(data)
    if kind == "bz2":
        return bz2.compress(data)
    return data


def store(path, data):
    os.makedirs(os.path.dirname(real(path)), exist_ok=True)
    # Another file, so that its time and number differ from those of the old one.
    with open(real(path) + ".new", "wb") as file:
        file.write(data)
    os.rename(real(path) + ".new", real(path))


# Signatures


def gnupg():
    home = os.path.join(root, ".gnupg")
    if not os.path.isdir(home):
        os.mkdir(home, 0o700)
    return home


def gpg(*arguments, data=b""):
    command = ["gpg", "--homedir", gnupg(), "--batch", "--quiet", "--no-tty", "--passphrase", "", *arguments]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


keys = set()


def key(name):
    if name not in keys:
        gpg("--quick-gen-key", name, "ed25519", "sign", "never")
        keys.add(name)
    return name


# Archives


def release(folder, sign="no", by="mirror", byhash=False, until=None, inrelease=True, date=None):
    lines = ["Origin: test", "Date: " + email.utils.formatdate(date, usegmt=True)]
    if until is not None:
        lines.append("Valid-Until: " + email.utils.formatdate(until, usegmt=True))
    if byhash:
        lines.append("Acquire-By-Hash: yes")
    lines.append("SHA256:")
    for base, folders, names in os.walk(real(folder)):
        folders[:] = sorted(name for name in folders if name != "by-hash")
        for name in sorted(names):
            if name in ("Release", "InRelease", "Release.gpg"):
                continue
            path = os.path.relpath(os.path.join(base, name), real(folder))
            with open(os.path.join(base, name), "rb") as file:
                data = file.read()
            digest = hashlib.sha256(data).hexdigest()
            lines.append(f" {digest} {len(data)} {path}")
            if byhash:
                store(f"{folder}/{os.path.dirname(path)}/by-hash/SHA256/{digest}", data)
    text = ("\n".join(lines) + "\n").encode()
    for name in ("Release", "InRelease", "Release.gpg"):
        if os.path.exists(real(f"{folder}/{name}")):
            os.unlink(real(f"{folder}/{name}"))
    if sign == "inline":
        store(f"{folder}/InRelease", gpg("--local-user", key(by), "--clearsign", data=text))
        return
    store(f"{folder}/Release", text)
    if sign == "detached":
        store(f"{folder}/Release.gpg", gpg("--local-user", key(by), "--armor", "--detach-sign", data=text))
    elif inrelease:
        store(f"{folder}/InRelease", text)


def repository(folder, files, sign=False, by="mirror", checksum="sha256"):
    entries = []
    for kind, what in files.items():
        data = what["text"].encode()
        packed = compressed(data, what["as"])
        # Whatever the kind of checksum that repomd.xml has.
        digest = hashlib.sha256(packed).hexdigest()
        suffix = "" if what["as"] == "plain" else "." + what["as"]
        path = f"repodata/{digest}-{kind}.xml{suffix}"
        store(f"{folder}/{path}", packed)
        algorithm = "sha1" if checksum == "sha" else checksum
        found = hashlib.new(algorithm, packed).hexdigest()
        opened = hashlib.new(algorithm, data).hexdigest()
        entries.append(
            f'<data type="{kind}"><checksum type="{checksum}">{found}</checksum>'
            f'<open-checksum type="{checksum}">{opened}</open-checksum><location href="{path}"/>'
            f"<timestamp>1764000000</timestamp><size>{len(packed)}</size><open-size>{len(data)}</open-size></data>"
        )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
        f"<revision>1</revision>{''.join(entries)}</repomd>\n"
    ).encode()
    store(f"{folder}/repodata/repomd.xml", text)
    if sign:
        store(
            f"{folder}/repodata/repomd.xml.asc",
            gpg("--local-user", key(by), "--armor", "--detach-sign", data=text),
        )


def command(line):
    global mirror
    words = json.loads(line)
    mirror = words.pop("mirror")
    what = words.pop("do")
    if what == "write":
        store(words["path"], compressed(words["text"].encode(), words.get("as", "plain")))
    elif what == "copy":
        (shutil.copytree if os.path.isdir(real(words["from"])) else shutil.copy2)(
            real(words["from"]), real(words["to"])
        )
    elif what == "remove":
        path = real(words["path"])
        (shutil.rmtree if os.path.isdir(path) else os.unlink)(path)
    elif what == "tar":
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, text in words["files"].items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        store(words["path"], compressed(packed.getvalue(), words["as"]))
    elif what == "edit":
        with open(real(words["path"]), "rb") as file:
            data = file.read()
        store(words["path"], data.replace(words["from"].encode(), words["to"].encode()))
    elif what == "release":
        release(**words)
    elif what == "repository":
        repository(**words)
    elif what == "key":
        options = ["--armor"] if words.get("armoured", True) else []
        store(words["path"], gpg(*options, "--export", key(words["name"])))
    elif what == "rule":
        path = words.pop("path")
        with lock:
            rules.pop((mirror, path), None)
            if words:
                rules[mirror, path] = words
    elif what == "list":
        return sorted(os.listdir(real(words["folder"])))
    elif what == "requests":
        with lock:
            return requests.pop(mirror, [])
    else:
        raise ValueError(what)
    return True


# HTTP


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def log_request(self, code="-", size="-"):
        name, path = self.place()
        text = f"{code} {path}"
        if self.headers.get("Range"):
            text += " " + self.headers["Range"]
        with lock:
            requests.setdefault(name, []).append(text)

    def place(self):
        """The mirror, and the path that it knows."""
        parts = self.path.split("/", 2)
        return parts[1], "/" + (parts[2] if len(parts) > 2 else "")

    def plain(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name, path = self.place()
        with lock:
            rule = dict(rules.get((name, path), {}))
            folder = shown.get(name, ".")
        try:
            self.answer(rule, folder)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if "afterwards" in rule:
            with lock:
                shown[name] = rule["afterwards"]

    def answer(self, rule, folder):
        if "user" in rule:
            wanted = "Basic " + base64.b64encode(rule["user"].encode()).decode()
            if self.headers.get("Authorization") != wanted:
                return self.plain(401, WWW_Authenticate='Basic realm="mirror"')
        if "status" in rule:
            return self.plain(rule["status"], b"<html>no</html>")
        if "redirect" in rule:
            place = rule["redirect"]
            return self.plain(302, Location=f"/{self.place()[0]}{place}" if place.startswith("/") else place)
        if "html" in rule:
            return self.plain(200, b"<!DOCTYPE html><html><body>Please log in</body></html>")
        if "zeros" in rule:
            return self.stream(rule["zeros"], lambda block: block)
        if "bomb" in rule:
            packer = zlib.compressobj(9, zlib.DEFLATED, 31)
            return self.stream(rule["bomb"], packer.compress, packer.flush)
        name, path = self.place()
        path = os.path.normpath(os.path.join(root, name, folder, path.lstrip("/")))
        if not os.path.isfile(path):
            return self.plain(404, b"<html>not here</html>")
        with open(path, "rb") as file:
            data = file.read()
        return self.file(rule, path, data)

    def file(self, rule, path, data):
        etag = '"' + hashlib.md5(data).hexdigest() + '"'
        modified = email.utils.formatdate(os.stat(path).st_mtime, usegmt=True)
        if self.headers.get("If-None-Match") == etag:
            return self.plain(304, ETag=etag)
        start = 0
        wanted = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if wanted and "norange" not in rule and condition in (None, etag, modified):
            start = int(wanted.split("=")[1].split("-")[0])
            if start >= len(data):
                return self.plain(416, Content_Range=f"bytes */{len(data)}")
        body = data[start:]
        announced = len(body)
        if "short" in rule:
            body = body[: rule["short"]]
            announced = len(body)
        if start and "length" in rule:
            announced = rule["length"]
            self.close_connection = True
        self.send_response(206 if start else 200)
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", modified)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        if "drip" in rule:
            self.wfile.write(body[:1])
            self.wfile.flush()
            self.close_connection = True
            ended.wait(60)
            return None
        if "truncate" in rule:
            body = body[: max(0, rule["truncate"] - start)]
            self.close_connection = True
        self.wfile.write(body)
        return None

    def stream(self, size, pack, flush=lambda: b""):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        block = b"\0" * (1 << 20)
        for _ in range(size >> 20):
            self.wfile.write(pack(block))
        self.wfile.write(flush())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    try:
        for line in sys.stdin:
            try:
                answer = command(line)
            except Exception as error:  # The test shows it.
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)
    finally:
        ended.set()
        if os.path.isdir(os.path.join(root, ".gnupg")):
            subprocess.run(["gpgconf", "--homedir", gnupg(), "--kill", "all"], check=False)
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
