"""Who may open the live page, and what becomes of a viewer that does not read what it is sent."""

import asyncio
import re
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing, suppress
from http.client import HTTPConnection
from http.cookiejar import CookieJar
from time import sleep

import pytest
from live_snapshots import snapshot

from wnet_edge.errors import OptionError, WNetEdgeError
from wnet_edge.live.page.page_options import PageOptions

pytest.importorskip("bokeh")

from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.websocket import websocket_connect

from wnet_edge.live.page.live_page import LivePage

TOKEN = "open sesame"  # noqa: S105


@pytest.fixture
def page():
    with closing(LivePage(PageOptions())) as page:
        yield page


@pytest.fixture
def guarded():
    with closing(LivePage(PageOptions(token=TOKEN))) as page:
        yield page


def fetched(url, headers=(), data=None, cookies=None):
    """Status and text, redirections followed."""
    request = urllib.request.Request(url, data, dict(headers))  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), answer.url
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.url


def session_token(text):
    return re.search(r'"token":"([^"]+)"', text)[1]


def asked(page, session, **headers):
    """A connection on which a browser has asked for a websocket."""
    address = page.url.removeprefix("http://").rstrip("/")
    of_browser = {
        "Origin": f"http://{address}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": f"bokeh, {session}",
    }
    connection = HTTPConnection(address, timeout=20)
    connection.request("GET", "/ws", headers={**of_browser, **headers})
    return closing(connection)


def handshake(page, session, **headers):
    """Status of the answer."""
    with asked(page, session, **headers) as connection:
        return connection.getresponse().status


async def messages(page, session, idle_s=0.5):
    """What comes over a websocket until nothing does; the viewer says nothing."""
    url = page.url.replace("http", "ws") + "ws"
    connection = await websocket_connect(url, subprotocols=["bokeh", session])
    received = []
    with suppress(asyncio.TimeoutError):
        while True:
            received.append(await asyncio.wait_for(connection.read_message(), idle_s))
    connection.close()
    while await connection.read_message() is not None:
        pass
    return received


@pytest.mark.parametrize(
    ("address", "token", "origins", "message"),
    [
        ("0.0.0.0:8765", None, (), "other machines can reach this address; give --token"),
        ("[::]:8765", None, (), "other machines can reach this address"),
        ("beamline.example:8765", None, (), "other machines can reach this address"),
        ("0.0.0.0:8765", "short", (), "fewer than 8 characters"),
        ("127.0.0.1", None, (), "is not HOST:PORT; give 127.0.0.1:8765, say"),
        ("127.0.0.1:99999", None, (), "is not HOST:PORT"),
        ("::1:8765", None, (), "is not HOST:PORT"),
        (":8765", None, (), "is not HOST:PORT"),
        ("127.0.0.1:0", None, ("*",), "is not HOST or HOST:PORT"),
        ("127.0.0.1:0", None, ("https://a.example",), "is not HOST or HOST:PORT"),
        ("127.0.0.1:0", None, ("a.example:x",), "is not HOST or HOST:PORT"),
    ],
)
def test_a_page_that_strangers_could_open_is_refused(address, token, origins, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        PageOptions.parsed(address, token, origins)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "[::1]:8765", "127.0.0.9:1"])
def test_this_machine_needs_no_token(address):
    assert PageOptions.parsed(address).is_loopback


def test_a_token_is_not_told():
    assert TOKEN not in repr(PageOptions(token=TOKEN))


def test_a_taken_port_is_one_line(page):
    port = int(page.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(WNetEdgeError, match=r"can't be served \(address already in use\)"):
        LivePage(PageOptions(port=port))


def test_the_page_needs_no_internet(page):
    status, text, _ = fetched(page.url)
    assert status == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sources
    assert all(source.startswith("/static/") for source in sources)


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_other_names_do_not_lead_to_it(page, name):
    """A page elsewhere could point its own name at this machine."""
    status, text, _ = fetched(page.url, {"Host": name})
    assert status == 403
    assert f"--allow-origin {name}" in text
    _, text, _ = fetched(page.url)
    assert handshake(page, session_token(text)) == 101
    assert handshake(page, session_token(text), Origin=f"http://{name}") == 403
    assert handshake(page, session_token(text), Host=name) == 403


def test_a_name_that_is_allowed_does():
    with closing(LivePage(PageOptions(allowed_origins=("Proxy.example",)))) as page:
        status, _, _ = fetched(page.url, {"Host": "proxy.example"})
        assert status == 200


def test_a_tunnel_does(page):
    assert fetched(page.url, {"Host": "localhost:9000"})[0] == 200


@pytest.mark.parametrize("given", ["", "open says me", "open sesam", "öffne dich"])
def test_a_wrong_token_opens_neither_page_nor_websocket(guarded, given, capfd):
    query = urllib.parse.urlencode({"token": given})
    form = fetched(f"{guarded.url}login", data=query.encode())
    for status, text, _ in (fetched(guarded.url), fetched(f"{guarded.url}?{query}"), form):
        assert status == 403
        assert "token" in text
        assert "bokeh" not in text
    for cookie in ("", f"wnet-edge-{guarded.url.rstrip('/').rpartition(':')[2]}=00"):
        assert handshake(guarded, "e30.x", Cookie=cookie) == 403
    assert capfd.readouterr() == ("", "")


def test_the_right_token_is_remembered_and_leaves_the_address(guarded, capfd):
    cookies = CookieJar()
    query = urllib.parse.urlencode({"token": TOKEN})
    status, text, url = fetched(f"{guarded.url}?{query}", cookies=cookies)
    assert (status, url) == (200, guarded.url)
    (cookie,) = cookies
    assert TOKEN not in cookie.value
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert fetched(guarded.url, cookies=cookies)[0] == 200
    assert handshake(guarded, session_token(text), Cookie=f"{cookie.name}={cookie.value}") == 101
    assert "sesame" not in "".join(capfd.readouterr())


def test_a_session_that_the_page_did_not_give_is_refused(page):
    """Or another page in the same browser could open one."""
    assert handshake(page, generate_jwt_token(generate_session_id())) == 403
    assert handshake(page, "nonsense") == 403


def test_a_viewer_that_does_not_answer_is_sent_one_look(page):
    session = session_token(fetched(page.url)[1])

    async def received():
        receiving = asyncio.ensure_future(messages(page, session))
        for frames in range(8, 28):
            page.show(snapshot(frames))
            await asyncio.sleep(0.03)
        return await receiving

    looks = [one for one in asyncio.run(received()) if isinstance(one, str) and "processed" in one]
    assert len(looks) == 1


def test_a_viewer_that_reads_nothing_holds_nothing_up(page, capfd):
    session = session_token(fetched(page.url)[1])
    with asked(page, session) as connection:
        assert connection.getresponse().status == 101
        for frames in range(8, 16):
            page.show(snapshot(frames, size_px=(1200, 1200)))
            sleep(0.03)
        page.close()
    assert capfd.readouterr() == ("", "")
