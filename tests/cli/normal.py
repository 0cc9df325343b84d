"""Keys and values of a JSON document, with what differs from run to run replaced: normal.py < document"""
import json
import sys

VARYING = {"age_ms": 0, "uptime_ms": 0, "memory": 0, "version": "-", "crypto": "-", "backend": "-", "bitsd": "-", "ipsecctl": "-"}


def plain(x):
    if isinstance(x, dict):
        x = {k: VARYING.get(k, plain(v)) for k, v in x.items()}
        if isinstance(x.get("used"), dict):
            x["used"]["ms"] = 0  # the age of an SA; in soft and hard it is a limit
        return x
    return [plain(v) for v in x] if isinstance(x, list) else x


json.dump(plain(json.load(sys.stdin)), sys.stdout, indent=1)
print()
