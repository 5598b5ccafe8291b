// Drives a server with the official JavaScript SDKs, unmodified: every case is a function, and one that throws fails.
//
//   node javascript.mjs FOLDER-OF-NODE_MODULES ENDPOINT ACCESS-KEY
//
// Prints one line per case; exits with 1 if one has failed.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { reliableCases } from "./reliable.mjs";
import { serviceCases } from "./service.mjs";

const [modules, endpoint, key] = process.argv.slice(2);
const require = createRequire(`${modules}/package.json`);
const { WebPubSubClient, WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } = require("@azure/web-pubsub-client");
const { WebPubSubServiceClient } = require("@azure/web-pubsub");

// How long anything may take.
const DEADLINE_MS = 5000;
const ALL_ROLES = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

function serviceOf(hub, at = endpoint, accessKey = key) {
    const connection = `Endpoint=${at};AccessKey=${accessKey};Version=1.0;`;
    return new WebPubSubServiceClient(connection, hub, {
        allowInsecureConnection: true,
        retryOptions: { maxRetries: 0 },
    });
}

function within(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what} did not come in time`)), DEADLINE_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// What a client gets, in order, to be waited for.
class Inbox {
    #items = [];
    #waiting = [];

    push(item) {
        const next = this.#waiting.shift();
        next ? next(item) : this.#items.push(item);
    }

    next(what = "a message") {
        if (this.#items.length > 0) {
            return Promise.resolve(this.#items.shift());
        }
        return within(new Promise((resolve) => this.#waiting.push(resolve)), what);
    }

    get isEmpty() {
        return this.#items.length === 0;
    }
}

// A started client of a hub; it is stopped when its case is over.
async function connect(context, userId, { roles = ALL_ROLES, groups, protocol = context.protocol, endpoint: at, ...options } = {}) {
    const getClientAccessUrl = async () => {
        const token = await serviceOf(context.hub, at).getClientAccessToken({ userId, roles, groups });
        return token.url;
    };
    const client = new WebPubSubClient(
        { getClientAccessUrl },
        { protocol: protocol(), messageRetryOptions: { maxRetries: 0 }, autoReconnect: false, ...options },
    );
    const peer = { client, messages: new Inbox(), closed: new Inbox(), connected: new Inbox() };
    client.on("group-message", ({ message }) => peer.messages.push(message));
    client.on("server-message", ({ message }) => peer.messages.push(message));
    client.on("connected", (event) => peer.connected.push(event));
    client.on("disconnected", (event) => peer.closed.push(event));
    context.peers.push(peer);
    await within(client.start(), "the start");
    const { connectionId } = await peer.connected.next("connected");
    return Object.assign(peer, { id: connectionId });
}

// What an operation is refused with.
async function refusal(operation) {
    try {
        await within(operation, "an answer");
    } catch (error) {
        return error.errorDetail?.name ?? error.statusCode ?? error;
    }
    return "success";
}

const text = (bytes) => Buffer.from(bytes).toString("hex");

const clientCases = {
    async "a group hears what is sent to it"(context) {
        const [ann, ben] = [await connect(context, "ann"), await connect(context, "ben")];
        await ann.client.joinGroup("room");
        await ben.client.joinGroup("room");
        await ann.client.sendToGroup("room", { hello: [1, "ö"] }, "json");
        for (const peer of [ann, ben]) {
            const { group, dataType, data, fromUserId } = await peer.messages.next();
            assert.deepEqual({ group, dataType, data, fromUserId }, {
                group: "room", dataType: "json", data: { hello: [1, "ö"] }, fromUserId: "ann",
            });
        }
        await ben.client.leaveGroup("room");
        await ann.client.sendToGroup("room", "again", "text");
        assert.equal((await ann.messages.next()).data, "again");
        assert.ok(ben.messages.isEmpty);
    },
    async "a direct message reaches its user or connection alone"(context) {
        const [ann, ben, eve] = [await connect(context, "ann"), await connect(context, "ben"), await connect(context, "eve")];
        await ann.client.sendToGroup("@user/ben", "to the user", "text");
        await ann.client.sendToGroup(`@conn/${ben.id}`, "to the connection", "text");
        const message = await ben.messages.next();
        assert.equal(message.data, "to the user");
        assert.equal((await ben.messages.next()).data, "to the connection");
        await ben.client.sendToGroup(`@user/${message.fromUserId}`, "back", "text");
        assert.equal((await ann.messages.next()).data, "back");
        assert.ok(eve.messages.isEmpty);
    },
    async "a broadcast reaches everyone"(context) {
        const peers = [await connect(context, "ann"), await connect(context, "ben"), await connect(context)];
        await peers[0].client.sendToGroup("@all", 7, "json");
        for (const peer of peers) {
            assert.equal((await peer.messages.next()).data, 7);
        }
    },
    async "binary data arrives as it was"(context) {
        const ann = await connect(context, "ann", { groups: ["room"] });
        await ann.client.sendToGroup("room", new Uint8Array([0, 1, 254, 255]).buffer, "binary");
        const { dataType, data } = await ann.messages.next();
        assert.equal(dataType, "binary");
        assert.equal(text(data), "0001feff");
    },
    async "without an echo the sender hears nothing"(context) {
        const [ann, ben] = [await connect(context, "ann"), await connect(context, "ben")];
        await ann.client.sendToGroup("@all", "others", "text", { noEcho: true });
        assert.equal((await ben.messages.next()).data, "others");
        assert.ok(ann.messages.isEmpty);
    },
    async "nobody there is NotFound"(context) {
        const ann = await connect(context, "ann");
        assert.equal(await refusal(ann.client.sendToGroup("@user/nobody", "x", "text")), "NotFound");
        assert.equal(await refusal(ann.client.sendEvent("event", "x", "text")), "NotFound");
    },
    async "no role is Forbidden"(context) {
        const ann = await connect(context, "ann", { roles: ["webpubsub.sendToGroup.room"] });
        assert.equal(await refusal(ann.client.sendToGroup("room", "x", "text")), "success");
        assert.equal(await refusal(ann.client.sendToGroup("other", "x", "text")), "Forbidden");
        assert.equal(await refusal(ann.client.joinGroup("room")), "Forbidden");
    },
    async "the same ack id again is a Duplicate"(context) {
        const ann = await connect(context, "ann", { groups: ["room"] });
        const send = () => ann.client.sendToGroup("room", "x", "text", { ackId: 4711 });
        assert.equal((await send()).isDuplicated, false);
        assert.equal((await send()).isDuplicated, true);
        await ann.messages.next();
        assert.ok(ann.messages.isEmpty);
    },
};

// The same for every protocol that has clients; the reliable one has cases of its own besides.
const suites = [
    {
        name: "json",
        protocol: WebPubSubJsonProtocol,
        cases: { ...clientCases, ...serviceCases },
    },
    {
        name: "reliable",
        protocol: WebPubSubJsonReliableProtocol,
        cases: { ...clientCases, ...serviceCases, ...reliableCases },
    },
];

let failedCount = 0;
let number = 0;
for (const { name: suite, protocol, cases } of suites) {
    for (const [name, run] of Object.entries(cases)) {
        const context = { hub: `js${++number}`, endpoint, protocol, peers: [] };
        context.connect = (...how) => connect(context, ...how);
        context.service = (accessKey) => serviceOf(context.hub, endpoint, accessKey);
        try {
            await run(context);
            console.log(`ok      ${suite}: ${name}`);
        } catch (error) {
            failedCount += 1;
            console.log(`FAILED  ${suite}: ${name}\n${error.stack ?? error}`);
        }
        context.peers.forEach(({ client }) => client.stop());
    }
}
process.exit(failedCount > 0 ? 1 : 0);
