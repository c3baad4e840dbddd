"""Plugins that hang at import, or end the process, are named; nothing waits for them for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installing import GOOD, Site, environment

SECONDS = "1"
"""Allowed for loading a plugin, where none has to be quicker."""
AMPLE = "4"
"""Where sound plugins have to be, on a busy machine."""

HANGING = {
    "loops": "while True: pass",
    "loops whatever is raised": """
    while True:
        try:
            while True: pass
        except BaseException:
            pass
    """,
    "blocks": "import time; time.sleep(1e6)",
    "waits for a peer": "import socket; a, b = socket.socketpair(); a.recv(1)",
    "never lets go": "import re; re.match('(a+)+$', 'a' * 200 + 'b')",
}
ENDED_BY_A_THREAD = sorted(HANGING.keys() - {"never lets go"})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def ccrs(
    site: Site, *arguments: str, seconds: str = SECONDS, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ccrs_core.cli", *arguments],
        env={**environment(site.folder), "CCRS_IMPORT_SECONDS": seconds, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def listed(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize(
    "code",
    [
        HANGING["loops whatever is raised"],
        HANGING["blocks"],
        HANGING["never lets go"],
        GOOD.format(cls="It", name="bad")
        + "        def __init__(self):\n            while True: pass\n",
    ],
    ids=["loops whatever is raised", "blocks", "never lets go", "loops when made"],
)
def test_a_plugin_that_hangs_at_import_is_listed_with_what_to_uninstall(
    site: Site, code: str
) -> None:
    site.install("ccrs-bad", code, exchanges="bad = ccrs_bad:It", version="0.7")
    site.good("alpha")
    site.good("omega")
    done = ccrs(site, "exchanges", "--json", seconds=AMPLE)
    rows = listed(done)
    assert {"alpha", "omega", "bybit"} <= {name for name in rows if "error" not in rows[name]}
    assert rows["bad"]["error"] == (
        "the exchange 'bad' of ccrs-bad 0.7 (ccrs_bad:It) takes more than 4 s to load, or for "
        "ever: uninstall ccrs-bad, or allow it more seconds by CCRS_IMPORT_SECONDS"
    )
    assert done.stderr == ""


def test_a_plugin_that_ends_the_process_is_listed_and_stops_no_other(site: Site) -> None:
    site.install("ccrs-bad", "import os; os._exit(7)", exchanges="bad = ccrs_bad:It")
    site.good("omega")
    rows = listed(ccrs(site, "exchanges", "--json", seconds="20"))
    assert "error" not in rows["omega"]
    assert rows["bad"]["error"].endswith("ends the process that loads it: uninstall ccrs-bad")


def test_what_plugins_print_while_they_are_loaded_stays_out_of_the_list(site: Site) -> None:
    code = 'print("hello from acme")\n' + GOOD.format(cls="It", name="acme").replace("\n    ", "\n")
    site.install("ccrs-acme", code, exchanges="acme = ccrs_acme:It")
    done = ccrs(site, "exchanges", "--json", seconds="20")
    assert "error" not in listed(done)["acme"]
    assert done.stderr == "hello from acme\n"


def test_a_thread_that_a_plugin_leaves_behind_does_not_keep_the_list_waiting(site: Site) -> None:
    lingering = "import threading, time; threading.Thread(target=time.sleep, args=(1e6,)).start()\n"
    code = lingering + GOOD.format(cls="It", name="acme").replace("\n    ", "\n")
    site.install("ccrs-acme", code, exchanges="acme = ccrs_acme:It")
    assert "error" not in listed(ccrs(site, "exchanges", "--json", seconds="20"))["acme"]


@pytest.mark.parametrize("fault", ENDED_BY_A_THREAD)
def test_a_command_that_needs_a_plugin_that_hangs_ends_with_the_reason(
    site: Site, fault: str
) -> None:
    site.install("ccrs-bad", HANGING[fault], exchanges="bad = ccrs_bad:It")
    done = ccrs(site, "doctor", "bad")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the exchange 'bad' of ccrs-bad 1.2.3 (ccrs_bad:It) takes")
    assert "uninstall ccrs-bad" in done.stderr
    assert done.stderr.count("\n") == 1


LISTENS = """
from ccrs_core import hookimpl

@hookimpl
def ccrs_add_command(group):
    while True: pass
"""


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (HANGING["loops"], "the plugin metrics of ccrs-hooks 1.2.3 (ccrs_hooks)"),
        (LISTENS, "ccrs_add_command of the plugin ccrs-hooks:metrics"),
    ],
)
def test_completion_and_help_end_with_the_reason_where_a_listener_hangs(
    site: Site, code: str, what: str
) -> None:
    site.install("ccrs-hooks", code, plugins="metrics = ccrs_hooks")
    completion = {"_CCRS_COMPLETE": "bash_complete", "COMP_WORDS": "ccrs do", "COMP_CWORD": "1"}
    for arguments, variables in (((), completion), (("--help",), {})):
        done = ccrs(site, *arguments, **variables)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: {what} takes more than 1 s")
        assert "uninstall ccrs-hooks" in done.stderr


def test_a_listener_that_hangs_at_import_is_told_and_stops_no_list(site: Site) -> None:
    site.install("ccrs-hooks", HANGING["loops"], plugins="metrics = ccrs_hooks")
    site.good("alpha")
    done = ccrs(site, "exchanges", "--json", seconds=AMPLE)
    assert "error" not in listed(done)["alpha"]
    assert done.stderr.count("uninstall ccrs-hooks") == 1


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "1e30"])
def test_a_time_that_cannot_be_is_refused_by_its_variable(site: Site, text: str) -> None:
    for arguments in (("exchanges",), ("doctor", "bybit")):
        done = ccrs(site, *arguments, seconds=text)
        assert (done.returncode, done.stderr) == (
            2,
            f"Error: CCRS_IMPORT_SECONDS must be a number of seconds above zero, not {text!r}\n",
        )
