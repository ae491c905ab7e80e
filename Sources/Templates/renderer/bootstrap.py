"""The first that the server's socket gives: reads the renderer's modules from there, and runs them.

Arguments of the process: the numbers of the socket and of the bell, an eventfd by which the server is told that there is
something to read.
"""
import marshal
import os
import struct
import sys
try:
    import _signal as signal
except ImportError:
    import signal

# Sent to all processes of a service at once, these are meant for the server, with which a renderer ends. They are not
# ignored but go to a function that does nothing: what a template starts has them as they were.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda number, frame: None)

# As with -I: neither the working folder nor the user's own packages.
sys.path[:] = [path for path in sys.path if path]
DESCRIPTOR, BELL = int(sys.argv[1]), int(sys.argv[2])
# Programs that templates run have neither.
import fcntl
for descriptor in (DESCRIPTOR, BELL):
    fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)


def read(count):
    data = b''
    while len(data) < count:
        chunk = os.read(DESCRIPTOR, count - len(data))
        if not chunk:
            sys.exit(0)
        data += chunk
    return data


header = read(16)
payload = read(struct.unpack('<I', header[:4])[0])
sources = dict((str(name), text) for name, text in marshal.loads(payload)['modules'])
package = type(sys)('bcfg2_renderer')
package.__path__ = []
sys.modules['bcfg2_renderer'] = package


class Importer(object):
    """Finds the modules among what was read."""

    def knows(self, name):
        return name.startswith('bcfg2_renderer.') and name.split('.', 1)[1] in sources

    def find_module(self, name, path=None):
        return self if self.knows(name) else None

    def find_spec(self, name, path=None, target=None):
        if self.knows(name):
            from importlib.machinery import ModuleSpec
            return ModuleSpec(name, self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        short = module.__name__.split('.')[1]
        exec(compile(sources[short], '<bcfg2-server>/%s.py' % short, 'exec'), module.__dict__)

    def load_module(self, name):
        module = sys.modules[name] = type(sys)(name)
        setattr(package, name.split('.')[1], module)
        self.exec_module(module)
        return module


sys.meta_path.insert(0, Importer())
from bcfg2_renderer import main
sys.exit(main.main(DESCRIPTOR, BELL, header + payload))
