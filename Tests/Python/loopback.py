"""What the scripts that try a server on loopback share: a free port, a certificate, a client.

Python 3 standard library and the openssl program only.
"""
import base64
import http.client
import random
import socket
import ssl
import subprocess
import xmlrpc.client

# What a call raises where there is no answer; xmlrpc.client.Fault is one.
NO_ANSWER = (OSError, ssl.SSLError, http.client.HTTPException)


def free_port():
    """A port below those that the kernel gives to connections, which could take it before the server does."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        limit = int(f.read().split()[0])
    while True:
        port = random.randrange(limit // 2, limit)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def make_certificate(folder):
    """Writes the files key and crt, for localhost."""
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", folder + "/key", "-out", folder + "/crt"], check=True, capture_output=True)


class Client:
    """Asks the server at a port of this machine, whose certificate is the file; each time on a connection of its own."""

    def __init__(self, port, certificate, user="root", password="secret", timeout=30):
        self.port, self.user, self.password, self.timeout = port, user, password, timeout
        self.context = ssl.create_default_context(cafile=certificate)
        self.context.check_hostname = False

    def post(self, body, headers=(), user=None, timeout=None):
        """HTTP status and body of the answer to a body."""
        login = base64.b64encode(f"{user or self.user}:{self.password}".encode()).decode()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout or self.timeout,
                                                 context=self.context)
        try:
            connection.request("POST", "/RPC2", body,
                               {"Authorization": "Basic " + login, "Content-Type": "text/xml", **dict(headers)})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def call(self, method, *arguments, user=None, timeout=None):
        """The value that a method answers. Raises NO_ANSWER, also for another status than 200, or a fault."""
        status, body = self.post(xmlrpc.client.dumps(arguments, method), user=user, timeout=timeout)
        if status != 200:
            raise OSError(f"status {status}")
        return xmlrpc.client.loads(body)[0][0]
