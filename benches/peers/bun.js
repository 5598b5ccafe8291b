// uWebSockets inside bun: /echo sends back, /relay/room passes on to the others.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const isMember = new URL(request.url).pathname.startsWith("/relay/");
    return server.upgrade(request, { data: { isMember } }) ? undefined : new Response(null, { status: 404 });
  },
  websocket: {
    idleTimeout: 0,
    perMessageDeflate: false,
    maxPayloadLength: 1 << 20,
    backpressureLimit: 64 << 20,
    open(socket) {
      if (socket.data.isMember) socket.subscribe("room");
    },
    message(socket, message) {
      if (socket.data.isMember) socket.publish("room", message);
      else socket.send(message);
    },
  },
});
console.log(`listening on http://127.0.0.1:${server.port}`);
