# SPDX-License-Identifier: MIT
"""What the bench needs before it can begin: programs to compare with, by package name, and its own tools, compiled."""
import os
import re
import shutil
import subprocess

from stage import Failed, call

PACKAGES = {"iperf3": "iperf3", "wg": "wireguard-tools", "wireguard-go": "wireguard-go", "tincd": "tinc", "fastd": "fastd",
            "ip": "iproute2", "ss": "iproute2", "ping": "iputils-ping"}
SUITE = "bookworm"
BACKPORT = "0.0.20231211"        # the version the ratios are to: with offloads, in Debian 12's backports
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


OPTIONAL = ("wireguard-go", "tincd", "fastd")       # a kind less without


def install(allowed):
    """Install what is missing, by package name."""
    missing = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if missing and allowed:
        install_packages(missing)
    for program, package in PACKAGES.items():
        if program not in OPTIONAL and not shutil.which(program):
            raise Failed(f"no {program} (package {package})")


def install_packages(missing):
    if not shutil.which("apt-get"):
        print(f"bench: no apt-get to install {' '.join(missing)} with")
        return
    print(f"bench: installing {' '.join(missing)}", flush=True)
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if subprocess.run(command, env=env, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "update"], env=env, capture_output=True, check=False)
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            print("bench: " + (done.stderr.strip().splitlines() or ["apt-get failed"])[-1])


def debian_mirror():
    """The Debian mirror this machine's apt uses."""
    lines = call("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages").splitlines()
    for line in lines:
        site, _, codename = line.partition(" ")
        if codename == SUITE:
            return site
    raise Failed(f"wireguard-go {BACKPORT} comes from {SUITE}-backports, and apt knows no mirror of {SUITE} here; --reference names one")


def backport(cache, allowed):
    """wireguard-go from the backports, unpacked, beside the distribution's and without touching apt's sources."""
    program = os.path.join(cache, "root/usr/bin/wireguard-go")
    if os.path.exists(program):
        return program
    if not allowed:
        raise Failed("no wireguard-go of the backports, and --no-install")
    print(f"bench: fetching wireguard-go {BACKPORT}", flush=True)
    os.makedirs(os.path.join(cache, "lists/partial"), exist_ok=True)
    with open(os.path.join(cache, "sources.list"), "w", encoding="ascii") as out:
        out.write(f"deb {debian_mirror()} {SUITE}-backports main\n")
    options = ["-o", f"Dir::Etc::sourcelist={cache}/sources.list", "-o", "Dir::Etc::sourceparts=-",
               "-o", f"Dir::State::Lists={cache}/lists", "-o", "APT::Sandbox::User=root"]
    call("apt-get", *options, "update", timeout=120)
    done = subprocess.run(["apt-get", *options, "download", f"wireguard-go/{SUITE}-backports"], cwd=cache, capture_output=True,
                          text=True, timeout=120, check=False)
    packages = [f for f in os.listdir(cache) if f.startswith(f"wireguard-go_{BACKPORT}") and f.endswith(".deb")]
    if not packages:
        raise Failed(f"wireguard-go {BACKPORT}: {done.stderr.strip() or 'another version came'}")
    call("dpkg", "-x", os.path.join(cache, packages[0]), os.path.join(cache, "root"))
    return program


class Build:
    """The build directory: what configure found, and our tools in tests/bench."""

    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        try:
            with open(os.path.join(directory, "Makefile"), encoding="utf-8") as makefile:
                self.variables = dict(re.findall(r"^(\w+) = (.*)$", makefile.read(), re.M))
        except FileNotFoundError:
            raise Failed(f"{directory}: no Makefile; name a configured build with --build-dir") from None
        if "-fsanitize" in self.variables.get("CFLAGS", "") + self.variables.get("MESHD_CFLAGS", ""):
            raise Failed("this build has sanitizers in it: it is for finding bugs, not for measuring")
        self.tools = os.path.join(self.directory, "tests/bench")
        os.makedirs(self.tools, exist_ok=True)

    def flags(self, *names):
        return " ".join(self.variables.get(n, "") for n in names).split()

    def aead(self):
        """The AEAD library meshd was configured with."""
        return re.sub(r".*aead_backend_", "", self.variables.get("AEAD_CPPFLAGS", "")) or "sodium"

    def compile(self, name, sources, flags, libraries):
        program = os.path.join(self.tools, name)
        done = subprocess.run([*self.flags("CC"), "-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-I" + os.path.join(TOP, "src"), *flags,
                               "-o", program, *(os.path.join(TOP, s) for s in sources), *libraries],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{name} does not compile:\n{done.stderr}")
        return program

    def without_queue(self):
        """meshd as it is, but for a worker that queues nothing that it could send: what the queue costs."""
        libraries = ["libmeshcli.a", "libmeshsys.a", "libmeshcore.a", "libmeshproto.a"]
        names = ("SODIUM", "AEAD", "EV", "MNL", "PROTOBUF_C", "QRENCODE")
        return self.compile("meshd-noqueue", ["src/meshd.c", "src/sys/worker.c"],
                            ["-DWORKER_CREDIT_BYTES=INT64_MAX", "-DHAVE_CONFIG_H", "-I" + self.directory,
                             *self.flags(*(n + "_CFLAGS" for n in names))],
                            [*(os.path.join(self.directory, l) for l in libraries), *self.flags(*(n + "_LIBS" for n in names))])

    def compile_all(self):
        sources, flags, libraries = ["tests/bench/pump.c", "src/crypto/aead_sodium.c"], [], self.flags("SODIUM_LIBS")
        for library in ("gcrypt", "openssl"):
            if self.variables.get(f"{library.upper()}_LIBS", "").strip():
                sources.append(f"src/crypto/aead_{library}.c")
                flags.append(f"-DWITH_{library.upper()}")
                libraries += self.flags(f"{library.upper()}_LIBS")
        flags += self.flags("SODIUM_CFLAGS", "GCRYPT_CFLAGS", "OPENSSL_CFLAGS")
        pump = self.compile("pump", sources, flags, libraries)
        traffic = self.compile("traffic", ["tests/bench/traffic.c"], [], [])
        core = os.path.join(self.directory, "libmeshcore.a")
        if not os.path.exists(core):
            raise Failed(f"{core} has not been built")
        storm = self.compile("storm", ["tests/bench/storm.c"], self.flags("SODIUM_CFLAGS"),
                             [core, *self.flags("SODIUM_LIBS", "AEAD_LIBS")])
        return pump, traffic, storm
