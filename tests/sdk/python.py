"""Drives a server with the official Python SDKs, unmodified: every case is a function, and one that raises fails.

    python python.py ENDPOINT ACCESS-KEY

Prints one line per case; exits with 1 if one has failed.
"""

import os
import queue
import sys
import traceback

from azure.messaging.webpubsubclient import WebPubSubClient, WebPubSubClientCredential
from azure.messaging.webpubsubclient.models import (
    CallbackType,
    SendMessageError,
    WebPubSubDataType,
    WebPubSubProtocolType,
)
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from proxy import Proxy

ENDPOINT, KEY = sys.argv[1:]

# How long anything may take, in seconds.
DEADLINE = 5
ALL_ROLES = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]


def service_of(hub, endpoint=ENDPOINT):
    """A service client of the hub; one try per request."""
    connection = f"Endpoint={endpoint};AccessKey={KEY};Version=1.0;"
    return WebPubSubServiceClient.from_connection_string(connection, hub=hub, retry_total=0)


class Peer:
    """A client and what it gets, in order, to be waited for."""

    def __init__(self, context, user=None, roles=ALL_ROLES, groups=None, endpoint=ENDPOINT):
        def url():
            token = service_of(context.hub, endpoint).get_client_access_token(user_id=user, roles=roles, groups=groups)
            return token["url"]

        self.client = WebPubSubClient(
            WebPubSubClientCredential(url),
            protocol_type=context.protocol,
            message_retry_total=0,
            reconnect_retry_total=0,
            # The SDK misses the wake-up of an acknowledgement that comes before it begins to wait, as it does here now and
            # then; it finds it when this time is over, which is half a minute by default.
            ack_timeout=1,
        )
        self.messages, self.connected, self.closed = queue.Queue(), queue.Queue(), queue.Queue()
        self.client.subscribe(CallbackType.GROUP_MESSAGE, self.messages.put)
        self.client.subscribe(CallbackType.SERVER_MESSAGE, self.messages.put)
        self.client.subscribe(CallbackType.CONNECTED, self.connected.put)
        self.client.subscribe(CallbackType.DISCONNECTED, self.closed.put)
        context.peers.append(self)
        self.client.open()
        self.id = self.connected.get(timeout=DEADLINE).connection_id

    def next(self):
        """The next message."""
        return self.messages.get(timeout=DEADLINE)

    def send(self, group, data, kind=WebPubSubDataType.TEXT, **options):
        """Sends to a group."""
        self.client.send_to_group(group, data, kind, **options)


def refusal(operation):
    """What an operation is refused with."""
    try:
        operation()
    except SendMessageError as error:
        return error.error_detail.name
    return "success"


def a_group_hears_what_is_sent_to_it(context):
    ann, ben = Peer(context, "ann"), Peer(context, "ben")
    ann.client.join_group("room")
    ben.client.join_group("room")
    ann.send("room", {"hello": [1, "ö"]}, WebPubSubDataType.JSON)
    for peer in ann, ben:
        message = peer.next()
        assert (message.group, message.data, message.from_user_id) == ("room", {"hello": [1, "ö"]}, "ann")
    ben.client.leave_group("room")
    ann.send("room", "again")
    assert ann.next().data == "again"
    assert ben.messages.empty()


def a_direct_message_reaches_its_user_or_connection_alone(context):
    ann, ben, eve = Peer(context, "ann"), Peer(context, "ben"), Peer(context, "eve")
    ann.send("@user/ben", "to the user")
    ann.send(f"@conn/{ben.id}", "to the connection")
    message = ben.next()
    assert message.data == "to the user"
    assert ben.next().data == "to the connection"
    ben.send(f"@user/{message.from_user_id}", "back")
    assert ann.next().data == "back"
    assert eve.messages.empty()


def a_broadcast_reaches_everyone(context):
    peers = [Peer(context, "ann"), Peer(context, "ben"), Peer(context)]
    peers[0].send("@all", 7, WebPubSubDataType.JSON)
    for peer in peers:
        assert peer.next().data == 7


def binary_data_arrives_as_it_was(context):
    ann = Peer(context, "ann", groups=["room"])
    ann.send("room", memoryview(b"\x00\x01\xfe\xff"), WebPubSubDataType.BINARY)
    assert bytes(ann.next().data) == b"\x00\x01\xfe\xff"


def without_an_echo_the_sender_hears_nothing(context):
    ann, ben = Peer(context, "ann"), Peer(context, "ben")
    ann.send("@all", "others", no_echo=True)
    assert ben.next().data == "others"
    assert ann.messages.empty()


def nobody_there_is_not_found(context):
    ann = Peer(context, "ann")
    assert refusal(lambda: ann.send("@user/nobody", "x")) == "NotFound"


def no_role_is_forbidden(context):
    ann = Peer(context, "ann", roles=["webpubsub.sendToGroup.room"])
    assert refusal(lambda: ann.send("room", "x")) == "success"
    assert refusal(lambda: ann.send("other", "x")) == "Forbidden"
    assert refusal(lambda: ann.client.join_group("room")) == "Forbidden"


def the_same_ack_id_again_is_carried_out_once(context):
    ann = Peer(context, "ann", groups=["room"])
    for _ in range(2):
        ann.send("room", "x", ack_id=4711)
    ann.send("room", "y")
    assert [ann.next().data, ann.next().data] == ["x", "y"]


def a_cut_connection_goes_on_where_it_was_twice(context):
    with Proxy(ENDPOINT) as proxy:
        ann, ben = Peer(context, "ann", groups=["room"], endpoint=proxy.endpoint), Peer(context, "ben")
        for first in (1, 11):
            for number in range(first, first + 10):
                if number == first + 5:
                    proxy.cut()
                ben.send("room", number, WebPubSubDataType.JSON)
            for number in range(first, first + 10):
                assert ann.next().data == number
            ben.send(f"@conn/{ann.id}", "same connection")
            assert ann.next().data == "same connection"
        assert ann.connected.empty() and ann.closed.empty(), "the application need not know"
        ann.client.close()


def a_service_sends_to_all_a_user_a_group_and_a_connection(context):
    ann, ben = Peer(context, "ann"), Peer(context, "bob/é", groups=["room 1"])
    service = service_of(context.hub)
    service.send_to_all({"to": "all"})
    assert ann.next().data == ben.next().data == {"to": "all"}
    service.send_to_user("bob/é", "to the user", content_type="text/plain")
    assert ben.next().data == "to the user"
    service.send_to_group("room 1", "to the group", content_type="text/plain")
    message = ben.next()
    assert (message.group, message.data) == ("room 1", "to the group")
    service.send_to_connection(ben.id, b"\x00\xff", content_type="application/octet-stream")
    assert bytes(ben.next().data) == b"\x00\xff"
    service.send_to_all("others", content_type="text/plain", excluded=[ben.id])
    assert ann.next().data == "others"
    assert ann.messages.empty() and ben.messages.empty()


def a_service_learns_who_is_there(context):
    ann = Peer(context, "ann", groups=["room"])
    service = service_of(context.hub)
    assert service.connection_exists(ann.id) and not service.connection_exists("x")
    assert service.user_exists("ann") and not service.user_exists("ben")
    assert service.group_exists("room") and not service.group_exists("moor")


def a_service_lists_the_members_of_a_group_by_the_page(context):
    peers = {user: Peer(context, user, groups=["room"]).id for user in ("ann", "ben", "eve")}
    pages = service_of(context.hub).list_connections(group="room", maxpagesize=2).by_page()
    pages = [list(page) for page in pages]
    assert [len(page) for page in pages] == [2, 1]
    members = [member for page in pages for member in page]
    assert {member.user_id: member.connection_id for member in members} == peers


def a_service_changes_memberships(context):
    ann = Peer(context, "ann")
    service = service_of(context.hub)
    for join, leave in [
        (
            lambda: service.add_connection_to_group("room", ann.id),
            lambda: service.remove_connection_from_group("room", ann.id),
        ),
        (
            lambda: service.add_user_to_group("room", "ann"),
            lambda: service.remove_user_from_group("room", "ann"),
        ),
        (
            lambda: service.add_user_to_group("room", "ann"),
            lambda: service.remove_user_from_all_groups("ann"),
        ),
        (
            lambda: service.add_user_to_group("room", "ann"),
            lambda: service.remove_connection_from_all_groups(ann.id),
        ),
    ]:
        join()
        assert service.group_exists("room")
        leave()
        assert not service.group_exists("room")


def a_service_closes_connections_with_a_reason(context):
    service = service_of(context.hub)
    for close in [
        lambda peer: service.close_connection(peer.id, reason="why"),
        lambda peer: service.close_user_connections("ann", reason="why"),
        lambda peer: service.close_group_connections("room", reason="why"),
        lambda peer: service.close_all_connections(reason="why"),
    ]:
        ann = Peer(context, "ann", groups=["room"])
        close(ann)
        assert ann.closed.get(timeout=DEADLINE).message == "why"
        assert not service.user_exists("ann")


SERVICE_CASES = [
    a_service_sends_to_all_a_user_a_group_and_a_connection,
    a_service_learns_who_is_there,
    a_service_lists_the_members_of_a_group_by_the_page,
    a_service_changes_memberships,
    a_service_closes_connections_with_a_reason,
]

CLIENT_CASES = [
    a_group_hears_what_is_sent_to_it,
    a_direct_message_reaches_its_user_or_connection_alone,
    a_broadcast_reaches_everyone,
    binary_data_arrives_as_it_was,
    without_an_echo_the_sender_hears_nothing,
    nobody_there_is_not_found,
    no_role_is_forbidden,
    the_same_ack_id_again_is_carried_out_once,
]

RELIABLE_CASES = [a_cut_connection_goes_on_where_it_was_twice]

# The same for every protocol that has clients; the reliable one has cases of its own besides.
SUITES = [
    ("json", WebPubSubProtocolType.JSON, CLIENT_CASES + SERVICE_CASES),
    ("reliable", WebPubSubProtocolType.JSON_RELIABLE, CLIENT_CASES + SERVICE_CASES + RELIABLE_CASES),
]


class Context:
    """What one case works with: a hub of its own, so that its clients disturb nobody."""

    def __init__(self, hub, protocol):
        self.hub, self.protocol, self.peers = hub, protocol, []


def main():
    """Runs all cases; returns the exit code."""
    failed_count = number = 0
    for suite, protocol, cases in SUITES:
        for case in cases:
            number += 1
            context = Context(f"py{number}", protocol)
            name = f"{suite}: {case.__name__.replace('_', ' ')}"
            try:
                case(context)
                print(f"ok      {name}", flush=True)
            except Exception:  # Whatever it is, the other cases are of interest too.
                failed_count += 1
                print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    return 1 if failed_count else 0


if __name__ == "__main__":
    # Not sys.exit: every client takes seconds to end its threads.
    os._exit(main())
