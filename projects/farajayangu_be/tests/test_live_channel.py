"""The live channel in a real browser: tickets, origins, the end of a session, a lost network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from .browser import TIMEOUT_MS, run_chromium
from .pages import serve_pages
from .processes import Running, wait_until
from .proxy import Proxy, proxy_to
from .road import Road
from .stack import Stack

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

EVIL = "evil.example.org"

# Open a socket; tell how that went and keep what it says in window.said.
OPEN = """([url, protocols]) => new Promise((done) => {
  const socket = new WebSocket(url, protocols);
  window.said = [];
  window.ended = null;
  socket.onmessage = ({data}) => {
    window.said.push(JSON.parse(data));
    if (window.said.length === 1) done("open");
  };
  socket.onclose = ({code}) => { window.ended = {code, at: performance.now()}; done("refused"); };
})"""

# As a front end does it; the events are in window.events, the states in window.states.
FOLLOW = """async ([access]) => {
  const {connect} = await import("/static/ntc_core/realtime.js");
  window.events = [];
  window.states = [];
  const asking = {method: "POST", headers: {Authorization: `Bearer ${access}`}};
  connect({
    getTicket: () => fetch("/api/v1/realtime/tickets/", asking),
    onEvent: (event) => window.events.push(event),
    onState: (state) => window.states.push(state),
  });
}"""

# A front end whose requests are answered by `answer`, counted in window.asked. No wait takes
# long, except for silence; how long each would have been is in window.waits.
FOLLOW_WITHOUT_SERVER = """async (answer) => {
  const {connect} = await import("/static/ntc_core/realtime.js");
  window.asked = 0;
  window.states = [];
  window.waits = [];
  const wait = window.setTimeout;
  window.setTimeout = (work, ms) => {
    if (ms < 30_000) waits.push(ms);
    return wait(work, ms < 30_000 ? 1 : ms);
  };
  Math.random = () => 1;
  const answers = {
    hangs: () => new Promise(() => {}),
    refused: () => fetch("/api/v1/realtime/tickets/", {method: "POST"}),
    "signed out": async () => null,
    odd: async () => ({status: "error", data: null}),
    ticket: async () => ({url: `ws://${location.host}/fake/`, protocols: ["ntc.v1", "ticket.x"]}),
  };
  window.live = connect({
    getTicket: () => { asked += 1; return answers[answer](); },
    onEvent: () => {},
    onState: (state) => states.push(state),
  });
}"""

LOGOUT = """async ([api, access, refresh]) => {
  const began = performance.now();
  const answer = await fetch(api + "/api/v1/auth/logout/", {
    method: "POST",
    headers: {"Content-Type": "application/json", Authorization: `Bearer ${access}`},
    body: JSON.stringify({refresh}),
  });
  return {status: answer.status, began};
}"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """The service as it is deployed, and two ways to it."""

    stack: Stack
    web: Running
    proxy: Proxy
    proxied_url: str
    evil_page: str


@pytest.fixture(scope="module")
def site(fresh_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("live")
    stack = Stack(database_url=fresh_postgres, folder=folder)
    with (
        stack.simulator(),
        stack.workers(),
        stack.web() as web,
        proxy_to(stack.base_url) as (proxy, proxied_url),
        serve_pages() as pages_port,
    ):
        evil_page = f"http://{EVIL}:{pages_port}/"
        yield Site(stack=stack, web=web, proxy=proxy, proxied_url=proxied_url, evil_page=evil_page)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_chromium(EVIL) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.goto(f"{site.stack.base_url}/")
    yield page
    context.close()


@pytest.fixture
def asha(site: Site, request: pytest.FixtureRequest) -> Road:
    """A person who has signed up and in; each test has its own."""
    number = f"{abs(hash(request.node.name)) % 10**6:06d}"
    road = Road(base_url=site.stack.base_url, phone=f"0713{number}", phone_e164=f"+255713{number}")
    road.sign_up()
    road.sign_in()
    return road


def get_ticket(road: Road) -> dict[str, Any]:
    answer = road.post("realtime/tickets/", {})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


def wait_for(page: Page, expression: str) -> None:
    """Wait until the page's expression is true; its own way to wait needs 'unsafe-eval'."""
    wait_until(lambda: page.evaluate(expression), what=expression)


def open_socket(page: Page, url: str, protocols: list[str]) -> str:
    return str(page.evaluate(OPEN, [url, protocols]))


def test_a_ticket_opens_one_socket(page, asha):
    ticket = get_ticket(asha)
    assert open_socket(page, ticket["url"], ticket["protocols"]) == "open"
    assert page.evaluate("window.said")[0]["type"] == "hello"
    assert open_socket(page, ticket["url"], ticket["protocols"]) == "refused"


def test_a_ticket_in_the_url_is_refused_and_spent(page, asha):
    ticket = get_ticket(asha)
    url = f"{ticket['url']}?ticket={ticket['ticket']}"
    assert open_socket(page, url, ["ntc.v1"]) == "refused"
    assert open_socket(page, ticket["url"], ticket["protocols"]) == "refused"


def test_a_page_of_another_origin_is_refused(page, asha, site):
    page.goto(site.evil_page)
    ticket = get_ticket(asha)
    assert open_socket(page, ticket["url"], ticket["protocols"]) == "refused"
    # By us, not by the browser.
    wait_until(lambda: "origin_refused" in site.web.output, what="the refusal")

    page.goto(f"{site.stack.base_url}/")
    assert open_socket(page, ticket["url"], ticket["protocols"]) == "open"


def test_signing_out_closes_the_socket_within_a_second(page, asha, site):
    credentials = {"identifier": asha.phone, "password": asha.password, "transport": "token"}
    signed_in = asha.post("auth/login/", credentials).json()["data"]
    headers = {"Authorization": f"Bearer {signed_in['access']}"}
    answer = httpx.post(f"{asha.base_url}/api/v1/realtime/tickets/", headers=headers, timeout=20)
    ticket = answer.json()["data"]
    assert open_socket(page, ticket["url"], ticket["protocols"]) == "open"

    out = page.evaluate(LOGOUT, [asha.base_url, signed_in["access"], signed_in["refresh"]])

    assert out["status"] == 200
    wait_for(page, "window.ended !== null")
    ended = page.evaluate("window.ended")
    assert ended["code"] == 4401
    # In the words; the clock is the page's.
    assert ended["at"] - out["began"] < 1000


def test_an_event_during_five_seconds_without_a_network_is_not_lost(page, asha, site):
    page.goto(site.proxied_url)
    page.evaluate(FOLLOW, [asha.access])
    wait_for(page, "window.states.includes('open')")
    payment = asha.subscribe()
    wait_for(page, "window.events.length > 0")

    site.proxy.away = True
    site.proxy.cut()
    wait_for(page, "window.states.at(-1) === 'waiting'")
    asha.approve()
    asha.arrive(payment)
    page.wait_for_timeout(5000)
    assert "succeeded" not in [event["data"].get("status") for event in page.evaluate("events")]
    site.proxy.away = False

    wait_for(page, "events.some(({data}) => data.status === 'succeeded')")
    events = page.evaluate("window.events")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["event"] for event in events} <= {"payment.updated", "inbox.item_created"}


def test_a_network_that_swallows_everything_is_found_by_who_looks(page, asha, site):
    """A phone that comes back to a page, and to another network than the socket's."""
    page.goto(site.proxied_url)
    page.evaluate(FOLLOW, [asha.access])
    wait_for(page, "window.states.includes('open')")

    site.proxy.silent = True
    try:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        wait_for(page, "window.states.at(-1) === 'waiting'")
    finally:
        site.proxy.silent = False
    wait_for(page, "window.states.at(-1) === 'open'")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_timeout(6000)  # longer than an answer to a ping may take
    assert page.evaluate("window.states.at(-1)") == "open"


@pytest.mark.parametrize("answer", ["refused", "signed out"])
def test_who_is_signed_out_asks_for_no_more_tickets(answer, page):
    page.evaluate(FOLLOW_WITHOUT_SERVER, answer)
    wait_for(page, "window.states.at(-1) === 'ended'")
    assert page.evaluate("window.asked") == 1


def test_an_answer_without_a_ticket_is_asked_for_again(page):
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    page.evaluate(FOLLOW_WITHOUT_SERVER, "odd")
    wait_for(page, "window.waits.length >= 3")
    assert page.evaluate("window.waits.slice(0, 3)") == [1000, 2000, 4000]
    assert opened == []


def test_a_request_for_a_ticket_that_hangs_is_given_up(page):
    page.clock.install()
    page.evaluate(FOLLOW_WITHOUT_SERVER, "hangs")
    page.clock.fast_forward(31_000)
    page.clock.fast_forward(31_000)
    wait_for(page, "window.asked >= 2")
    page.evaluate("live.close()")
    asked = page.evaluate("window.asked")
    page.clock.fast_forward(100_000)
    assert page.evaluate("window.asked") == asked


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        (4409, [1000, 2000, 4000]),  # an eleventh page would close the first, that the second …
        (4001, [1000, 1000, 1000]),
        (1012, [5000, 5000, 5000]),
    ],
)
def test_a_server_that_had_enough_is_left_alone_for_longer(code, waits, page):
    def serve(socket: WebSocketRoute) -> None:
        socket.send('{"type": "hello", "seq": 0, "heartbeat_seconds": 20}')
        socket.close(code=code)

    page.route_web_socket("**/fake/**", serve)
    page.evaluate(FOLLOW_WITHOUT_SERVER, "ticket")
    wait_for(page, "window.waits.length >= 3")
    assert page.evaluate("window.waits.slice(0, 3)") == waits


def test_waiting_for_your_pin_turns_to_paid_without_polling(page, asha, site):
    page.goto(f"{site.stack.base_url}/dev/pay/")
    page.fill("[name=identifier]", asha.phone)
    page.fill("[name=password]", asha.password)
    page.click("text=Sign in")
    page.click("#pay button")
    expect(page.locator("#state")).to_contain_text("Waiting for your PIN")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    asha.approve()

    expect(page.locator("#state")).to_contain_text("Paid")
    assert asked == []
