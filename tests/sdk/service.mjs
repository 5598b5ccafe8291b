// Cases of the service SDK: what services ask of a hub, and what its clients notice of it.

import assert from "node:assert/strict";

// What a REST call fails with.
async function failure(call) {
    try {
        await call;
    } catch ({ statusCode, code }) {
        return { statusCode, code };
    }
    return "success";
}

export const serviceCases = {
    async "a service sends to all, a user, a group and a connection"(context) {
        const [ann, ben] = [await context.connect("ann"), await context.connect("bob/é", { groups: ["room 1"] })];
        const service = context.service();
        await service.sendToAll({ to: "all" });
        for (const peer of [ann, ben]) {
            const { dataType, data } = await peer.messages.next();
            assert.deepEqual({ dataType, data }, { dataType: "json", data: { to: "all" } });
        }
        await service.sendToUser("bob/é", "to the user", { contentType: "text/plain" });
        assert.equal((await ben.messages.next()).data, "to the user");
        await service.group("room 1").sendToAll("to the group", { contentType: "text/plain" });
        const { group, data } = await ben.messages.next();
        assert.deepEqual({ group, data }, { group: "room 1", data: "to the group" });
        await service.sendToConnection(ben.id, new Uint8Array([0, 255]).buffer);
        assert.deepEqual([...new Uint8Array((await ben.messages.next()).data)], [0, 255]);
        await service.sendToAll("others", { excludedConnections: [ben.id] });
        assert.equal((await ann.messages.next()).data, "others");
        assert.ok(ann.messages.isEmpty && ben.messages.isEmpty);
    },
    async "a service learns who is there"(context) {
        const ann = await context.connect("ann", { groups: ["room"] });
        const service = context.service();
        const existence = async (connection, user, group) => [
            await service.connectionExists(connection),
            await service.userExists(user),
            await service.groupExists(group),
        ];
        assert.deepEqual(await existence(ann.id, "ann", "room"), [true, true, true]);
        assert.deepEqual(await existence("x", "ben", "moor"), [false, false, false]);
    },
    async "a service lists the members of a group by the page"(context) {
        const users = ["ann", "ben", "eve"];
        const peers = [];
        for (const user of users) {
            peers.push(await context.connect(user, { groups: ["room"] }));
        }
        const members = [];
        for await (const page of (await context.service().group("room").listConnections({ maxPageSize: 2 })).byPage()) {
            assert.ok(page.length <= 2);
            members.push(...page.map(({ userId, connectionId }) => `${userId} ${connectionId}`));
        }
        assert.deepEqual(members.sort(), peers.map(({ id }, at) => `${users[at]} ${id}`));
    },
    async "a service changes memberships"(context) {
        const ann = await context.connect("ann");
        const service = context.service();
        const group = service.group("room");
        for (const [join, leave] of [
            [() => group.addConnection(ann.id), () => group.removeConnection(ann.id)],
            [() => group.addUser("ann"), () => group.removeUser("ann")],
            [() => group.addUser("ann"), () => service.removeUserFromAllGroups("ann")],
            [() => group.addUser("ann"), () => service.removeConnectionFromAllGroups(ann.id)],
        ]) {
            await join();
            assert.ok(await service.groupExists("room"));
            await leave();
            assert.ok(!(await service.groupExists("room")));
        }
        assert.deepEqual(await failure(group.addConnection("x")), { statusCode: 404, code: "NotFound" });
    },
    async "a service closes connections with a reason"(context) {
        const service = context.service();
        for (const close of [
            ({ id }) => service.closeConnection(id, { reason: "why" }),
            () => service.closeUserConnections("ann", { reason: "why" }),
            () => service.group("room").closeAllConnections({ reason: "why" }),
            () => service.closeAllConnections({ reason: "why" }),
        ]) {
            const ann = await context.connect("ann", { groups: ["room"] });
            await close(ann);
            const { message } = await ann.closed.next("disconnected");
            assert.equal(message.message, "why");
            assert.ok(!(await service.userExists("ann")));
        }
    },
    async "what is wrong has a status and a code"(context) {
        const service = context.service();
        const filtered = service.sendToAll("x", { contentType: "text/plain", filter: "userId eq 'a'" });
        assert.deepEqual(await failure(filtered), { statusCode: 400, code: "BadRequest" });
        const long = service.sendToAll("x".repeat(2 << 20), { contentType: "text/plain" });
        assert.deepEqual(await failure(long), { statusCode: 413, code: "ContentTooLarge" });
        const stranger = context.service("another key, which is not that of the server");
        assert.deepEqual(await failure(stranger.sendToAll("x")), { statusCode: 401, code: "Unauthorized" });
    },
};
