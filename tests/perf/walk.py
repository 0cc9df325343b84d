#!/usr/bin/env -S python3 -B
"""bits_bench_walk's JSON: a row for each suite, back end and size, stages of both directions, and every row with sane numbers."""
import json
import subprocess
import sys

doc = json.loads(subprocess.run([sys.argv[1], "--quick", "--json", "suites", "stages"], check=True, stdout=subprocess.PIPE, timeout=240).stdout)
assert set(doc) == {"suites", "stages"}, sorted(doc)
seen = set()
for row in doc["suites"]:
    key = row["suite"], row["backend"], row["octets"]
    assert key not in seen, key
    seen.add(key)
    assert row["out_ns"] > 0 and row["in_ns"] > 0, key
    assert abs(row["out_mpps"] * row["out_ns"] - 1000) < 0.01 * row["out_ns"] + 0.1 * row["out_mpps"], key
    # (out_ns is told to a tenth: at few of them a nanosecond's tenth is many Gbit/s)
    assert abs(row["out_gbit"] - row["octets"] * 8 / row["out_ns"]) < 0.01 + 0.1 * row["out_gbit"] / row["out_ns"], key
    assert (row["cipher_ns"] > 0) == (row["suite"] != "none"), key
assert {s for s, _, _ in seen} >= {"none", "aes-128-gcm", "chacha20-poly1305", "aes-128-cbc-sha256"}
assert {o for _, _, o in seen} == {64, 576, 1400}
assert {"openssl", "none"} <= {b for _, b, _ in seen}
assert {(r["dir"], r["stage"]) for r in doc["stages"]} >= {("out", "classify"), ("out", "seal"), ("in", "open"), ("in", "policy check")}
print(f"{len(seen)} rows of suites, {len(doc['stages'])} of stages")
