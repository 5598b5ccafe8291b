// Cases of the reliable protocol: what its clients get over a connection that is cut.

import assert from "node:assert/strict";
import net from "node:net";

const GROUP = "room";

// Passes bytes on between clients and the server, until it is told to cut what is open and to let nobody in.
class Proxy {
    #sockets = new Set();
    #isOpen = true;
    #server;

    static async to(endpoint) {
        const proxy = new Proxy();
        const { protocol, hostname, port } = new URL(endpoint);
        proxy.#server = net.createServer((client) => {
            if (!proxy.#isOpen) {
                return client.destroy();
            }
            const server = net.connect(port, hostname);
            for (const [one, other] of [[client, server], [server, client]]) {
                proxy.#sockets.add(one);
                one.on("error", () => other.destroy());
                one.on("close", () => {
                    proxy.#sockets.delete(one);
                    other.destroy();
                });
                one.pipe(other);
            }
        });
        await new Promise((resolve) => proxy.#server.listen(0, hostname, resolve));
        proxy.endpoint = `${protocol}//${hostname}:${proxy.#server.address().port}`;
        return proxy;
    }

    cut({ staysShut = false } = {}) {
        this.#isOpen = !staysShut;
        this.#sockets.forEach((socket) => socket.destroy());
    }

    open() {
        this.#isOpen = true;
    }

    close() {
        this.cut({ staysShut: true });
        this.#server.close();
    }
}

async function withProxy(context, run) {
    const proxy = await Proxy.to(context.endpoint);
    try {
        await run(proxy);
    } finally {
        context.peers.forEach(({ client }) => client.stop());
        proxy.close();
    }
}

// The numbers from..to, each of which must come next.
async function expectNumbers(peer, from, to) {
    for (let number = from; number <= to; number += 1) {
        assert.equal((await peer.messages.next(`message ${number}`)).data, number);
    }
}

async function sendNumbers(peer, from, to) {
    for (let number = from; number <= to; number += 1) {
        await peer.client.sendToGroup(GROUP, number, "json", { noEcho: true });
    }
}

export const reliableCases = {
    async "a cut connection goes on where it was, twice"(context) {
        await withProxy(context, async (proxy) => {
            const ann = await context.connect("ann", { endpoint: proxy.endpoint, groups: [GROUP], autoReconnect: true });
            const ben = await context.connect("ben");
            await sendNumbers(ben, 1, 5);
            await expectNumbers(ann, 1, 3);
            for (const next of [6, 11]) {
                proxy.cut({ staysShut: true });
                await sendNumbers(ben, next, next + 4);
                proxy.open();
                await expectNumbers(ann, next === 6 ? 4 : next, next + 4);
                await ben.client.sendToGroup(`@conn/${ann.id}`, "same connection", "text");
                assert.equal((await ann.messages.next()).data, "same connection");
            }
            await ann.client.sendToGroup(GROUP, "still a member", "text");
            assert.equal((await ann.messages.next()).data, "still a member");
            assert.ok(ann.closed.isEmpty, "the application need not know");
            assert.ok(ann.connected.isEmpty, "it is no new connection");
        });
    },
    async "a connection that is gone is replaced by a new one in the same groups"(context) {
        await withProxy(context, async (proxy) => {
            const ann = await context.connect("ann", { endpoint: proxy.endpoint, autoReconnect: true });
            await ann.client.joinGroup(GROUP);
            const ben = await context.connect("ben");
            proxy.cut({ staysShut: true });
            // The server forgets after its recovery timeout: then nobody is there under the name of the connection.
            const isThere = () => ben.client.sendToGroup(`@conn/${ann.id}`, "?", "text").then(() => true, () => false);
            while (await isThere()) {
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
            proxy.open();
            const { connectionId } = await ann.connected.next("a new connection");
            assert.notEqual(connectionId, ann.id);
            // The client joins its groups again by itself, in its own time.
            let isMember = false;
            while (!isMember) {
                const { data } = await Promise.race([
                    ann.messages.next("a message to the group"),
                    ben.client.sendToGroup(GROUP, "back", "text").then(() => ({})),
                ]);
                isMember = data === "back";
            }
        });
    },
    async "two thousand messages in a burst are neither lost nor doubled"(context) {
        const ann = await context.connect("ann", { groups: [GROUP] });
        const ben = await context.connect("ben");
        for (let number = 1; number <= 2000; number += 1) {
            ben.client.sendToGroup(GROUP, number, "json", { fireAndForget: true });
        }
        await expectNumbers(ann, 1, 2000);
        await ben.client.sendToGroup(GROUP, "last", "text");
        assert.equal((await ann.messages.next()).data, "last");
    },
};
