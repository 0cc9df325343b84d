"""Sets the sequence number an SA goes on at, by changing what the state directory says (the layout: sadb/seqstore.c).

  seqrecord.py FILE NUMBER
"""
import hashlib
import os
import sys

path, number = sys.argv[1], int(sys.argv[2], 0)
with open(path, "rb") as f:
    record = f.read()
name = os.path.basename(path).encode()
if len(record) != 96 or record[:8] != b"bitsseq\n" or record[64:] != hashlib.sha256(record[:64] + name).digest():
    sys.exit(f"{path} is not a record")
record = record[:16] + number.to_bytes(8, "big") + record[24:64]
with open(path, "wb") as f:
    f.write(record + hashlib.sha256(record + name).digest())
