"""The truth table: what is said to the edge, byte for byte, and what must come of it.

A row is a name, the bytes, the status (0: closed without a word;
-1: a body without a head, as HTTP/0.9 has it; several where engines differ), the error code, and whether
the relay may hear of it. HOST stands for our name and port.
"""

from collections.abc import Iterator
from dataclasses import dataclass

CHAT = "/v1/chat/completions"
BODY = b'{"model":"m"}'


@dataclass(frozen=True)
class Case:
    """One row."""

    name: str
    request: bytes
    status: tuple[int, ...]
    code: str | None = None
    passes: bool = False


def request(
    path: str = CHAT,
    *lines: str,
    method: str = "POST",
    version: str = " HTTP/1.1",
    host: str | None = "HOST",
    body: bytes = BODY,
    length: bool = True,
) -> bytes:
    """Write a request as a well-behaved client would, but for what the case is about."""
    head = [f"{method} {path}{version}"]
    head += [f"Host: {host}"] if host is not None else []
    head += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join((*head, *lines, "", "")).encode("latin-1") + body


def chunked(*lines: str, body: bytes) -> bytes:
    return request(CHAT, *(lines or ("Transfer-Encoding: chunked",)), body=body, length=False)


def admitted() -> Iterator[Case]:
    for path in (CHAT, "/v1/completions", "/v1/embeddings"):
        yield Case(f"POST {path}", request(path), (200,), passes=True)
    for name, host in {
        "bare name": "llm.example.com",
        "upper case": "LLM.EXAMPLE.COM:PORT",
        "localhost": "localhost:PORT",
        "loopback": "127.0.0.1:PORT",
    }.items():
        yield Case(f"Host: {name}", request(host=host), (200,), passes=True)
    good = {
        "chunked": chunked(body=b"d\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "chunked, other case": chunked("transfer-encoding: Chunked", body=b"d\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "chunk extension": chunked(body=b"d;a=b\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "chunked trailer": chunked(body=b"d\r\n" + BODY + b"\r\n0\r\nX-A: b\r\n\r\n"),
        "empty body": request(body=b""),
        "no body, no length": request(body=b"", length=False),
        "Expect": request(CHAT, "Expect: 100-continue"),
        "long key": request(CHAT, f"Authorization: Bearer {'k' * 3000}"),
        "60 headers": request(CHAT, *(f"X-Filler-{at}: 1" for at in range(60))),
        "empty lines first": b"\r\n\r\n" + request(),
        "empty Upgrade": request(CHAT, "Upgrade: "),
        "Connection: Upgrade alone": request(CHAT, "Connection: Upgrade"),
        "Content-Length in another spelling": request(CHAT, "Content_Length: 9999"),
        "underscore Transfer_Encoding": request(CHAT, "Transfer_Encoding: chunked"),
        "method override": request(CHAT, "X-HTTP-Method-Override: DELETE"),
        "path override": request(CHAT, "X-Original-URL: /metrics", "X-Rewrite-URL: /metrics"),
        "Range": request(CHAT, f"Range: bytes={','.join(f'{at}-{at}' for at in range(300))}"),
    }
    for name, data in good.items():
        yield Case(name, data, (200,), passes=True)


PATHS = r"""
/
/v1
/v1/
/v1/models
/v1/chat
/v1/chat/
/v1/chat/completions/
//v1/chat/completions
/v1//chat/completions
/V1/chat/completions
/v1/Chat/Completions
/v1/../v1/chat/completions
/v1/./chat/completions
/v1/chat/../chat/completions
/%76%31/chat/completions
/v1/chat%2fcompletions
/v1%2fchat/completions
/v1/chat/completions%20
/v1/chat/completions%0d%0aX:1
/v1/chat/completions%3f
/v1/chat/completions%ff
/v1/chat/completions?x=1
/v1/chat/completions?
/v1/chat/completions#x
/v1/chat/completions;x
/v1/chat/completions.json
/v1/chat/completions/..
/v1/chat/completions/%2e%2e
/v1/chat/completions%2f..%2f..
/v1/chat/completions\
/v1foo
/v1beta/models
/v1_internal
/v10/chat/completions
/v1metrics
/v1..%2fapi
/v1;/../admin
/v1/..;/admin
/metrics
/healthz
/readyz
/admin
/admin/..%2fv1/x
/admin/%2e%2e/v1/x
/admin/../v1/chat/completions
/api/../v1/chat/completions
/v1/../admin
/v1/..%2fadmin
/v1/%2e%2e/admin
/v1/%2e%2e%2fadmin
/v1/responses
/v1/messages
/v1/messages?beta=true
/.env
/index.html
/favicon.ico
/nginx_status
/status
/generation
/__edge_e/403
/__edge_e/500
/__edge_e/
/v1/chat/completions/../../metrics
/v1/../v1/../metrics
/api/v1/chat/completions
/dashboard/billing/usage
/%2f%2fevil/
http://HOST/v1/chat/completions
http://llm.example.com/v1/chat/completions
https://HOST/v1/chat/completions
""".strip().splitlines()


def paths() -> Iterator[Case]:
    for path in PATHS:
        yield Case(f"path {path}", request(path), (403,), "unknown_path")
    yield Case("path with NUL escape", request(f"{CHAT}%00"), (400,), "malformed_http")
    yield Case("path above the root", request("/../../etc/passwd"), (400,), "malformed_http")
    yield Case("path *", request("*"), (400,), "malformed_http")
    yield Case("path without slash", request("v1/chat/completions"), (400,), "malformed_http")
    yield Case("path with a space", request("/v1/chat completions"), (400, 403))
    yield Case("path with a NUL", request(f"{CHAT}\x00"), (400,), "malformed_http")
    yield Case("path with high bytes", request("/v1/chät"), (403,), "unknown_path")
    yield Case("absolute-form of a stranger", request("http://evil.example/v1/chat/completions"), (0,))
    yield Case("absolute-form of ours, Host a stranger", request(f"http://llm.example.com{CHAT}", host="evil.example"), (0,))


def methods() -> Iterator[Case]:
    for method in (
        "GET",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "PROPFIND",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
        "SEARCH",
        "PURGE",
        "FOO",
    ):
        yield Case(f"{method} {CHAT}", request(method=method), (403,), "method_not_allowed_here")
    for path in ("/", "/v1", "/v1/models", "/v1/models/gpt-4", "/metrics", "/v1/../metrics", "/__edge_e/403", "/robots.txt"):
        yield Case(f"GET {path}", request(path, method="GET", body=b"", length=False), (403,), "method_not_allowed_here")
    for path in ("/", "/v1/models", CHAT):
        yield Case(f"HEAD {path}", request(path, method="HEAD", body=b"", length=False), (403,))
    preflight = ("Origin: https://chat.example.com", "Access-Control-Request-Method: POST")
    yield Case("preflight", request(CHAT, *preflight, method="OPTIONS", body=b""), (403,), "method_not_allowed_here")
    yield Case("OPTIONS *", request("*", method="OPTIONS", body=b""), (400,), "malformed_http")
    yield Case("CONNECT", request("llm.example.com:443", method="CONNECT", body=b""), (400, 403))
    yield Case(
        "GET that claims to be a POST", request(CHAT, "X-HTTP-Method-Override: POST", method="GET"), (403,), "method_not_allowed_here"
    )
    for method in ("post", "Post", "POST\t"):
        yield Case(f"method {method!r}", request(method=method), (400,), "malformed_http")
    yield Case("method POSTX", request(method="POSTX"), (403,), "method_not_allowed_here")


def versions() -> Iterator[Case]:
    yield Case("HTTP/1.0", request(version=" HTTP/1.0"), (403,), "http_version_not_supported")
    yield Case("HTTP/1.0 without Host", request(version=" HTTP/1.0", host=None), (0,))
    yield Case("HTTP/1.2", request(version=" HTTP/1.2"), (403,), "http_version_not_supported")
    yield Case("HTTP/1.01", request(version=" HTTP/1.01"), (400, 403))
    yield Case("HTTP/0.9 GET", b"GET /v1/models\r\n", (0, 400))
    yield Case("HTTP/0.9 POST", f"POST {CHAT}\r\n".encode(), (-1,))
    yield Case("version HTTP/0.9", request(version=" HTTP/0.9"), (0, 400, 403))
    for version in ("HTTP/2.0", "HTTP/3.0", "HTTP/11", "http/1.1", "HTTP/1.1x", "HTTP/", "ICY"):
        yield Case(f"version {version}", request(version=f" {version}"), (400,), "malformed_http")
    yield Case("two spaces before the path", request(f" {CHAT}"), (400, 403))
    yield Case("two spaces before the version", request(version="  HTTP/1.1"), (400, 403))
    yield Case("tab before the version", request(version="\tHTTP/1.1"), (400,), "malformed_http")
    yield Case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (0, 400))
    yield Case("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), (400,), "malformed_http")


def hosts() -> Iterator[Case]:
    for host in (
        "evil.example",
        "evil.example:PORT",
        "llm.example.com:1",
        "llm.example.com.evil",
        "xllm.example.com",
        "localhost",
        "127.0.0.1",
    ):
        yield Case(f"Host {host}", request(host=host), (0,))
    for host in ("127.0.0.2:PORT", "[::1]:PORT", "llm.example.com.", "llm.example.com:"):
        yield Case(f"Host {host}", request(host=host), (0, 400))
    for host in (
        "llm.example.com, evil.example",
        "user@llm.example.com",
        "llm.example.com:abc",
        "evil.example/llm.example.com",
        "llm example",
    ):
        yield Case(f"Host {host}", request(host=host), (0, 400))
    yield Case("Host missing", request(host=None), (400,), "malformed_http")
    yield Case("Host empty", request(host=""), (0, 400))
    yield Case("Host twice", request(CHAT, "Host: HOST"), (400,), "malformed_http")
    yield Case("Host twice, a stranger second", request(CHAT, "Host: evil.example"), (400,), "malformed_http")
    yield Case("Host a stranger, forwarded host ours", request(CHAT, "X-Forwarded-Host: HOST", host="evil.example"), (0,))
    yield Case("Host a stranger, large body announced", request(CHAT, host="evil.example").replace(b": 13", b": 99999999"), (0,))


def framing() -> Iterator[Case]:
    whole = b"d\r\n" + BODY + b"\r\n0\r\n\r\n"
    smuggled = b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: HOST\r\n\r\n"
    bad = {
        "length and chunked": chunked(f"Content-Length: {len(smuggled)}", "Transfer-Encoding: chunked", body=smuggled),
        "chunked and length": chunked("Transfer-Encoding: chunked", "Content-Length: 5", body=whole),
        "TE identity": chunked("Transfer-Encoding: identity", body=whole),
        "TE gzip, chunked": chunked("Transfer-Encoding: gzip, chunked", body=whole),
        "TE chunked twice in one": chunked("Transfer-Encoding: chunked, chunked", body=whole),
        "TE chunked twice": chunked("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=whole),
        "TE chunked, then identity": chunked("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=whole),
        "TE xchunked": chunked("Transfer-Encoding: xchunked", body=whole),
        "TE quoted": chunked('Transfer-Encoding: "chunked"', body=whole),
        "TE with a vertical tab": chunked("Transfer-Encoding: \x0bchunked", body=whole),
        "length twice": request(CHAT, "Content-Length: 13"),
        "length twice, different": request(CHAT, "Content-Length: 0"),
        "length with a plus": request(CHAT, "Content-Length: +13", length=False),
        "length negative": request(CHAT, "Content-Length: -1", length=False),
        "length as a list": request(CHAT, "Content-Length: 13, 13", length=False),
        "length hexadecimal": request(CHAT, "Content-Length: 0xd", length=False),
        "length without digits": request(CHAT, "Content-Length: ", length=False),
        "length beyond 64 bits": request(CHAT, "Content-Length: 99999999999999999999", length=False),
        "chunk size not a number": chunked(body=b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "chunk size negative": chunked(body=b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "chunk size beyond 64 bits": chunked(body=b"FFFFFFFFFFFFFFFFF\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "chunk size with 0x": chunked(body=b"0xd\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "chunk longer than its size": chunked(body=b"2\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "NUL in a header": request(CHAT, "X-A: a\x00b"),
        "bare CR in a header": request(CHAT, "X-A: a\rb"),
        "space before a colon": chunked("Transfer-Encoding : chunked", body=whole),
    }
    for name, data in bad.items():
        yield Case(name, data, (400,), "malformed_http")
    yield Case("TE in HTTP/1.0", chunked(body=whole).replace(b"HTTP/1.1", b"HTTP/1.0"), (400, 403))
    yield Case("chunk ended by a bare LF", chunked(body=b"d\n" + BODY + b"\n0\n\n"), (200, 400), passes=True)
    yield Case("header folded", request(CHAT, "X-A: b", " Transfer-Encoding: chunked"), (200, 400), passes=True)
    yield Case("header without a colon", request(CHAT, "nonsense"), (200, 400), passes=True)


def upgrades() -> Iterator[Case]:
    websocket = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    yield Case("websocket GET", request(CHAT, *websocket, method="GET", body=b"", length=False), (403,), "upgrade_not_supported")
    yield Case(
        "websocket GET elsewhere",
        request("/v1/responses", *websocket, method="GET", body=b"", length=False),
        (403,),
        "upgrade_not_supported",
    )
    for protocol in ("websocket", "WebSocket", "h2c", "TLS/1.0", "foo, websocket"):
        asks = (f"Upgrade: {protocol}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")
        yield Case(f"POST with Upgrade: {protocol}", request(CHAT, *asks), (403,), "upgrade_not_supported")


def sizes() -> Iterator[Case]:
    megabyte = 1 << 20
    yield Case("request line of 9 KiB", request("/v1/" + "a" * 9000), (414,), "uri_too_long")
    yield Case("query of 9 KiB", request(f"{CHAT}?{'a' * 9000}"), (414,), "uri_too_long")
    yield Case("header of 9 KiB", request(CHAT, f"X-A: {'a' * 9000}"), (431,), "headers_too_large")
    yield Case("headers of 40 KiB", request(CHAT, *(f"X-A{at}: {'a' * 7000}" for at in range(6))), (431,), "headers_too_large")
    yield Case("70 headers", request(CHAT, *(f"X-Filler-{at}: 1" for at in range(70))), (431,), "headers_too_large")
    yield Case("length above the limit", request(CHAT, f"Content-Length: {megabyte + 1}", length=False), (413,), "request_too_large")
    yield Case("length far above", request(CHAT, f"Content-Length: {1 << 40}", length=False), (413,), "request_too_large")
    yield Case("chunk above the limit", chunked(body=b"%x\r\n%s" % (megabyte + 1, bytes(4096))), (413,), "request_too_large")
    yield Case("wrong path, 900 KB", request("/v1/files", body=b"a" * 900_000), (403,), "unknown_path")


CASES = (*admitted(), *paths(), *methods(), *versions(), *hosts(), *framing(), *upgrades(), *sizes())
