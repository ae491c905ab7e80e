"""A small Debian that boots: its own systemd as process 1, network, processes and mounts, by systemd-nspawn."""
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

PATIENCE = 60
CGROUPS = pathlib.Path("/sys/fs/cgroup")
PR_SET_PDEATHSIG = 1
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
APART, GROUPS = "BCFG2_MACHINE_FOLDER", "BCFG2_MACHINE_GROUPS"


class Impossible(Exception):
    """This machine cannot boot a container."""


def why_impossible():
    """What is missing here; None where a container may boot."""
    if os.geteuid() != 0:
        return "a container that boots needs root"
    for program in ("systemd-nspawn", "nsenter", "unshare"):
        if not shutil.which(program):
            return f"no {program}; scripts/setup.sh --test installs it"
    return None


def until(condition, what, seconds=PATIENCE):
    """Waits for a condition, and returns what it gives."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def make_control_groups():
    """New control groups for a container where no service manager of the machine makes some."""
    if pathlib.Path("/run/systemd/system").is_dir():
        return []
    if (CGROUPS / "cgroup.procs").exists():
        parents = [CGROUPS]
    else:
        parents = [path for path in (CGROUPS / "systemd", CGROUPS / "unified") if (path / "cgroup.procs").exists()]
    made = [parent / f"bcfg2-machine-{os.getpid()}" for parent in parents]
    try:
        for group in made:
            group.mkdir()
    except OSError as error:
        remove_control_groups(made)
        raise Impossible(f"no control groups of its own: {error}") from error
    if not made:
        raise Impossible(f"no control groups at {CGROUPS}")
    return made


def remove_control_groups(groups):
    """Removes groups whose processes have ended, and those below them."""
    for group in groups:
        until(lambda: not any(pathlib.Path(folder, "cgroup.procs").read_text() for folder, _, _ in os.walk(group)),
              "the container's processes end")
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)


def run_apart():
    """Runs this script once more, where mounts and processes are its own, and returns its exit status.

    Whatever ends either of the two ends the container; the first one leaves nothing behind. In the second one `apart_folder()` is
    where files go.
    """
    library = ctypes.CDLL(None)
    groups = make_control_groups()
    folder = tempfile.mkdtemp(prefix="bcfg2-machine-")

    def enter():
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for group in groups:
            (group / "cgroup.procs").write_text("0")

    def end(*_):
        # timeout(1) asks twice: clearing up goes on.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    child = None
    try:
        child = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
                                  sys.executable, *sys.argv],
                                 env={**os.environ, APART: folder, GROUPS: "own" if groups else ""}, preexec_fn=enter)
        return child.wait()
    finally:
        if child and child.poll() is None:
            child.kill()
            child.wait()
        remove_control_groups(groups)
        subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True)


def apart_folder():
    """The folder of this run; None in the process that has not called `run_apart` yet."""
    return os.environ.get(APART) and pathlib.Path(os.environ[APART])


class Container:
    """One root folder, which boots as often as one likes."""

    def __init__(self, cached):
        self.folder = apart_folder()
        self.root = self.folder / "root"
        self.root.mkdir()
        self.console = open(self.folder / "console", "w+b")
        self.process, self.leader = None, None
        subprocess.run(["tar", "-C", self.root, "-xf", cached], check=True)
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (self.root / "etc/hostname").write_text("machine\n")
        # Without one it would be the first boot, which enables units.
        (self.root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        (self.root / "etc/resolv.conf").write_text("")
        # What systemd-nspawn keeps of each container goes with this process.
        os.makedirs("/run/systemd/nspawn", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/systemd/nspawn"], check=True)

    def boot(self):
        """Returns when the system is up."""
        command = ["systemd-nspawn", "--quiet", "--register=no", "--private-network", f"--directory={self.root}", "--machine=bcfg2",
                   "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe",
                   # What the server's renderers confine themselves with; a machine that is no container has it.
                   "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
                   *(["--keep-unit"] if os.environ[GROUPS] else []), "--boot"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT)
        try:
            self.leader = until(self.find_leader, "the container starts")
            until(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"),
                  "the system is up")
        except AssertionError as error:
            raise Impossible(f"{error}\n{self.console_text()}") from error

    def find_leader(self):
        """The process 1 of the container, once it is systemd."""
        if self.process.poll() is not None:
            raise Impossible(f"systemd-nspawn ended with {self.process.returncode}\n{self.console_text()}")
        for child in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
            except OSError:
                pass
        return None

    def console_text(self):
        return pathlib.Path(self.folder, "console").read_text(errors="replace")

    def command(self, command):
        environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return ["nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd",
                "/usr/bin/env", "-i", *environment, *map(str, command)]

    def run(self, *command, check=True, text=None, seconds=PATIENCE):
        """Runs a command inside, as root, with text as its standard input."""
        done = subprocess.run(self.command(command), input=text or "", capture_output=True, text=True, timeout=seconds)
        assert not check or done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def shell(self, script, check=True, seconds=PATIENCE):
        """Runs a script of sh inside."""
        return self.run("sh", "-c", script, check=check, seconds=seconds)

    def start(self, *command):
        """Starts a command inside with pipes to it. It has to end with its standard input."""
        return subprocess.Popen(self.command(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def path(self, path):
        """A file of the container, as this process sees it. Not for what is mounted inside, such as /run and /tmp."""
        return self.root / path.lstrip("/")

    def write(self, path, text, mode=0o644):
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)
        self.path(path).chmod(mode)

    def power_off(self):
        """Ends the system as an administrator does."""
        self.run("systemctl", "--no-block", "poweroff")
        self.process.wait(PATIENCE)
        self.process = self.leader = None
