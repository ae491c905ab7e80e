"""A headless Chromium, driven by the DevTools protocol over a WebSocket of the standard library's sockets."""
import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time


def find():
    """The path of Chromium; None if there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return None


class Browser:
    """One page of one browser. Its profile is a temporary folder."""

    def __init__(self, path):
        self.folder = tempfile.mkdtemp(prefix="bcfg2-web-browser.")
        self.process = subprocess.Popen(
            [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-extensions", "--remote-debugging-port=0",
             "--user-data-dir=" + self.folder, "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # The browser says where it listens.
        for line in self.process.stderr:
            if b"DevTools listening on ws://" in line:
                self.port = int(line.split(b"127.0.0.1:")[1].split(b"/")[0])
                break
        else:
            raise SystemExit("chromium ended before it listened")
        self.counter = 0
        self.events = []
        self.problems = []
        self.socket = self._connect(self._target())
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.call(domain + ".enable")

    def _target(self):
        connection = socket.create_connection(("127.0.0.1", self.port), 30)
        connection.sendall(b"GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % self.port)
        answer = connection.makefile("rb")
        assert b" 200 " in answer.readline()
        length = 0
        # The connection may stay open after the answer.
        for line in iter(answer.readline, b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = answer.read(length)
        connection.close()
        pages = [target for target in json.loads(body) if target["type"] == "page"]
        return pages[0]["webSocketDebuggerUrl"].split(str(self.port), 1)[1]

    def _connect(self, path):
        connection = socket.create_connection(("127.0.0.1", self.port), 60)
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall((
            "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (path, self.port, key)).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += connection.recv(65536)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return connection

    def _exactly(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(1 << 20)
            if not more:
                raise ConnectionError("the browser has gone")
            self.buffer += more
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def _receive(self):
        message = b""
        while True:
            first, second = self._exactly(2)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack(">H", self._exactly(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self._exactly(8))[0]
            data = self._exactly(length)
            if first & 0x0F in (0, 1):
                message += data
                if first & 0x80:
                    return json.loads(message)

    def call(self, method, **parameters):
        """Calls a method and returns its result. Events that arrive before are kept in `events`."""
        self.counter += 1
        data = json.dumps({"id": self.counter, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        size = struct.pack(">BB", 0x81, 0x80 | len(data)) if len(data) < 126 else (
            struct.pack(">BBH", 0x81, 0xFE, len(data)) if len(data) < 65536 else struct.pack(">BBQ", 0x81, 0xFF, len(data)))
        self.socket.sendall(size + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data)))
        while True:
            message = self._receive()
            if message.get("id") == self.counter:
                if "error" in message:
                    raise RuntimeError("%s: %s" % (method, message["error"]))
                return message["result"]
            self.events.append(message)

    def wait(self, method):
        """Waits for an event."""
        while True:
            for index, event in enumerate(self.events):
                if event["method"] == method:
                    del self.events[: index + 1]
                    return event["params"]
            self.events.append(self._receive())

    def go(self, url):
        """Loads a page and returns its status."""
        self.events = []
        self.call("Page.navigate", url=url)
        return self.loaded()

    def loaded(self):
        """Waits until a page is loaded; returns the status of its document, and keeps what went wrong in `problems`."""
        status, problems = None, []
        while True:
            event = self.events.pop(0) if self.events else self._receive()
            method, parameters = event.get("method"), event.get("params", {})
            if method == "Network.responseReceived" and parameters["type"] == "Document":
                status = parameters["response"]["status"]
            elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                problems.append(parameters["entry"]["text"])
            elif method in ("Runtime.exceptionThrown", "Network.loadingFailed"):
                problems.append(json.dumps(parameters)[:300])
            elif method == "Page.loadEventFired":
                self.problems = problems
                return status

    def run(self, script):
        """The value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:1000])
        return result["result"].get("value")

    def key(self, name, code=0, text=None):
        for kind in ("keyDown", "keyUp"):
            parameters = {"type": kind, "key": name, "windowsVirtualKeyCode": code}
            if text and kind == "keyDown":
                parameters["text"] = text
            self.call("Input.dispatchKeyEvent", **parameters)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def size(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        try:
            self.call("Browser.close")
        except (ConnectionError, OSError):
            pass
        self.process.wait(20)
        self.process.stderr.close()
        self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)
