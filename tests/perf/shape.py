#!/usr/bin/env -S python3 -B
"""Is a JSON document of tools/bench/run what scripts rely on?  And are the charts beside it XML with a bar for each configuration?"""
import json
import os
import sys
import xml.etree.ElementTree as tree

NUMBERS = {"tcp1_gbit", "tcp1_cpu_s_per_gb", "ping_rest_us", "udp64_pps", "udp512_pps", "udp1400_pps"}


def check(doc):
    assert doc["version"] == 1
    assert doc["machine"]["cores"] >= 1 and doc["machine"]["kernel"] and len(doc["machine"]["date"]) == 10
    for name, entry in doc["configurations"].items():
        assert entry["group"] in ("raw", "bits", "peer") and entry["text"], name
        assert entry["skipped"] is None and entry["failed"] is None, f"{name}: {entry['skipped']} {entry['failed']}"
        want = NUMBERS | ({"tcp1_daemon_cpu_s_per_gb"} if entry["group"] != "raw" else set())
        assert set(entry["numbers"]) == want, f"{name}: {sorted(set(entry['numbers']) ^ want)}"
        for number, n in entry["numbers"].items():
            assert 0 <= n["min"] <= n["median"] <= n["max"] and n["samples"] == len(entry["samples"][number]), f"{name}: {number}"
            assert n["max"] > 0 or "daemon" in number, f"{name}: {number}"
        assert entry["ratio"]["raw"]["tcp1_gbit"] > 0, name
    assert doc["configurations"]["raw"]["ratio"]["raw"]["tcp1_gbit"] == 1.0
    assert set(doc["configurations"]) == {"raw", "bits_bypass", "bits_esp_gcm128_ossl"}, sorted(doc["configurations"])


def check_charts(folder, configurations):
    names = sorted(os.listdir(folder))
    assert names == ["cpu.svg", "latency.svg", "packets.svg", "throughput.svg"], names
    for name in names:
        root = tree.parse(os.path.join(folder, name)).getroot()
        bars = [r for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("height") == "16"]
        assert len(bars) == configurations and all(float(b.get("width")) >= 1 for b in bars), name


with open(sys.argv[1], encoding="utf-8") as f:
    document = json.load(f)
check(document)
check_charts(sys.argv[2], len(document["configurations"]))
print("JSON and charts are as promised")
