"""The text of a Genshi text template, without the filters and serializers through which Genshi passes each piece of it.

The steps are those of `Template._flatten`, `Template._include` and `TextSerializer`, in their order; only that each piece
goes to the output at once. Where Genshi's own filters are others than these, its own way is taken.
"""
import re
from itertools import islice

from bcfg2_renderer.wire import PY2

# Pieces after which they are put together, so that their number is bounded.
_PIECES = 1000
_TEXTS = (str,) if not PY2 else (str, unicode)
_text = str if not PY2 else unicode
_DELETE = re.compile(r'\bdel\b')
_STEPS = ('_flatten', '_include')


class OutputLimit(Exception):
    """A template that gives more than it may."""

    def __init__(self, limit):
        Exception.__init__(self, 'the output is larger than %d bytes' % limit)


class Pieces(object):
    """Pieces of text, within a limit of characters."""

    def __init__(self, limit):
        self.limit = self.left = limit
        self.pieces = []
        self.append = self.pieces.append
        self.joined = []

    def join(self):
        text = u''.join(self.pieces)
        del self.pieces[:]
        self.left -= len(text)
        if self.left < 0:
            raise OutputLimit(self.limit)
        self.joined.append(text)

    def end(self):
        self.join()
        return self.joined[0] if len(self.joined) == 1 else u''.join(self.joined)


def _execute(code, names, place):
    exec(code, names, place)


def _names(code, context):
    """What a code's own names are looked up by: as Genshi has it, with a shorter way to what is there."""
    names = code._globals(context)
    missing = names['_lookup_name']
    frames = context.frames

    def lookup_name(data, name):
        if data is context:
            for frame in frames:
                if name in frame:
                    return frame[name]
        return missing(data, name)

    names['_lookup_name'] = lookup_name
    return names


def joined(parts, limit):
    """Texts one after the other."""
    output = Pieces(limit)
    parts = iter(parts)
    while True:
        some = list(islice(parts, _PIECES))
        if not some:
            return output.end()
        output.pieces.extend(some)
        output.join()


def has_usual_filters(template):
    return tuple(getattr(step, '__name__', None) for step in template.filters) == _STEPS


class TextOutput(object):
    """Renders text templates; made once, with Genshi's parts."""

    def __init__(self):
        import genshi.core
        import genshi.template.base as base
        self.kinds = (genshi.core.TEXT, base.EXPR, base.SUB, base.EXEC, base.INCLUDE, genshi.core.START)
        self.ensure = genshi.core._ensure
        self.context = base.Context
        self.apply_directives = base._apply_directives
        self.exec_suite = base._exec_suite
        self.deleting = {}
        self.numbers = (int, float) if not PY2 else (int, long, float)

    def of(self, template, variables, limit):
        """The template's text; raises OutputLimit where it has more characters than that."""
        if not has_usual_filters(template):
            return joined(template.generate(**variables).serialize('text'), limit)
        output = Pieces(limit)
        self.whole(template, self.context(**variables), output)
        return output.end()

    def whole(self, template, context, output):
        """A template within the output of another one, or of its own."""
        self.run(template, template.stream, context, output)

    def run(self, template, events, context, output):
        TEXT, EXPR, SUB, EXEC, INCLUDE, START = self.kinds
        append, pieces = output.append, output.pieces
        stack = []
        stream = iter(events)
        names = owner = None
        while True:
            for kind, data, place in stream:
                if kind is TEXT:
                    append(data if type(data) is str else _text(data))
                elif kind is EXPR:
                    if data._globals.__self__ is not owner:
                        owner = data._globals.__self__
                        names = _names(data, context)
                    result = eval(data.code, names, {'__data__': context})
                    if type(result) is str:
                        append(result)
                    elif result is None:
                        pass
                    elif isinstance(result, _TEXTS):
                        append(_text(result))
                    elif isinstance(result, self.numbers):
                        append(_text(template._number_conv(result)))
                    elif hasattr(result, '__iter__'):
                        stack.append(stream)
                        stream = iter(self.ensure(result))
                        break
                    else:
                        append(_text(result))
                elif kind is SUB:
                    directives, inner = data
                    stack.append(stream)
                    stream = iter(self.apply_directives(inner, directives, context, {}))
                    break
                elif kind is EXEC:
                    if len(context.frames) == 1 and not self.deletes(data):
                        # Reads of names come here by way of their lookup: a dictionary in place of the context spares
                        # each of them a search for that lookup's own name.
                        _execute(data.code, _names(data, context), context.frames[0])
                    else:
                        self.exec_suite(data, context, {})
                elif kind is INCLUDE:
                    self.include(template, data, place, context, output)
                elif kind is START and data[1]:
                    # What its attributes do is done, though they are no text.
                    for _ in template._flatten([(kind, data, place)], context):
                        pass
                if len(pieces) > _PIECES:
                    output.join()
            else:
                if not stack:
                    return
                stream = stack.pop()

    def deletes(self, suite):
        """Whether a block may delete names, which the context does in its own way."""
        found = self.deleting.get(suite.code)
        if found is None:
            if len(self.deleting) > 2000:
                self.deleting.clear()
            found = self.deleting[suite.code] = bool(_DELETE.search(suite.source or 'del '))
        return found

    def include(self, template, data, place, context, output):
        from genshi.template.loader import TemplateNotFound
        path, kind, fallback = data
        if not isinstance(path, _TEXTS):
            path = ''.join([event[1] for event in template._flatten(path, context)
                            if event[0] is self.kinds[0] and event[1] is not None])
        try:
            found = template.loader.load(path, relative_to=place[0], cls=kind or template.__class__)
            if isinstance(found, template.__class__):
                self.whole(found, context, output)
            else:
                for piece in found.generate(context).serialize('text'):
                    output.append(piece)
        except TemplateNotFound:
            if fallback is None:
                raise
            self.run(template, fallback, context, output)
