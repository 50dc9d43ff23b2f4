# SPDX-License-Identifier: MIT
"""What is measured on a topology whose tunnel is up. Each function returns a dict of figures."""
import json
import os
import re
import statistics
import subprocess
import time

from stage import Failed, run_in, wait_for

IPERF_PORT, SINK_PORT, ECHO_PORT = 5201, 5301, 5302
WINDOW = 384                 # small packets under way: below the 500 a TUN device queues
STORM_PEERS, STORM_WINDOW = 400, 16
TICK = os.sysconf("SC_CLK_TCK")


def servers(stage, topology, traffic):
    """What the far end runs for all measures."""
    stage.start(topology.server, "iperf3", "-s", "-p", str(IPERF_PORT), log="iperf.log")
    for what, port in (("sink", SINK_PORT), ("echo", ECHO_PORT)):
        stage.start(topology.server, traffic, what, topology.target, str(port), log="traffic.log")
    wait_for("iperf3", lambda: run_in(topology.server, "ss", "-Hltn", f"sport = :{IPERF_PORT}"))
    wait_for("traffic", lambda: run_in(topology.server, "ss", "-Hlun").count(":530") == 2)


def cpu_s(pids):
    """User and system time of processes, in seconds."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def machine_s():
    """Time the whole machine was not idle, and time other guests of its host took from it."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(v) for v in stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq) / TICK, steal / TICK


def rss_mib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            total += int(re.search(r"^VmRSS:\s+(\d+)", status.read(), re.M).group(1))
    return total / 1024


def iperf_command(topology, seconds, streams):
    """With one congestion control whatever the machine's default is: what paces its packets would measure its pacing."""
    return ["iperf3", "-J", "-C", "cubic", "-c", topology.target, "-p", str(IPERF_PORT), "-t", f"{seconds:g}", "-P", str(streams)]


def iperf(topology, seconds, streams, backwards):
    command = iperf_command(topology, seconds, streams)
    for _ in range(3):       # a server that has not finished with the last client says so
        result = json.loads(run_in(topology.client, *command, *(["-R"] if backwards else []), check=False,
                                   timeout=seconds + 30) or "{}")
        if not result.get("error"):
            return result["end"]
        time.sleep(0.3)
    raise Failed("iperf3: " + result["error"])


def tcp(topology, seconds, streams, backwards=False):
    """Gbit/s; seconds of CPU a gigabyte, of the daemons, and of the whole machine less what ran beside the bench."""
    pids = [pid for node in topology.nodes for pid in node.pids]
    before, busy = cpu_s(pids), machine_s()
    end = iperf(topology, seconds, streams, backwards)
    used, busy_after = cpu_s(pids) - before, machine_s()
    gigabytes = end["sum_received"]["bytes"] / 1e9
    ends = end["cpu_utilization_percent"]
    return {
        "gbit": end["sum_received"]["bits_per_second"] / 1e9,
        "cpu": used / gigabytes if pids else None,
        "machine": (busy_after[0] - busy[0]) / gigabytes,
        "others": max(0.0, busy_after[0] - busy[0] - used -
                      (ends["host_total"] + ends["remote_total"]) / 100 * end["sum_received"]["seconds"]),
        "steal": busy_after[1] - busy[1],
        "retransmits": end["sum_sent"].get("retransmits", 0),
    }


def small(topology, seconds, traffic):
    """64-byte datagrams a second that arrive, WINDOW under way."""
    out = run_in(topology.client, traffic, "flood", topology.target, str(SINK_PORT), "64", f"{seconds:g}", str(WINDOW)).split()
    sent, received, took = int(out[0]), int(out[1]), float(out[2])
    return {"kpps": received / took / 1e3, "loss": 1 - received / sent if sent else 0}


def round_trips(topology, traffic, interval_us, count):
    """Round trips in milliseconds; None is lost."""
    lines = run_in(topology.client, traffic, "ping", topology.target, str(ECHO_PORT), "160", str(interval_us), str(count)).split()
    return [None if v == "lost" else int(v) / 1e3 for v in lines]


def idle(topology, traffic):
    return {"rtts": round_trips(topology, traffic, 10000, 60)}


def loaded(topology, seconds, traffic):
    """Round trips of 50 packets a second beside four TCP flows."""
    command = ["ip", "netns", "exec", topology.client, *iperf_command(topology, seconds + 0.7, 4)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as load:
        time.sleep(0.5)
        rtts = round_trips(topology, traffic, 20000, int(seconds * 50))
        load.wait(seconds + 30)
    return {"rtts": rtts}


def storm(server, client_ns, program, public_key, count):
    """Handshakes a second, and the daemon's CPU for each."""
    before = cpu_s(server.pids)
    out = run_in(client_ns, program, "run", next(iter(server.outer.values())), "51820", public_key, str(STORM_PEERS),
                 str(count), str(STORM_WINDOW), timeout=60).split()
    begun, good, cookies, seconds = int(out[0]), int(out[1]), int(out[2]), float(out[3])
    if not good:
        raise Failed("no handshake was answered")
    return {"per_s": good / seconds, "cpu_ms": (cpu_s(server.pids) - before) / good * 1e3, "lost": begun - good, "cookies": cookies}


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]


def summary(rtts):
    """Mean, median, p99 and max of the answered, and how many were not."""
    answered = [v for v in rtts if v is not None]
    if not answered:
        return {"lost": len(rtts)}
    return {"mean": statistics.fmean(answered), "median": statistics.median(answered), "p99": percentile(answered, 0.99),
            "max": max(answered), "lost": len(rtts) - len(answered)}
