"""Parses Genshi's text templates, in place of Genshi's own parser, which tells wrong lines: it counts the lines of each
directive twice, and not the line feeds that a backslash removes.
"""
import re

from bcfg2_renderer.genshicode import Lines

_KNOWN_DELIMITERS = {}


class TextParser(object):
    """Genshi's parts, and the methods that replace those of its template classes."""

    def __init__(self):
        import genshi.core
        import genshi.template.base as base
        from genshi.template.eval import Suite
        from genshi.template.interpolation import interpolate, lex
        self.TEXT, self.SUB = genshi.core.TEXT, base.SUB
        self.EXEC, self.INCLUDE = base.EXEC, base.INCLUDE
        self.Suite, self.interpolate, self.lex = Suite, interpolate, lex
        self.SyntaxError, self.BadDirective = base.TemplateSyntaxError, base.BadDirectiveError

    def mend(self, new, old):
        """Replaces methods of NewTextTemplate and OldTextTemplate."""
        parser = self
        new._parse = lambda self, source, encoding: parser.parsed(self, source, encoding)
        get, make = new._get_delims, new._set_delims

        def set_delimiters(self, delimiters):
            # Making the expressions anew for each template costs as much as reading a short one.
            if delimiters not in _KNOWN_DELIMITERS:
                make(self, delimiters)
                _KNOWN_DELIMITERS[delimiters] = self._directive_re, self._escape_re
            self._delims = delimiters
            self._directive_re, self._escape_re = _KNOWN_DELIMITERS[delimiters]

        new._set_delims, new.delimiters = set_delimiters, property(get, set_delimiters)
        parse = old._parse
        old._parse = lambda self, source, encoding: parser.one_earlier(parse(self, source, encoding))

    def parsed(self, template, source, encoding):
        """NewTextTemplate._parse: the events of a source."""
        source = source.read()
        if not isinstance(source, str):
            source = source.decode(encoding or 'utf-8', 'replace')
        events, open_directives = [], {}
        depth = offset = 0
        line, counted = 1, 0
        for match in template._directive_re.finditer(source):
            start, end = match.span(1)
            if start > offset:
                self.text(template, source, offset, start, line, events)
            line += source.count('\n', counted, start)
            counted = start
            command, value = match.group(2, 3)
            place = (template.filename, line, 0)
            if command == 'include':
                path = list(self.interpolate(value, template.filepath, line, 0, lookup=template.lookup))
                if len(path) == 1 and path[0][0] is self.TEXT:
                    path = path[0][1]
                events.append((self.INCLUDE, (path, None, []), place))
            elif command == 'python':
                events.append((self.EXEC, self.suite(template, value, start, line), place))
            elif command == 'end':
                depth -= 1
                if depth in open_directives:
                    directive, first = open_directives.pop(depth)
                    events[first:] = [(self.SUB, ([directive], events[first:]), (template.filepath, line, 0))]
            elif command:
                found = template.get_directive(command)
                if found is None:
                    raise self.BadDirective(command, template.filepath, line)
                open_directives[depth] = (0, found, value, None, (template.filepath, line, 0)), len(events)
                depth += 1
            offset = end
            line += source.count('\n', counted, end)
            counted = end
        if offset < len(source):
            self.text(template, source, offset, len(source), line, events)
        return events

    def text(self, template, source, start, end, line, events):
        """Text and expressions between directives."""
        text = source[start:end]
        if '\\' in text:
            text = template._escape_re.sub(_unescaped, text)
        if '$' not in text:
            if text:
                events.append((self.TEXT, text, (template.filepath, line, 0)))
            return
        Lines.cursor = start
        try:
            events.extend(self.interpolate(text, template.filepath, line, lookup=template.lookup))
        except self.SyntaxError as error:
            if error.__context__ is None:
                # No error of Python's parser: Genshi's lexer found no end of an expression.
                raise self.SyntaxError('"${" without its "}"', template.filepath, self.open_line(source[start:end], line))
            raise

    def open_line(self, text, line):
        """The line of the expression without an end; line: that of the text."""
        try:
            for _, chunk in self.lex(text, [None, line, 0], None):
                line += chunk.count('\n')
        except self.SyntaxError:
            pass
        return line

    def suite(self, template, value, start, line):
        if not template.allow_exec:
            raise self.SyntaxError('Python code blocks not allowed', template.filepath, line)
        Lines.cursor = start
        try:
            return self.Suite(value, template.filepath, line, lookup=template.lookup)
        except SyntaxError as error:
            raise self.SyntaxError(error, template.filepath, line + (error.lineno or 1) - 1)

    def one_earlier(self, events):
        """The same events with directives where they stand: OldTextTemplate has the line behind each."""
        def moved(directive):
            order, kind, value, namespaces, (path, line, column) = directive
            return order, kind, value, namespaces, (path, line - 1, column)
        return [(kind, ([moved(one) for one in data[0]], self.one_earlier(data[1])), place) if kind is self.SUB
                else (kind, data, place) for kind, data, place in events]


def _unescaped(match):
    return next((group for group in match.groups() if group), '')
