"""Which counters grew while a case ran: exit status 1, and a line for each, when one did that may not.

  grown.py FOLDER [REASON...]   stat.before and stat.after there are copies of /proc/net/xfrm_stat, of which none may grow; drops.before
                                and drops.after are documents of `ipsecctl -s drops --json`, of which these reasons may
"""
import json
import sys


def drops(path):
    with open(path, encoding="utf-8") as f:
        return {f"{d['reason']} ({way})": d[way] for d in json.load(f)["drops"] for way in ("in", "out")}


def stat(path):
    with open(path, encoding="utf-8") as f:
        return {name: int(value) for name, value in (line.split() for line in f if line.strip())}


folder, may = sys.argv[1], sys.argv[2:]
bad = 0
for who, read in (("kernel", stat), ("bitsd", drops)):
    name = read.__name__
    before, after = read(f"{folder}/{name}.before"), read(f"{folder}/{name}.after")
    if not after or before.keys() != after.keys():
        sys.exit(f"{who}: no counters, or others than before")
    for counter, n in after.items():
        if n > before[counter] and counter.split()[0] not in may:
            print(f"{who}: {counter}: {n - before[counter]} more")
            bad += 1
sys.exit(bad != 0)
