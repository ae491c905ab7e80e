"""How a script that starts servers ends when it is told to."""
import signal
import sys


def unwind_at_signals():
    """Makes signals that end a process unwind this one, so that its `finally` blocks end the servers and remove the folders. A
    shell starts background commands with SIGINT ignored; here it counts."""
    def end(number, _):
        sys.exit(128 + number)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
