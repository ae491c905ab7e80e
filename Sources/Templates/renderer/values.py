"""What templates have in hand: a client's metadata, questions about others, and the data of connectors.

Names and behaviour are Bcfg2's. Everything is read from the server when it is asked for, and recorded in the trace of the
rendering. What a template changes in these objects is gone with the rendering.
"""
import copy
import marshal
import re
import sys

try:
    from collections.abc import MutableMapping, MutableSet
except ImportError:
    from collections import MutableMapping, MutableSet

from bcfg2_renderer.wire import PY2, dump, native


class PluginExecutionError(Exception):
    pass


class MetadataConsistencyError(Exception):
    pass


class SortedSet(set):
    """A set that iterates in order."""

    def __iter__(self):
        return iter(_in_order(set.__iter__(self)))

    def __repr__(self):
        return _set_text(self)

    __str__ = __repr__


def _wrapped(name):
    method = getattr(set, name)

    def derived(self, *arguments):
        found = method(self, *arguments)
        return SortedSet(found) if type(found) is set else found

    derived.__name__ = name
    return derived


for _name in ('__and__', '__or__', '__xor__', '__sub__', '__rand__', '__ror__', '__rxor__', '__rsub__', 'union',
              'intersection', 'difference', 'symmetric_difference', 'copy'):
    setattr(SortedSet, _name, _wrapped(_name))


def _in_order(items):
    items = list(items)
    try:
        return sorted(items)
    except TypeError:
        return items


def _set_text(items):
    if PY2:
        return 'set([%s])' % ', '.join(repr(item) for item in items)
    return '{%s}' % ', '.join(repr(item) for item in items) if items else 'set()'


class TracedSet(MutableSet):
    """A set of names: asked for one name it records that question, asked for more it records the whole.

    Not a subclass of set, because C code takes what is in a set without asking; it says that it is one.
    """
    __slots__ = ('_sorted', '_ask', '_scope', '_field', '_members')

    def __init__(self, made, ask, scope, field):
        # made: the members, and the same in order.
        self._members, self._sorted = made
        self._ask = ask
        self._scope = scope
        self._field = field

    __class__ = property(lambda self: set)

    def _all(self):
        self._ask('of', self._scope, self._field)
        return SortedSet(self._members)

    def __contains__(self, item):
        if isinstance(item, str) or PY2:
            self._ask('of', self._scope, 'in', self._field, item)
        return item in self._members

    def __iter__(self):
        self._ask('of', self._scope, self._field)
        return iter(self._sorted)

    def __len__(self):
        self._ask('of', self._scope, self._field)
        return len(self._members)

    def __repr__(self):
        return _set_text(self._all())

    __str__ = __repr__
    __hash__ = None

    @classmethod
    def _from_iterable(cls, items):
        return SortedSet(items)

    def __eq__(self, other):
        return self._all() == _plain(other)

    def __ne__(self, other):
        return not self == other

    def __le__(self, other):
        return self._all() <= _plain(other)

    def __lt__(self, other):
        return self._all() < _plain(other)

    def __ge__(self, other):
        return self._all() >= _plain(other)

    def __gt__(self, other):
        return self._all() > _plain(other)

    def __copy__(self):
        return self._all()

    def __deepcopy__(self, memo):
        return self._all()

    def __reduce__(self):
        return (SortedSet, (list(self),))

    def issubset(self, other):
        return self._all().issubset(other)

    def issuperset(self, other):
        return all([item in self for item in other])

    def isdisjoint(self, other):
        return not any([item in self for item in other])

    def union(self, *others):
        return self._all().union(*others)

    def intersection(self, *others):
        if len(others) != 1:
            return self._all().intersection(*others)
        return SortedSet(item for item in others[0] if item in self)

    def difference(self, *others):
        return self._all().difference(*others)

    def symmetric_difference(self, other):
        return self._all().symmetric_difference(other)

    def __and__(self, other):
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        return self.intersection(other)

    __rand__ = __and__

    def copy(self):
        return self._all()

    # Changes are this rendering's own.

    def _become(self, members):
        self._members = frozenset(members)
        self._sorted = tuple(_in_order(self._members))

    def add(self, item):
        self._become(self._all() | set([item]))

    def discard(self, item):
        self._become(self._all() - set([item]))

    def remove(self, item):
        if item not in self._all():
            raise KeyError(item)
        self.discard(item)

    def clear(self):
        self._become(())

    def pop(self):
        for item in self:
            self.discard(item)
            return item
        raise KeyError('pop from an empty set')

    def update(self, *others):
        self._become(self._all().union(*others))

    def difference_update(self, *others):
        self._become(self._all().difference(*others))

    def intersection_update(self, *others):
        self._become(self._all().intersection(*others))

    def symmetric_difference_update(self, other):
        self._become(self._all().symmetric_difference(other))


def _plain(other):
    return other._all() if type(other) is TracedSet else other


class TracedDict(MutableMapping):
    """A dictionary whose values are made when they are asked for; each key that is asked for is recorded."""

    def __init__(self, keys, make, record, record_keys, broken=None):
        self._keys = keys
        self._make = make
        self._record = record
        self._record_keys = record_keys
        # What is wrong with keys that would be there.
        self._broken = broken or {}
        self._known = {}

    __class__ = property(lambda self: dict)

    def __getitem__(self, key):
        if key in self._known:
            return self._known[key]
        if isinstance(key, str) or PY2:
            self._record(key)
        if key not in self._keys:
            if key in self._broken:
                raise PluginExecutionError(self._broken[key])
            raise KeyError(key)
        value = self._known[key] = self._make(key)
        return value

    def __contains__(self, key):
        if key in self._known:
            return True
        if isinstance(key, str) or PY2:
            self._record(key)
        return key in self._keys

    has_key = __contains__

    def __iter__(self):
        self._record_keys()
        return iter(_in_order(set(self._keys) | set(self._known)))

    def __len__(self):
        self._record_keys()
        return len(set(self._keys) | set(self._known))

    def __setitem__(self, key, value):
        self._known[key] = value

    def __delitem__(self, key):
        self[key]
        self._known.pop(key, None)
        self._keys = [other for other in self._keys if other != key]

    def __repr__(self):
        return repr(dict(self.items()))

    def copy(self):
        return dict(self.items())

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return copy.deepcopy(self.copy(), memo)

    if PY2:
        def keys(self):
            return list(self)

        def iterkeys(self):
            return iter(self)

        def iteritems(self):
            return iter(self.items())

        def itervalues(self):
            return iter(self.values())


class ProbeDict(TracedDict):
    """The data of a client's probes, with the time of its report."""

    def __init__(self, *arguments):
        TracedDict.__init__(self, *arguments)
        self._timestamp = None

    @property
    def timestamp(self):
        self._record('\0timestamp')
        return self._timestamp


class ProbeData(str):
    """The output of a probe: a text that can be read as XML, JSON or YAML too, None where it is none."""

    def __new__(cls, text):
        if PY2 and isinstance(text, unicode):
            text = text.encode('utf-8')
        return str.__new__(cls, text)

    def __init__(self, text):
        self._read = {}

    def _as(self, kind, read):
        if kind not in self._read:
            self._read[kind] = read(str(self))
        return self._read[kind]

    @property
    def data(self):
        return str(self)

    @property
    def xdata(self):
        return self._as('xml', _xml_or_none)

    @property
    def json(self):
        return self._as('json', _json_or_none)

    @property
    def yaml(self):
        return self._as('yaml', _yaml_or_none)


def xml_parser():
    """As Bcfg2's: blanks between elements go; nothing is loaded from elsewhere."""
    import lxml.etree
    return lxml.etree.XMLParser(remove_blank_text=True, no_network=True)


def _xml_or_none(text):
    import lxml.etree
    try:
        data = text if PY2 else text.encode('utf-8', 'surrogatepass')
        # What a client sent: no entities.
        parser = lxml.etree.XMLParser(remove_blank_text=True, no_network=True, resolve_entities=False)
        return lxml.etree.XML(data, parser=parser)
    except (lxml.etree.XMLSyntaxError, ValueError):
        return None


def _json_or_none(text):
    import json
    try:
        return native(json.loads(text))
    except ValueError:
        return None


def _yaml_module():
    try:
        import yaml
    except ImportError:
        raise PluginExecutionError('YAML needs the package python3-yaml of Debian, or PyYAML')
    return yaml


def _yaml_or_none(text):
    yaml = _yaml_module()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


class Bcfg2VersionInfo(tuple):
    """A version as (major, minor, micro, releaselevel, serial), comparable with others of its kind and with texts."""
    _form = re.compile(r'(\d+)(\w+)(\d+)')
    _levels = {'pre': 1, 'rc': 2, 'final': 3}

    def __new__(cls, text):
        major, minor, rest = text.split('.')
        match = cls._form.match(rest)
        micro, level, serial = match.groups() if match else (rest, 'final', 0)
        return tuple.__new__(cls, (int(major), int(minor), int(micro), level, int(serial)))

    major = property(lambda self: self[0])
    minor = property(lambda self: self[1])
    micro = property(lambda self: self[2])
    releaselevel = property(lambda self: self[3])
    serial = property(lambda self: self[4])

    def __repr__(self):
        return '%s(major=%s, minor=%s, micro=%s, releaselevel=%s, serial=%s)' % ((type(self).__name__,) + tuple(self))

    @classmethod
    def _rank(cls, version):
        if isinstance(version, ('').__class__) or not isinstance(version, tuple):
            version = cls(version)
        # Of fewer than five parts the comparison fails, as Bcfg2's does.
        return version[0], version[1], version[2], cls._levels.get(version[3], 0), version[4]

    def __eq__(self, other):
        return other is not None and self._rank(self) == self._rank(other)

    def __ne__(self, other):
        return not self == other

    def __lt__(self, other):
        return other is not None and self._rank(self) < self._rank(other)

    def __gt__(self, other):
        return other is None or self._rank(self) > self._rank(other)

    def __le__(self, other):
        return not self > other

    def __ge__(self, other):
        return not self < other

    def __hash__(self):
        return tuple.__hash__(self)


class MetadataQuery(object):
    """Questions about all clients, answered by the server."""

    def __init__(self, render):
        self._render = render

    def _ask(self, name, *arguments):
        self._render.trace.ask('query', name, *arguments)
        return self._render.ask(['query', name] + [list(item) if isinstance(item, tuple) else item
                                                   for item in arguments])

    def _names(self, groups, name):
        if isinstance(groups, (str, type(u''))):
            self._render.log('warning', 'MetadataQuery: %s takes a list as argument, not a string' % name)
        return tuple(groups)

    def _clients(self, name, *arguments):
        self._render.trace.ask('clients')
        bases = self._render.ask(['clients', name] + [list(item) for item in arguments])
        return [ClientMetadata(self._render, base, base['hostname'], shares_trace=False) for base in bases]

    def by_name(self, name):
        name = str.__str__(str(name))
        # Under the name that was asked for: it may be an alias. That there is none is an answer, too.
        self._render.trace.ask('client', name)
        base = self._render.ask(['client', name])
        return ClientMetadata(self._render, base, name)

    def names_by_groups(self, groups):
        return self._ask('names_by_groups', self._names(groups, 'names_by_groups'))

    def names_by_profiles(self, profiles):
        return self._ask('names_by_profiles', self._names(profiles, 'names_by_profiles'))

    def by_groups(self, groups):
        return self._clients('by_groups', self._names(groups, 'names_by_groups'))

    def by_profiles(self, profiles):
        return self._clients('by_profiles', self._names(profiles, 'names_by_profiles'))

    def all(self):
        return self._clients('all')

    def all_clients(self):
        return self._ask('all_clients')

    def all_groups(self):
        return SortedSet(self._ask('all_groups')) if not PY2 else self._ask('all_groups')

    def all_groups_in_category(self, category):
        return SortedSet(self._ask('all_groups_in_category', category))


def _unrecorded(*question):
    pass


class _Text(object):
    """A text that is read, recorded and remembered when it is first asked for."""

    def __init__(self, name):
        self.name = name

    def __get__(self, metadata, owner):
        if metadata is None:
            return self
        name = self.name
        metadata._ask('of', metadata._scope, name)
        value = metadata.__dict__[name] = metadata._base[name]
        return value


class _Set(object):
    """The same of a set of names, which records what it is asked for."""

    def __init__(self, name):
        self.name = name
        self.key = name + ' made'

    def __get__(self, metadata, owner):
        if metadata is None:
            return self
        name, base = self.name, metadata._base
        made = base.get(self.key)
        if made is None:
            made = base[self.key] = frozenset(base[name]), tuple(_in_order(set(base[name])))
        value = metadata.__dict__[name] = TracedSet(made, metadata._ask, metadata._scope, name)
        return value


class ClientMetadata(object):
    """What the server knows of a client. An attribute is read, and recorded, when it is first asked for."""

    hostname, profile, uuid, version = _Text('hostname'), _Text('profile'), _Text('uuid'), _Text('version')
    groups, bundles, aliases, addresses = _Set('groups'), _Set('bundles'), _Set('aliases'), _Set('addresses')

    def __init__(self, render, base, scope, shares_trace=True):
        # scope: '' for the client that is rendered for, else the name it was asked by.
        self._render = render
        self._base = base
        self._scope = scope
        self._ask = render.trace.ask if shares_trace else _unrecorded

    def _record(self, *question):
        self._ask('of', self._scope, *question)

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        value = self._make(name)
        self.__dict__[name] = value
        return value

    def _make(self, name):
        base = self._base
        if name == 'categories':
            categories = base['categories']
            return TracedDict(categories, categories.__getitem__, lambda key: self._record('category', key),
                              lambda: self._record('categories'))
        if name == 'connectors':
            self._record('connectors')
            return list(base['connectors'])
        if name == 'version_info':
            self._record('version')
            try:
                return Bcfg2VersionInfo(base['version'])
            except (ValueError, AttributeError):
                return None
        if name == 'password':
            self._record('password')
            return self._render.ask(['password', self._scope])
        if name == 'query':
            return MetadataQuery(self._render)
        return self._connector(name)

    def _connector(self, name):
        if name not in self._base['connectors']:
            self._record('connector', name)
            raise AttributeError("'ClientMetadata' object has no attribute '%s'" % name)
        data = self._base['data'].get(name)
        if data is None:
            data = self._base['data'][name] = self._render.ask(['connector', self._scope, name])
        return CONNECTORS[data['form']](self, name, data)

    def inGroup(self, group):
        return group in self.groups

    def group_in_category(self, category):
        for group in self.query.all_groups_in_category(category):
            if group in self.groups:
                return group
        return ''

    def __repr__(self):
        return 'ClientMetadata(%s, profile=%s, groups=%s)' % (self.hostname, self.profile, self.groups)


def _whole(metadata, name, data):
    metadata._record('connector', name)
    if 'blob' not in data:
        data['blob'] = dump(data['value'])
    return native(marshal.loads(data['blob']))


def _json(metadata, name, data):
    metadata._record('connector', name)
    if 'blob' not in data:
        import json
        try:
            data['blob'] = dump(json.loads(data['text']))
        except ValueError:
            data['blob'] = dump({})
    return native(marshal.loads(data['blob']))


def _probes(metadata, name, data):
    texts = data['texts']
    probes = ProbeDict(
        texts, lambda key: ProbeData(texts[key]), lambda key: metadata._record('item', name, key),
        lambda: metadata._record('keys', name))
    try:
        probes._timestamp = int(data['timestamp'])
    except ValueError:
        probes._timestamp = data['timestamp']
    return probes


def _properties(metadata, name, data):
    from bcfg2_renderer.properties import property_for
    return TracedDict(
        data['names'], lambda key: property_for(metadata, name, key), lambda key: metadata._record('item', name, key),
        lambda: metadata._record('keys', name), data.get('broken'))


def _helpers(metadata, name, data):
    render = metadata._render
    helpers = render.session.helpers.current(render)

    def use(key):
        helpers[key].use(render.trace)
        return helpers[key]

    return TracedDict(
        helpers, use, lambda key: metadata._record('item', name, key), lambda: metadata._record('keys', name))


class Packages(TracedDict):
    """A client's package sources, and a function that gives the file with the sources of any client."""
    text = None


def _packages(metadata, name, data):
    def text():
        metadata._record('item', name, 'get_config')
        return native(data['config'])

    def value(key):
        if key == 'get_config':
            return lambda other: other.Packages.text()
        return native(marshal.loads(dump(data['sources'])))

    packages = Packages(
        ['sources', 'get_config'], value, lambda key: metadata._record('item', name, key),
        lambda: metadata._record('keys', name))
    packages.text = text
    return packages


class QueryResults(TracedDict):
    """What queries give for a client: asked for when a template asks, each by its name."""

    def __init__(self, metadata, name):
        TracedDict.__init__(self, None, None, lambda key: metadata._record('item', name, key),
                            lambda: metadata._record('keys', name))
        self._ask = lambda *words: metadata._render.ask(['queried', metadata._scope, name] + list(words))
        self._removed = set()

    def __getitem__(self, key):
        if key in self._known:
            return self._known[key]
        if key in self._removed or not isinstance(key, (str, type(u''))):
            raise KeyError(key)
        self._record(key)
        answer = self._ask(key)
        if 'problem' in answer:
            raise PluginExecutionError(answer['problem'])
        if 'blob' not in answer:
            raise KeyError(key)
        value = self._known[key] = native(marshal.loads(answer['blob']))
        return value

    def _names(self):
        self._record_keys()
        answer = self._ask()
        if 'problem' in answer:
            raise PluginExecutionError(answer['problem'])
        return (set(answer['names']) | set(self._known)) - self._removed

    def __contains__(self, key):
        return key in self._known or key in self._names()

    has_key = __contains__

    def __iter__(self):
        return iter(_in_order(self._names()))

    def __len__(self):
        return len(self._names())

    def __setitem__(self, key, value):
        self._removed.discard(key)
        self._known[key] = value

    def __delitem__(self, key):
        if key not in self:
            raise KeyError(key)
        self._known.pop(key, None)
        self._removed.add(key)

    def __repr__(self):
        # As Bcfg2's: nothing is asked.
        return repr(dict((name, self._known.get(name, 'unknown')) for name in self))


def _queries(metadata, name, data):
    return QueryResults(metadata, name)


CONNECTORS = {
    'value': _whole, 'json': _json, 'probes': _probes, 'properties': _properties, 'helpers': _helpers,
    'packages': _packages, 'queries': _queries,
}
