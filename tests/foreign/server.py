"""A server made with the package websockets, for a client to be tried on.

It writes its port on the first line. Each path does something else; `cases.json` has what /case/N sends, and what the
client has to make of it: echoes, or a Close frame with a code.
"""

import asyncio
import json
import logging
import pathlib

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

CASES = json.loads((pathlib.Path(__file__).parent / "cases.json").read_text())
failures = []
passed = 0
last_close = ""


async def handle(socket):
    global last_close
    _, what, *argument = socket.request.path.split("/")
    match what:
        case "echo":
            try:
                async for message in socket:
                    await socket.send(message)
            finally:
                last_close = f"{socket.close_code} {socket.close_reason}"
        case "last-close":
            await socket.send(last_close)
        case "fragments":
            await socket.send(pieces(socket))
            await socket.wait_closed()
        case "ping":
            await (await socket.ping(b"there?"))
            await socket.send("pong there?")
        case "close":
            await socket.close(int(argument[0]), "the server says")
        case "gone":
            await socket.send("last")
            socket.transport.abort()
        case "count":
            await socket.send(str(len(CASES)))
        case "results":
            await socket.send("\n".join([f"{passed} passed", *failures]))
        case "case":
            await judge(socket, CASES[int(argument[0])])


async def pieces(socket):
    yield "frag"
    await socket.ping(b"between")
    yield "men"
    yield "ted"


async def judge(socket, case):
    """Sends what a case says, and judges what comes of it."""
    global passed
    heard, expected = [], case.get("echo", [])
    # Past the package, which would not send most of this.
    socket.transport.write(bytes.fromhex(case["frames"]) + bytes(case.get("fill", 0)))
    try:
        async with asyncio.timeout(5):
            while not expected or len(heard) < len(expected):
                heard.append(described(await socket.recv()))
            await socket.close(1000)
    except (ConnectionClosed, TimeoutError):
        pass
    actual, expected = [heard, socket.close_code], [expected, case.get("close", 1000)]
    if actual == expected:
        passed += 1
    else:
        failures.append(f"{case['name']}: {actual} instead of {expected}")


def described(message):
    data = message.encode() if isinstance(message, str) else message
    kind = "text" if isinstance(message, str) else "binary"
    return f"{kind}*{len(data)}" if len(data) > 100 and not any(data) else f"{kind}:{data.hex()}"


async def refuse(connection, request):
    if request.path == "/refuse":
        return connection.respond(403, "not today\n")


async def main():
    logging.disable()
    async with serve(handle, "127.0.0.1", 0, process_request=refuse, subprotocols=["b"], select_subprotocol=choose) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


def choose(connection, offered):
    return "b" if "b" in offered else None


asyncio.run(main())
