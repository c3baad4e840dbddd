"""What the emulated OKX's REST answers have in common: parameters, envelopes.

https://www.okx.com/docs-v5/en/#overview-general-info
"""

from __future__ import annotations

from typing import Any

import orjson

from ccrs_core import HttpResponse
from ccrs_core.emulator import BadRequest, Query, Wrong

PARAMETER = 51000


class OkxQuery(Query):
    def wrong(self, name: str, wrong: Wrong) -> BadRequest:
        if wrong is Wrong.MISSING:
            return BadRequest(50014, f"Parameter {name} can not be empty.", 400)
        return BadRequest(PARAMETER, f"Parameter {name} error")


def envelope(code: int | str, text: str, data: list[Any], status: int = 200) -> HttpResponse:
    """OKX's answer around some data; HTTP 200 even for most errors."""
    body = {"code": str(code), "msg": text, "data": data}
    return HttpResponse(status, {"Content-Type": "application/json"}, orjson.dumps(body))
