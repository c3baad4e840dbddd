"""Which proxy of the environment leads where."""

from __future__ import annotations

import pytest

from ccrs_core import TransportOptions, UsageError
from ccrs_core.transport.proxies import Proxies

TRUSTING = TransportOptions(trust_env=True)


def way(url: str, options: TransportOptions = TRUSTING, **environment: str) -> str | None:
    found = Proxies(options, environment).to(url)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://a.test/x", "HTTPS_PROXY"),
        ("wss://a.test:9443", "HTTPS_PROXY"),
        ("http://a.test", "HTTP_PROXY"),
        ("ws://[2001:db8::1]:80/", "HTTP_PROXY"),
    ],
)
def test_each_kind_of_url_has_its_variable_and_one_is_for_all(url: str, variable: str) -> None:
    assert way(url, **{variable: "http://one.test:3128"}) == "http://one.test:3128"
    assert way(url, **{variable.lower(): "one.test:3128"}) == "http://one.test:3128"
    both = {"ALL_PROXY": "socks5://all.test", variable: "http://one.test:1"}
    assert way(url, **both) == "http://one.test:1"
    assert way(url, ALL_PROXY="socks5://all.test") == "socks5://all.test:1080"
    small = {variable: "http://capital.test:1", variable.lower(): "http://small.test:1"}
    assert way(url, **small) == "http://small.test:1"
    other = {"HTTPS_PROXY": "HTTP_PROXY", "HTTP_PROXY": "HTTPS_PROXY"}[variable]
    assert way(url, **{other: "http://one.test:1"}) is None
    assert way(url, **{variable: " "}) is None


def test_only_on_request_and_never_instead_of_what_is_told() -> None:
    environment = {"ALL_PROXY": "http://env.test:1"}
    assert way("wss://a.test", TransportOptions(), **environment) is None
    told = TransportOptions(trust_env=True, proxy="http://told.test:2")
    assert way("wss://a.test", told, NO_PROXY="*", **environment) == "http://told.test:2"
    for here in ("localhost", "127.0.0.1:8080", "[::1]:9", "127.9.9.9"):
        assert way(f"ws://{here}/", **environment) is None


@pytest.mark.parametrize(
    ("rules", "direct", "through"),
    [
        ("a.test", "a.test x.a.test:99", "ba.test a.test.org test"),
        (" .a.test , b.test", "a.test x.a.test b.test", "c.test"),
        ("A.Test", "a.test", "b.test"),
        ("a.test:8443", "a.test:8443", "a.test a.test:443"),
        ("a.test:443", "a.test a.test:443", "a.test:444"),
        ("*", "a.test 10.1.2.3 [2001:db8::1]", ""),
        ("10.0.0.0/8,192.0.2.7", "10.255.0.1 192.0.2.7", "11.0.0.1 192.0.2.8 x10.0.0.1.test"),
        ("2001:db8::/32", "[2001:db8::1]:443", "[2001:db9::1] 10.0.0.1"),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443", "[2001:db8::1]"),
        (",, ,", "", "a.test"),
    ],
)
def test_what_is_reached_directly_is_named_by_names_networks_and_ports(
    rules: str, direct: str, through: str
) -> None:
    for host in direct.split():
        assert way(f"wss://{host}/x", HTTPS_PROXY="p.test:1", NO_PROXY=rules) is None, host
    for host in through.split():
        assert way(f"wss://{host}/x", HTTPS_PROXY="p.test:1", NO_PROXY=rules) is not None, host


def test_what_is_no_proxy_is_told_by_its_variable_without_being_repeated() -> None:
    with pytest.raises(UsageError, match="https_proxy of the environment") as refused:
        Proxies(TRUSTING, {"HTTPS_PROXY": "ftp://me:hunter2@p.test"})
    assert "hunter2" not in str(refused.value)


def test_a_visitor_of_a_cgi_script_names_no_proxy() -> None:
    assert way("http://a.test", HTTP_PROXY="evil.test:1", REQUEST_METHOD="GET") is None
    assert way("http://a.test", http_proxy="p.test:1", REQUEST_METHOD="GET") == "http://p.test:1"
