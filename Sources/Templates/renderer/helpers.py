"""Modules of the plugin TemplateHelper, as templates have them."""
import sys

from bcfg2_renderer.division import compile_code
from bcfg2_renderer.errors import describe_import
from bcfg2_renderer.trace import RECORDER, SILENT, Trace
from bcfg2_renderer.values import PluginExecutionError
from bcfg2_renderer.wire import Closed

_RESERVED_DEFAULTS = frozenset(('name', 'metadata', 'source_path', 'repo', 'path'))


class HelperModule(object):
    """What a module exports."""
    debug_flag = False
    logger = None
    core = None

    def __init__(self, name, path):
        self.name = path
        self.defaults = []
        self._module_name = name
        self._attrs = []
        # The version that was read last, and what the reading depended on.
        self._version = None
        self._trace = None
        # Why the newest version could not be imported.
        self._failure = None

    def __getattr__(self, name):
        """A name that nothing has: where the module could not be imported, that is why."""
        failure = self.__dict__.get('_failure')
        if failure is None or name.startswith('_'):
            raise AttributeError(name)
        raise PluginExecutionError('TemplateHelper %s could not be imported: %s' % (self._module_name, failure))

    def HandleEvent(self, event=None):
        pass

    def use(self, trace):
        """A rendering depends on what the module read when it was loaded."""
        if trace is SILENT or self._trace is None:
            return
        for path in self._trace.files:
            trace.file(path)
        for reason in self._trace.reasons:
            trace.mark(reason)
        RECORDER.use_module('__TemplateHelper_' + self._module_name)

    def take(self, module, log):
        """Takes over what a newly read module exports. False where it says nothing of exports."""
        if not hasattr(module, '__export__'):
            log('error', 'TemplateHelper: %s has no __export__ list' % self.name)
            return False
        defaults = list(getattr(module, '__default__', []))
        exported = []
        self._note(module, defaults, log)
        for symbol in list(module.__export__) + defaults:
            if symbol in exported:
                continue
            if symbol not in self._attrs and hasattr(self, symbol):
                log('warning', 'TemplateHelper: %s: %s is a reserved keyword, skipping export' % (self.name, symbol),
                    is_broken=False)
                continue
            try:
                setattr(self, symbol, getattr(module, symbol))
            except AttributeError:
                log('warning', 'TemplateHelper: %s exports %s, but has no such attribute' % (self.name, symbol))
                continue
            exported.append(symbol)
        for symbol in set(self._attrs) - set(exported):
            self.__dict__.pop(symbol, None)
        self._attrs = exported
        self.defaults = []
        for symbol in defaults:
            if symbol in _RESERVED_DEFAULTS:
                log('warning', 'TemplateHelper: %s: %s is a reserved keyword, not adding as default'
                    % (self.name, symbol), is_broken=False)
            if hasattr(self, symbol):
                self.defaults.append(symbol)
        return True

    def _note(self, module, defaults, log):
        """Logs for bcfg2-lint what is allowed, but probably a mistake."""
        if not isinstance(module.__export__, list):
            log('info', 'TemplateHelper: %s: __export__ is not a list' % self.name, is_broken=False)
            return
        for symbol in module.__export__:
            if str(symbol).startswith('_'):
                log('info', 'TemplateHelper: %s: exported symbol %s begins with an underscore' % (self.name, symbol),
                    is_broken=False)
            if symbol in defaults:
                log('info', 'TemplateHelper: %s: %s is listed in both __default__ and __export__'
                    % (self.name, symbol), is_broken=False)


class Helpers(object):
    """All modules, read again where the server has newer ones."""

    def __init__(self):
        self.serial = None
        self.modules = {}

    def current(self, render):
        """The modules by name as the server has them for this rendering."""
        if self.serial != render.helper_serial:
            self._update(render)
        return self.modules

    def defaults(self, render):
        """Variables that modules give to text templates, with the module of each."""
        found, owners = {}, {}
        modules = self.current(render)
        for name in sorted(modules):
            module = modules[name]
            for symbol in module.defaults:
                if symbol in found:
                    render.log('warning', 'TemplateHelper: Duplicate default variable %s provided by both %s and %s'
                               % (symbol, module.name, owners[symbol].name))
                    continue
                found[symbol] = getattr(module, symbol)
                owners[symbol] = module
            if module.defaults:
                render.trace.ask('of', '', 'item', 'TemplateHelper', name)
                module.use(render.trace)
        return found

    def _update(self, render):
        known = dict((name, module._version) for name, module in self.modules.items())
        answer = render.ask(['helpers', known])
        modules = {}
        for item in answer['modules']:
            name = item['name']
            module = self.modules.get(name) or HelperModule(name, item['path'])
            if 'versions' in item:
                self._load(module, item, render)
                module._version = item['versions'][-1][0]
            modules[name] = module
        self.modules = modules
        self.serial = answer['serial']

    def _load(self, module, item, render):
        """Reads newer versions in their order, each into the same module."""
        name = '__TemplateHelper_' + module._module_name
        made = sys.modules.get(name)
        if made is None:
            made = sys.modules[name] = type(sys)(name)
            made.__file__ = item['path']
        for version, data in item['versions']:
            def log(level, text, is_broken=True):
                broken = item['path'] if is_broken else None
                render.log(level, text, once='%s %d' % (item['path'], version), broken=broken)
            module._failure = None
            trace = Trace()
            earlier, RECORDER.trace = RECORDER.trace, trace
            try:
                exec(compile_code(data, item['path']), made.__dict__)
            except BaseException as error:
                if isinstance(error, (MemoryError, Closed)):
                    raise
                module._failure = describe_import(error, item['path'], sys.exc_info()[2])
                log('error', 'TemplateHelper: Failed to import %s: %s' % (item['path'], module._failure))
                continue
            finally:
                RECORDER.trace = earlier
            # Its source is the server's; what it imports and opens is what it depends on.
            trace.files.pop(item['path'], None)
            for reason in RECORDER.source(data.decode('utf-8', 'replace'), item['path']):
                trace.mark(reason)
            if module.take(made, log):
                module._trace = trace
            elif not module._attrs:
                module._failure = 'it has no __export__ list'
