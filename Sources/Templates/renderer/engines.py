"""Genshi, Cheetah and Jinja2 as Bcfg2 uses them: how a template is loaded, what it sees, what it gives."""
import errno
import os
import sys
from collections import OrderedDict
from io import BytesIO

from bcfg2_renderer import errors
from bcfg2_renderer.division import compile_code, text_of
from bcfg2_renderer.system import SYSTEM
from bcfg2_renderer.textoutput import OutputLimit, TextOutput, joined
from bcfg2_renderer.trace import RECORDER, signature
from bcfg2_renderer.values import ClientMetadata, PluginExecutionError
from bcfg2_renderer.wire import PY2

# Loaded templates that are kept; the least recently used goes first.
KEPT_TEMPLATES = 400
# What tells that there is no such file: an include may do without.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


class LoadError(Exception):
    """A template that cannot be used as it is; an older version may be."""


class Missing(PluginExecutionError):
    """A library that is not installed."""

    def __init__(self, library, package):
        PluginExecutionError.__init__(
            self, '%s is not available: install the package %s for %s' % (library, package, sys.executable))


class _Kept(object):
    def __init__(self):
        self.templates = OrderedDict()

    def get(self, key, version):
        found = self.templates.get(key)
        if found is None or found[0] != version:
            return None
        del self.templates[key]
        self.templates[key] = found
        return found[1]

    def put(self, key, version, template):
        self.templates.pop(key, None)
        self.templates[key] = (version, template)
        while len(self.templates) > KEPT_TEMPLATES:
            self.templates.popitem(last=False)


KEPT = _Kept()


def _require_absence(path):
    """Raises what keeps a file from being read, unless it is that there is none."""
    try:
        with open(path, 'rb'):
            pass
    except (IOError, OSError) as error:
        if error.errno not in ABSENT:
            raise


def _log_broken(render, path, reason):
    """Tells, once for each version of a file, that the version before it is used."""
    render.log('error', '%s: Failed to load template: %s' % (path, reason), once=path + ' ' + signature(path),
               broken=path)


def _open_directives(template, text):
    """Directives of Genshi's text syntaxes that have no end, with their lines: Genshi leaves them out without a word."""
    is_new = hasattr(template, '_directive_re')
    expression = template._directive_re if is_new else getattr(template, '_DIRECTIVE_RE', None)
    opened = []
    for match in expression.finditer(text) if expression is not None else ():
        if is_new:
            start, command = match.start(1), match.group(2)
        else:
            start, command = match.start(), match.group(1) or (match.group(2).split() or [''])[0]
        if command == 'end':
            del opened[-1:]
        elif command not in (None, '', 'include', 'python') and not command.startswith('#'):
            opened.append((command, text.count('\n', 0, start) + 1))
    return opened


def _log_open_directives(render, template, data, path, version):
    """Tells, once for each version of a file."""
    encoding = render.session.settings['encoding']
    for command, line in _open_directives(template, data.decode(encoding, 'replace')):
        form = '{%% %s %%} without {%% end %%}' if hasattr(template, '_directive_re') else '#%s without #end'
        render.log('warning', '%s: %s has no effect (%s, line %d)' % (path, form % command, path, line),
                   once='%s %s' % (path, version))


def encoded(render, text):
    data = text.encode(render.session.settings['encoding'], 'replace') if not isinstance(text, bytes) else text
    if len(data) > render.limit:
        raise OutputLimit(render.limit)
    return data


# Genshi

_GENSHI = {}


def genshi():
    """Genshi's parts by name, imported and mended at the first use."""
    if _GENSHI:
        return _GENSHI
    silenced = RECORDER.quiet()
    try:
        try:
            import genshi.input
            import genshi.template.eval
            import genshi.template.base
            from genshi.core import COMMENT, Markup
            from genshi.template import MarkupTemplate, NewTextTemplate, OldTextTemplate, TemplateError, TemplateLoader
            from genshi.template import TemplateNotFound, TemplateSyntaxError
        except ImportError:
            raise Missing('Genshi', 'python3-genshi')
        if not PY2:
            from bcfg2_renderer.genshicode import Lines, mend
            from bcfg2_renderer.textparse import TextParser
            from bcfg2_renderer.textsteps import TextSteps
            mend(genshi.template.eval)
            genshi.template.base.Template._number_conv = staticmethod(text_of)
            MarkupTemplate._number_conv = staticmethod(lambda number: Markup(text_of(number)))
            TextParser().mend(NewTextTemplate, OldTextTemplate)
            text = TextSteps()
        else:
            Lines = None
            text = TextOutput()
        errors.name_owners(genshi.template.eval)

        class Loader(TemplateLoader):
            """Loads included files; what has changed is read again, and each use counts as a reading. A file that cannot be
            parsed leaves the version before it in use."""
            session = None

            def __init__(self, **named):
                TemplateLoader.__init__(self, auto_reload=True, max_cache_size=100, **named)

            def _instantiate(self, cls, fileobj, filepath, filename, encoding=None):
                data = self.contents(fileobj, filepath)
                RECORDER.note_source(data.decode('utf-8', 'replace'), filepath)
                if Lines is not None:
                    Lines.begin(data.decode(self.default_encoding or 'utf-8', 'replace'), cls is MarkupTemplate)
                try:
                    made = TemplateLoader._instantiate(self, cls, BytesIO(data), filepath, filename, encoding)
                finally:
                    if Lines is not None:
                        Lines.end()
                # Directives are compiled only here: a file with an error among them does not replace the version before.
                made.stream
                _log_open_directives(self.session.current, made, data, filepath, signature(filepath))
                return made

            def load(self, filename, relative_to=None, cls=None, encoding=None):
                path = os.path.normpath(os.path.join(os.path.dirname(relative_to or '/'), filename))
                try:
                    return TemplateLoader.load(self, filename, relative_to, cls, encoding)
                except TemplateNotFound:
                    # Genshi takes a file that may not be read for one that is not there, which an include may do without.
                    _require_absence(path)
                    raise
                except (TemplateSyntaxError, genshi.input.ParseError) as error:
                    if path not in self._cache:
                        raise
                    _log_broken(self.session.current, path, errors.describe_loading(error, path, b''))
                    return self._cache[path]

            def contents(self, fileobj, filepath):
                return fileobj.read()

        class DecryptingLoader(Loader):
            """For templates that were encrypted: what they include is so too."""

            def contents(self, fileobj, filepath):
                return self.session.decrypted(filepath)

        _GENSHI.update(
            Loader=Loader, DecryptingLoader=DecryptingLoader, MarkupTemplate=MarkupTemplate,
            NewTextTemplate=NewTextTemplate, OldTextTemplate=OldTextTemplate, TemplateError=TemplateError,
            text=text, ParseError=genshi.input.ParseError, COMMENT=COMMENT, Lines=Lines, loaders={})
        SYSTEM.note()
        return _GENSHI
    finally:
        RECORDER.loud(silenced)


def _loader(session, cls, is_encrypted):
    parts = genshi()
    key = (cls, is_encrypted)
    if key not in parts['loaders']:
        kind = parts['DecryptingLoader' if is_encrypted else 'Loader']
        loader = parts['loaders'][key] = kind(default_class=cls, default_encoding=session.settings['encoding'])
        loader.session = session
    return parts['loaders'][key]


def load_genshi(render, name, path, source):
    """The template of a source; raises LoadError where it has an error."""
    parts = genshi()
    cls = parts[name]
    template = KEPT.get((name, path), source['version'])
    if template is not None:
        template.stream
        return template
    data = source['data']
    if name == 'NewTextTemplate' and PY2:
        data = data.decode(render.session.settings['encoding'], 'replace')
    try:
        if parts['Lines'] is not None:
            text = source['data'].decode(render.session.settings['encoding'], 'replace')
            parts['Lines'].begin(text, name == 'MarkupTemplate')
        template = cls(
            data, filepath=path, filename=path, loader=_loader(render.session, cls, source.get('is_encrypted', False)),
            encoding=render.session.settings['encoding'])
    except (parts['TemplateError'], parts['ParseError'], SyntaxError, LookupError) as error:
        raise LoadError(_load_text(parts, error, path, data))
    finally:
        if parts['Lines'] is not None:
            parts['Lines'].end()
    template.bcfg2_reasons = RECORDER.source(source['data'].decode('utf-8', 'replace'), path)
    KEPT.put((name, path), source['version'], template)
    _log_open_directives(render, template, source['data'], path, source['version'])
    # Directives are compiled only now: what is wrong with one fails renderings, and the older template is gone.
    template.stream
    return template


def _load_text(parts, error, path, data):
    if isinstance(error, LookupError):
        return 'Genshi lookup error in %s: %s' % (path, error)
    if isinstance(error, parts['ParseError']):
        return 'Genshi parse error in %s: %s' % (path, error)
    return errors.describe_loading(error, path, data if isinstance(data, bytes) else data.encode('utf-8'))


def _text_genshi(name):
    def run(render, path, source):
        template = load_genshi(render, name, path, source)
        render.note_reasons(template.bcfg2_reasons)
        variables = render.text_variables(path, path_is_file=True)
        return encoded(render, genshi()['text'].of(template, variables, render.limit))
    return run


def _without_comments(stream):
    comment = genshi()['COMMENT']
    return (event for event in stream if event[0] is not comment)


def render_markup(render, path, source, metadata):
    """An XML template for a client, as UTF-8, without comments."""
    template = load_genshi(render, 'MarkupTemplate', path, source)
    render.note_reasons(template.bcfg2_reasons)
    stream = template.generate(**render.xml_variables(metadata)).filter(_without_comments)
    text = joined(stream.serialize('xml', strip_whitespace=False), render.limit)
    return text.encode('utf-8')


def _xml(render, path, source):
    return render_markup(render, path, source, render.metadata)


def _xml_text(render, path, source):
    """TGenshi's template.xml: a file in XML."""
    template = load_genshi(render, 'MarkupTemplate', path, source)
    render.note_reasons(template.bcfg2_reasons)
    stream = template.generate(**render.text_variables(path, path_is_file=True)).filter(_without_comments)
    return encoded(render, joined(stream.serialize('xml', strip_whitespace=False), render.limit))


# Cheetah

_CHEETAH = {}


def cheetah():
    if not _CHEETAH:
        silenced = RECORDER.quiet()
        try:
            from Cheetah.Filters import Filter
            from Cheetah.Template import Template
        except ImportError:
            raise Missing('Cheetah', 'python3-cheetah')
        finally:
            RECORDER.loud(silenced)

        if not PY2:
            usual = Filter.filter

            def of_numbers(self, value, *arguments, **named):
                return usual(self, text_of(value) if type(value) is float else value, *arguments, **named)
            Filter.filter = of_numbers

        class Quiet(Template):
            """The compiler's use of clocks is no template's."""

            @classmethod
            def compile(cls, *arguments, **named):
                if 'file' in named and isinstance(named['file'], str):
                    RECORDER.opened(named['file'])
                silenced = RECORDER.quiet()
                try:
                    return super(Quiet, cls).compile(*arguments, **named)
                finally:
                    RECORDER.loud(silenced)

        _CHEETAH.update(Template=Quiet, Compiler=Template._getCompilerClass())
        SYSTEM.note()
    return _CHEETAH


_CHEETAH_CLASS = 'BCFG2Template'
_CHEETAH_SETTINGS = {'useStackFrames': False}


def _generated(parts, text):
    """The Python code that Cheetah makes of a template. `Template.compile` would run it at once, and so its imports, or
    encode it as ASCII."""
    silenced = RECORDER.quiet()
    try:
        compiler = parts['Compiler'](
            text, moduleName=_CHEETAH_CLASS, mainClassName=_CHEETAH_CLASS, settings=dict(_CHEETAH_SETTINGS))
        compiler.compile()
        return compiler.getModuleCode()
    finally:
        RECORDER.loud(silenced)


def _cheetah_code(render, path, source):
    """The code of a template's module, its lines, and why results are not to be used again."""
    parts = cheetah()
    try:
        text = source['data'].decode(render.session.settings['encoding'])
    except UnicodeDecodeError as error:
        raise LoadError('%s (%s)' % (error, path))
    found = KEPT.get(('cheetah', path), source['version'])
    if found is None:
        # Compiled anew for each rendering, as in Bcfg2, would cost more than the rendering: the code is kept, and what a
        # template sets in its class is not, because each rendering runs the code anew.
        try:
            code = _generated(parts, text)
            try:
                compiled = compile_code(code, path)
            except SyntaxError:
                # With a report that tells the template's line.
                parts['Template'].compile(
                    source=text, compilerSettings=_CHEETAH_SETTINGS, cacheCompilationResults=False, useCache=False)
                raise
        except MemoryError:
            raise
        except Exception as error:
            raise LoadError(errors.describe_cheetah(error, path, source['data']))
        found = compiled, code.splitlines(), RECORDER.source(text, path)
        KEPT.put(('cheetah', path), source['version'], found)
    return found


def _cheetah_class(render, path, source):
    """The class of a template. This imports what the template imports: what is wrong with that is mended without an edit
    of the template."""
    code, render.generated_lines, reasons = _cheetah_code(render, path, source)
    render.note_reasons(reasons)
    # A dictionary: Python 2 empties that of a module object as soon as nobody refers to the module.
    module = {'__name__': _CHEETAH_CLASS, '__file__': path}
    exec(code, module)
    return module[_CHEETAH_CLASS]


def _cheetah(render, path, source):
    template = _cheetah_class(render, path, source)()
    for key, value in render.text_variables(path, path_is_file=False).items():
        setattr(template, key, value)
    text = template.respond()
    if len(text) > render.limit:
        raise OutputLimit(render.limit)
    return encoded(render, text)


# Jinja2

_JINJA = {}


def jinja2():
    if _JINJA:
        return _JINJA
    silenced = RECORDER.quiet()
    try:
        try:
            from jinja2 import BaseLoader, Environment, TemplateNotFound, TemplateSyntaxError
        except ImportError:
            raise Missing('Jinja2', 'python3-jinja2')
    finally:
        RECORDER.loud(silenced)

    class RelativeEnvironment(Environment):
        """Names in include, extends and import are relative to the template that they stand in."""

        def join_path(self, template, parent):
            return os.path.join(os.path.dirname(parent), template)

    class Loader(BaseLoader):
        """The template that is rendered comes from the server, others from their files."""

        def __init__(self):
            self.render = None
            self.main = None
            # Included files by path, in their last version that could be compiled.
            self.good = OrderedDict()

        def load(self, environment, name, globals=None):
            try:
                template = BaseLoader.load(self, environment, name, globals)
            except TemplateSyntaxError as error:
                if name not in self.good or self.main is not None and name == self.main[0]:
                    raise
                _log_broken(self.render, name, errors.describe_loading(error, name, b''))
                return self.good[name]
            if self.main is None or name != self.main[0]:
                self.good.pop(name, None)
                self.good[name] = template
                while len(self.good) > KEPT_TEMPLATES:
                    self.good.popitem(last=False)
            return template

        def get_source(self, environment, template):
            render = self.render
            encoding = render.session.settings['encoding']
            if self.main is not None and template == self.main[0]:
                source = self.main[1]
                version = source['version']
                text = source['data'].decode(encoding)
                return text, template, lambda: self.main[1]['version'] == version and self.main[0] == template
            if not template.startswith('/') or '..' in template.split('/'):
                raise TemplateNotFound(template)
            try:
                with open(template, 'rb') as file:
                    data = file.read()
                stamp = os.path.getmtime(template)
            except (IOError, OSError) as error:
                if error.errno in ABSENT:
                    raise TemplateNotFound(template)
                raise
            if render.is_encrypted:
                data = render.session.decrypted(template)
            text = data.decode(encoding)
            RECORDER.note_source(text, template)

            def is_current():
                try:
                    return os.path.getmtime(template) == stamp
                except OSError:
                    return False
            return text, template, is_current

    loader = Loader()
    try:
        environment = RelativeEnvironment(loader=loader, keep_trailing_newline=True)
    except TypeError:
        environment = RelativeEnvironment(loader=loader)
    if not PY2:
        environment.finalize = lambda value: text_of(value) if type(value) is float else value
    _JINJA.update(loader=loader, environment=environment)
    SYSTEM.note()
    return _JINJA


def _load_jinja2(render, path, source):
    try:
        return jinja2()['environment'].get_template(path)
    except Exception as error:
        raise LoadError(errors.describe_loading(error, path, source['data']))


def _jinja2(render, path, source, only_loads=False):
    parts = jinja2()
    loader = parts['loader']
    earlier = loader.render, loader.main
    loader.render, loader.main = render, (path, source)
    try:
        template = _load_jinja2(render, path, source)
        if only_loads:
            return None
        render.note_reasons(RECORDER.source(source['data'].decode('utf-8', 'replace'), path))
        parts = template.generate(**render.text_variables(path, path_is_file=False))
        return encoded(render, joined(parts, render.limit))
    finally:
        loader.render, loader.main = earlier


KINDS = {
    'genshi': _text_genshi('NewTextTemplate'), 'old-genshi': _text_genshi('OldTextTemplate'), 'genshi-xml': _xml_text,
    'xml': _xml, 'cheetah': _cheetah, 'jinja2': _jinja2,
}


def _load_genshi(name):
    return lambda render, path, source: load_genshi(render, name, path, source)


# What finds the errors that a template has for whichever client.
LOADS = {
    'helpers': lambda render, path, source: render.session.helpers.current(render),
    'genshi': _load_genshi('NewTextTemplate'), 'old-genshi': _load_genshi('OldTextTemplate'),
    'genshi-xml': _load_genshi('MarkupTemplate'), 'xml': _load_genshi('MarkupTemplate'), 'cheetah': _cheetah_class,
    'jinja2': lambda render, path, source: _jinja2(render, path, source, only_loads=True),
}
