"""Results: samples of each number, what becomes of them, and the table for people."""
import os
import platform
import statistics
import sys
import time

COLUMNS = [  # number, heading, how it is shown
    ("tcp1_gbit", "TCP Gbit/s", "{:.2f}"), ("tcp1_back_gbit", "back", "{:.2f}"), ("tcp4_gbit", "4 streams", "{:.2f}"),
    ("tcp1_cpu_s_per_gb", "CPU s/GB", "{:.2f}"), ("tcp1_daemon_cpu_s_per_gb", "daemons", "{:.2f}"),
    ("ping_rest_us", "RTT us", "{:.0f}"), ("ping_load_p50_us", "load p50", "{:.0f}"), ("ping_load_p99_us", "p99", "{:.0f}"),
    ("udp64_pps", "UDP 64 kpps", "{:.0f}"), ("udp512_pps", "512", "{:.0f}"), ("udp1400_pps", "1400", "{:.0f}"),
]


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"cores": os.cpu_count(), "kernel": ".".join(platform.release().split(".")[:2]), "cpu": model, "date": time.strftime("%Y-%m-%d", time.gmtime())}


def new(setups, earlier=None):
    """The document: what is in ${earlier} stays, and samples are added to it."""
    doc = {"version": 1, "machine": machine(), "configurations": {}}
    for s in setups:
        doc["configurations"][s.name] = {"text": s.text, "group": s.group, "backend": s.backend, "skipped": None, "failed": None, "samples": {}}
    for name, old in (earlier or {}).get("configurations", {}).items():
        if name not in doc["configurations"] or old["samples"]:
            doc["configurations"][name] = old
    if earlier and "walk" in earlier:
        doc["walk"] = earlier["walk"]
    return doc


def add(entry, numbers):
    for name, value in numbers.items():
        entry["samples"].setdefault(name, []).append(value)


def finish(doc):
    """Minimum, median and maximum of each number, and how throughput compares to the raw link."""
    all_of = doc["configurations"]
    for entry in all_of.values():
        entry["numbers"] = {name: {"min": min(v), "median": statistics.median(v), "max": max(v), "samples": len(v)} for name, v in entry["samples"].items()}
    for entry in all_of.values():
        entry["ratio"] = {}
        for base in ("raw", "raw_nooffload"):
            for number in ("tcp1_gbit", "tcp4_gbit"):
                mine, other = median(entry, number), median(all_of.get(base, {}), number)
                if mine is not None and other:
                    entry["ratio"].setdefault(base, {})[number] = mine / other
    return doc


def median(entry, number):
    return entry.get("numbers", {}).get(number, {}).get("median")


def table(doc, out=sys.stdout):
    shown = [c for c in COLUMNS if any(median(e, c[0]) is not None for e in doc["configurations"].values())]
    m = doc["machine"]
    print(f"{m['cores']} cores ({m['cpu']}), Linux {m['kernel']}, {m['date']}; medians; the same cores run both hosts, both daemons and the traffic", file=out)
    if m.get("together"):
        print(f"together they make {m['together']:.2f} times the system calls that one of them makes alone", file=out)
    print(file=out)
    print(f"{'':28} {'of raw':>9} {'no-offl.':>9}" + "".join(f" {c[1]:>11}" for c in shown), file=out)
    for name, e in doc["configurations"].items():
        if not e["numbers"]:
            print(f"{name:28} {'skipped: ' + e['skipped'] if e['skipped'] else 'failed: ' + str(e['failed'])}", file=out)
            continue
        line = f"{name:28}"
        for base in ("raw", "raw_nooffload"):
            ratio = e["ratio"].get(base, {}).get("tcp1_gbit")
            line += f" {ratio:9.2f}" if ratio is not None else f" {'':>9}"
        for number, _, form in shown:
            value = median(e, number)
            line += f" {'' if value is None else form.format(value / 1000 if number.endswith('_pps') else value):>11}"
        print(line + (f"  (then: {e['failed']})" if e["failed"] else ""), file=out)
    spreads = [(n, e["numbers"]["tcp1_gbit"]) for n, e in doc["configurations"].items() if e["numbers"].get("tcp1_gbit", {}).get("samples", 0) > 1]
    if spreads:
        print("\nTCP Gbit/s, one stream: minimum, median, maximum", file=out)
        for name, n in spreads:
            print(f"{name:28} {n['min']:9.2f} {n['median']:9.2f} {n['max']:9.2f}", file=out)
