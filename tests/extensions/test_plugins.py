"""Plugins come by entry point from installed packages; none can harm another.

The packages here are real ones as far as Python is concerned: a ``.dist-info`` folder and a module
on the search path of an interpreter of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ccrs_core import CONTRACT
from tests.installing import GOOD
from tests.installing import Site as InstalledPackages

ROOT = Path(__file__).parents[2]


class Site(InstalledPackages):
    """A folder of installed packages, and interpreters that find them."""

    def run(self, code: str) -> tuple[Any, str]:
        """Run code that assigns ``answer``; gives that, and what was logged."""
        program = (
            "import json, logging, sys\n"
            "logging.basicConfig(format='%(name)s %(levelname)s %(message)s')\n"
            "from ccrs_core import errors\n"
            "from ccrs_core.extensions import exchanges as plugins\n"
            f"{textwrap.dedent(code)}\n"
            "sys.stdout.write(json.dumps(answer))\n"
        )
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    def error(self, name: str) -> tuple[str, str]:
        """Class and text of the error that loading an exchange raises."""
        (kind, text), _ = self.run(
            f"""
            try:
                answer = ["loaded", str(plugins.load({name!r}))]
            except errors.PluginError as error:
                answer = [type(error).__name__, str(error)]
            """
        )
        return kind, text


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# --- discovery ---


def test_listing_tells_name_package_and_version_and_imports_no_plugin(site: Site) -> None:
    site.good("alpha")
    site.install("ccrs-bomb", "raise SystemExit(9)", exchanges="bomb = ccrs_bomb:It")
    site.install("ccrs-hooks", "raise SystemExit(9)", plugins="metrics = ccrs_hooks")
    found, logged = site.run(
        """
        found = [[i.name, i.distribution, i.version, i.target] for i in plugins.installed()]
        loaded = [m for m in sys.modules if m.startswith(("ccrs_alpha", "ccrs_bomb", "ccrs_ho"))]
        answer = [found, loaded]
        """
    )
    assert ["alpha", "ccrs-alpha", "1.2.3", "ccrs_alpha:It"] in found[0]
    assert ["bomb", "ccrs-bomb", "1.2.3", "ccrs_bomb:It"] in found[0]
    assert found[0] == sorted(found[0])
    assert found[1] == []
    assert logged == ""


def test_loading_one_exchange_imports_no_other(site: Site) -> None:
    site.good("alpha")
    site.good("beta")
    answer, _ = site.run(
        """
        loaded = plugins.load("alpha")
        answer = [loaded.name, "ccrs_beta" in sys.modules]
        """
    )
    assert answer == ["alpha", False]


BROKEN = {
    "import error": ("import a_module_that_is_missing", "ModuleNotFoundError"),
    "syntax error": ("def (:", "SyntaxError"),
    "raises": ("raise ValueError('no luck today')", "no luck today"),
    "exits": ("import sys; sys.exit(3)", "SystemExit"),
    "no such name": ("Other = 1", "It"),
    "no class": ("It = 7", "no subclass"),
    "no exchange": ("class It: pass", "no subclass"),
    "other name": (GOOD.format(cls="It", name="other"), "calls itself 'other'"),
    "no contract": (GOOD.format(cls="It", name="bad").replace("contract = 2", ""), "contract"),
    "no capabilities": (
        GOOD.format(cls="It", name="bad").replace("capabilities = Capabilities()", ""),
        "lacks capabilities",
    ),
    "no name": (GOOD.format(cls="It", name="bad").replace('name = "bad"', ""), "lacks name"),
    "no mainnet": (GOOD.format(cls="It", name="bad").replace('"mainnet"', '"testnet"'), "mainnet"),
    "methods missing": (
        GOOD.format(cls="It", name="bad").replace("def codec", "def kodek"),
        "lacks codec",
    ),
    "needs arguments": (
        GOOD.format(cls="It", name="bad") + "        def __init__(self, key): pass\n",
        "can't be instantiated: TypeError",
    ),
    "exits when made": (
        GOOD.format(cls="It", name="bad") + "        def __init__(self): raise SystemExit(3)\n",
        "can't be instantiated: SystemExit",
    ),
    "cancelled at import": ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
    "environments of nothing": (
        GOOD.format(cls="It", name="bad") + "        environments = None\n",
        "no environment 'mainnet'",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_reported_with_package_version_and_cause(site: Site, fault: str) -> None:
    code, cause = BROKEN[fault]
    site.install("ccrs-bad", code, exchanges="bad = ccrs_bad:It", version="0.7")
    site.good("alpha")
    kind, text = site.error("bad")
    assert kind == "PluginBroken"
    assert "ccrs-bad 0.7" in text
    assert cause in text
    assert site.error("alpha")[0] == "loaded"


def test_all_that_load_are_loaded_however_many_others_are_broken(site: Site) -> None:
    site.good("alpha")
    site.good("omega")
    for n, (code, _) in enumerate(BROKEN.values()):
        module = f"ccrs_bad{n}"
        site.install(f"ccrs-bad{n}", code, exchanges=f"bad{n} = {module}:It")
    site.install("ccrs-nonsense", exchanges="nonsense = what is this?")
    answer, _ = site.run(
        """
        good, bad = plugins.load_all()
        typed = [isinstance(e, errors.PluginError) for e in bad.values()]
        answer = [sorted(good), sorted(bad), typed]
        """
    )
    good, bad, typed = answer
    assert {"alpha", "omega"} <= set(good)
    assert {f"bad{n}" for n in range(len(BROKEN))} | {"nonsense"} <= set(bad)
    assert all(typed)


@pytest.mark.parametrize(
    ("contract", "side"), [(0, "plugin"), (CONTRACT + 1, "ccrs-core"), (99, "ccrs-core")]
)
def test_a_plugin_for_another_contract_is_refused_and_told_what_to_upgrade(
    site: Site, contract: int, side: str
) -> None:
    code = GOOD.format(cls="It", name="bad").replace("contract = 2", f"contract = {contract}")
    site.install("ccrs-bad", code, exchanges="bad = ccrs_bad:It")
    kind, text = site.error("bad")
    assert kind == "PluginMismatch"
    assert f"upgrade the {side}" in text
    assert "ccrs-bad 1.2.3" in text


def test_an_exchange_that_two_packages_offer_is_refused(site: Site) -> None:
    site.good("alpha")
    site.install("evil-twin", GOOD.format(cls="It", name="alpha"), exchanges="alpha = evil_twin:It")
    kind, text = site.error("alpha")
    assert kind == "PluginBroken"
    assert "ccrs-alpha 1.2.3" in text
    assert "evil-twin 1.2.3" in text


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("alhpa", "did you mean alpha?"),
        ("Alpha", "did you mean alpha?"),
        ("zzz", "this one's author says what it is called"),
    ],
)
def test_an_unknown_name_names_the_installed_ones_and_what_to_do(
    site: Site, wrong: str, hint: str
) -> None:
    site.good("alpha")
    kind, text = site.error(wrong)
    assert kind == "PluginNotInstalled"
    assert repr(wrong) in text
    assert "installed: alpha" in text
    assert text.endswith(hint)


def test_what_is_no_package_name_is_not_suggested_to_pip(site: Site) -> None:
    assert "pip" not in site.error("a b; rm -rf /")[1]


def test_unreadable_metadata_of_one_package_stops_no_other(site: Site) -> None:
    site.good("alpha")
    site.install("ccrs-torn", exchanges="this line is no entry point")
    site.install(
        "ccrs-bare",
        GOOD.format(cls="It", name="bare"),
        metadata="",
        exchanges="bare = ccrs_bare:It",
    )
    answer, _ = site.run(
        "answer = [sorted(plugins.load_all()[0]), [str(i) for i in plugins.installed()]]"
    )
    assert "alpha" in answer[0]


# --- hooks ---

LISTENER = """
    from ccrs_core import hookimpl
    heard = []

    @hookimpl
    def ccrs_feed_overflowed(exchange, lost):
        heard.append([exchange, lost])
"""
RAISER = """
    from ccrs_core import hookimpl

    @hookimpl
    def ccrs_feed_overflowed(lost):
        raise RuntimeError(f"cannot cope with {lost}")
"""
CALL = """
    plugins.call(plugins.hook_manager(), "ccrs_feed_overflowed", exchange="x", lost=3)
"""


def test_without_plugins_there_is_no_hook_manager_and_calls_cost_nothing(site: Site) -> None:
    answer, logged = site.run(
        f"{textwrap.dedent(CALL)}\n"
        "answer = [plugins.hook_manager() is None, 'pluggy' in sys.modules]"
    )
    assert answer == [True, False]
    assert logged == ""


def test_hook_modules_that_fail_to_load_are_logged_and_the_others_listen(site: Site) -> None:
    site.install("aa-good", LISTENER, plugins="metrics = aa_good")
    site.install("bb-bad", "import a_module_that_is_missing", plugins="metrics = bb_bad")
    site.install("cc-bad", "raise SystemExit(1)", plugins="metrics = cc_bad")
    site.install(
        "dd-bad",
        LISTENER + "\n    @hookimpl\n    def ccrs_request_finished(colour): pass\n",
        plugins="metrics = dd_bad",
    )
    site.install("zz-good", LISTENER, plugins="metrics = zz_good")
    answer, logged = site.run(
        f"{textwrap.dedent(CALL)}\n"
        "import aa_good, dd_bad, zz_good\nanswer = [aa_good.heard, dd_bad.heard, zz_good.heard]"
    )
    assert answer == [[["x", 3]], [], [["x", 3]]]
    for broken in ("bb-bad 1.2.3", "cc-bad 1.2.3", "dd-bad 1.2.3"):
        assert logged.count(broken) == 1
    assert "ModuleNotFoundError" in logged
    assert "colour" in logged
    assert "good" not in logged


def test_a_listener_that_raises_is_logged_and_harms_nobody(site: Site) -> None:
    site.install("aa-good", LISTENER, plugins="metrics = aa_good")
    site.install("mm-bad", RAISER, plugins="raiser = mm_bad")
    site.install("zz-good", LISTENER, plugins="metrics = zz_good")
    answer, logged = site.run(
        f"{textwrap.dedent(CALL)}\nimport aa_good, zz_good\nanswer = [aa_good.heard, zz_good.heard]"
    )
    assert answer == [[["x", 3]], [["x", 3]]]
    assert "cannot cope with 3" in logged
    assert "mm-bad:raiser" in logged


ASYNC = {
    "coroutine": "async def ccrs_feed_overflowed(lost):\n    heard.append(lost)",
    "generator": "async def ccrs_feed_overflowed(lost):\n    heard.append(lost)\n    yield",
    "hidden": (
        "def ccrs_feed_overflowed(lost):\n"
        "    async def later(): heard.append(lost)\n"
        "    return later()"
    ),
}


@pytest.mark.parametrize("kind", ASYNC)
def test_an_asynchronous_listener_is_left_out_and_said_so_once_by_its_name(
    site: Site, kind: str
) -> None:
    code = (
        "from ccrs_core import hookimpl\nheard = []\n"
        f"@hookimpl\n{ASYNC[kind]}\n"
        "@hookimpl\ndef ccrs_request_finished(request): heard.append(request)\n"
    )
    site.install("aa-async", code, plugins="metrics = aa_async")
    site.install("zz-good", LISTENER, plugins="metrics = zz_good")
    answer, logged = site.run(
        f"{textwrap.dedent(CALL) * 2}\n"
        "plugins.call(plugins.hook_manager(), 'ccrs_request_finished',"
        " exchange='x', request='r', seconds=1.0, error=None)\n"
        "import aa_async, zz_good\nanswer = [aa_async.heard, zz_good.heard]"
    )
    assert answer == [["r"], [["x", 3], ["x", 3]]]
    assert logged.count("ccrs_feed_overflowed of the plugin aa-async:metrics is asynchronous") == 1
    assert logged.count("\n") == 1, "nothing else, such as Python's warning"


def test_an_asynchronous_listener_is_refused_when_it_is_loaded(site: Site) -> None:
    code = f"from ccrs_core import hookimpl\nheard = []\n@hookimpl\n{ASYNC['coroutine']}\n"
    site.install("aa-async", code, plugins="metrics = aa_async")
    _, logged = site.run("answer = plugins.hook_manager() is not None")
    assert "is asynchronous" in logged


def test_a_hook_that_does_not_exist_is_reported_with_a_near_miss_and_the_rest_works(
    site: Site,
) -> None:
    typo = LISTENER + "\n    @hookimpl\n    def ccrs_request_finnished(exchange): pass\n"
    site.install("aa-typo", typo, plugins="metrics = aa_typo")
    later = "\n    @hookimpl(optionalhook=True)\n    def ccrs_of_a_later_core(x): pass\n"
    site.install("zz-good", LISTENER + later, plugins="metrics = zz_good")
    answer, logged = site.run(
        f"{textwrap.dedent(CALL)}\nimport aa_typo, zz_good\nanswer = [aa_typo.heard, zz_good.heard]"
    )
    assert answer == [[["x", 3]], [["x", 3]]]
    assert "aa-typo 1.2.3" in logged
    assert "did you mean ccrs_request_finished?" in logged
    assert "zz-good" not in logged


def test_a_plugin_can_register_exchanges(site: Site) -> None:
    register = """
    from ccrs_core import hookimpl

    @hookimpl
    def ccrs_register_exchanges():
        return {"extra": It, "broken": int}
    """
    site.install("aa-many", GOOD.format(cls="It", name="extra") + register, plugins="m = aa_many")
    for name, body in (
        ("ab", "raise SystemExit(3)"),
        ("ac", "import asyncio; raise asyncio.CancelledError"),
        ("ad", "return {1: int, None: int}"),
        ("bb", "raise RuntimeError('broken')"),
        ("cc", "return 7"),
        ("dd", "return"),
    ):
        code = register.replace('return {"extra": It, "broken": int}', body)
        site.install(f"{name}-bad", code, plugins=f"m = {name}_bad")
    answer, logged = site.run(
        """
        import ccrs_core
        good, bad = plugins.load_all()
        client = ccrs_core.connect("extra")
        name = plugins.load("extra").name
        answer = [name, "extra" in good, str(bad["broken"]), client.exchange.name]
        """
    )
    assert answer[0] == answer[3] == "extra"
    assert answer[1]
    assert "no subclass" in answer[2]
    assert all(f"{name}-bad" in logged for name in ("ab", "ac", "bb"))
    assert "names an exchange 1" in logged
    assert "mapping" in logged
    assert site.error("extr")[1].endswith("did you mean extra?")


def test_an_exchange_of_a_package_goes_before_a_registered_one(site: Site) -> None:
    site.good("alpha")
    code = (
        GOOD.format(cls="It", name="alpha")
        + """
    from ccrs_core import hookimpl

    @hookimpl
    def ccrs_register_exchanges():
        return {"alpha": It}
    """
    )
    site.install("zz-other", code, plugins="m = zz_other")
    answer, _ = site.run('answer = plugins.load("alpha").__module__')
    assert answer == "ccrs_alpha"


def test_the_lifecycle_of_a_client_reaches_the_listeners(site: Site) -> None:
    code = """
    from ccrs_core import hookimpl
    heard = []

    @hookimpl
    def ccrs_session_changed(exchange, state, epoch):
        heard.append([exchange, state])

    @hookimpl
    def ccrs_request_finished(request, error):
        heard.append([request, error])
    """
    site.install("aa-spy", code, plugins="spy = aa_spy")
    answer, logged = site.run(
        """
        import asyncio
        import ccrs_core
        from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
        from tests.toy import Toy, ToyServer

        async def main():
            transport = MemoryTransport(ToyServer())
            async with ccrs_core.connect(Toy(), transport=transport, clock=VirtualClock()) as c:
                async with c.subscribe(ccrs_core.top_of_book("BTC/USD")) as feed:
                    await feed.ready()

        run(main())
        import aa_spy
        answer = aa_spy.heard
        """
    )
    assert ["GetInstruments", None] in answer
    assert ["toy", "open"] in answer
    assert answer[-1] == ["toy", "closed"]
    assert logged == ""
