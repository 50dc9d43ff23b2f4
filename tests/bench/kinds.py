# SPDX-License-Identifier: MIT
"""What is measured: one class a program, which knows how to start it on the nodes of a topology.

All tunnels have the same inner MTU, so that they move the same packets. Start all, then wait for
each: some try again only after a while when the other side was not there yet.
"""
import itertools
import os
import subprocess

from stage import Failed, address, call, route, run_in, wait_for

MTU = 1420
PORT = 51820
numbers = itertools.count()      # interfaces, unique in the bench: their sockets share a directory


class Kind:
    topologies = ("pair",)
    handshakes = False           # speaks WireGuard, so storm can begin with it

    def __init__(self, name, title, primary=False):
        self.name, self.title, self.primary = name, title, primary

    def start(self, stage, topology):
        for node in topology.nodes:
            self.start_node(stage, node)
        for node in topology.nodes:
            self.finish_node(stage, node)
        # Before anything else runs there: what is in the namespace now is the daemon.
        for node in topology.nodes:
            node.pids = stage.pids(node.ns)

    def wait(self, topology):
        wait_for(f"{self.name} to answer",
                 lambda: " 1 received" in run_in(topology.client, "ping", "-c1", "-W1", "-q", topology.target, check=False), 40)

    def start_node(self, stage, node):
        raise NotImplementedError

    def finish_node(self, stage, node):
        """What can be done only when all daemons are there."""


def device_up(node, device, prefixes):
    """Address, MTU and routes of a tunnel's device, once it exists."""
    wait_for(device, lambda: subprocess.run(["ip", "-n", node.ns, "link", "show", device], capture_output=True,
                                            check=False).returncode == 0)
    address(node.ns, device, f"{node.inner}/32")
    call("ip", "-n", node.ns, "link", "set", device, "mtu", str(MTU), "up")
    for prefix in prefixes:
        route(node.ns, prefix, "dev", device, "src", node.inner)


class Veth(Kind):
    """No tunnel: the cable under it."""
    topologies = ("pair", "lan", "transit")

    def start_node(self, stage, node):
        address(node.ns, "lo", f"{node.inner}/32")
        for link in node.links:
            for prefix in link.prefixes:
                route(node.ns, prefix, "via", link.address, "src", node.inner)


class Pump(Kind):
    topologies = ("pair", "lan", "transit")

    def __init__(self, name, title, program, aead, primary=False):
        super().__init__(name, title, primary)
        self.program, self.aead = program, aead

    def start_node(self, stage, node):
        for link in node.links:
            device = f"pump{next(numbers)}"
            mine, yours = node.outer[link.peer.ns], link.address
            keys = ["11" * 32, "22" * 32]
            if mine > yours:
                keys.reverse()
            stage.start(node.ns, self.program, device, mine, str(PORT), yours, str(PORT), *keys, self.aead, log="pump.log")
            device_up(node, device, link.prefixes)


class WireGuard(Kind):
    """Keys and peers in wg(8)'s manner."""
    handshakes = True
    topologies = ("pair", "lan", "transit")
    keys = {}

    def key(self, ns):
        if ns not in self.keys:
            private = call("wg", "genkey").strip()
            self.keys[ns] = private, call("wg", "pubkey", stdin=private).strip()
        return self.keys[ns]

    def peers(self, node):
        return "".join(f"[Peer]\nPublicKey = {self.key(link.peer.ns)[1]}\nEndpoint = {link.address}:{PORT}\n"
                       f"AllowedIPs = {', '.join(link.prefixes)}\n" for link in node.links)


class WireGuardGo(WireGuard):
    def __init__(self, name, title, program, primary=False):
        super().__init__(name, title, primary)
        self.program = program

    def bare(self, stage, ns, peers):
        device = f"wgo{next(numbers)}"
        stage.start(ns, "env", "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "LOG_LEVEL=error", self.program, "-f", device,
                    log="wireguard-go.log")
        wait_for(device, lambda: os.path.exists(f"/var/run/wireguard/{device}.sock"))
        conf = stage.file(f"{device}.conf", f"[Interface]\nPrivateKey = {self.key(ns)[0]}\nListenPort = {PORT}\n{peers}")
        run_in(ns, "wg", "setconf", device, conf)
        return device

    def start_node(self, stage, node):
        device_up(node, self.bare(stage, node.ns, self.peers(node)), [p for link in node.links for p in link.prefixes])

    def listen(self, stage, node, peers):
        """Only the daemon, with these peers, for storm."""
        call("ip", "-n", node.ns, "link", "set", self.bare(stage, node.ns, peers), "up")
        node.pids = stage.pids(node.ns)
        return self.key(node.ns)[1]


class Meshd(WireGuard):
    def __init__(self, name, title, program, settings="", primary=False):
        super().__init__(name, title, primary)
        self.program, self.settings = program, settings

    def up(self, stage, ns, interface, peers):
        conf = stage.file(f"msh{next(numbers)}.conf", f"[Interface]\nPrivateKey = {self.key(ns)[0]}\nListenPort = {PORT}\n"
                          f"{self.settings}{interface}{peers}")
        run_in(ns, self.program, "up", conf)

    def start_node(self, stage, node):
        self.up(stage, node.ns, f"Address = {node.inner}/32\nMTU = {MTU}\n", self.peers(node))

    def listen(self, stage, node, peers):
        self.up(stage, node.ns, "", peers)
        node.pids = stage.pids(node.ns)
        return self.key(node.ns)[1]

    def refusal(self, stage):
        """Why this meshd does not take our settings; empty when it does."""
        ns = stage.namespace(f"try{next(numbers)}")
        try:
            self.up(stage, ns, "", "")
        except Failed as failed:
            return str(failed).split(": ", 1)[-1]
        stage.end(ns)
        return ""


class Tinc(Kind):
    """tinc 1.0 as it comes: router mode, its default cipher and digest."""

    def start_node(self, stage, node):
        name = "n" + node.inner.rsplit(".", 1)[1]
        base = f"tinc-{node.ns}"
        conf = stage.file(f"{base}/tinc.conf", f"Name = {name}\nMode = router\nInterface = tinc\nAddressFamily = ipv4\n"
                          + "".join(f"ConnectTo = n{link.peer.inner.rsplit('.', 1)[1]}\n" for link in node.links))
        mine = next(iter(node.outer.values()))
        stage.file(f"{base}/hosts/{name}", f"Address = {mine}\nSubnet = {node.inner}/32\n")
        call("tincd", "-c", os.path.dirname(conf), "-K", "2048")

    def finish_node(self, stage, node):
        base = os.path.join(stage.work, f"tinc-{node.ns}")
        for link in node.links:
            name = "n" + link.peer.inner.rsplit(".", 1)[1]
            with open(f"{stage.work}/tinc-{link.peer.ns}/hosts/{name}", encoding="ascii") as host:
                stage.file(f"tinc-{node.ns}/hosts/{name}", host.read())
        stage.start(node.ns, "tincd", "-D", "-c", base, f"--pidfile={base}/pid", log="tinc.log")
        device_up(node, "tinc", [p for link in node.links for p in link.prefixes])


class Fastd(Kind):
    def __init__(self, name, title, method):
        super().__init__(name, title)
        self.method = method
        self.keys = {}

    def key(self, ns):
        if ns not in self.keys:
            lines = call("fastd", "--machine-readable", "--generate-key").split()
            secret = lines[0]
            public = call("fastd", "--machine-readable", "--show-key", "--config", "-", stdin=f'secret "{secret}";\n').strip()
            self.keys[ns] = secret, public
        return self.keys[ns]

    def start_node(self, stage, node):
        link = node.links[0]
        conf = stage.file(f"{self.name}-{node.ns}.conf", f'''
            log level warn;
            interface "fastd";
            mode tun;
            mtu {MTU};
            method "{self.method}";
            bind {node.outer[link.peer.ns]}:{PORT};
            secret "{self.key(node.ns)[0]}";
            peer "other" {{ remote {link.address}:{PORT}; key "{self.key(link.peer.ns)[1]}"; }}
            ''')
        stage.start(node.ns, "fastd", "--config", conf, log="fastd.log")

    def finish_node(self, stage, node):
        device_up(node, "fastd", node.links[0].prefixes)
