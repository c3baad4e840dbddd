"""Samples that don't say where they are from are told, whosever they are."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.conformance import ConformanceSuite, Subject
from ccrs_core.contract.exchange import Exchange

PLUGINS: dict[str, type[Exchange]] = {
    "bybit": Bybit,
    "binance": Binance,
    "okx": Okx,
    "kraken": Kraken,
}
WRONG: dict[str, dict[str, Any]] = {
    "no page": {"source": "the documentation"},
    "made, without a reason": {"source": "own making: yes"},
    "captured, nobody knows when": {"origin": "captured"},
    "printed in documents, of a day in words": {"origin": "documented", "date": "last summer"},
    "a day that no calendar writes so": {"date": "2026-1-31"},
}


def judged(name: str, folder: Path, changes: dict[str, Any], where: str) -> Subject:
    """A plugin whose samples are those of its package, but for what one of them says of itself."""
    shutil.copytree(str(resources.files(f"ccrs_{name}") / "samples"), folder)
    path = min(folder.glob(where))
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
    subject = Subject(PLUGINS[name], samples=folder)
    ConformanceSuite().test_samples_say_where_they_are_from(subject)
    return subject


@pytest.mark.parametrize("where", ["streams/*.expected.json", "requests/*.json"])
@pytest.mark.parametrize("name", PLUGINS)
@pytest.mark.parametrize("changes", WRONG.values(), ids=list(WRONG))
def test_a_sample_of_unknown_origin_is_told(
    name: str, changes: dict[str, Any], where: str, tmp_path: Path
) -> None:
    with pytest.raises(pytest.fail.Exception, match="nobody can tell whether samples are"):
        judged(name, tmp_path / "samples", changes, where)


def test_what_was_really_sent_is_counted_apart_from_what_was_made(tmp_path: Path) -> None:
    real = {"origin": "captured", "date": "2026-09-06"}
    subject = judged("okx", tmp_path / "samples", real, "streams/*.expected.json")
    assert "1 captured, " in subject.figures["samples"]["origin"]
