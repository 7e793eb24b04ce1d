# A house in the virtual machine, for the suites that play the built gateway between a simulated pack and a simulated inverter: three
# processes on kernel CAN, and a real broker.
import os
import socket
import struct
import subprocess
import sys
import threading
import time

PROGRAM = os.environ["BATGW"]
WORK = os.environ["CANLAB_WORK"]
PORT = 18830
CABLE = "/dev/shm/batgw-cable"  # the shared folder takes no sockets
TOPIC = "battery-gateway"
failed = False


def result(good, what, why=""):
    global failed
    print(f"ok {what}" if good else f"not ok {what}: {why}", flush=True)
    failed |= not good


class Ear(threading.Thread):
    """Everything that is said on one CAN interface, with the kernel's receive time."""

    def __init__(self, interface):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_TIMESTAMPNS if hasattr(socket, "SO_TIMESTAMPNS") else 35, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((interface,))
        self.frames = []
        self.start()

    def run(self):
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(16, 64)
            at = time.time()
            for _, _, stamp in ancillary:
                seconds, nanoseconds = struct.unpack("qq", stamp[:16])
                at = seconds + nanoseconds / 1e9
            can_id, length = struct.unpack("=IB", data[:5])
            self.frames.append((at, can_id, data[8 : 8 + length]))

    def deafen(self):
        """Hears nothing from now on: what it heard is kept in memory."""
        self.socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, b"")

    def of(self, can_id, since=0.0):
        return [(at, data) for at, i, data in list(self.frames) if i == can_id and at >= since]

    def wait(self, can_id, wanted, since, limit):
        """Time of the first frame of this id after `since` that is as wanted, or None."""
        end = time.time() + limit
        while time.time() < end:
            for at, data in self.of(can_id, since):
                if wanted(data):
                    return at
            time.sleep(0.01)
        return None


def longest_gap(frames):
    times = [at for at, _ in frames]
    return max((b - a for a, b in zip(times, times[1:])), default=0.0)


def quantiles(seconds):
    """p50, p99 and the longest, in milliseconds, for people."""
    ordered = sorted(seconds)
    return ", ".join(f"{name} {ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000:.1f}" for name, share in
                     (("p50", 0.5), ("p99", 0.99), ("max", 1.0))) + " ms" if ordered else "none"


class Broker:
    CONFIGURATION = f"{WORK}/mosquitto.conf"

    def __init__(self):
        with open(self.CONFIGURATION, "w") as f:
            f.write(f"listener {PORT} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n")
        self.process = None
        self.begin()

    def begin(self):
        self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", self.CONFIGURATION], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", PORT)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("mosquitto does not start")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Subscriber(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(["mosquitto_sub", "-p", str(PORT), "-t", TOPIC + "/#", "-F", "%U %r %t %p"], stdout=subprocess.PIPE, text=True)
        self.messages = []
        self.start()

    def run(self):
        for line in self.process.stdout:
            parts = line.rstrip("\n").split(" ", 3)
            if len(parts) >= 3:
                self.messages.append((float(parts[0]), parts[1], parts[2], parts[3] if len(parts) > 3 else ""))

    def newest(self, topic):
        for _, _, t, payload in reversed(self.messages):
            if t == f"{TOPIC}/{topic}":
                return payload
        return None

    def wait(self, topic, wanted, limit):
        end = time.time() + limit
        while time.time() < end:
            payload = self.newest(topic)
            if payload is not None and wanted(payload):
                return payload
            time.sleep(0.05)
        return None

    def stop(self):
        self.process.terminate()


def publish(topic, payload):
    subprocess.run(["mosquitto_pub", "-p", str(PORT), "-t", f"{TOPIC}/{topic}", "-m", payload], check=True)


def keys(lines, indent):
    """Lines of a configuration, indented."""
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def configuration(battery="byd-atto3", inverter="byd-hvs", battery_interface="can0", inverter_interface="can1", bitrate=None,
                  battery_keys=("cells: 126", "capacity_wh: 60480"), inverter_options=("ready_s: 1",), safety=()):
    """A house that starts and ramps as fast as the rules let it. `battery_keys`, `inverter_options`, `safety`: further lines."""
    rate = (f"bitrate: {bitrate}",) if bitrate else ()
    options = "  options:\n" + keys(inverter_options, 4) if inverter_options else ""
    return f"""
battery:
  protocol: {battery}
  interface: {battery_interface}
{keys((*rate, *battery_keys), 2)}inverter:
  protocol: {inverter}
  interface: {inverter_interface}
{keys(rate, 2)}{options}mqtt:
  host: 127.0.0.1
  port: {PORT}
  reconnect_s: 2
  teleperiod_s: 4
state_directory: {WORK}/state
safety:
  start_valid_s: 1
  increase_settle_s: 0
  ramp_up_pct_per_s: 100
  hold_s: 5
  contactors:
    boot_inhibit_s: 1
    valid_s: 1
{keys(safety, 2)}"""


EXTENDED = 0x80000000  # in the identifiers that an Ear hears: one of 29 bits


class Limits:
    """Where an inverter protocol has its current limits: the frame, and how to read both, in steps of 0.1 A."""

    def __init__(self, can_id, charge, discharge):
        self.can_id, self.charge, self.discharge = can_id, charge, discharge

    def charges(self, data):
        return self.charge(data) > 0

    def discharges(self, data):
        return self.discharge(data) > 0

    def zero(self, data):
        return self.charge(data) == 0 and self.discharge(data) == 0


def word(data, at, order="little"):
    return int.from_bytes(data[at : at + 2], order)


BYD_HVS = Limits(0x110, lambda d: word(d, 6, "big"), lambda d: word(d, 4, "big"))
PYLONTECH_LV = Limits(0x351, lambda d: word(d, 2), lambda d: word(d, 4))
PYLONTECH_HV = Limits(0x4220 | EXTENDED, lambda d: word(d, 4) - 30000, lambda d: abs(word(d, 6) - 30000))
charge_limit, discharge_limit = BYD_HVS.charge, BYD_HVS.discharge


def simulator(kind, protocol, interface, *commands):
    arguments = [PROGRAM, "sim", kind, protocol, "--interface", interface, "--cable", CABLE]
    for c in commands:
        arguments += ["--command", c]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=open(f"{WORK}/sim-{kind}.log", "w"), text=True)


def say(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()


def list_until(subscriber, topic, payload, limit=3):
    """The messages heard so far, once one of this topic and payload is the newest of its topic."""
    end = time.time() + limit
    while time.time() < end and subscriber.newest(topic) != payload:
        time.sleep(0.01)
    return [m for m in list(subscriber.messages) if m[2] == f"{TOPIC}/{topic}" and m[3] == payload]


class House:
    """Broker, subscriber, pack and inverter, running; the gateway is started by the suite. The pack and the inverter are told the lines
    of `pack` and `inverter` after their protocol."""

    def __init__(self, pack_interface, inverter_interface, text, pack=("byd-atto3",), inverter=("byd-hvs", "power 3000")):
        os.makedirs(f"{WORK}/state", exist_ok=True)
        with open(f"{WORK}/batgw.yaml", "w") as f:
            f.write(text)
        self.battery_bus, self.inverter_bus = Ear(pack_interface), Ear(inverter_interface)
        self.broker = Broker()
        self.subscriber = Subscriber()
        self.pack = simulator("battery", pack[0], pack_interface, *pack[1:])
        self.inverter = simulator("inverter", inverter[0], inverter_interface, *inverter[1:])
        self.gateways = []

    def start_gateway(self):
        log = f"{WORK}/batgw-{len(self.gateways) + 1}.log"
        self.gateways.append(subprocess.Popen([PROGRAM, "-f", f"{WORK}/batgw.yaml"], stderr=open(log, "w")))
        return self.gateways[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (*self.gateways, self.pack, self.inverter):
            if process.poll() is None:
                process.kill()
        self.subscriber.stop()
        self.broker.kill()
        for n in range(len(self.gateways)):
            with open(f"{WORK}/batgw-{n + 1}.log") as f:
                print(f.read(), file=sys.stderr)


def exit_status():
    return 1 if failed else 0
