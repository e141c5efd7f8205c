"""A network that loses connections: forwards TCP to a server, bytes unread, so that TLS runs from end to end.

    with Relay("127.0.0.1:50051") as network:
        network.cut_after("received", 1 << 20)      # connect to network.address
"""
import contextlib
import socket
import struct
import threading


class Relay:
    """Listens on a free port of the loopback. A cut resets all connections at once, as a router that loses its state does; new ones are taken the next moment."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.lock = threading.Lock()
        self.connections = []
        self.bytes = {"sent": 0, "received": 0}  # by the client, since the start
        self.limits = {"sent": [], "received": []}  # (bytes, what to wait for with answers lost, or None), next first
        self.losing_answers = False
        self.cuts = []  # why, oldest first

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self._reset_all()

    def cut_after(self, direction, *counts):
        """Cuts when that many bytes more have passed, then when the next count more have."""
        reached = self.bytes[direction]
        for count in counts:
            reached += count
            self.limits[direction].append((reached, None))

    def cut_unanswered_after(self, count, done):
        """When the client has sent that many bytes more, all that it sends still arrives, but no answer does; cuts as soon as done() returns."""
        self.limits["sent"].append((self.bytes["sent"] + count, done))

    def cut(self, why):
        with self.lock:
            self.cuts.append(why)
        self._reset_all()
        self.losing_answers = False

    def _reset_all(self):
        with self.lock:
            ends = [end for connection in self.connections for end in connection]
            self.connections.clear()
        for end in ends:
            # With a linger of 0 seconds close sends RST in place of FIN, but only when no thread reads any more.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD)
            end.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            connection = (client, server)
            with self.lock:
                self.connections.append(connection)
            for source, sink, direction in ((client, server, "sent"), (server, client, "received")):
                threading.Thread(target=self._forward, args=(connection, source, sink, direction), daemon=True).start()

    def _forward(self, connection, source, sink, direction):
        with contextlib.suppress(OSError):  # of a connection that was cut meanwhile
            while data := source.recv(65536):
                if direction == "sent" or not self.losing_answers:
                    sink.sendall(data)
                self._count(direction, len(data))
            with self.lock:
                if connection in self.connections:
                    sink.shutdown(socket.SHUT_WR)

    def _count(self, direction, count):
        with self.lock:
            self.bytes[direction] += count
            limits = self.limits[direction]
            if not limits or self.bytes[direction] < limits[0][0]:
                return
            _, done = limits.pop(0)
        if done is None:
            self.cut(direction)
        else:
            self.losing_answers = True
            threading.Thread(target=lambda: (done(), self.cut(direction)), daemon=True).start()
