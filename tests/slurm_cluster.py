"""A SLURM of two nodes on this machine, with every file in one temporary folder."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

NODES = ("n1", "n2")
DAEMONS = ("munged", "slurmctld", "slurmd")
CONFIG = """\
ClusterName=toy
SlurmctldHost=localhost
SlurmctldPort={control}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=20
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SlurmdTimeout=10
ReturnToService=2
SchedulerParameters=sched_interval=1
MailProg=/bin/true
NodeName=n1 NodeHostname=localhost Port={n1} CPUs=1 RealMemory=4000
NodeName=n2 NodeHostname=localhost Port={n2} CPUs=1 RealMemory=4000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why it cannot be started here; empty if it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "SLURM's daemons need root"
    missing = [name for name in DAEMONS if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (slurm-wlm, munge)" if missing else ""


class Cluster:
    """with Cluster() as cluster: commands run in `cluster.env` find it; all is gone afterwards."""

    def __enter__(self):
        # not pytest's folder, which the user munge may not enter
        self.folder = Path(tempfile.mkdtemp(prefix="slurm"))
        self.folder.chmod(0o755)
        self.config = self.folder / "slurm.conf"
        self.env = {**os.environ, "SLURM_CONF": str(self.config)}
        self.daemons: dict[str, subprocess.Popen] = {}
        try:
            self.start_munge()
            ports = dict(zip(("control", *NODES), free_ports(3)))
            self.config.write_text(CONFIG.format(folder=self.folder, **ports))
            (self.folder / "state").mkdir()
            self.start("slurmctld", ["slurmctld", "-D", "-f", str(self.config)])
            for node in NODES:
                self.start_node(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in NODES:
            self.kill_node(node)
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait()
        shutil.rmtree(self.folder)

    def start(self, name: str, command: list[str], **options) -> None:
        log = (self.folder / f"{name}.out").open("wb")
        self.daemons[name] = subprocess.Popen(command, stdout=log, stderr=log, **options)
        log.close()

    def start_munge(self) -> None:
        home = self.folder / "munge"
        home.mkdir()
        (home / "key").write_bytes(os.urandom(128))
        (home / "key").chmod(0o600)
        for path in (home, home / "key"):
            shutil.chown(path, "munge", "munge")
        named = {"socket": "socket", "key": "key-file", "pid": "pid-file", "log": "log-file"}
        options = [f"--{option}={home / file}" for file, option in named.items()]
        command = ["munged", "--foreground", f"--seed-file={home / 'seed'}", *options]
        self.start("munged", command, user="munge", group="munge", extra_groups=[])
        wait_for((home / "socket").exists, 20, "munged", self)

    def start_node(self, node: str) -> None:
        (self.folder / node).mkdir(exist_ok=True)
        command = ["slurmd", "-D", "-N", node, "-f", str(self.config)]
        self.start(node, command, env={**self.env, "SLURMD_NODENAME": node})
        wait_for(lambda: self.state(node) in ("idle", "mix", "alloc"), 60, node, self)

    def kill_node(self, node: str) -> None:
        """As if its plug were pulled: the daemon and whatever it runs, none of which can tell."""
        found = [process for process in psutil.process_iter() if self.runs_on(process, node)]
        for end in (psutil.Process.suspend, psutil.Process.kill):
            for process in found:
                with suppress(psutil.Error):
                    end(process)
        if node in self.daemons:
            self.daemons[node].wait()

    def runs_on(self, process: psutil.Process, node: str) -> bool:
        """By the environment that daemons hand down, so that no other SLURM is touched, or by the
        node's log: slurmstepd writes its title over its environment."""
        log = str(self.folder / f"{node}.log")
        try:
            env = process.environ()
            if env.get("SLURM_CONF") == str(self.config) and env.get("SLURMD_NODENAME") == node:
                return True
            return process.name() == "slurmstepd" and log in [f.path for f in process.open_files()]
        except psutil.Error:
            return False

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def state(self, node: str) -> str:
        return self.ask("sinfo", "-h", "-n", node, "-o", "%t")

    def jobs(self, state: str = "") -> list[str]:
        """Identifiers of the jobs that are queued or running, an array's tasks one by one."""
        chosen = ["-t", state] if state else []
        return self.ask("squeue", "-h", "-r", "-o", "%i", *chosen).split()

    def logs(self) -> str:
        """The last lines of every daemon, for a message."""
        files = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        ends = [(file.name, file.read_text(errors="replace")[-2000:]) for file in files]
        return "\n".join(f"--- {name}\n{end}" for name, end in ends)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(condition, seconds: float, what: str, cluster: Cluster) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s\n{cluster.logs()}")
        time.sleep(0.5)
