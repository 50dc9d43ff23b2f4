# SPDX-License-Identifier: MIT
"""Figures of all rounds, and what becomes of them: a table, JSON, a chart."""
import collections
import html
import json
import math
import statistics

from measures import summary

Measure = collections.namedtuple("Measure", "key title unit more chart")
MEASURES = [Measure(*m) for m in (
    ("tcp1", "TCP, 1 stream", "Gbit/s", True, True),
    ("tcp1r", "TCP, 1 stream, back", "Gbit/s", True, False),
    ("tcp4", "TCP, 4 streams", "Gbit/s", True, True),
    ("tcp4r", "TCP, 4 streams, back", "Gbit/s", True, False),
    ("tcp16", "TCP, 16 streams", "Gbit/s", True, False),
    ("tcp16r", "TCP, 16 streams, back", "Gbit/s", True, False),
    ("small", "64-byte UDP", "kpackets/s", True, True),
    ("cpu", "CPU of the daemons", "s/GB", False, True),
    ("machine", "CPU of the machine", "s/GB", False, False),
    ("load_mean", "round trip under load, mean", "ms", False, True),
    ("load_p99", "round trip under load, p99", "ms", False, True),
    ("load_max", "round trip under load, max", "ms", False, False),
    ("idle", "round trip idle, median", "ms", False, True),
    ("handshakes", "handshakes", "/s", True, True),
    ("handshake_cpu", "CPU of a handshake", "ms", False, False),
    ("rss_idle", "memory, idle", "MiB", False, False),
    ("rss", "memory, after load", "MiB", False, True),
    ("lan1", "LAN to LAN, 1 stream", "Gbit/s", True, True),
    ("lan4", "LAN to LAN, 4 streams", "Gbit/s", True, False),
    ("transit1", "A-B-C, 1 stream", "Gbit/s", True, True),
    ("transit4", "A-B-C, 4 streams", "Gbit/s", True, False),
)]
BULK = ("tcp1", "tcp1r", "tcp4", "tcp4r")


class Figures:
    """values[measure][kind][round]; round trips are pooled by kind besides."""

    def __init__(self, reference):
        self.reference = reference
        self.values = collections.defaultdict(lambda: collections.defaultdict(dict))
        self.rtts = collections.defaultdict(lambda: collections.defaultdict(list))
        self.notes = []

    def put(self, measure, kind, turn, value):
        if value is not None:
            self.values[measure][kind][turn] = value

    def put_rtts(self, what, kind, turn, rtts):
        self.rtts[what][kind] += rtts
        one = summary(rtts)
        if what == "load":
            self.put("load_mean", kind, turn, one.get("mean"))
            pooled = summary(self.rtts[what][kind])
            for key in ("p99", "max"):       # of all rounds together: one round has too few for a p99
                self.values[f"load_{key}"][kind] = {0: pooled[key]} if key in pooled else {}
        else:
            self.put("idle", kind, turn, one.get("median"))

    def median(self, measure, kind):
        values = self.values[measure][kind].values()
        return statistics.median(values) if values else None

    def ratio(self, measure, kind, to=None):
        """Median over the rounds of what this kind had to what the other had in the same round."""
        ours, theirs = self.values[measure][kind], self.values[measure][to or self.reference]
        ratios = [ours[r] / theirs[r] for r in ours if theirs.get(r)]
        return statistics.median(ratios) if ratios else None

    def bulk_ratio(self, kind, to=None):
        """Geometric mean over 1 and 4 streams, both directions."""
        ratios = [self.ratio(m, kind, to) for m in BULK]
        if not all(ratios):
            return None
        return math.exp(statistics.fmean(math.log(r) for r in ratios))


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(figures, kinds):
    """One line a measure, one column a kind: the median, and the ratio to the reference."""
    rows = [["", *(k.name for k in kinds)]]
    for m in MEASURES:
        cells = []
        for k in kinds:
            value, ratio = figures.median(m.key, k.name), figures.ratio(m.key, k.name)
            cells.append(number(value) + (f" {ratio:.2f}x" if ratio and k.name != figures.reference else ""))
        if any(c != "-" for c in cells):
            rows.append([f"{m.title} ({m.unit})", *cells])
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))) for r in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def goals(figures):
    """The figures meshd is to reach: what, the figure, what the pump has there, the goal, whether it is met (None: not measured)."""
    def row(what, figure, goal, least=True):
        value, limit = figure("meshd"), None if "pump" in what or "workers" in what else figure("pump")
        met = None if value is None else value >= goal if least else value <= goal
        return what, value, limit, f"at {'least' if least else 'most'} {goal:g}", met

    f = figures
    return [
        row("TCP, to wireguard-go", f.bulk_ratio, 1.7),
        row("TCP, to tinc", lambda k: f.bulk_ratio(k, "tinc"), 8),
        row("TCP, to the bare pump", lambda k: f.bulk_ratio(k, "pump"), 0.9),
        row("64-byte UDP, to wireguard-go", lambda k: f.ratio("small", k), 2),
        row("CPU of a gigabyte, to wireguard-go", lambda k: f.ratio("cpu", k), 0.6, False),
        row("round trip under load, mean, ms", lambda k: f.median("load_mean", k), 5, False),
        row("round trip idle, to wireguard-go", lambda k: f.ratio("idle", k), 1, False),
        row("TCP, 1 stream, all workers to one", lambda k: f.ratio("tcp1", k, "meshd-1"), 1),
        row("CPU of a gigabyte, 16 streams, all workers to one", lambda k: f.ratio("cpu16", k, "meshd-1"), 1.05, False),
    ]


def goal_lines(rows):
    words = {True: "met", False: "NOT MET", None: "not measured"}
    return "\n".join(f"  {what:<50} {number(value):>7} {number(limit):>7}   {goal:<14} {words[met]}"
                     for what, value, limit, goal, met in rows)


def as_json(figures, kinds, about):
    out = dict(about)
    out["reference"] = figures.reference
    out["kinds"] = {k.name: k.title for k in kinds}
    out["measures"] = {}
    for m in MEASURES:
        by_kind = {}
        for k in kinds:
            values = figures.values[m.key][k.name]
            if values:
                ratio = figures.ratio(m.key, k.name)
                by_kind[k.name] = {"median": round(figures.median(m.key, k.name), 4), "ratio": round(ratio, 3) if ratio else None,
                                   "rounds": [round(values[r], 4) for r in sorted(values)]}
        if by_kind:
            out["measures"][m.key] = {"title": m.title, "unit": m.unit, "better": "more" if m.more else "less", "of": by_kind}
    out["notes"] = figures.notes
    return json.dumps(out, indent="\t") + "\n"


STYLE = """
svg { background: #fff; font: 13px sans-serif } text { fill: #222 } .head { font-weight: bold; font-size: 14px } .soft { fill: #666 }
.bar { fill: #9aa7b5 } .ours { fill: #2a78c8 } .ref { fill: #d98a29 } .limit { fill: #6aa06a }
@media (prefers-color-scheme: dark) {
svg { background: #16191d } text { fill: #e4e4e4 } .soft { fill: #a0a0a0 } .bar { fill: #5d6975 } .ours { fill: #5aa5ee } }
"""
WIDTH, LABEL, BAR, ROW, COLUMNS = 1040, 130, 230, 19, 2


def panel(figures, kinds, m, x, y):
    """One measure's bars; its lines of SVG and its height."""
    # Beside a plain cable's bulk rate nothing else would be seen.
    shown = [(k, figures.median(m.key, k.name)) for k in kinds if figures.median(m.key, k.name) is not None
             and not (k.name == "veth" and m.unit == "Gbit/s")]
    top = max((v for _, v in shown), default=0)
    out = [f'<text class="head" x="{x}" y="{y}">{html.escape(m.title)} <tspan class="soft">{m.unit}, '
           f'{"more" if m.more else "less"} is better</tspan></text>']
    for i, (k, v) in enumerate(shown, 1):
        at = y + i * ROW
        kind_class = "ours" if k.name.startswith("meshd") else "ref" if k.name == figures.reference else \
            "limit" if k.name.startswith(("pump", "veth")) else "bar"
        ratio = figures.ratio(m.key, k.name)
        tail = number(v) + (f"  ({ratio:.2f})" if ratio and k.name != figures.reference else "")
        length = max(1, round(BAR * v / top)) if top else 1
        out += [f'<text x="{x + LABEL - 6}" y="{at}" text-anchor="end">{html.escape(k.name)}</text>',
                f'<rect class="{kind_class}" x="{x + LABEL}" y="{at - 11}" width="{length}" height="13"/>',
                f'<text class="soft" x="{x + LABEL + length + 5}" y="{at}">{tail}</text>']
    return out, (len(shown) + 2) * ROW


def as_svg(figures, kinds, caption):
    body, heights = [], [72] * COLUMNS
    for m in MEASURES:
        if not m.chart or not figures.values[m.key]:
            continue
        column = heights.index(min(heights))
        lines, height = panel(figures, kinds, m, 20 + column * (WIDTH // COLUMNS), heights[column])
        body += lines
        heights[column] += height
    height = max(heights)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        "<title>meshd beside other tunnels</title>", f"<style>{STYLE}</style>",
        f'<text class="head" x="20" y="26">{html.escape(caption)}</text>',
        f'<text class="soft" x="20" y="44">Medians; in parentheses the ratio to {html.escape(figures.reference)}, '
        'round by round in one run.</text>', *body, "</svg>"]) + "\n"
