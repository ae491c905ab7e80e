"""What a template reads, and what makes its result one that cannot be used again.

Python's audit hooks tell of opened files, sockets, programs and executed code. What they do not tell of (the time,
randomness, the environment, stat) is wrapped in the modules that have it. Nothing is recorded but while a template is
rendered, and nothing of what the import of an installed module does.
"""
import os
import re
import sys

from bcfg2_renderer.wire import Unsendable, plain

try:
    import builtins
except ImportError:
    import __builtin__ as builtins

# Python 2 and releases before 3.8 have no audit hooks: there every result is made anew.
AVAILABLE = hasattr(sys, 'addaudithook')

_stat = os.stat
_lstat = os.lstat
_getframe = sys._getframe

# What of a source cannot be seen when it runs: clocks of C classes, files that libxml2 and libxslt open.
_HIDDEN = re.compile(
    r'\.\s*(now|utcnow|today|xinclude|XInclude|XSLT|XMLSchema|RelaxNG|DTD|Schematron|from_rnc_string|clock_gettime)\b')


def signature(path):
    """What tells one version of a file from another; '' where there is none."""
    try:
        status = _stat(path)
    except (OSError, ValueError):
        return ''
    # Python 2 has no nanoseconds; the server compares these texts only where results are recorded.
    time = getattr(status, 'st_mtime_ns', status.st_mtime)
    return '%d %d %d %d' % (time, status.st_size, status.st_ino, status.st_mode)


# Characters of all questions and files of one rendering, some 4,000 of them; the server has a bound of its own.
LIMIT = 1 << 18
# Characters of a reason.
REASON = 1000
# Bytes of a path beyond which the kernel refuses it.
PATH_BYTES = 4096


class Trace(object):
    """Questions that one rendering asked, in their order, each once, and why its result is not to be used again."""

    __slots__ = ('tell', 'questions', 'files', 'reasons', 'seeded', 'left')

    def __init__(self, tell=None):
        # tell: called with each file.
        self.tell = tell
        self.questions = {}
        self.files = {}
        self.reasons = {}
        self.seeded = False
        self.left = LIMIT

    def ask(self, *question):
        if question not in self.questions:
            for word in question:
                if type(word) is not str:
                    # A probe's output, text of an engine's own kind, a list: what is recorded is plain.
                    try:
                        question = plain(question)
                    except Unsendable as error:
                        return self.mark('asks with %s' % (error,))
                    break
            last = question[-1]
            # Beside the last word all are short: the scope is a client's name.
            self.left -= 60 + len(last) if type(last) is str else 40 + _size(question)
            self.questions[question] = None
            if self.left < 0:
                self._too_much()

    def file(self, path):
        if path not in self.files:
            if not _is_watchable(path):
                return self.mark('reads a path that the server cannot watch')
            self.left -= 80 + len(path)
            self.files[path] = signature(path)
            if self.left < 0:
                self._too_much()
            elif self.tell is not None:
                self.tell(path)

    def _too_much(self):
        """Nothing of it is of use any more."""
        self.mark('reads more than is recorded')
        self.tell = None
        self.questions.clear()
        self.files.clear()
        self.left = LIMIT

    def mark(self, reason):
        if len(self.reasons) < 16:
            self.reasons.setdefault((str.__str__(reason) if isinstance(reason, str) else reason)[:REASON])


def _is_watchable(path):
    """Whether a path is text that messages carry, and that the kernel takes."""
    try:
        if isinstance(path, type(u'')):
            length = len(path.encode('utf-8'))
        else:
            path.decode('utf-8')
            length = len(path)
    except UnicodeError:
        return False
    return length < PATH_BYTES and '\0' not in path


def _size(part):
    if isinstance(part, (str, bytes)):
        return len(part)
    return 8 + sum([_size(item) for item in part]) if isinstance(part, tuple) else 8


class _Silent(object):
    """Records nothing: between renderings, and where nothing is kept."""
    seeded = True
    reasons = ()

    def ask(self, *question):
        pass

    def file(self, path):
        pass

    def mark(self, reason):
        pass


SILENT = _Silent()


class Recorder(object):
    def __init__(self):
        self.trace = SILENT
        self.root = None
        self.prefixes = ()
        # Module name to its file, of modules of the repository; and what each of them imported.
        self.modules = {}
        self.imported_by = {}
        # Path to reasons that its source gives.
        self.sources = {}
        # Imports of installed modules, with the module that each gave: nothing of them is recorded.
        self.foreign = {}
        self.has_lxml = False

    def start(self, repository):
        self.root = repository
        real = os.path.realpath(repository)
        self.prefixes = tuple(sorted(set((repository + '/', real + '/'))))

    def is_below(self, path):
        return path.startswith(self.prefixes)

    def quiet(self):
        """Stops recording of reasons for what an engine itself does; returns what `loud` takes."""
        trace, self.trace = self.trace, SILENT
        return trace

    def loud(self, trace):
        self.trace = trace

    # Files

    def opened(self, path, writes=False):
        """A path that was opened, listed or looked at."""
        trace = self.trace
        if trace is SILENT:
            return
        if isinstance(path, int):
            return
        try:
            path = os.fspath(path)
        except TypeError:
            return
        path = os.fsdecode(path) if isinstance(path, bytes) else str.__str__(path)
        if not path.startswith('/'):
            path = os.getcwd() + '/' + path
        if '/.' in path or '//' in path:
            path = os.path.normpath(path)
        if '/__pycache__/' in path:
            return
        if self.is_below(path):
            if writes:
                trace.mark('writes ' + path)
            else:
                trace.file(path)
        elif path + '/' in self.prefixes:
            trace.file(path)
        elif not self._is_import():
            trace.mark(('writes ' if writes else 'reads ') + path)

    def _is_import(self):
        """Whether the code that runs is an import of an installed module, and not the repository's own code."""
        frame = _getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith('<frozen importlib'):
                return True
            if name.startswith(self.prefixes) or name == '<string>' or name.startswith('<Suite') \
                    or name.startswith('<Expression'):
                return False
            frame = frame.f_back
        return False

    def mark(self, reason):
        if self.trace is not SILENT and not self._is_import():
            self.trace.mark(reason)

    # Sources and modules

    def source(self, text, path):
        """Looks a source over for what cannot be seen when it runs."""
        found = sorted(set(match.group(1) for match in _HIDDEN.finditer(text)))
        return ['calls %s (%s)' % (name, path) for name in found]

    def note_source(self, text, path):
        if self.trace is SILENT:
            return
        for reason in self.source(text, path):
            self.trace.mark(reason)

    def repository_file(self, name):
        """The file of a loaded module where the repository has it."""
        module = sys.modules.get(name)
        path = getattr(module, '__file__', None)
        if isinstance(path, str) and self.is_below(path):
            return path
        return None

    def note_import(self, names, importer):
        """Modules that were imported by name; the importer's own dependencies grow by them. True where there are any of
        the repository."""
        found = False
        for name in names:
            path = self.repository_file(name)
            if path is None:
                continue
            found = True
            if name not in self.modules:
                self.modules[name] = (path, signature(path))
                try:
                    with builtins.open(path, 'rb') as file:
                        text = file.read().decode('utf-8', 'replace')
                except (IOError, OSError):
                    text = ''
                self.sources[path] = self.source(text, path)
            # The importer itself is known only when its own import has ended.
            if importer is not None and importer != name:
                self.imported_by.setdefault(importer, set()).add(name)
            self.use_module(name)
        return found

    def use_module(self, name):
        """The trace depends on a module's file, and on those of all that it imported."""
        trace = self.trace
        if trace is SILENT:
            return
        seen, stack = set(), [name]
        while stack:
            name = stack.pop()
            if name in seen or name not in self.modules:
                continue
            seen.add(name)
            path = self.modules[name][0]
            trace.file(path)
            for reason in self.sources.get(path, ()):
                trace.mark(reason)
            stack.extend(sorted(self.imported_by.get(name, ())))

    def drop_changed_modules(self):
        """Forgets the repository's modules where one of them changed: the next import reads all of them again."""
        if all(signature(path) == seen for path, seen in self.modules.values()):
            return
        for name in self.modules:
            sys.modules.pop(name, None)
        self.modules.clear()
        self.imported_by.clear()
        self.sources.clear()
        self.foreign.clear()


RECORDER = Recorder()


def _imported(name, package, fromlist, level):
    if level:
        base = (package or '').rsplit('.', level - 1)[0] if level > 1 else (package or '')
        name = base + '.' + name if name else base
    parts = name.split('.')
    names = ['.'.join(parts[:count]) for count in range(1, len(parts) + 1)]
    for item in fromlist or ():
        if isinstance(item, str) and item != '*':
            names.append(name + '.' + item)
    return names


def _hook(event, arguments):
    recorder = RECORDER
    if recorder.trace is SILENT:
        return
    if event == 'open':
        path, mode, flags = arguments
        writes = bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        recorder.opened(path, writes)
    elif event == 'os.listdir' or event == 'os.scandir':
        # Which folders of sys.path an import looks through depends on what was imported before.
        if not recorder._is_import():
            recorder.opened(arguments[0] if arguments[0] is not None else '.')
    elif event == 'compile':
        source, name = arguments
        # Ours, and what an engine compiles: templates are looked over when they are loaded.
        if not name or str(name).startswith('<bcfg2-server>'):
            return
        if isinstance(source, bytes):
            source = source.decode('utf-8', 'replace')
        if isinstance(source, str) and not recorder._is_import():
            recorder.note_source(source, str(name))
    elif event.startswith('socket.'):
        if event != 'socket.gethostname':
            recorder.mark('uses the network (%s)' % event)
    elif event in _PROGRAMS:
        recorder.mark('runs a program (%s)' % event)
    elif event in _OTHERS or event.startswith(('ctypes.', 'sqlite3.', 'urllib.', 'ftplib.', 'smtplib.')):
        recorder.mark('uses ' + event)
    elif event in _CHANGES:
        recorder.mark('changes files (%s)' % event)


_PROGRAMS = frozenset((
    'subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn', 'os.spawn', 'os.fork', 'os.forkpty', 'pty.spawn'))
_OTHERS = frozenset((
    'os.getxattr', 'os.listxattr', 'os.putenv', 'os.unsetenv', 'os.kill', 'mmap.__new__', 'syslog.syslog',
    '_thread.start_new_thread', '_thread.start_joinable_thread', 'signal.pthread_kill', 'fcntl.ioctl',
    'shutil.copyfile'))
_CHANGES = frozenset((
    'os.remove', 'os.rename', 'os.rmdir', 'os.mkdir', 'os.chmod', 'os.chown', 'os.link', 'os.symlink', 'os.truncate',
    'os.utime', 'os.mknod', 'os.mkfifo', 'tempfile.mkstemp', 'tempfile.mkdtemp'))


def install():
    """Places hooks and wrappers: once, before anything imports what is wrapped."""
    if not AVAILABLE:
        return
    _wrap_imports()
    _wrap_files()
    _wrap_clocks()
    _wrap_randomness()
    _wrap_environment()
    _wrap_threads()
    sys.addaudithook(_hook)


def _wrap_imports():
    import importlib
    original = builtins.__import__
    recorder = RECORDER
    foreign = recorder.foreign

    def traced_import(name, globals=None, locals=None, fromlist=(), level=0):
        module = original(name, globals, locals, fromlist, level)
        if not level:
            try:
                if foreign[name, fromlist] is module:
                    return module
            except (KeyError, TypeError):
                pass
        if not recorder.has_lxml and name.startswith('lxml') and 'lxml.etree' in sys.modules:
            recorder.has_lxml = True
            wrap_lxml(sys.modules['lxml.etree'])
        if recorder.trace is not SILENT or recorder.modules:
            importer = globals.get('__name__') if globals else None
            package = globals.get('__package__') if level and globals else None
            found = recorder.note_import(_imported(name, package, fromlist, level), importer)
            if not found and not level and len(foreign) < 2000 and (fromlist is None or type(fromlist) is tuple):
                foreign[name, fromlist] = module
        return module

    builtins.__import__ = traced_import
    by_name = importlib.import_module

    def import_module(name, package=None):
        module = by_name(name, package)
        recorder.note_import(_imported(module.__name__, None, (), 0), None)
        return module

    importlib.import_module = import_module


def _wrap_files():
    recorder = RECORDER

    def wrap(name):
        original = getattr(os, name)

        def looked_at(path, *arguments, **named):
            if recorder.trace is not SILENT:
                recorder.opened(path)
            return original(path, *arguments, **named)

        looked_at.__name__ = name
        setattr(os, name, looked_at)
        # posixpath and glob take these from the module os at each call.
        for group in (os.supports_follow_symlinks, os.supports_dir_fd, os.supports_fd):
            if original in group:
                group.add(looked_at)

    for name in ('stat', 'lstat', 'access', 'readlink', 'statvfs'):
        wrap(name)
    import genericpath
    for name in ('exists', 'isfile', 'isdir', 'islink', 'lexists'):
        for module in (os.path, genericpath):
            original = getattr(module, name, None)
            # In C from 3.12 on: such a function does not go through os.stat.
            if original is not None and not hasattr(original, '__code__'):
                setattr(module, name, _looking(original))


def _looking(original):
    def looked_at(path):
        RECORDER.opened(path)
        return original(path)
    return looked_at


def wrap_lxml(etree):
    """libxml2 opens files by itself: paths that are given to it are recorded here."""
    if not AVAILABLE:
        return
    recorder = RECORDER

    def wrap(name, position):
        original = getattr(etree, name)

        def traced(*arguments, **named):
            if recorder.trace is not SILENT:
                source = named.get('source', named.get('file'))
                if source is None and len(arguments) > position:
                    source = arguments[position]
                if isinstance(source, (str, bytes)) or hasattr(source, '__fspath__'):
                    recorder.opened(source)
            return original(*arguments, **named)

        traced.__name__ = name
        setattr(etree, name, traced)

    wrap('parse', 0)
    wrap('ElementTree', 1)


def _wrap_clocks():
    import time
    recorder = RECORDER

    def wrap(name, quiet_with):
        original = getattr(time, name, None)
        if original is None:
            return

        def clock(*arguments):
            if recorder.trace is not SILENT and len(arguments) < quiet_with:
                recorder.mark('reads the time (time.%s)' % name)
            return original(*arguments)

        clock.__name__ = name
        setattr(time, name, clock)

    never = 99
    for name in ('time', 'time_ns', 'monotonic', 'monotonic_ns', 'perf_counter', 'perf_counter_ns', 'process_time',
                 'process_time_ns', 'thread_time'):
        wrap(name, never)
    for name in ('localtime', 'gmtime', 'ctime', 'asctime'):
        wrap(name, 1)
    wrap('strftime', 2)


def _wrap_randomness():
    recorder = RECORDER

    def noted(original, name):
        def chance(*arguments, **named):
            if recorder.trace is not SILENT:
                recorder.mark('takes random numbers (%s)' % name)
            return original(*arguments, **named)
        chance.__name__ = name
        return chance

    os.urandom = noted(os.urandom, 'os.urandom')
    if hasattr(os, 'getrandom'):
        os.getrandom = noted(os.getrandom, 'os.getrandom')
    for name in ('getpid', 'getppid', 'times', 'getloadavg'):
        setattr(os, name, noted(getattr(os, name), 'os.' + name))
    import random

    def seeded(name, original):
        def chance(*arguments, **named):
            if not recorder.trace.seeded:
                recorder.mark('takes random numbers (random.%s)' % name)
            return original(*arguments, **named)
        chance.__name__ = name
        return chance

    hidden = random._inst
    for name in dir(random):
        original = getattr(random, name)
        if getattr(original, '__self__', None) is hidden and name not in ('seed', 'getstate', 'setstate'):
            setattr(random, name, seeded(name, original))
    plant, restore = random.seed, random.setstate

    def seed(a=None, *arguments, **named):
        if a is None:
            recorder.mark('takes random numbers (random.seed)')
        elif recorder.trace is not SILENT:
            recorder.trace.seeded = True
        return plant(a, *arguments, **named)

    def setstate(state):
        if recorder.trace is not SILENT:
            recorder.trace.seeded = True
        return restore(state)

    random.seed, random.setstate = seed, setstate
    Plain = random.Random

    class Random(Plain):
        def __init__(self, x=None):
            if x is None and type(self) is Random:
                recorder.mark('takes random numbers (random.Random)')
            Plain.__init__(self, x)

    Random.__module__ = 'random'
    random.Random = Random


def _wrap_threads():
    """Python 3.11 has no audit event of them."""
    import _thread
    recorder = RECORDER
    original = _thread.start_new_thread

    def start_new_thread(*arguments, **named):
        recorder.mark('starts a thread')
        return original(*arguments, **named)

    _thread.start_new_thread = start_new_thread
    loaded = sys.modules.get('threading')
    if loaded is not None and hasattr(loaded, '_start_new_thread'):
        loaded._start_new_thread = start_new_thread


def _wrap_environment():
    recorder = RECORDER
    environ = os.environ

    class Environment(type(environ)):
        def __getitem__(self, key):
            recorder.mark('reads the environment (%s)' % key)
            return super(Environment, self).__getitem__(key)

        def __iter__(self):
            recorder.mark('reads the environment')
            return super(Environment, self).__iter__()

        def __contains__(self, key):
            recorder.mark('reads the environment (%s)' % key)
            return super(Environment, self).__contains__(key)

    environ.__class__ = Environment
    try:
        import pwd
        import grp
    except ImportError:
        return

    def noted(original, name):
        def lookup(*arguments):
            recorder.mark('asks for users or groups (%s)' % name)
            return original(*arguments)
        return lookup

    for module in (pwd, grp):
        for name in dir(module):
            if name.startswith('get'):
                setattr(module, name, noted(getattr(module, name), name))
