#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What fairness.sh measured, condensed: verdicts, a table, router.json, router.svg.

    figures.py [LIMITS] DIRECTORY [DIRECTORY-TO-SAVE-TO]

In DIRECTORY there is about.json, and RUN.QUEUE.KIND.MEASURE with endings: .iperf.json (what iperf3 says of the tunnel's flows), .from.json
and .to.json (the bottleneck's counters), .irtt.json (the call). Verdicts are lines of "ok" or "not ok", what, and why, with tabs between.
"""
import argparse
import collections
import glob
import html
import json
import math
import os
import platform
import re
import statistics

Measure = collections.namedtuple("Measure", "key title unit")
MEASURES = [Measure(*m) for m in (
    ("ratio-4", "4 flows: one's share to a native flow's", ""),
    ("ratio-16", "16 flows: one's share to a native flow's", ""),
    ("jain-4", "4 flows: Jain's index", ""),
    ("jain-16", "16 flows: Jain's index", ""),
    ("wire-4", "4 flows and a native one: bottleneck", "Mbit/s"),
    ("share", "4 flows beside 4 of wireguard-go: share", ""),
    ("mean", "call beside 4 flows, mean", "ms"),
    ("median", "call beside 4 flows, median", "ms"),
    ("p99", "call beside 4 flows, p99", "ms"),
    ("max", "call beside 4 flows, max", "ms"),
    ("lost", "call beside 4 flows, lost", "%"),
    ("bulk", "the 4 flows", "Mbit/s"),
)]


def load(name):
    try:
        with open(name, encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return None


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values)) if any(values) else None


class Figures:
    """values[queue][kind][measure][run], and series[queue][kind][run]: seconds and milliseconds, None: lost."""

    def __init__(self, directory):
        tree = lambda: collections.defaultdict(tree)
        self.values, self.series = tree(), tree()
        for name in sorted(glob.glob(os.path.join(directory, "*.json"))):
            m = re.fullmatch(r"(\d+)\.(fq_codel|fifo)\.([^.]+)\.(probe|share|ratio-\d+)\.(iperf|irtt|to)\.json", os.path.basename(name))
            if not m:
                continue
            run, queue, kind, measure, what = int(m[1]), *m.groups()[1:]
            content = load(name)
            if content:
                getattr(self, "read_" + what)(name, content, run, self.values[queue][kind], measure, self.series[queue][kind])

    def read_iperf(self, _name, content, run, values, measure, _series):
        rates = [s["receiver"]["bits_per_second"] for s in content.get("end", {}).get("streams", [])]
        if not rates:
            return
        if measure == "probe":
            values["bulk"][run] = sum(rates) / 1e6
        elif measure.startswith("ratio-"):
            values["jain-" + measure[6:]][run] = jain(rates)

    def read_to(self, name, content, run, values, measure, _series):
        before = load(name[:-len("to.json")] + "from.json")
        if not before:
            return
        took = {k: content[k] - before[k] for k in content}
        if measure == "share":
            if took["mesh"] + took["wgo"]:
                values["share"][run] = took["mesh"] / (took["mesh"] + took["wgo"])
        elif took["one"]:
            count = measure[6:]
            many = sum(took[k] for k in ("bulk", "mesh", "wgo"))
            values[measure][run] = many / int(count) / took["one"]
            values["wire-" + count][run] = (many + took["one"]) * 8 / took["us"]

    def read_irtt(self, _name, content, run, values, _measure, series):
        trips = content.get("round_trips") or []
        if not trips:
            return
        start = trips[0]["timestamps"]["client"]["send"]["monotonic"]
        points = [((t["timestamps"]["client"]["send"]["monotonic"] - start) / 1e9,
                   t["delay"]["rtt"] / 1e6 if t["lost"] == "false" and "rtt" in t["delay"] else None) for t in trips]
        rtts = sorted(p[1] for p in points if p[1] is not None)
        values["lost"][run] = 100 * (len(points) - len(rtts)) / len(points)
        if not rtts:
            return
        series[run] = points
        values["mean"][run] = statistics.fmean(rtts)
        values["median"][run] = statistics.median(rtts)
        values["p99"][run] = rtts[min(len(rtts) - 1, math.ceil(len(rtts) * 0.99) - 1)]
        values["max"][run] = rtts[-1]

    def has(self, queue, kind, measure):
        return self.values[queue][kind][measure]

    def median(self, queue, kind, measure):
        values = self.has(queue, kind, measure).values()
        return statistics.median(values) if values else None

    def above_native(self, queue, kind, measure):
        """Milliseconds over those of the call without a tunnel, behind fq_codel, in the same run: median over the runs."""
        ours, theirs = self.has(queue, kind, measure), self.has("fq_codel", "native", measure)
        both = [ours[r] - theirs[r] for r in ours if r in theirs]
        return statistics.median(both) if both else None

    def typical(self, queue, kind):
        """The series of the run whose mean is the median one."""
        means = self.has(queue, kind, "mean")
        return self.series[queue][kind][sorted(means, key=means.get)[(len(means) - 1) // 2]] if means else None


def number(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def mbit(rate):
    m = re.fullmatch(r"([\d.]+)mbit", rate)
    return float(m[1]) if m else None


def is_meshd(kind):
    return kind not in ("native", "wgo")


def verdicts(figures, kinds, args, rate):
    """Of every meshd behind fq_codel; behind a FIFO, of those that have a shaper (and so are measured there only)."""
    if rate:
        busy = [v for k in kinds for v in figures.has("fq_codel", k, "wire-4").values()]
        yield not busy or statistics.median(busy) >= 0.5 * rate, \
            f"the bottleneck was kept busy ({number(statistics.median(busy) if busy else None)} of {rate:g} Mbit/s)", \
            "the machine was too slow, or has other things to do: ratios mean nothing"
    for kind in filter(is_meshd, kinds):
        queue = "fq_codel" if figures.has("fq_codel", kind, "lost") else "fifo"
        for count in ("4", "16") if queue == "fq_codel" else ():
            value = figures.median(queue, kind, "ratio-" + count)
            ok = value is not None and args.ratio_least <= value <= args.ratio_most
            yield ok, f"{kind}: of {count} flows, one takes what a native flow takes ({number(value)})", \
                f"goal: {args.ratio_least} to {args.ratio_most}"
        for measure, limit in (("mean", args.mean), ("p99", args.p99)):
            value = figures.above_native(queue, kind, measure)
            yield value is not None and value <= limit, \
                f"{kind}: a call beside 4 flows, {measure}: {number(value)} ms above native's, behind {queue}", f"goal: at most {limit:g} ms"


def tables(figures, kinds):
    for queue in ("fq_codel", "fifo"):
        shown = [k for k in kinds if any(figures.has(queue, k, m.key) for m in MEASURES)]
        if not shown:
            continue
        rows = [[f"behind {queue}", *shown]]
        for m in MEASURES:
            cells = [number(figures.median(queue, k, m.key)) for k in shown]
            if any(c != "-" for c in cells):
                rows.append([m.title + (f" ({m.unit})" if m.unit else ""), *cells])
        widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
        for row in rows:
            yield "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths)))
        yield ""


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "")
    except OSError:
        return ""


def rounded(value):
    return None if value is None else round(value, 4)


def as_json(figures, kinds, about):
    out = {"date": about["date"], "cpu": cpu_name(), "cpus": os.cpu_count(), "kernel": platform.release(), "meshd": about["meshd"],
           "wireguard_go": about["wgo"], "seconds": int(about["seconds"]), "mode": about["mode"], "runs": int(about["runs"]),
           "router": {"linux": about["uml"], "rate": about["rate"], "delay": about["delay"]},
           "kinds": {k: about["lines"].get(k, "") for k in kinds},
           "measures": {m.key: {"title": m.title, "unit": m.unit} for m in MEASURES}, "behind": {}}
    for queue in ("fq_codel", "fifo"):
        of = {}
        for kind in kinds:
            values = {m.key: {"median": rounded(figures.median(queue, kind, m.key)),
                              "runs": [rounded(v) for _, v in sorted(figures.has(queue, kind, m.key).items())]}
                      for m in MEASURES if figures.has(queue, kind, m.key)}
            if values:
                of[kind] = values
                points = figures.typical(queue, kind)
                if points:
                    of[kind]["call_ms"] = [rounded(p[1]) for p in points]
        if of:
            out["behind"][queue] = of
    text = json.dumps(out, indent="\t")
    # Lists of numbers on one line each.
    return re.sub(r"\[[^][{}\"]*\]", lambda m: "[" + ", ".join(m[0][1:-1].replace(",", " ").split()) + "]", text) + "\n"


STYLE = """
svg { background: #fff; font: 13px sans-serif } text { fill: #222 } .head { font-weight: bold; font-size: 14px } .soft { fill: #666 }
path { fill: none; stroke-width: 1.4 } .grid { stroke: #ddd; stroke-width: 1 }
.native { stroke: #6aa06a } .wgo { stroke: #d98a29 } .ours0 { stroke: #2a78c8 } .ours1 { stroke: #a04bb8 } .ours2 { stroke: #23a0a8 }
@media (prefers-color-scheme: dark) {
svg { background: #16191d } text { fill: #e4e4e4 } .soft { fill: #a0a0a0 } .grid { stroke: #333 } .ours0 { stroke: #5aa5ee } }
"""
WIDTH, LEFT, PLOT, HEIGHT = 1040, 60, 740, 260
NAMES = {"native": "no tunnel", "wgo": "wireguard-go"}


def path_of(points, scale_x, scale_y):
    """A line with gaps where packets were lost."""
    out, pen = [], "M"
    for t, rtt in points:
        if rtt is None:
            pen = "M"
            continue
        out.append(f"{pen}{scale_x(t):.1f} {scale_y(rtt):.1f}")
        pen = "L"
    return "".join(out)


def grid_step(top):
    return next(s for s in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if top / s <= 7 or s == 5000)


def panel(figures, kinds, queue, y):
    """Delay over time of all kinds behind this queue; beside it their names and figures."""
    series = [(k, figures.typical(queue, k)) for k in kinds]
    series = [(k, p) for k, p in series if p]
    longest = max(p[-1][0] for _, p in series)
    step = grid_step(max(rtt for _, p in series for _, rtt in p if rtt is not None))
    top = step * math.ceil(max(rtt for _, p in series for _, rtt in p if rtt is not None) / step)
    scale_x, scale_y = (lambda t: LEFT + PLOT * t / longest), (lambda ms: y + HEIGHT - HEIGHT * ms / top)
    what = {"fq_codel": "fq_codel", "fifo": "a FIFO of 1000 packets"}[queue]
    out = [f'<text class="head" x="20" y="{y - 14}">Behind {what} <tspan class="soft">round trip of a call beside 4 TCP flows, ms</tspan></text>']
    for ms in range(0, top + 1, step):
        out += [f'<path class="grid" d="M{LEFT} {scale_y(ms):.1f}h{PLOT}"/>',
                f'<text class="soft" x="{LEFT - 8}" y="{scale_y(ms) + 4:.1f}" text-anchor="end">{ms}</text>']
    for second in range(0, int(longest + 0.5) + 1, 2):
        out.append(f'<text class="soft" x="{min(scale_x(second), LEFT + PLOT):.1f}" y="{y + HEIGHT + 18}" text-anchor="middle">{second} s</text>')
    ours = [k for k, _ in series if is_meshd(k)]
    # The tallest first, so that what is flat stays in sight.
    for kind, points in sorted(series, key=lambda s: -figures.median(queue, s[0], "mean")):
        style = f"ours{ours.index(kind) % 3}" if kind in ours else kind
        out.append(f'<path class="{style}" d="{path_of(points, scale_x, scale_y)}"/>')
    for i, (kind, _) in enumerate(series):
        style, at = f"ours{ours.index(kind) % 3}" if kind in ours else kind, y + 10 + i * 44
        mean, p99 = (figures.median(queue, kind, m) for m in ("mean", "p99"))
        out += [f'<path class="{style}" d="M{LEFT + PLOT + 20} {at - 4}h24" style="stroke-width:3"/>',
                f'<text x="{LEFT + PLOT + 52}" y="{at}">{html.escape(NAMES.get(kind, kind))}</text>',
                f'<text class="soft" x="{LEFT + PLOT + 52}" y="{at + 17}">mean {number(mean)}, p99 {number(p99)}</text>']
    return out


def as_svg(figures, kinds, about):
    y, body = 90, []
    for queue in ("fq_codel", "fifo"):
        if any(figures.typical(queue, k) for k in kinds):
            body += panel(figures, kinds, queue, y)
            y += HEIGHT + 70
    height = y - 40
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        "<title>A call beside bulk traffic in the same tunnel</title>", f"<style>{STYLE}</style>",
        f'<text class="head" x="20" y="26">A call beside bulk traffic in the same tunnel: {html.escape(about["date"])}, router of '
        f'{html.escape(about["rate"])} and {html.escape(about["delay"])}, Linux {html.escape(about["uml"])}</text>',
        f'<text class="soft" x="20" y="44">{html.escape(about["meshd"])}, {html.escape(about["wgo"])}; 50 packets of 160 bytes a second. '
        f'Figures: medians of {about["runs"]} run{"s" if about["runs"] != "1" else ""}; lines: the run of the median.</text>',
        *body, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ratio-least", type=float, default=0.9)
    parser.add_argument("--ratio-most", type=float, default=1.1)
    parser.add_argument("--mean", type=float, default=1)
    parser.add_argument("--p99", type=float, default=3)
    parser.add_argument("directory")
    parser.add_argument("save", nargs="?")
    args = parser.parse_args()
    figures, about = Figures(args.directory), load(os.path.join(args.directory, "about.json"))
    kinds = about["kinds"].split()
    for ok, what, why in verdicts(figures, kinds, args, mbit(about["rate"])):
        print("ok" if ok else "not ok", what, why, sep="\t")
    for line in tables(figures, kinds):
        print(line)
    if args.save:
        for name, text in (("router.json", as_json(figures, kinds, about)), ("router.svg", as_svg(figures, kinds, about))):
            with open(os.path.join(args.save, name), "w", encoding="utf-8") as f:
                f.write(text)


if __name__ == "__main__":
    main()
