"""The page in a real browser: fills arrive, orders are cancelled, kill switch, reconnecting."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from broker_api.secret import Secret
from papertape.watching.server import WatchServer
from tests.chromium import browser, needs_chromium
from tests.watching.browser import Tab
from tests.watching.stage import Stage, kept_free, wait_for

pytestmark = needs_chromium
TOKEN = Secret("a-token-of-nobody-else-0123456789")
OTHER = Secret("another-token-of-nobody-987654321")
HOSTILE = '<img src=x onerror="document.title=1">'
PRESS_AGAIN = """(() => {
  const button = document.querySelector("BUTTON");
  if (button.textContent !== "Sure?") button.click();
  button.click();
})()"""
LIVE = "document.body.dataset.state === 'live'"


@pytest.fixture(scope="module")
def tab():
    with browser() as opened:
        yield Tab(opened.chromium.new_page())


@pytest.fixture(autouse=True)
def fresh(tab):
    tab.open("about:blank")
    tab.until("location.href === 'about:blank'")
    tab.complaints.clear()
    tab.requested.clear()
    tab.size(1280, 900)


class Session:
    """A session that trades when the test says so, and its page."""

    def __init__(self, port=0):
        self.go = threading.Event()
        self.stage = Stage(self.strategy, risk={"contracts": {"limit": 9}})
        self.port = port

    async def strategy(self, suite):
        orders = suite["MNQ"].orders
        await orders.place_limit_order("MNQ", "buy", 1, 20_990.0, tag=HOSTILE)
        while not self.go.is_set():
            await suite.clock.sleep(0.1)
        await orders.place_bracket_order("MNQ", "buy", 2, stop_offset=400, target_offset=400)

    def serve(self, token=TOKEN):
        self.server = WatchServer(self.stage.watch, self.stage.watch.request, token, port=self.port)
        self.server.start()
        self.port = self.server.port

    def __enter__(self):
        self.stage.__enter__()
        self.serve()
        return self

    def __exit__(self, *error):
        self.server.stop()
        self.stage.__exit__(*error)

    @property
    def positions(self):
        return [each["size"] for each in self.stage.watch.snapshot()["positions"]]


def test_a_fill_arrives_and_an_order_is_cancelled_by_two_presses(tab):
    with Session() as session:
        tab.open(session.server.url)
        tab.until(LIVE)
        assert tab.js("location.href") == session.server.address + "/"
        tab.until("document.querySelectorAll('#orders tbody tr').length === 1")
        assert tab.text("#orders tbody").count(HOSTILE) == 1
        assert tab.text("#fills tbody") == ""
        session.go.set()
        tab.until("document.querySelectorAll('#fills tbody tr').length === 1")
        tab.until("document.querySelectorAll('#orders tbody tr').length === 3")
        tab.until("Number(document.querySelector('#chart').dataset.marks) === 1")
        tab.until("document.querySelector('#chart').dataset.guides === '4'")
        tab.until("Number(document.querySelector('#chart').dataset.points) > 3")
        tab.until("document.querySelector('#risk').innerText.includes('contracts')")
        button = "#orders tr[data-key='1'] button"
        tab.click(button)
        tab.until(f'document.querySelector("{button}").textContent === "Sure?"')
        assert 1 in {each["order_id"] for each in session.stage.watch.snapshot()["orders"]}
        # A slow machine may take longer than the button waits for the second press.
        tab.js(PRESS_AGAIN.replace("BUTTON", button))
        tab.until("!document.querySelector('#orders tr[data-key=\"1\"]')")
        tab.until("document.querySelector('#log').innerText.includes('operator (page): cancel')")
        assert [each["order_id"] for each in session.stage.watch.snapshot()["orders"]] == [3, 4]
        assert {url.split("/")[2] for url in tab.requested} == {f"127.0.0.1:{session.port}"}
        assert tab.complaints == []


def test_the_kill_switch_is_pressed_with_the_keyboard_on_a_phone(tab):
    with Session() as session:
        session.go.set()
        tab.size(390, 844, dark=True)
        tab.open(session.server.url)
        tab.until(LIVE)
        wait_for(lambda: session.positions == [2], "a position")
        assert tab.js("document.documentElement.scrollWidth <= innerWidth")
        tab.js("document.querySelector('#flatten-all').focus()")
        tab.key("Tab")
        assert tab.js("document.activeElement.id") == "kill"
        tab.key("Enter")
        tab.until("document.querySelector('#dialog').open")
        tab.type("kil")
        assert tab.js("document.querySelector('#dialog-yes').disabled")
        tab.key("Enter")
        assert tab.js("document.querySelector('#dialog').open")
        tab.type("l")
        tab.js("document.querySelector('#dialog-flatten').focus()")
        tab.key("Space")
        assert tab.js("document.querySelector('#dialog-flatten').checked")
        for _ in range(3):  # the word, the way out, the button
            tab.key("Tab")
        assert tab.js("document.activeElement.id") == "dialog-yes"
        tab.key("Enter")
        tab.until("document.body.dataset.state === 'halted'")
        tab.until("document.querySelector('#toasts').innerText.includes('closed 2 MNQ')")
        assert session.positions == [0]
        assert session.stage.watch.snapshot()["orders"] == []
        assert tab.complaints == []


def test_the_page_says_that_it_is_cut_off_and_comes_back_with_the_server(tab):
    with Session() as session:
        tab.open(session.server.url)
        tab.until(LIVE)
        session.server.stop()
        with kept_free(session.port):
            tab.until("document.body.dataset.state === 'lost'")
            assert tab.js("document.querySelector('#kill').disabled")
            assert "nothing can be done from here" in tab.text("#banner")
            session.go.set()
            wait_for(lambda: session.positions == [2], "a fill that the page does not see")
            session.serve()
        tab.until(LIVE)
        tab.until("document.querySelectorAll('#fills tbody tr').length === 1")
        assert not tab.js("document.querySelector('#kill').disabled")
        session.server.stop()
        session.serve(OTHER)
        tab.until("document.body.dataset.state === 'refused'")
        assert "papertape ui" in tab.text("#banner")
        session.server.stop()
        session.serve()
        tab.until(LIVE)
        session.stage.watch.request("stop").result(60)
        wait_for(lambda: session.stage.watch.snapshot()["session"]["ended"], "the end")
        session.server.stop()  # as a session does that has ended: the page has heard of it
        tab.until("document.body.dataset.state === 'ended'")


PROBE = """<!doctype html><title>waiting</title><script>
const to = "127.0.0.1:" + location.search.slice(1);
const reading = fetch(`http://${to}/snapshot`, {credentials: "include"})
  .then(() => "read", () => "nothing");
const body = '{"action": "kill"}', mode = "no-cors";
const acting = fetch(`http://${to}/request`, {method: "POST", credentials: "include", mode, body})
  .then(() => "sent", () => "nothing");
const listening = new Promise((done) => {
  const socket = new WebSocket(`ws://${to}/stream`);
  socket.onopen = () => done("heard"); socket.onerror = () => done("nothing");
});
Promise.all([reading, acting, listening]).then((found) => { window.found = found; });
</script>"""


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PROBE.encode())

    def log_message(self, *words):
        pass


def test_a_page_of_another_origin_gets_nothing_though_the_browser_has_the_cookie(tab):
    elsewhere = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    threading.Thread(target=elsewhere.serve_forever).start()
    try:
        with Session() as session:
            tab.open(session.server.url)
            tab.until(LIVE)
            tab.open(f"http://127.0.0.1:{elsewhere.server_port}/?{session.port}")
            found = json.loads(tab.until("window.found && JSON.stringify(window.found)"))
            assert (found[0], found[2]) == ("nothing", "nothing")
            # The answer to the other one is hidden from that page, and nothing was done.
            assert session.stage.watch.snapshot()["risk"]["halted"] is None
            assert session.stage.journaled == []
    finally:
        elsewhere.shutdown()
        elsewhere.server_close()
