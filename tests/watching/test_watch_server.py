"""The page's server: who is let in, what others get, requests, readers that fall behind."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import threading

import pytest

from broker_api.secret import Secret
from papertape.watching.board import Board
from papertape.watching.server import MESSAGES_MAX, PAGE, Outbox, WatchServer
from papertape.watching.telling import log_message
from tests.watching.stage import PATIENCE_SECONDS, Stage

TOKEN = "a-token-of-nobody-else-0123456789"
INSTRUMENT = {"symbol": "MNQ", "digits": 2}
CHART_SHA256 = "e21cc5caa0226ef30bd8549c50b9ef926615f2a4ee6b4e486353477a55f598cf"
GOOD = {"Authorization": f"Bearer {TOKEN}"}
SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def board():
    return Board({"name": "quiet", "mode": "paper", "ended": False}, [INSTRUMENT])


@pytest.fixture
def server(board):
    made = WatchServer(board, None, Secret(TOKEN))
    made.start()
    yield made
    made.stop()


def asked(server, method, path, headers=None, body=None):
    """Status, headers and body of the answer."""
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    try:
        line.request(method, path, body=body, headers=headers or {})
        answer = line.getresponse()
        if answer.status == 101:
            return 101, answer.headers, b""
        return answer.status, answer.headers, answer.read()
    finally:
        line.close()


def cookie(server):
    _, headers, _ = asked(server, "GET", f"/?token={TOKEN}")
    return {"Cookie": headers["Set-Cookie"].partition(";")[0]}


PATHS = [
    ("GET", "/"),
    ("GET", "/page.js"),
    ("GET", "/snapshot"),
    ("GET", "/stream"),
    ("POST", "/request"),
    ("GET", "/no-such-page"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_the_token_nothing_is_told(server, method, path):
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Cookie": f"papertape-{server.port}=wrong"},
        {"Cookie": "papertape=" + TOKEN},
    ):
        status, told, body = asked(server, method, path, headers)
        assert (status, body) == (401, b"")
        assert "Set-Cookie" not in told
    assert asked(server, method, path + "?token=wrong")[::2] == (401, b"")


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_origin_or_name_gets_nothing_though_it_has_the_token(server, method, path, foreign):
    for proof in (GOOD, cookie(server)):
        status, told, body = asked(server, method, path, {**proof, **foreign})
        assert (status, body) == (403, b"")
        assert not [name for name in told if name.startswith("Access-Control")]
    assert asked(server, "GET", f"/?token={TOKEN}", foreign)[::2] == (403, b"")


def test_the_token_of_the_address_becomes_a_cookie_and_leaves_the_address(server):
    status, headers, body = asked(server, "GET", f"/?token={TOKEN}")
    assert (status, headers["Location"], body) == (303, "/", b"")
    assert {"HttpOnly", "SameSite=Strict"} <= set(headers["Set-Cookie"].split("; "))
    status, headers, body = asked(server, "GET", "/", cookie(server))
    assert status == 200
    assert b"Kill switch" in body
    assert TOKEN.encode() not in body
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"


def test_a_cookie_acts_only_from_the_page_itself(server):
    here = {"Origin": server.address}
    body = json.dumps({"action": "stop"})
    assert asked(server, "POST", "/request", cookie(server), body)[0] == 401
    assert asked(server, "GET", "/stream", {**cookie(server), **SOCKET})[0] == 401
    status, _, told = asked(server, "POST", "/request", {**cookie(server), **here}, body)
    assert (status, json.loads(told)) == (
        400,
        {"error": "this is a replay: there is nothing to act on"},
    )
    assert asked(server, "GET", "/stream", {**cookie(server), **here, **SOCKET})[0] == 101
    assert asked(server, "GET", "/stream", {**GOOD, **SOCKET})[0] == 101


def test_the_chart_library_is_the_one_that_the_notice_names():
    library = (PAGE / "lightweight-charts.standalone.production.js").read_bytes()
    assert hashlib.sha256(library).hexdigest() == CHART_SHA256
    assert "Lightweight Charts™ v5.2.1".encode() in library[:200]


def test_a_taken_port_is_told(server):
    other = WatchServer(Board({}, []), None, Secret(TOKEN), port=server.port)
    with pytest.raises(OSError, match=r"(?i)address already in use"):
        other.start()
    other.stop()


def test_the_token_is_in_no_text_of_the_server(server):
    assert TOKEN not in repr(vars(server))
    assert TOKEN in server.url


def test_requests_are_answered_and_bad_ones_refused_in_words():
    async def strategy(suite):
        await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 1, 20_000)

    def post(table):
        status, _, told = asked(server, "POST", "/request", GOOD, json.dumps(table))
        return status, json.loads(told)

    with Stage(strategy) as stage:
        server = WatchServer(stage.watch, stage.watch.request, Secret(TOKEN))
        server.start()
        try:
            status, told = post({"action": "cancel", "order_id": 7})
            assert (status, told["done"]) == (200, False)
            assert "order 7 is not of this session" in told["text"]
            status, told = post({"action": "cancel", "order_id": 1, "source": "test"})
            assert (status, told["done"], told["cancelled"]) == (200, True, [1])
            for table, words in (
                ({"action": "kil"}, 'did you mean "kill"'),
                ({}, "a table with an action"),
                ([1], "a table with an action"),
                ({"action": "kill", "number": 4}, "numbers requests itself"),
                ({"action": "kill", "order": 4}, "has no 'order'"),
            ):
                status, told = post(table)
                assert status == 400
                assert words in told["error"]
            assert asked(server, "POST", "/request", GOOD, "{")[0] == 400
            assert asked(server, "POST", "/request", GOOD, "x" * 5_000)[0] == 413
        finally:
            server.stop()


def test_a_reader_that_falls_behind_is_told_so_and_memory_stays_bounded(board):
    async def main():
        outbox = Outbox(asyncio.get_running_loop())
        board.subscribe(outbox.put)
        telling = threading.Thread(
            target=lambda: [board.tell(log_message(0, str(n))) for n in range(2 * MESSAGES_MAX)]
        )
        telling.start()
        telling.join()
        behind = await outbox.take()
        board.tell(log_message(0, "later"))
        return behind, await outbox.take()

    behind, later = asyncio.run(main())
    assert behind is None
    assert [each["text"] for each in later] == ["later"]
