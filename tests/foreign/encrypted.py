"""Python `websockets` against an encrypted server: `python encrypted.py wss://HOST:PORT/echo CA`."""

import ssl
import sys

from websockets.sync.client import connect

URL, CA = sys.argv[1:]

for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
    context = ssl.create_default_context(cafile=CA)
    context.minimum_version = context.maximum_version = version
    with connect(URL, ssl=context, max_size=None) as socket:
        for length in 0, 1, 20_000, 1 << 20:
            socket.send(b"x" * length)
            assert socket.recv(timeout=10) == b"x" * length, (version, length)
print("ok")
