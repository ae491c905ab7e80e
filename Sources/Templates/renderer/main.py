"""The renderer process: takes templates from the server, gives what they render to."""
import os
import sys

from bcfg2_renderer import division, engines, errors, title, trace, wire
from bcfg2_renderer.helpers import Helpers
from bcfg2_renderer.system import SYSTEM
from bcfg2_renderer.values import ClientMetadata, MetadataConsistencyError, PluginExecutionError

# Clients whose data stays here, the oldest going first: the server counts along.
KEPT_CLIENTS = 8
# Lines that one rendering may print or log.
LOG_LINES = 50
LINE_LIMIT = 2000
# Characters of an error's text that are told.
ERROR_LIMIT = 1 << 20
# Files of which the server was told that are remembered.
TOLD_FILES = 20000
# Characters of the reason why the process is of no further use.
SPENT_LIMIT = 2000
# Data that stays here of files of Properties.
KEPT_PROPERTIES = 200


class Render(object):
    """One rendering of one template."""

    generated_lines = ()

    def __init__(self, session, request, item, message):
        self.session = session
        self.request = request
        self.kind = item['kind']
        self.path = item['path']
        self.version = item['version']
        self.name = item.get('name')
        self.limit = item['limit']
        self.is_encrypted = item.get('is_encrypted', False)
        self.variables = item.get('variables', ())
        self.only_loads = item.get('loads', False)
        self.helper_serial = message.get('helpers')
        self.log_lines = 0
        # Whether it asked for what the server does not have yet.
        self.is_early = False
        self.trace = trace.Trace(self.reads) if session.is_traced else trace.SILENT
        self.source = {'data': b''}
        # The server may know that this process has not got the template's text yet.
        if 'source' in item:
            session.keep_source(self, item['source'])
        self.metadata = ClientMetadata(self, message['base'], '')

    # The server

    def ask(self, question):
        """The server's answer; raises what it says that is wrong, and Unsendable where it cannot be asked."""
        self.session.channel.send(wire.QUESTION, self.request, wire.plain(question))
        answer = self.session.answer(self.request)
        if answer.get('class') == 'later':
            self.is_early = True
            raise wire.Later()
        if 'error' in answer:
            # That there is no such client is an answer like others.
            if question[0] != 'client' or answer.get('class') != 'metadata':
                self.trace.mark('was refused an answer')
            error = {'metadata': MetadataConsistencyError}.get(answer.get('class'), PluginExecutionError)
            raise error(answer['error'])
        return answer.get('value')

    def log(self, level, text, once=None, broken=None):
        # broken: the file that a line says cannot be used as it is.
        self.log_lines += 1
        if self.log_lines > LOG_LINES:
            return
        message = {'level': level, 'text': self.session.hide(text)[:LINE_LIMIT]}
        if once is not None:
            message['once'] = once
        if broken is not None:
            message['broken'] = broken
        self.session.channel.send(wire.LOG, self.request, wire.plain(message), is_urgent=False)

    def reads(self, path):
        """Tells the server of a file, once: it watches the file from then on, even where this template never ends."""
        told = self.session.told_files
        if path in told:
            return
        if len(told) >= TOLD_FILES:
            told.clear()
        told.add(path)
        self.session.channel.send(wire.FILE, self.request, path, is_urgent=False)

    def note_reasons(self, reasons):
        for reason in reasons:
            self.trace.mark(reason)

    def has_started_programs(self):
        reasons = self.trace.reasons
        return bool(reasons) and any(reason.startswith('runs a program') for reason in reasons)

    # Variables

    def text_variables(self, path, path_is_file):
        own = {
            'name': self.name, 'metadata': self.metadata, 'source_path': path, 'repo': self.session.repository,
            'path': path if path_is_file else self.name,
        }
        owner = dict.fromkeys(own, 'the renderer') if self.variables else None
        for provider, values in self.variables:
            if values is None:
                values = self.session.helpers.defaults(self)
            self._merge(own, owner, provider, values)
        return own

    def xml_variables(self, metadata):
        own = {'metadata': metadata, 'repo': self.session.repository}
        owner = dict.fromkeys(own, 'the renderer')
        for provider, values in self.variables:
            if values is not None and self.kind == 'xml':
                self._merge(own, owner, provider, values)
        return own

    def _merge(self, own, owner, provider, values):
        for key in sorted(values):
            if key in own:
                self.log('warning', 'Duplicate template variable %s provided by both %s and %s'
                         % (key, provider, owner[key]), once='variable %s %s' % (key, provider))
                continue
            own[key] = values[key]
            owner[key] = provider

    # Rendering

    def run(self):
        """The message that tells the outcome."""
        result = self._run()
        # Even where the template went on: it does not know what it asked for.
        if self.is_early and not result.get('memory'):
            return {'ok': False, 'later': True}
        return result

    def _run(self):
        recorder = trace.RECORDER
        earlier, recorder.trace = recorder.trace, trace.SILENT
        try:
            self.source = self.session.source(self)
            recorder.trace = self.trace
            if self.only_loads:
                engines.LOADS[self.kind](self, self.path, self.source)
                return {'ok': True, 'output': wire.Bytes(b'')}
            output = engines.KINDS[self.kind](self, self.path, self.source)
            return self._result(output)
        except wire.Closed:
            raise
        except wire.Later:
            recorder.trace = trace.SILENT
            return {'ok': False, 'later': True}
        except engines.LoadError as error:
            return {'ok': False, 'load': True, 'error': errors.one_line(u'%s' % (error,))}
        except engines.Missing as error:
            return {'ok': False, 'error': u'%s' % (error,), 'missing': True}
        except engines.OutputLimit as error:
            return {'ok': False, 'error': u'%s' % (error,), 'too_large': True}
        except MemoryError:
            recorder.trace = trace.SILENT
            # Nothing that was cut short can be relied upon: the server replaces this process.
            return {'ok': False, 'error': 'MemoryError', 'memory': True}
        except BaseException as error:
            recorder.trace = trace.SILENT
            return self._failure(error)
        finally:
            recorder.trace = earlier

    def _result(self, output):
        result = {'ok': True, 'output': wire.Bytes(output)}
        if self.trace is not trace.SILENT:
            result['questions'] = list(self.trace.questions)
            if self.trace.files:
                result['files'] = list(self.trace.files.items())
            if self.trace.reasons:
                result['reasons'] = list(self.trace.reasons)
        return result

    def _failure(self, error):
        text = errors.one_line(errors.describe(self, error, sys.exc_info()[2]))
        text = self.session.hide(text)[:ERROR_LIMIT]
        is_template_error = any(kind.__name__ == 'TemplateError' for kind in type(error).__mro__)
        return {'ok': False, 'error': text, 'is_template_error': is_template_error}


class Session(object):
    """What lasts as long as the process."""

    def __init__(self, channel, settings):
        self.channel = channel
        self.settings = settings
        self.repository = settings['repository']
        self.is_traced = settings['traced'] and trace.AVAILABLE
        self.clients = {}
        self.client_order = []
        self.answers = {}
        self.helpers = Helpers()
        self.properties = {}
        self.generation = None
        self.watches = None
        self.told_files = set()
        self.sources = {}
        self.current = None
        # Takes out of a text what is told to nobody.
        self.hide = lambda text: text
        if settings.get('queries') is not None:
            from bcfg2_renderer import queries
            queries.install(settings['queries'])
            self.hide = queries.RUN.hide

    # Sources

    def source(self, render):
        """The template's text in the version that the server wants."""
        path, version = render.path, render.version
        key = (render.kind, path)
        known = self.sources.get(key)
        if known is None or known['version'] != version:
            known = self.keep_source(render, render.ask(['source', path, version]))
        return known

    def keep_source(self, render, data):
        known = {'data': data, 'version': render.version, 'is_encrypted': render.is_encrypted}
        self.sources[render.kind, render.path] = known
        while len(self.sources) > engines.KEPT_TEMPLATES:
            del self.sources[next(iter(self.sources))]
        return known

    def property_source(self, render, scope, connector, name):
        """A file of Properties in the version that the server has for a client."""
        versions = render.ask(['property', scope, connector, name, self._known_property(connector, name)])
        if versions.get('data') is not None:
            versions.update(connector=connector, name=name)
            self.properties[connector, name] = versions
            while len(self.properties) > KEPT_PROPERTIES:
                del self.properties[next(iter(self.properties))]
        return self.properties[connector, name]

    def _known_property(self, connector, name):
        known = self.properties.get((connector, name))
        return known['version'] if known else -1

    def decrypted(self, path):
        return self.current.ask(['decrypt', path])

    # Frames

    def client(self, base):
        base['data'] = {}
        self.clients[base['serial']] = base
        self.client_order.append(base['serial'])
        while len(self.client_order) > KEPT_CLIENTS:
            self.clients.pop(self.client_order.pop(0), None)

    def read(self):
        """The next frame; clients are taken in, and each request for rendering holds its own."""
        while True:
            kind, number, value = self.channel.read()
            if kind == wire.CLIENT:
                self.client(value)
                continue
            if kind == wire.RENDER:
                value['base'] = self.clients[value['client']]
            return kind, number, value

    def answer(self, request):
        """Waits for an answer; templates that this one waits for are rendered meanwhile."""
        while request not in self.answers:
            kind, number, value = self.read()
            if kind == wire.ANSWER:
                self.answers[number] = value
            elif kind == wire.RENDER and value.get('is_nested'):
                self.render(number, value)
            else:
                self.channel.waiting.append((kind, number, value))
        return self.answers.pop(request)

    def render(self, request, message):
        if message['generation'] != self.generation:
            self.generation = message['generation']
            trace.RECORDER.drop_changed_modules()
            if not wire.PY2:
                import importlib
                importlib.invalidate_caches()
        if message['watches'] != self.watches:
            # The server has forgotten of which files it was told.
            self.watches = message['watches']
            self.told_files.clear()
        earlier = self.current
        templates = message['templates']
        starters = []
        for index, item in enumerate(templates):
            render = self.current = Render(self, request, item, message)
            try:
                result = render.run()
            finally:
                self.current = earlier
            result['index'] = index
            is_last = index + 1 == len(templates)
            spent = None
            if earlier is None:
                SYSTEM.restore()
                if render.has_started_programs():
                    starters.append(render.path)
                if SYSTEM.threads():
                    spent = '%s left a thread behind' % render.path
                elif is_last and SYSTEM.look_over():
                    # Untraced, nobody knows which of them it was.
                    spent = '%s left a process behind' % ', or '.join(starters or [item['path'] for item in templates])
                if spent:
                    result['spent'] = spent[:SPENT_LIMIT]
            self._send_result(request, result, is_last or spent is not None)
            if spent and not is_last:
                # The server ends this process, and has the others rendered by another one.
                SYSTEM.wait()

    def _send_result(self, request, result, is_urgent):
        """Sends what became of a template: that it failed where the result itself cannot be sent."""
        try:
            data = wire.dump(result)
        except ValueError as error:
            kept = dict((name, result[name]) for name in ('index', 'spent') if name in result)
            data = wire.dump(dict(kept, ok=False, error=u'what it gave cannot be sent: %s' % (error,)))
        self.channel.send_data(wire.RESULT, request, data, is_urgent)

    def run(self):
        self.channel.send(wire.READY, 0, {'python': list(sys.version_info[:3])})
        while True:
            kind, request, value = self.channel.waiting.popleft() if self.channel.waiting else self.read()
            if kind == wire.RENDER:
                self.render(request, value)


class _Printed(object):
    """sys.stdout and sys.stderr of templates: lines of the log."""
    encoding = 'utf-8'

    def __init__(self, session, level):
        self.session = session
        self.level = level
        self.line = u''

    def write(self, text):
        if isinstance(text, bytes):
            text = text.decode('utf-8', 'replace')
        self.line = (self.line + text)[-LINE_LIMIT * 4:]
        while u'\n' in self.line:
            line, self.line = self.line.split(u'\n', 1)
            render = self.session.current
            if render is not None and line.strip():
                render.log(self.level, u'%s: %s' % (render.path, line))
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False

    def writelines(self, lines):
        for line in lines:
            self.write(line)


def main(descriptor, bell, first):
    # first: the frame that this program came in.
    sys.dont_write_bytecode = True
    channel = wire.Channel(descriptor, bell)
    channel.buffer = first
    kind, _, settings = channel.read()
    if kind != wire.START:
        return 1
    title.show()
    trace.RECORDER.start(settings['repository'])
    if settings['traced']:
        trace.install()
    division.install(trace.builtins)
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=channel.close)
    session = Session(channel, settings)
    sys.stdout, sys.stderr = _Printed(session, 'info'), _Printed(session, 'warning')
    SYSTEM.streams = sys.stdout, sys.stderr
    SYSTEM.note()
    try:
        session.run()
    except wire.Closed:
        # A process that a template made leaves without a word.
        if channel.descriptor < 0:
            os._exit(0)
    return 0
