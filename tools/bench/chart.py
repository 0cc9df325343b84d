"""Charts as SVG, by hand: a bar for each configuration, a whisker from the least to the greatest sample."""
import os
from xml.sax.saxutils import escape

COLOUR = {"raw": "#8a8f98", "bits": "#2563a8", "peer": "#c2703d"}
LEGEND = {"raw": "the link itself", "bits": "bitsd", "peer": "others in user space"}
LEFT, BAR, GAP, WIDE, RIGHT, TOP = 376, 16, 7, 520, 70, 74


def ticks(top):
    """Round steps up to ${top}, some five of them."""
    step = 10.0 ** len(str(int(top))) / 10
    while top / step < 3:
        step /= 2
    while top / step > 7:
        step *= 2
    return [i * step for i in range(int(top / step) + 1)]


def bars(doc, number, title, unit, scale=1.0):
    """An SVG document, or None when nobody has that number."""
    rows = [(e, {k: v * scale for k, v in e["numbers"][number].items() if k != "samples"})
            for e in doc["configurations"].values() if number in e["numbers"]]
    if not rows:
        return None
    most = max(n["max"] for _, n in rows) or 1.0
    x = lambda v: LEFT + v / most * WIDE
    height, width = TOP + len(rows) * (BAR + GAP) + 40, LEFT + WIDE + RIGHT
    m = doc["machine"]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>', f'<text x="16" y="24" font-size="16" font-weight="bold" fill="#1c1f24">{escape(title)}</text>',
           f'<text x="16" y="42" fill="#5a606b">{m["cores"]} cores for both hosts and all that runs on them, Linux {m["kernel"]}, {m["date"]}; median, least and greatest</text>']
    at = 16
    for group, text in LEGEND.items():
        if any(e["group"] == group for e, _ in rows):
            out.append(f'<rect x="{at}" y="52" width="10" height="10" fill="{COLOUR[group]}"/><text x="{at + 15}" y="61" fill="#1c1f24">{text}</text>')
            at += 40 + 7 * len(text)
    bottom = height - 28
    for t in ticks(most):
        out.append(f'<line x1="{x(t):.1f}" y1="{TOP}" x2="{x(t):.1f}" y2="{bottom}" stroke="#e2e5ea"/>'
                   f'<text x="{x(t):.1f}" y="{bottom + 15}" text-anchor="middle" fill="#5a606b">{t:g}</text>')
    out.append(f'<text x="{LEFT + WIDE + RIGHT - 8}" y="{bottom + 15}" text-anchor="end" fill="#5a606b">{escape(unit)}</text>')
    for i, (e, n) in enumerate(rows):
        y = TOP + i * (BAR + GAP) + GAP / 2
        middle = y + BAR / 2
        out.append(f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end" fill="#1c1f24">{escape(e["text"])}</text>'
                   f'<rect x="{LEFT}" y="{y:.1f}" width="{max(1, x(n["median"]) - LEFT):.1f}" height="{BAR}" fill="{COLOUR[e["group"]]}"/>'
                   f'<line x1="{x(n["min"]):.1f}" y1="{middle:.1f}" x2="{x(n["max"]):.1f}" y2="{middle:.1f}" stroke="#1c1f24"/>'
                   f'<text x="{x(n["max"]) + 6:.1f}" y="{middle + 4:.1f}" fill="#1c1f24">{n["median"]:.3g}</text>')
    return "\n".join(out + ["</svg>", ""])


CHARTS = [  # file, number, title, unit, scale
    ("throughput", "tcp1_gbit", "One TCP stream between two hosts", "Gbit/s", 1.0),
    ("streams", "tcp4_gbit", "Four TCP streams between two hosts", "Gbit/s", 1.0),
    ("latency", "ping_rest_us", "Round trip at rest", "microseconds", 1.0),
    ("load", "ping_load_p99_us", "Round trip under the load of a TCP stream, 99th percentile", "milliseconds", 0.001),
    ("cpu", "tcp1_cpu_s_per_gb", "CPU of the whole machine, seconds for each GB of TCP", "s/GB", 1.0),
    ("packets", "udp64_pps", "UDP datagrams of 64 octets without loss", "1000/s", 0.001),
]


def draw(doc, folder):
    """Every chart there are numbers for; the files written."""
    os.makedirs(folder, exist_ok=True)
    done = []
    for name, *how in CHARTS:
        svg = bars(doc, *how)
        if svg:
            path = os.path.join(folder, f"{name}.svg")
            with open(path, "w", encoding="utf-8") as f:
                f.write(svg)
            done.append(path)
    return done
