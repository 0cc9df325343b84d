#!/usr/bin/env bash
# tools/bench/run on a few configurations: its JSON has the shape that scripts rely on, its charts are XML, and nothing of it is left
# afterwards, neither at its end nor after Ctrl-C.  The figures themselves are not judged: this build is no fast one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$here/../../tools/bench/run
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

left() # NUMBER: what a run with that process number has left behind
{
	ls -d "/run/netns/bb$1-"* 2>/dev/null || :
	pgrep -af "/bits-bench\.[^/]*/.*bb$1-" || :
}

status=0
"$run" --build "$BITS_BUILD" --quick --rounds 1 --only 'raw,bits_bypass,bits_esp_gcm128_ossl' --tests tcp,ping,udp --json "$tmp/out.json" \
	--svg "$tmp/svg" >"$tmp/table" 2>"$tmp/log" &
bench=$!
wait $bench || status=$?
if [ $status -eq 77 ]; then
	echo "skipped: $(tail -n 1 "$tmp/log")"
	exit 77
fi
cat "$tmp/table"
[ $status -eq 0 ] || { cat "$tmp/log"; exit 1; }
[ -z "$(left $bench)" ] || { echo "left behind: $(left $bench)"; exit 1; }
python3 -B "$here/shape.py" "$tmp/out.json" "$tmp/svg"

# a second run adds its samples to those of the first
"$run" --build "$BITS_BUILD" --quick --only raw --tests ping --add "$tmp/out.json" --json - 2>/dev/null >"$tmp/added.json"
python3 -c 'import json, sys
n = json.load(open(sys.argv[1]))["configurations"]["raw"]["numbers"]["ping_rest_us"]["samples"]
sys.exit(n != 2 and f"{n} samples, not 2")' "$tmp/added.json"

# Ctrl-C in the middle (background jobs of a script are deaf to it, hence python)
python3 - "$run" "$BITS_BUILD" >"$tmp/pid" <<'END'
import signal, subprocess, sys
bench = subprocess.Popen([sys.argv[1], "--build", sys.argv[2], "--only", "raw,bits_bypass", "--tests", "tcp", "--seconds", "30"], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
for line in bench.stderr:
    if "bits_bypass: ready" in line:
        break
bench.send_signal(signal.SIGINT)
bench.stderr.read()
print(bench.pid, bench.wait(60))
END
read -r bench status <"$tmp/pid"
[ "$status" -eq 130 ] || { echo "after Ctrl-C it ended with status $status"; exit 1; }
[ -z "$(left "$bench")" ] || { echo "left behind after Ctrl-C: $(left "$bench")"; exit 1; }
echo "nothing is left, neither at the end nor after Ctrl-C"
