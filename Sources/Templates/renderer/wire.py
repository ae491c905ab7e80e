"""Messages between the server and a renderer: a header of 16 bytes and a payload that marshal wrote.

Header, in little-endian order: payload bytes (4), kind (1), three zero bytes, request (8). Payloads are values of
marshal's version 2 under Python 3 and version 0 under Python 2: both sides know None, booleans, integers, floats, texts,
bytes, lists, tuples and dictionaries.

The server does not watch the socket but the bell: it is rung where the server is to read at once, and not after each of
many results, which would cost more than to render.
"""
import marshal
import os
import struct
import sys
import time
from collections import deque

PY2 = sys.version_info[0] == 2

# Kinds that the server sends.
START, CLIENT, RENDER, ANSWER = 1, 2, 3, 4
# Kinds that a renderer sends.
READY, QUESTION, RESULT, LOG, FILE = 16, 17, 18, 19, 20

# The most bytes of a payload, in both directions.
LIMIT = 1 << 28
HEADER = struct.Struct('<IB3xQ')
# Values of one question, and characters of its texts: the server refuses messages that have many more.
VALUES = 100000
CHARACTERS = 1 << 21
# Lists in lists.
DEPTH = 32
# So much is written at most before the bell is rung: less than the kernel keeps of a socket's bytes.
QUIET_BYTES = 1 << 16
# Seconds after which the bell is rung even where more is about to come.
QUIET_TIME = 0.02
_RING = struct.pack('=Q', 1)
# Before anything can be put in its place.
_clock = getattr(time, 'monotonic', time.time)
_write = os.write
_VERSION = 0 if PY2 else 2


class Closed(BaseException):
    """The server is gone. Not an Exception, so that no template's handler catches it."""


class Later(BaseException):
    """The server has no answer yet: what asked is rendered once more when it has. Not an Exception, as Closed."""


class Unsendable(ValueError):
    """A value that no message carries."""


_TEXTS = (str, type(u''))
_EXACT = frozenset(_TEXTS + (bytes, bool, float, type(None)))
_INTEGERS = (int,) if not PY2 else (int, long)


class _Plain(object):
    """Makes values that have the types of messages themselves, and no subclass of them: marshal refuses those, and their
    methods are not to be called once they are recorded."""

    def __init__(self):
        self.values = VALUES
        self.characters = CHARACTERS

    def take(self, value, depth=0):
        self.values -= 1
        kind = type(value)
        if isinstance(value, _TEXTS):
            self.characters -= len(value)
            if kind not in _EXACT and kind is not Bytes:
                value = (str if isinstance(value, str) else _TEXTS[1]).__str__(value)
        elif isinstance(value, (bytes, bytearray)):
            value = value if kind is bytes else bytes(bytearray(value))
        elif isinstance(value, _INTEGERS):
            if kind is not bool:
                value = int.__int__(value) if isinstance(value, int) else value
                if not -1 << 63 < value < 1 << 63:
                    raise Unsendable('an integer beyond 64 bits')
        elif isinstance(value, float):
            value = float.__float__(value)
        elif isinstance(value, (list, tuple, dict)) and depth < DEPTH:
            if isinstance(value, dict):
                value = dict((self.take(key, DEPTH), self.take(item, depth + 1)) for key, item in dict.items(value))
            else:
                make = tuple if isinstance(value, tuple) else list
                value = make([self.take(item, depth + 1) for item in value])
        elif value is not None:
            raise Unsendable('a value of type %s, or lists in lists' % kind.__name__)
        if self.values < 0 or self.characters < 0:
            raise Unsendable('more than a message may have')
        return value


def plain(value):
    """The same value in the types that messages have; raises Unsendable where there is none."""
    return _Plain().take(value)


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

    def __init__(self, descriptor, bell):
        self.descriptor = descriptor
        self.bell = bell
        # Bytes that were written since the bell was rung, and when that was.
        self.quiet_bytes = 0
        self.rung = 0
        self.waiting = deque()
        self.buffer = b''

    def close(self):
        """For a process that a template made: it is none of the server's."""
        self.descriptor = self.bell = -1

    def ring(self):
        self.quiet_bytes = 0
        self.rung = _clock()
        try:
            _write(self.bell, _RING)
        except OSError as error:
            # EAGAIN: it has been rung.
            if error.errno not in (4, 11):
                raise Closed()

    def send(self, kind, request, value, is_urgent=True):
        self.send_data(kind, request, dump(value), is_urgent)

    def send_data(self, kind, request, payload, is_urgent):
        """Sends what `dump` made."""
        if len(payload) > LIMIT:
            raise ValueError('a message of %d bytes is too large' % len(payload))
        data = HEADER.pack(len(payload), kind, request) + payload
        try:
            written = _write(self.descriptor, data) if len(data) < QUIET_BYTES else 0
        except OSError as error:
            if error.errno != 4:
                raise Closed()
            written = 0
        self.quiet_bytes += written
        view = memoryview(data)[written:] if written < len(data) else b''
        while len(view):
            try:
                written = _write(self.descriptor, view[:QUIET_BYTES])
            except OSError as error:
                if error.errno != 4:
                    raise Closed()
                continue
            view = view[written:]
            self.quiet_bytes += written
            if self.quiet_bytes >= QUIET_BYTES and len(view):
                self.ring()
        if is_urgent or self.quiet_bytes >= QUIET_BYTES or _clock() - self.rung > QUIET_TIME:
            self.ring()

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
