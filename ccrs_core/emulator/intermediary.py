"""What stands between a client and an exchange, and answers in its place or spoils its answers:
content delivery networks, firewalls, proxies of hotels and companies.
"""

from __future__ import annotations

import gzip

from ccrs_core.contract.rest import HttpResponse

NEVER_ASKED = frozenset({"empty", "html", "redirect"})
"""Where the exchange never hears of the request."""

_PAGE = b"""<!DOCTYPE html>
<html><head><title>Just a moment...</title></head>
<body><h1>Checking your connection</h1></body></html>
"""


def garbled(how: str, answer: HttpResponse | None) -> HttpResponse:
    """What the client gets in place of an answer, with a status of success or of a redirect.

    ``answer`` is None where the exchange was never asked. ``how`` is one of
    :data:`ccrs_core.emulator.fault_menu.GARBLED`.
    """
    if answer is None:
        if how == "empty":
            return HttpResponse(200, {"Content-Type": "application/json"}, b"")
        if how == "redirect":
            where = {"Location": "http://192.0.2.1/sorry", "Content-Type": "text/html"}
            return HttpResponse(302, where, _PAGE)
        return HttpResponse(200, {"Content-Type": "text/html; charset=utf-8"}, _PAGE)
    body = answer.body
    if how == "gzip":
        packed = gzip.compress(body, mtime=0)
        headers = {**answer.headers, "Content-Encoding": "gzip"}
        return HttpResponse(answer.status, headers, packed[: len(packed) // 2])
    return HttpResponse(answer.status, answer.headers, body[: len(body) // 2])
