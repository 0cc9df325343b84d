#!/usr/bin/env bash
# A NIC that cannot move into another namespace (a bridge device) stays where it is, guarded: the host's stack gets
# nothing from it but by way of the bump.
. "$(dirname "$0")/lib.sh"
begin "guarded: a NIC that cannot move"
