"""What a template may have left behind in the process that renders the next one, and puts back what can be put back."""
import os
import sys
import time

from bcfg2_renderer.trace import RECORDER

_waitpid = os.waitpid
_getcwd = os.getcwd
_frames = sys._current_frames
_sleep = time.sleep


# Looked at after each template, whose number of modules may be the same; all others after each message.
_ESSENTIAL = ('builtins', '__builtin__', 'os', 'sys', 're', 'time', 'random', 'genshi', 'genshi.template', 'lxml.etree',
              'Cheetah.Template', 'jinja2')


class System(object):
    """The state of the process between two templates."""

    def __init__(self):
        self.modules = {}
        self.essential = ()
        self.module_count = 0
        self.path = list(sys.path)
        self.path_count = 0
        self.streams = sys.stdout, sys.stderr

    def note(self):
        """What is loaded now is what is put back."""
        if len(sys.modules) != self.module_count:
            self._restore_modules()

    def restore(self):
        """After a template: folders, streams and modules."""
        loaded = sys.modules
        self.note()
        for name, module in self.essential:
            if loaded.get(name) is not module:
                self._restore_modules()
                break
        path = sys.path
        if len(path) != self.path_count:
            # Templates put folders on sys.path again and again: each stays once.
            seen = set()
            path[:] = [folder for folder in path + self.path if not (folder in seen or seen.add(folder))]
            self.path_count = len(path)
        sys.stdout, sys.stderr = self.streams
        if _getcwd() != '/':
            os.chdir('/')

    def threads(self):
        """After each template: whether threads go on in the process, which is of no further use then."""
        return len(_frames()) > 1

    def wait(self):
        """Does nothing until the server ends the process."""
        while True:
            _sleep(3600)

    def look_over(self):
        """After the templates of a message. Whether a process is left, so that this one is of no further use."""
        self._restore_modules()
        try:
            while _waitpid(-1, os.WNOHANG)[0]:
                pass
        except OSError:
            return False
        return True

    def _restore_modules(self):
        """A module that was taken out or replaced comes back; those of the repository are the recorder's."""
        known, loaded = self.modules, sys.modules
        for name, module in known.items():
            if loaded.get(name) is not module:
                loaded[name] = module
        if len(known) != len(loaded):
            for name, module in list(loaded.items()):
                if name not in known and module is not None and _is_installed(name):
                    known[name] = module
        self.module_count = len(loaded)
        self.essential = [(name, known[name]) for name in _ESSENTIAL if name in known]


def _is_installed(name):
    return name != '__main__' and not name.startswith('__TemplateHelper_') and RECORDER.repository_file(name) is None


SYSTEM = System()
