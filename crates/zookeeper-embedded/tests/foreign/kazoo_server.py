"""A pytest plugin that gives kazoo's own tests the server under test instead of a Java cluster.

The tests may stop the server and start it again; it keeps its data in a folder, as theirs does.
SERVER is the command that starts it, to which address and folder are appended.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile

from kazoo.testing import harness
from kazoo.testing.common import ZookeeperCluster


class Server:
    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        # Nobody listens here.
        self.secure_address = "127.0.0.1:1"
        self.folder = tempfile.mkdtemp(prefix="kazoo-")
        self.process = None

    @property
    def running(self):
        return self.process is not None

    def run(self):
        if self.running:
            return
        command = shlex.split(os.environ["SERVER"])
        command += ["--listen", self.address, "--data-dir", os.path.join(self.folder, "data")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        # It says so when it listens.
        assert self.process.stdout.readline(), "the server did not start"

    def stop(self):
        if self.running:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait() == 0, "the server did not stop in order"
            self.process = None

    def destroy(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cluster:
    def __init__(self):
        self.servers = []
        # The keys that clients of TLS have, as in the original.
        keys = ZookeeperCluster(size=0)
        self.get_ssl_client_configuration = keys.get_ssl_client_configuration

    def __iter__(self):
        if not self.servers:
            self.servers = [Server()]
        return iter(self.servers)

    def __getitem__(self, index):
        return list(self)[index]

    def start(self):
        for server in self:
            server.run()

    def terminate(self):
        for server in self.servers:
            server.destroy()
        self.servers = []

    def get_logs(self):
        return []


CLUSTER = Cluster()
harness.get_global_cluster = lambda: CLUSTER


def pytest_unconfigure():
    CLUSTER.terminate()
