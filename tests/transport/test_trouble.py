"""Network errors are told in words, the same ones whoever made the connection."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from ccrs_core.transport.trouble import said

KEY = ConnectionKey("a.invalid", 443, True, True, None, None, None, None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "the host's name can't be resolved (Name or service not known)",
        ),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "connection reset"),
        (ConnectionResetError(), "the other side ended the connection before TLS was agreed on"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "no way to the host"),
        (OSError(errno.EMFILE, "Too many open files"), "[Errno 24] Too many open files"),
    ],
)
def test_an_error_of_the_network_is_told_in_words(error: OSError, words: str) -> None:
    assert said(error) == words
    if error.errno != errno.EMFILE:
        assert said(aiohttp.ClientConnectorError(KEY, error)) == words


def test_a_certificate_that_is_not_trusted_is_called_so() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    words = "its certificate isn't trusted (self-signed certificate)"
    assert said(error) == words
    assert said(aiohttp.ClientConnectorCertificateError(KEY, error)) == words


def test_an_error_without_words_is_called_by_its_name() -> None:
    assert said(ValueError()) == "ValueError"
