"""Which counters grew: exit status 1, and a line for each, when one did that may not.

  grown.py drops BEFORE AFTER [REASON...]   two documents of `ipsecctl -s drops --json`; these reasons may grow
  grown.py stat BEFORE AFTER                two copies of /proc/net/xfrm_stat
"""
import json
import sys


def drops(path):
    with open(path, encoding="utf-8") as f:
        return {f"{d['reason']} ({way})": d[way] for d in json.load(f)["drops"] for way in ("in", "out")}


def stat(path):
    with open(path, encoding="utf-8") as f:
        return {name: int(value) for name, value in (line.split() for line in f if line.strip())}


read = {"drops": drops, "stat": stat}[sys.argv[1]]
before, after, may = read(sys.argv[2]), read(sys.argv[3]), sys.argv[4:]
if not after:
    sys.exit(f"{sys.argv[3]}: no counters")
bad = {name: n - before[name] for name, n in after.items() if n > before[name] and name.split()[0] not in may}
for name, n in bad.items():
    print(f"{name}: {n} more")
sys.exit(1 if bad else 0)
