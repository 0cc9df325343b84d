"""Two hosts on one wire, again and again: network namespaces, processes and files, all of which go away with the lab."""
import os
import shutil
import signal
import subprocess
import tempfile
import time


class Failed(Exception):
    """A configuration cannot be set up or measured."""


class Skipped(Failed):
    """It cannot be had on this machine, and that is nobody's fault."""


def autogroup(pid, nice):
    """Where the scheduler shares time out by session first (sched_autogroup_enabled), a session has a nice value of its own."""
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as f:
            f.write(str(nice))
    except OSError:
        pass  # a kernel without


class Lab:
    def __init__(self, first=False):
        self.first = first  # goes before all else on the machine
        self.hurry(os.getpid(), -20)
        self.tag = f"bb{os.getpid()}"
        self.tmp = tempfile.mkdtemp(prefix="bits-bench.")  # 0700: keys lie in it
        self.spaces = []
        self.children = []

    def path(self, name):
        return os.path.join(self.tmp, name)

    def write(self, name, text):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            f.write(text)
        return self.path(name)

    def space(self, name):
        """A network namespace with a loopback device that is up; its full name."""
        full = f"{self.tag}-{name}"
        run(["ip", "netns", "add", full])
        self.spaces.append(full)
        self.at(full, "ip", "link", "set", "lo", "up")
        return full

    def adopt(self, space):
        """A namespace that somebody else makes, to be removed with the others."""
        self.spaces.append(space)

    def at(self, space, *command, timeout=30, stdin=None):
        return run(inside(space) + list(command), timeout=timeout, stdin=stdin)

    def start(self, space, *command, log=None, env=None):
        """A process that runs beside; it ends with the lab at the latest."""
        out = open(self.path(log), "wb") if log else subprocess.DEVNULL
        child = subprocess.Popen(inside(space) + list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT if log else out,
                                 env={**os.environ, **(env or {})}, start_new_session=True)
        if log:
            out.close()
        self.children.append(child)
        self.hurry(child.pid, -20)
        return child

    def hurry(self, pid, nice):
        if self.first:
            os.setpriority(os.PRIO_PROCESS, pid, nice)
            autogroup(pid, nice)

    def hosts(self, name):
        """Two hosts, each with an eth0, on one veth pair: their namespaces.  10.9.0.1 and 10.9.0.2."""
        a, b = self.space(f"{name}-a"), self.space(f"{name}-b")
        run(["ip", "link", "add", "eth0", "netns", a, "type", "veth", "peer", "name", "eth0", "netns", b])
        for space, address in ((a, "10.9.0.1/24"), (b, "10.9.0.2/24")):
            self.at(space, "ip", "addr", "add", address, "dev", "eth0")
            self.at(space, "ip", "link", "set", "eth0", "up")
        return a, b

    def close(self):
        self.hurry(os.getpid(), 0)
        for child in self.children:
            if child.poll() is None:
                signal_group(child, signal.SIGTERM)
        end = time.monotonic() + 3
        for child in self.children:
            try:
                child.wait(max(0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                signal_group(child, signal.SIGKILL)
                child.wait()
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.tmp, ignore_errors=True)


def signal_group(child, number):
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def inside(space):
    return ["nsenter", f"--net=/run/netns/{space}"]


def run(command, timeout=30, stdin=None):
    """Its standard output; Failed says what it said."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, text=True, check=False,
                              input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed(str(e)) from e
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failed(f"{' '.join(command[2:5] if command[0] == 'nsenter' else command[:3])}: {said[-1] if said else done.returncode}")
    return done.stdout


def within(seconds, test):
    """Does ${test} come true in time?"""
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def have(*tools):
    """The first of ${tools} that is not installed, or None."""
    return next((t for t in tools if not shutil.which(t) and not os.path.exists(t)), None)
