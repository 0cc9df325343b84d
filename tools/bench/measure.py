"""What is measured between two connected hosts.  Each function returns a dictionary of numbers: one sample of each."""
import json
import os
import re
import statistics
import subprocess
import threading
import time

from lab import Failed, within

TICK = os.sysconf("SC_CLK_TCK")
LOST_AT_MOST = 0.001  # of the datagrams, where it says "without loss"
UDP_SIZES = (64, 512, 1400)


def machine_cpu():
    """Seconds of CPU this machine has spent so far, idle and waiting apart."""
    with open("/proc/stat", encoding="ascii") as f:
        n = [int(v) for v in f.readline().split()[1:]]
    return (n[0] + n[1] + n[2] + n[5] + n[6]) / TICK


def process_cpu(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError as e:
            raise Failed("a daemon is gone") from e
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def calls(cpu, seconds):
    """A child that says on a pipe how many system calls of 512 octets it made on that processor."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.sched_setaffinity(0, {cpu})
            zero, n, end = os.open("/dev/zero", os.O_RDONLY), 0, time.monotonic() + seconds
            while time.monotonic() < end:
                for _ in range(1000):
                    os.read(zero, 512)
                n += 1000
            os.write(write, str(n).encode())
        finally:
            os._exit(0)
    os.close(write)
    return child, read


def together(seconds=0.5):
    """How many times one processor's system calls do all of them make at a time?  Fewer than there are where they are threads of one core."""
    def of(cpus):
        total = 0
        for child, read in [calls(c, seconds) for c in cpus]:
            with os.fdopen(read, "rb") as f:
                total += int(f.read() or b"0")
            os.waitpid(child, 0)
        return total

    cpus = sorted(os.sched_getaffinity(0))
    one = statistics.mean(of([c]) for c in cpus)
    return of(cpus) / one if one else None


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(p / 100 * len(values)))]


def ping(lab, setup, count, interval):
    """Round trips in microseconds."""
    said = lab.at(setup.a, "ping", "-n", "-c", str(count), "-i", str(interval), "-W", "1", "-s", "56", setup.address, timeout=60)
    return [float(t) * 1000 for t in re.findall(r"time=([0-9.]+) ms", said)]


def ping_rest(lab, setup, seconds):
    times = ping(lab, setup, max(20, int(seconds * 100)), 0.01)
    return {"ping_rest_us": percentile(times, 50)}


def server(lab, setup):
    """An iperf3 server on b that lives as long as the lab."""
    if not getattr(setup, "served", False):
        lab.start(setup.b, "iperf3", "-s", "-p", "5201")
        listens = lambda: ":5201 " in lab.at(setup.b, "ss", "-Hltn")
        if not within(5, listens):
            raise Failed("iperf3 does not listen")
        setup.served = True


def iperf(lab, setup, seconds, *options):
    """Bits a second that arrived."""
    said = lab.at(setup.a, "iperf3", "-c", setup.address, "-p", "5201", "-t", str(seconds), "-J", "--connect-timeout", "3000", *options, timeout=seconds + 20)
    try:
        return json.loads(said)["end"]["sum_received"]["bits_per_second"], json.loads(said)["end"]["sum_received"]["bytes"]
    except (ValueError, KeyError) as e:
        raise Failed("iperf3 broke off") from e


def tcp(lab, setup, seconds, name, *options):
    server(lab, setup)
    machine, daemons = machine_cpu(), process_cpu(setup.pids)
    rate, octets = iperf(lab, setup, seconds, *options)
    if octets < 1e6:
        raise Failed("TCP stands still")
    found = {f"{name}_gbit": rate / 1e9, f"{name}_cpu_s_per_gb": (machine_cpu() - machine) / octets * 1e9}
    if setup.pids:
        found[f"{name}_daemon_cpu_s_per_gb"] = (process_cpu(setup.pids) - daemons) / octets * 1e9
    return found


def tcp_one(lab, setup, seconds):
    return tcp(lab, setup, seconds, "tcp1")


def tcp_back(lab, setup, seconds):
    return tcp(lab, setup, seconds, "tcp1_back", "-R")


def tcp_four(lab, setup, seconds):
    return tcp(lab, setup, seconds, "tcp4", "-P", "4")


def ping_load(lab, setup, seconds):
    """Round trips while one TCP stream takes what it can."""
    server(lab, setup)
    load = threading.Thread(target=lambda: quietly(lab, setup, seconds + 1))
    load.start()
    time.sleep(0.5)
    try:
        times = ping(lab, setup, max(50, int(seconds * 100)), 0.01)
    finally:
        load.join()
    if len(times) < 20:
        raise Failed("no answer under load")
    return {"ping_load_p50_us": percentile(times, 50), "ping_load_p99_us": percentile(times, 99)}


def quietly(lab, setup, seconds):
    try:
        iperf(lab, setup, seconds)
    except Failed:
        pass  # the round trips are what counts


def datagrams(lab, setup, tool, octets, rate, seconds):
    """Sent and received at ${rate} a second, and the seconds it took to send."""
    receiver = subprocess.Popen(["nsenter", f"--net=/run/netns/{setup.b}", tool, "receive", "5300", str(seconds + 3)], stdout=subprocess.PIPE, text=True)
    lab.children.append(receiver)
    receiver.stdout.readline()
    sent, took = lab.at(setup.a, tool, "send", setup.address, "5300", str(octets), str(int(rate)), str(seconds)).split()
    got = receiver.communicate(timeout=seconds + 10)[0].split()
    lab.children.remove(receiver)
    return int(sent), int(got[-1] if got else 0), float(took)


def udp_rate(lab, setup, tool, octets, seconds):
    """The highest rate, in datagrams a second, at which (nearly) all arrive: between what arrives of a flood, and nothing, by halving."""
    sent, got, took = datagrams(lab, setup, tool, octets, 0, seconds)
    if got == 0:
        raise Failed("no datagram arrives")
    if got >= sent * (1 - LOST_AT_MOST):
        return got / took
    low, high = 0, min(got / took * 1.3, sent / took)
    for _ in range(5):
        middle = (low + high) / 2
        sent, got, took = datagrams(lab, setup, tool, octets, middle, seconds)
        if got >= sent * (1 - LOST_AT_MOST):
            low = min(middle, got / took)
        else:
            high = middle
    return low


def udp(lab, setup, seconds):
    tool = udp_tool(lab)
    return {f"udp{octets}_pps": udp_rate(lab, setup, tool, octets, seconds / 6) for octets in UDP_SIZES}


def udp_tool(lab):
    """Our sender and counter, compiled for this run."""
    tool = lab.path("udp")
    if not os.path.exists(tool):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "udp.c")
        done = subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", tool, source], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise Failed("udp.c does not compile: " + done.stderr.strip().splitlines()[-1])
    return tool


# name -> (function, what it is, part of --quick)
TESTS = {
    "tcp": (tcp_one, "one TCP stream", True),
    "back": (tcp_back, "one TCP stream the other way", False),
    "tcp4": (tcp_four, "four TCP streams", False),
    "ping": (ping_rest, "round trip at rest", True),
    "load": (ping_load, "round trip under TCP load", True),
    "udp": (udp, "UDP datagrams without loss", False),
}
