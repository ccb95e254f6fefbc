"""Reading web pages, without a way to what is not the public internet.

A name is looked up once, every address that comes back is judged, and the connection goes to the judged address: a name
that means another one a moment later (DNS rebinding) gains nothing. Redirects to another host are told to the model
instead of followed, so that a user who allowed one host has not allowed the next.
"""

from __future__ import annotations

import codecs
import ipaddress
import socket
import ssl
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from html.parser import HTMLParser
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import httpcore

from moonlet.chat.messages import ToolSpec
from moonlet.tools.running import here
from moonlet.tools.tool import Tool, ToolError, parameters

MAX_BYTES = 4 << 20  # of a page, unpacked
TIME_S = 30.0  # of a page with all its redirects
REDIRECTS = 5
_TEXT = ("text/", "application/json", "application/xml", "application/xhtml+xml", "application/rss", "application/atom")
_NOT_OF_PAGES = ("punycode", "idna", "undefined")  # codecs of Python that take far too long, or no broken text
_PIECE = 1 << 16  # characters of a page that are parsed at a time, at least
_SHORT_REST = 1 << 12  # characters
_LONGEST_TAG = 1 << 20  # characters; a picture may be written inside its tag
_PACKED_PIECE = 1 << 12  # bytes that are unpacked at a time: what follows a member's end is copied
_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # window bits for zlib

# Not of the public internet though not every Python knows it: in the first some clouds tell machines their secrets.
_SPECIAL = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("fec0::/10"), ipaddress.ip_network("3fff::/20"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetch_tool(allow: Sequence[str] = ()) -> Tool:
    """`fetch_page`: reads a page. `allow`: hosts and networks that may be reached although they are not public
    (`127.0.0.1`, `10.0.0.0/8`, `wiki.local`)."""

    def run(arguments: Mapping[str, Any]) -> str:
        return _fetch(allow, arguments["url"])

    def host(arguments: Mapping[str, Any]) -> str:
        try:
            return f"pages of {urlsplit(arguments['url']).netloc}"
        except ValueError:
            return "an address that cannot be read"  # the call itself says why

    about = "Read a web page or a JSON document by its address"
    spec = ToolSpec("fetch_page", about, parameters({"url": {"type": "string"}}))
    # What is asked for leaves the machine inside the address, so it is a question even though nothing changes here.
    return Tool(spec, run, sends=True, outside=True, timeout_s=TIME_S + 10, covers=host)


def public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also when it is written inside an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in ipaddress.IPv6Network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and int(address) >> 32 == 0:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)  # the old IPv4-compatible form
        if inner is not None and not public(inner):
            return False
    special = address.is_multicast or address.is_reserved or any(address in network for network in _SPECIAL)
    return address.is_global and not special


class _Timed(httpcore.NetworkStream):
    """A connection that ends in time, however little comes at a time: headers have no end of their own."""

    def __init__(self, inner: httpcore.NetworkStream, until: float) -> None:
        self._inner, self._until = inner, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, self._left(timeout)), self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._until - time.monotonic()
        if left <= 0 or here().stopped:
            raise ToolError("it took too long")
        return left if timeout is None else min(left, timeout)


class _Checked(httpcore.NetworkBackend):
    """Connects to addresses that were judged."""

    def __init__(self, allow: Iterable[str], until: float) -> None:
        self._inner, self._until = httpcore.SyncBackend(), until
        self._hosts: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for one in allow:
            try:
                self._networks.append(ipaddress.ip_network(one, strict=False))
            except ValueError:
                self._hosts.add(one.lower())

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ToolError(f"there is no host {host}") from None
        addresses = [str(entry[4][0]).split("%")[0] for entry in found]
        for address in addresses:
            if not self._allowed(host, ipaddress.ip_address(address)):
                raise ToolError(f"{host} is {address}, which is not an address of the public internet")
        last: Exception = OSError("no address")
        for address in addresses[:4]:
            try:
                inner = self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Timed(inner, self._until)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    def _allowed(self, host: str, address: Address) -> bool:
        return public(address) or host.lower() in self._hosts or any(address in network for network in self._networks)


def _fetch(allow: Sequence[str], url: str) -> str:
    until = time.monotonic() + TIME_S
    backend, first = _Checked(allow, until), _parts(url)
    context = ssl.create_default_context()
    with httpcore.ConnectionPool(ssl_context=context, network_backend=backend, max_connections=1) as pool:
        for _ in range(REDIRECTS + 1):
            parts = _parts(url)
            if (parts.scheme, parts.netloc) != (first.scheme, first.netloc) and not _upgrade(first, parts):
                return f"[{first.geturl()} leads to another host: {url}. Fetch that, if it is wanted.]"
            try:
                status, headers, body = _get(pool, url, until)
            except ToolError:
                raise
            except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
                raise ToolError(f"{parts.hostname}: {str(error) or 'no answer in time'}") from None
            if status in (301, 302, 303, 307, 308) and "location" in headers:
                url = urljoin(url, headers["location"])
                continue
            if status >= 400:
                raise ToolError(f"{url}: HTTP {status}")
            return _readable(url, headers, body)
    raise ToolError(f"{first.geturl()}: more than {REDIRECTS} redirects")


def _upgrade(first: SplitResult, parts: SplitResult) -> bool:
    """The same host, from http to https."""
    same = first.hostname == parts.hostname and first.port in (None, 80) and parts.port in (None, 443)
    return same and first.scheme == "http" and parts.scheme == "https"


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        raise ToolError(f"{url!r} is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_number:
        raise ToolError(f"{url!r}: only http:// and https:// addresses can be read")
    if "@" in parts.netloc:
        raise ToolError("an address with a name or a password in it is not read")
    if not url.isascii() or any(ord(letter) < 33 for letter in url):
        raise ToolError("write the address in ASCII, with %XX for everything else")
    return parts


def _get(pool: httpcore.ConnectionPool, url: str, until: float) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by small names, and the unpacked body, within bounds of size and time."""
    left = until - time.monotonic()
    if left <= 0:
        raise ToolError("it took too long")
    step = min(left, 10.0)
    headers: dict[bytes | str, bytes | str] = {
        "Host": urlsplit(url).netloc,
        "User-Agent": "moonlet",
        "Accept": "text/html, text/*, application/json",
        "Accept-Encoding": "gzip",
    }
    timeouts = {name: step for name in ("connect", "read", "write", "pool")}
    with pool.stream("GET", url, headers=headers, extensions={"timeout": timeouts}) as response:
        told = {name.decode().lower(): value.decode("latin-1") for name, value in response.headers}
        packed = told.get("content-encoding", "identity").strip().lower()
        if packed not in ("", "identity", *_PACKED):
            raise ToolError(f"the page is packed as {packed!r}, which cannot be read")
        body = bytearray()
        for piece in response.iter_stream():
            body += piece
            if len(body) > MAX_BYTES:
                raise ToolError(f"the page is larger than {MAX_BYTES >> 20} MiB")
        return response.status, told, _unpacked(bytes(body), _PACKED[packed]) if packed in _PACKED else bytes(body)


def _unpacked(body: bytes, bits: int) -> bytes:
    """All members of it. Bounded while it is unpacked: a small page may unpack to more than memory."""
    text, unpack, whole = bytearray(), zlib.decompressobj(bits), False
    for at in range(0, len(body), _PACKED_PIECE):
        piece = body[at : at + _PACKED_PIECE]
        while piece:
            if unpack.eof:
                unpack, whole = zlib.decompressobj(bits), True
            try:
                text += unpack.decompress(piece, MAX_BYTES + 1 - len(text))
            except zlib.error:
                if whole:  # what comes after the end is no part of it
                    return bytes(text)
                raise ToolError("the page's packing is broken") from None
            if len(text) > MAX_BYTES:
                raise ToolError(f"the page is larger than {MAX_BYTES >> 20} MiB")
            piece = unpack.unused_data
    return bytes(text)


def _readable(url: str, headers: Mapping[str, str], body: bytes) -> str:
    kind = headers.get("content-type", "text/plain").lower()
    if not kind.startswith(_TEXT):
        raise ToolError(f"{url} is {kind.split(';')[0]}, not text")
    charset = kind.split("charset=")[1].split(";")[0].strip("\"' ") if "charset=" in kind else "utf-8"
    try:
        known = codecs.lookup(charset).name not in _NOT_OF_PAGES
        text = body.decode(charset if known else "utf-8", "replace")
    except LookupError:
        text = body.decode("utf-8", "replace")
    return page_text(text, url) if "html" in kind else text


class _Page(HTMLParser):
    """Text of a page: blocks as lines, links with their addresses."""

    BLOCKS = frozenset(
        ["p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header", "footer"]
    ) | {"table", "ul", "ol", "pre", "title"}
    SILENT = frozenset(("script", "style", "noscript", "template", "svg", "head"))

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._url = url
        self._silent = 0
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.SILENT:
            self._silent += 1
        elif tag == "title":
            self._silent = 0
        elif tag == "a":
            self._link = dict(attrs).get("href") or ""
        if tag in self.BLOCKS:
            self.parts.append("\n" + ("- " if tag == "li" else ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "a" and self._link and not self._link.startswith(("#", "javascript:")):
            with suppress(ValueError):  # a link that is no address
                self.parts.append(f" ({urljoin(self._url, self._link)})")
            self._link = ""
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def page_text(html: str, url: str) -> str:
    """A page for a reader of plain text. What comes after a tag that does not end is left out."""
    page = _Page(url)
    at = 0
    # The parser reads an unfinished tag from its beginning at every piece and, told that no more will come, from every
    # "<" in it to the end. So pieces grow with what is unfinished, and of such rests only a short one is closed.
    while at < len(html) and (page.cdata_elem or len(page.rawdata) <= _LONGEST_TAG):
        size = max(_PIECE, len(page.rawdata))
        page.feed(html[at : at + size])
        at += size
    if len(page.rawdata) <= _SHORT_REST or not page.rawdata.startswith("<"):
        page.close()
    lines = (" ".join(line.split()) for line in "".join(page.parts).splitlines())
    return "\n".join(line for line in lines if line)
