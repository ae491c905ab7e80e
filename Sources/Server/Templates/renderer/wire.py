"""Messages between the server and a renderer: a header of 16 bytes and a payload that marshal wrote.

Header, in little-endian order: payload bytes (4), kind (1), three zero bytes, request (8). Payloads are values of
marshal's version 2 under Python 3 and version 0 under Python 2: both sides know None, booleans, integers, floats, texts,
bytes, lists, tuples and dictionaries.
"""
import marshal
import os
import struct
import sys
from collections import deque

PY2 = sys.version_info[0] == 2

# Kinds that the server sends.
START, CLIENT, RENDER, ANSWER = 1, 2, 3, 4
# Kinds that a renderer sends.
READY, QUESTION, RESULT, LOG = 16, 17, 18, 19

# The most bytes of a payload, in both directions.
LIMIT = 1 << 28
HEADER = struct.Struct('<IB3xQ')
_VERSION = 0 if PY2 else 2


class Closed(BaseException):
    """The server is gone. Not an Exception, so that no template's handler catches it."""


if PY2:
    def native(value):
        """Texts become str where they are ASCII, as the Python server has them; the rest stays unicode."""
        kind = type(value)
        if kind is unicode:
            try:
                return value.encode('ascii')
            except UnicodeError:
                return value
        if kind is list:
            return [native(item) for item in value]
        if kind is dict:
            return dict((native(key), native(item)) for key, item in value.items())
        return value

    class Bytes(str):
        """What is sent as bytes; every other str is text."""

    def _foreign(value):
        kind = type(value)
        if kind is str:
            return value.decode('utf-8', 'replace')
        if kind is Bytes:
            return str(value)
        if kind is list or kind is tuple:
            return [_foreign(item) for item in value]
        if kind is dict:
            return dict((_foreign(key), _foreign(item)) for key, item in value.items())
        return value

    def dump(value):
        return marshal.dumps(_foreign(value), _VERSION)
else:
    Bytes = bytes

    def native(value):
        return value

    def dump(value):
        return marshal.dumps(value, _VERSION)


def load(data):
    return native(marshal.loads(data))


class Channel(object):
    """The server's socket. Frames that come while an answer is awaited wait in `waiting`."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.waiting = deque()
        self.buffer = b''

    def send(self, kind, request, value):
        payload = dump(value)
        if len(payload) > LIMIT:
            raise ValueError('a message of %d bytes is too large' % len(payload))
        data = HEADER.pack(len(payload), kind, request) + payload
        view = memoryview(data)
        while len(view):
            try:
                view = view[os.write(self.descriptor, view):]
            except OSError as error:
                if error.errno != 4:
                    raise Closed()

    def _read(self, count):
        """Exactly so many bytes."""
        while len(self.buffer) < count:
            try:
                chunk = os.read(self.descriptor, max(65536, count - len(self.buffer)))
            except OSError as error:
                if error.errno == 4:
                    continue
                raise Closed()
            if not chunk:
                raise Closed()
            self.buffer = self.buffer + chunk if self.buffer else chunk
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read(self):
        """The next frame: kind, request, value."""
        length, kind, request = HEADER.unpack(self._read(HEADER.size))
        if length > LIMIT:
            raise Closed()
        return kind, request, load(self._read(length))
