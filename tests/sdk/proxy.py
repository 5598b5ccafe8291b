"""Passes bytes on between clients and the server, until it is told to cut what is open."""

import socket
import threading
from urllib.parse import urlsplit


class Proxy:
    """Listens on a port of its own; a context manager that ends with everything cut."""

    def __init__(self, endpoint):
        address = urlsplit(endpoint)
        self._server = (address.hostname, address.port)
        self._listener = socket.create_server((address.hostname, 0))
        self._sockets = set()
        self.endpoint = f"{address.scheme}://{address.hostname}:{self._listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # Not `close` alone, which leaves a thread that waits to accept where it is.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self):
        """Ends every connection, as a network does: without a word of the protocol."""
        for each in list(self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It has ended by itself.

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._sockets |= {client, server}
            for source, target in [(client, server), (server, client)]:
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            self._sockets.discard(each)
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
