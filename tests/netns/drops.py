"""Numbers out of ipsecctl's JSON on standard input.

  drops.py REASON            packets dropped under that reason, both directions (`ipsecctl -s drops --json`)
  drops.py --opened SPI      packets the SA of that SPI accepted (`ipsecctl -s sa --json`)
"""
