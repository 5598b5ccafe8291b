"""Python `websockets` against a server that compresses: `python compressed.py ws://HOST:PORT/echo`."""

import json
import sys

from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

URL = sys.argv[1]
OFFERS = [
    {"client_max_window_bits": True},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_max_window_bits": 9, "client_max_window_bits": 9},
    {"server_max_window_bits": 8},
    {"server_max_window_bits": 15, "client_max_window_bits": 15},
]
TEXTS = ["", "short", "long " * 1000, json.dumps([{"n": n, "square": n * n} for n in range(5000)])]
BYTES = bytes(n * n % 251 for n in range(100_000))

for offer in OFFERS:
    factory = ClientPerMessageDeflateFactory(**offer)
    with connect(URL, compression=None, extensions=[factory], max_size=None) as socket:
        assert [it.name for it in socket.protocol.extensions] == ["permessage-deflate"], offer
        for message in [*TEXTS, BYTES, *TEXTS]:
            socket.send(message)
            assert socket.recv(timeout=10) == message, (offer, len(message))
        # In fragments, compressed as a whole.
        socket.send(["long " * 100, "", "parts " * 100])
        assert socket.recv(timeout=10) == "long " * 100 + "parts " * 100
print("ok")
