# SPDX-License-Identifier: MIT
"""Where the bench plays: network namespaces of its own, the cables between them, and the processes in them.

The bench runs in a mount namespace of its own, with fresh /run and /var/lib: what the daemons write reaches nothing
of the machine's, and namespaces by name are the bench's alone. Whatever ends the bench, stage.leave() ends the processes in its
namespaces by id, and removes the namespaces.
"""
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

INSIDE = "MESHD_BENCH_STAGE"


class Failed(Exception):
    """What the bench cannot go on without, in one line."""


def enter():
    """Run this program again in a mount namespace of its own; returns in there."""
    if os.environ.get(INSIDE):
        return
    if os.geteuid() != 0:
        raise Failed("not root")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *sys.argv])


def call(*command, check=True, stdin="", timeout=30):
    """Run a command to its end; its standard output. With 'check' a failure ends the bench and says what was printed."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise Failed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


@dataclasses.dataclass
class Link:
    """One end of a link between two nodes: who is there, at which outer address, and what is reached through it."""
    peer: "Node"
    address: str
    prefixes: list


@dataclasses.dataclass
class Node:
    """A namespace with an end of one or two tunnels."""
    ns: str
    inner: str
    links: list = dataclasses.field(default_factory=list)
    outer: dict = dataclasses.field(default_factory=dict)   # peer's ns -> our address toward it
    pids: list = dataclasses.field(default_factory=list)    # of the tunnel's daemons


class Stage:
    def __init__(self):
        self.names = []
        self.children = []
        self.work = tempfile.mkdtemp(prefix="meshd-bench.")
        for path in ("/run", "/var/lib"):
            call("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path)
        os.mkdir("/run/netns")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit("bench: interrupted"))

    def namespace(self, name):
        ns = f"mb{os.getpid()}-{name}"
        call("ip", "netns", "add", ns)
        self.names.append(ns)
        call("ip", "-n", ns, "link", "set", "lo", "up")
        call("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        return ns

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.work, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="ascii") as out:
            out.write(text)
        return path

    def start(self, ns, *command, log="log"):
        """A process in a namespace, in the background. Its output goes to a file of the work directory."""
        with open(os.path.join(self.work, log), "ab") as out:
            child = subprocess.Popen(["ip", "netns", "exec", ns, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.children.append(child)
        return child

    def pids(self, ns):
        return [int(p) for p in call("ip", "netns", "pids", ns).split()]

    def end(self, *names):
        """End what runs in these namespaces."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in (pid for ns in names for pid in self.pids(ns)):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass         # a daemon's second process goes with its first
            patience = time.monotonic() + 3
            while time.monotonic() < patience and any(self.pids(ns) for ns in names):
                for child in self.children:
                    child.poll()
                time.sleep(0.05)

    def leave(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.end(*self.names)
        for ns in self.names:
            call("ip", "netns", "delete", ns, check=False)
        self.names.clear()
        shutil.rmtree(self.work, ignore_errors=True)


def run_in(ns, *command, timeout=30, check=True, stdin=""):
    return call("ip", "netns", "exec", ns, *command, timeout=timeout, check=check, stdin=stdin)


def wait_for(what, ready, seconds=10.0):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise Failed(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)


def cable(ns, device, peer_ns, peer_device):
    call("ip", "link", "add", device, "netns", ns, "type", "veth", "peer", "name", peer_device, "netns", peer_ns)
    for n, d in ((ns, device), (peer_ns, peer_device)):
        call("ip", "-n", n, "link", "set", d, "up")


def address(ns, device, *addresses):
    for a in addresses:
        call("ip", "-n", ns, "address", "add", a, "dev", device)


def route(ns, prefix, *how):
    call("ip", "-n", ns, "route", "replace", prefix, *how)


def join(a, b, net, a_reaches, b_reaches):
    """A cable between two nodes in 10.0.NET.0/24, and the link of a tunnel over it."""
    a_dev, b_dev = f"o{net}a", f"o{net}b"
    cable(a.ns, a_dev, b.ns, b_dev)
    a.outer[b.ns], b.outer[a.ns] = f"10.0.{net}.1", f"10.0.{net}.2"
    address(a.ns, a_dev, f"{a.outer[b.ns]}/24")
    address(b.ns, b_dev, f"{b.outer[a.ns]}/24")
    a.links.append(Link(b, b.outer[a.ns], a_reaches))
    b.links.append(Link(a, a.outer[b.ns], b_reaches))


@dataclasses.dataclass
class Topology:
    nodes: list          # with a tunnel's daemon
    client: str          # namespace traffic begins in
    server: str
    target: str          # the server's address through the tunnel


def pair(stage, name):
    """a = b"""
    a, b = Node(stage.namespace(name + "a"), "192.168.0.1"), Node(stage.namespace(name + "b"), "192.168.0.2")
    join(a, b, 0, ["192.168.0.2/32"], ["192.168.0.1/32"])
    return Topology([a, b], a.ns, b.ns, b.inner)


def lan(stage, name):
    """host - a = b - host: the gateways forward what they did not make."""
    t = pair(stage, name)
    hosts = []
    for i, node in enumerate(t.nodes, 1):
        host = stage.namespace(f"{name}h{i}")
        cable(node.ns, "lan", host, "lan")
        address(node.ns, "lan", f"172.16.{i}.1/24")
        address(host, "lan", f"172.16.{i}.2/24")
        route(host, "default", "via", f"172.16.{i}.1")
        node.links[0].prefixes.append(f"172.16.{3 - i}.0/24")
        hosts.append(host)
    return Topology(t.nodes, hosts[0], hosts[1], "172.16.2.2")


def transit(stage, name):
    """a = b = c: b forwards from tunnel to tunnel."""
    a, b, c = (Node(stage.namespace(name + n), f"192.168.0.{i}") for i, n in enumerate("abc", 1))
    join(a, b, 1, ["192.168.0.2/32", "192.168.0.3/32"], ["192.168.0.1/32"])
    join(b, c, 2, ["192.168.0.3/32"], ["192.168.0.1/32", "192.168.0.2/32"])
    return Topology([a, b, c], a.ns, c.ns, c.inner)
