"""Numbers out of ipsecctl's JSON on standard input.

  drops.py REASON            packets dropped under that reason, both directions (`ipsecctl -s drops --json`)
  drops.py --opened SPI      packets the SA of that SPI accepted (`ipsecctl -s sa --json`)
"""
import json
import sys

document = json.load(sys.stdin)
if sys.argv[1] == "--opened":
    print(sum(sa["in"]["packets"] for sa in document["sas"] if sa["spi"] == sys.argv[2] and "in" in sa))
else:
    row = [d for d in document["drops"] if d["reason"] == sys.argv[1]]
    if not row:
        sys.exit(f"ipsecctl -s drops --json knows no reason {sys.argv[1]}")
    print(row[0]["out"] + row[0]["in"])
