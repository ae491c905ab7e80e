"""Queries of the plugin Ldap: its config.py as a module, and what that imports from Bcfg2.

A process that has these renders nothing: it is asked which queries apply to a client, and what they give. It waits for an
LDAP server itself, but not between two attempts: the server is told that nobody answers there, and asks again later.
"""
import marshal
import re
import sys
import time

try:
    from collections.abc import Mapping, Set
except ImportError:
    from collections import Mapping, Set

from bcfg2_renderer import engines, wire
from bcfg2_renderer.division import compile_code
from bcfg2_renderer.errors import describe_import, describe_text, one_line
from bcfg2_renderer.values import PluginExecutionError

# Values of one result, and how deep they may lie in each other.
VALUES = 200000
DEPTH = 64
# Loaded versions of config.py that are kept: the newest, and the one before where that cannot be used.
KEPT_VERSIONS = 2
_MODULE = 'Bcfg2.Server.Plugins.Ldap'
# Seconds after which an attempt to connect that fails was a slow one.
SLOW = 0.5
_clock = getattr(time, 'monotonic', time.time)
# What looks like a password in a source: it is told of nowhere, whatever goes wrong before a connection has it. Bounded, so that
# a source with a picture in it is read in no time.
_PASSWORD = re.compile(r"""(?i)(?:pw|passw|passphrase|secret)\w{0,64}["']?\s{0,64}[=:]\s{0,64}[rub]{0,2}(['"])"""
                       r"""(.{1,1024}?)\1""")


class ServerDown(BaseException):
    """No LDAP server answers. Not an Exception, so that no query's handler catches it."""


class Run(object):
    """What holds for the queries that are being asked."""

    def __init__(self):
        self.is_last = True
        # Where nobody answered.
        self.down = None
        # Passwords, longest first.
        self.secrets = []

    def keep_secret(self, text):
        if isinstance(text, bytes) and not isinstance(text, str):
            text = text.decode('utf-8', 'replace')
        if text and isinstance(text, (str, type(u''))):
            # Messages show texts of Python in quotes, too.
            self.secrets = sorted(set(self.secrets + [text, repr(text).strip('u')[1:-1]]), key=len, reverse=True)

    def hide(self, text):
        """The same text without passwords."""
        for secret in self.secrets:
            text = text.replace(secret, u'***')
        return text


RUN = Run()


class AttributeText(str):
    """A value of an attribute as text. What was written for bytes asks for its text."""

    def decode(self, *arguments, **named):
        return str(self)


def _text(value):
    """The value of an attribute: text where it is UTF-8, else the bytes."""
    try:
        return AttributeText(value.decode('utf-8'))
    except UnicodeDecodeError:
        return value


def _found(entries):
    """What a search gave, with texts: Python 2's module gives texts anyway."""
    if wire.PY2 or not isinstance(entries, list):
        return entries
    found = []
    for entry in entries:
        parts = list(entry)
        if len(parts) > 1 and isinstance(parts[1], dict):
            parts[1] = type(parts[1])((name, [_text(value) if isinstance(value, bytes) else value for value in values])
                                      for name, values in parts[1].items())
        found.append(tuple(parts))
    return found


class ClassName(object):
    """The name of a query that has none of its own: that of its class."""

    def __get__(self, query, owner):
        return owner.__name__


class LdapConnection(object):
    """A connection to an LDAP server, opened by the first query and kept."""

    def __init__(self, host='localhost', port=389, uri=None, options=None, binddn=None, bindpw=None):
        self.host = host
        self.port = port
        self.uri = uri
        self.options = options
        self.binddn = binddn
        self.bindpw = bindpw
        self.conn = None
        # Until when none is made, and the error of the last attempt, where that was a slow one.
        self.refusal = None
        RUN.keep_secret(bindpw)

    def __del__(self):
        self.disconnect()

    def disconnect(self):
        conn, self.conn = self.__dict__.get('conn'), None
        if conn is not None:
            try:
                conn.unbind()
            except Exception:
                # It is gone in any case.
                pass

    def connect(self):
        ldap = _ldap()
        self.disconnect()
        RUN.keep_secret(self.bindpw)
        # Where nobody answers, each query would wait as long as the first, and those of other clients behind it.
        if self.refusal is not None and _clock() < self.refusal[0]:
            raise type(self.refusal[1])(*self.refusal[1].args)
        start, self.refusal = _clock(), None
        try:
            self.conn = self._open(ldap)
        except (ldap.SERVER_DOWN, getattr(ldap, 'TIMEOUT', ldap.SERVER_DOWN)) as error:
            if _clock() - start > SLOW:
                self.refusal = (_clock() + _Config.network_timeout, error)
            raise

    def _open(self, ldap):
        conn = ldap.initialize(self.get_uri())
        for name in ('OPT_NETWORK_TIMEOUT', 'OPT_TIMEOUT'):
            option = getattr(ldap, name, None)
            if option is not None:
                conn.set_option(option, _Config.network_timeout)
        for option, value in (self.options or {}).items():
            conn.set_option(option, value)
        if self.binddn is not None and self.bindpw is not None:
            conn.simple_bind_s(self.binddn, self.bindpw)
        return conn

    def run_query(self, query):
        ldap = _ldap()
        scopes = {'base': ldap.SCOPE_BASE, 'one': ldap.SCOPE_ONELEVEL, 'sub': ldap.SCOPE_SUBTREE}
        # A backslash is itself, as in Bcfg2.
        text = query.filter.replace('\\', '\\\\')
        is_used = self.conn is not None
        while True:
            try:
                if self.conn is None:
                    self.connect()
                return _found(self.conn.search_s(query.base, scopes[query.scope], text, query.attrs))
            except ldap.SERVER_DOWN:
                self.conn = None
                if is_used:
                    # The LDAP server may have been restarted since: a new connection tells.
                    is_used = False
                    continue
                RUN.down = self.get_uri()
                if RUN.is_last:
                    return None
                raise ServerDown()
            except getattr(ldap, 'TIMEOUT', ()) as error:
                error.asked = self._asked(query)
                # An answer that comes late would be taken for that of the next query.
                self.disconnect()
                raise
            except getattr(ldap, 'LDAPError', ()) as error:
                error.asked = self._asked(query)
                raise

    def _asked(self, query):
        """What was asked where, for the message of an error: the bind where it was that, else the search."""
        if self.conn is None:
            return '%s, bind as %s' % (self.get_uri(), self.binddn or 'nobody')
        return '%s, base %s, filter %s' % (self.get_uri(), query.base, query.filter)

    def get_uri(self):
        if self.uri is None:
            if self.port == 636:
                return 'ldaps://%s' % self.host
            return 'ldap://%s:%d' % (self.host, self.port)
        return self.uri


class LegacyConnection(LdapConnection):
    """The same with the parameters of 1.3."""

    def __init__(self, host='localhost', port=389, binddn=None, bindpw=None):
        LdapConnection.__init__(self, host, port, binddn=binddn, bindpw=bindpw)


class LdapQuery(object):
    """A query of a connection, whose methods adapt it to a client."""
    name = ClassName()
    base = ''
    scope = 'sub'
    filter = '(objectClass=*)'
    attrs = None
    connection = None
    result = None

    def is_applicable(self, metadata):
        return True

    def prepare_query(self, metadata, **kwargs):
        pass

    def process_result(self, metadata, **kwargs):
        return self.result

    def get_result(self, metadata, **kwargs):
        if self.connection is None:
            raise PluginExecutionError('No connection defined for %s' % self.name)
        self.prepare_query(metadata, **kwargs)
        self.result = self.connection.run_query(self)
        self.result = self.process_result(metadata, **kwargs)
        return self.result


class LdapSubQuery(LdapQuery):
    """A query that others ask: no data of clients by itself."""


def register_query(query):
    """1.3's way to name a query: as a decorator of its class."""
    _Config.registered.append(query)
    return query


def _ldap():
    try:
        import ldap
    except ImportError:
        raise engines.Missing('python-ldap', 'python-ldap' if wire.PY2 else 'python3-ldap')
    return ldap


class _Config(object):
    """config.py in the versions that were loaded."""
    is_legacy = False
    network_timeout = 10.0
    registered = []
    # Version to its classes.
    loaded = {}


def install(settings):
    """Makes this process one for queries."""
    _Config.is_legacy = settings['legacy']
    _Config.network_timeout = settings['network_timeout']
    engines.KINDS['queries'] = run
    engines.LOADS['queries'] = load
    module = type(sys)(_MODULE)
    for offered in (LdapQuery, LdapSubQuery, register_query):
        setattr(module, offered.__name__, offered)
    module.LdapConnection = LegacyConnection if _Config.is_legacy else LdapConnection
    sys.modules[_MODULE] = module
    # Where Bcfg2 itself is installed for this Python, its packages stay as they are.
    parts = _MODULE.split('.')
    for count in range(1, len(parts)):
        name = '.'.join(parts[:count])
        try:
            __import__(name)
        except Exception:
            package = sys.modules[name] = type(sys)(name)
            package.__path__ = []
            if count > 1:
                setattr(sys.modules['.'.join(parts[:count - 1])], parts[count - 1], package)
    sys.modules['.'.join(parts[:-1])].Ldap = module


def load(render, path, source):
    """The classes of config.py, loaded where they are not yet; raises LoadError."""
    known = _Config.loaded.get(render.version)
    if known is not None:
        return known
    _ldap()
    data = source['data']
    for match in _PASSWORD.finditer(data.decode('utf-8', 'replace')):
        RUN.keep_secret(match.group(2))
    module = type(sys)('__Ldap_config')
    module.__file__ = path
    _Config.registered = []
    # Classes know their module by its name.
    sys.modules[module.__name__] = module
    try:
        exec(compile_code(data, path), module.__dict__)
    except BaseException as error:
        if isinstance(error, (MemoryError, wire.Closed)):
            raise
        raise engines.LoadError(RUN.hide(describe_import(error, path, sys.exc_info()[2])))
    classes = list(_Config.registered)
    if hasattr(module, '__queries__'):
        for name in module.__queries__:
            if not hasattr(module, name):
                render.log('warning', 'Ldap: %s exports %s, but has no such attribute' % (path, name),
                           once='%s %d' % (path, render.version), broken=path)
            elif getattr(module, name) not in classes:
                classes.append(getattr(module, name))
    elif not classes:
        raise engines.LoadError('it has no __queries__ list')
    while len(_Config.loaded) >= KEPT_VERSIONS:
        del _Config.loaded[min(_Config.loaded)]
    _Config.loaded[render.version] = classes
    return classes


def run(render, path, source):
    """Answers what the server asks about queries, as marshal's bytes: names of those that apply, results, what is left."""
    classes = load(render, path, source)
    asked = dict(render.variables)['ask']
    RUN.is_last, RUN.down = asked['is_last'], None
    if _Config.is_legacy:
        answer = _all(render, path, classes)
    else:
        answer = _some(render, path, classes, list(asked['wanted']))
    answer['down'] = RUN.down
    data = wire.dump(answer)
    if len(data) > render.limit:
        raise engines.OutputLimit(render.limit)
    return data


def _some(render, path, classes, wanted):
    queries = {}
    for one in classes:
        try:
            query = one()
            if query.is_applicable(render.metadata):
                queries[_name(query)] = query
        except BaseException as error:
            _tell(render, path, error, "Exception during preparation of query named '%s'. Query will be ignored."
                  % getattr(one, '__name__', one))
    results = []
    for position, name in enumerate(wanted):
        if name not in queries:
            continue
        blob = None
        try:
            blob = _blob(queries[name].get_result(render.metadata))
        except ServerDown:
            pass
        except BaseException as error:
            _tell_result(render, path, error, name)
        if RUN.down is not None and not RUN.is_last:
            return {'names': sorted(queries), 'results': results, 'left': wanted[position:]}
        results.append([name, blob])
    return {'names': sorted(queries), 'results': results, 'left': []}


def _all(render, path, classes):
    """As 1.3: all queries at once, and nothing where one fails."""
    results, name, is_failed = {}, None, False
    try:
        for one in classes:
            name = getattr(one, 'name', None)
            query = one()
            if query.is_applicable(render.metadata):
                results[_name(query)] = _blob(query.get_result(render.metadata))
    except ServerDown:
        results, is_failed = {}, True
    except BaseException as error:
        _tell_result(render, path, error, name)
        results, is_failed = {}, True
    if RUN.down is not None and not RUN.is_last:
        return {'names': [], 'results': [], 'left': ['']}
    return {'names': sorted(results), 'results': [list(item) for item in sorted(results.items())], 'left': [],
            'failed': is_failed}


def _name(query):
    return str.__str__(str(query.name))


def _tell_result(render, path, error, name):
    _tell(render, path, error, "Exception during processing of query named '%s', query results will be empty and may "
          "cause bind failures" % name)


def _tell(render, path, error, text):
    if isinstance(error, (MemoryError, wire.Closed, engines.Missing)):
        raise
    render.log('error', '%s: %s' % (text, _described(error, path, sys.exc_info()[2])), broken=path)


def _described(error, path, trace):
    """The text of an error: of python-ldap's its words, for the dictionary that they come in, and what was asked where."""
    asked = getattr(error, 'asked', None)
    if asked is None:
        return describe_import(error, path, trace)
    words = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    parts = [words[name] for name in ('desc', 'info') if words.get(name)] or [error]
    text = u': '.join([type(error).__name__] + [describe_text(part) for part in parts])
    return one_line(u'%s (%s)' % (text, describe_text(asked)))


class _Sendable(object):
    """Makes values of the types that marshal takes: those of subclasses, and what only looks like a dictionary."""

    def __init__(self):
        self.left = VALUES

    def take(self, value, depth=0):
        self.left -= 1
        if self.left < 0 or depth > DEPTH:
            raise PluginExecutionError('the result has more than %d values, or values in each other more than %d deep'
                                       % (VALUES, DEPTH))
        if value is None or isinstance(value, bool):
            return value
        for kind in (str, type(u''), bytes, float):
            if isinstance(value, kind):
                return value if type(value) is kind else kind.__add__(value, kind()) if kind is not float else float(value)
        if isinstance(value, bytearray):
            return bytes(value)
        if isinstance(value, wire._INTEGERS):
            return value + 0
        if isinstance(value, Mapping):
            return dict((self.take(key, depth + 1), self.take(value[key], depth + 1)) for key in value)
        if isinstance(value, (list, tuple)):
            make = tuple if isinstance(value, tuple) else list
            return make([self.take(item, depth + 1) for item in value])
        if isinstance(value, Set):
            items = [self.take(item, depth + 1) for item in value]
            return frozenset(items) if isinstance(value, frozenset) else set(items)
        raise PluginExecutionError(
            'a value of type %s cannot be given to templates: make it one of texts, numbers, lists and dictionaries'
            % type(value).__name__)


def _blob(value):
    """A result as bytes, which templates read: equal bytes, equal results."""
    return wire.Bytes(marshal.dumps(_Sendable().take(value), 0 if wire.PY2 else 2))
