"""Opens the connections of one link, one after the other, with the token that they show."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ccrs_core.connections.sending import Signer, new_outbox
from ccrs_core.connections.session import Session
from ccrs_core.connections.shared import Shared
from ccrs_core.connections.tokens import Renewal
from ccrs_core.contract.access import Access, Token
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.exchange import Route
from ccrs_core.errors import TransportError
from ccrs_core.transport.base import Connection
from ccrs_core.transport.outbox import Outbox
from ccrs_core.transport.paths import Path


class Dialler:
    """Dials a route for an account.

    :param path: how the exchange is reached.
    :param replace: called where the token of an open connection isn't good any more.
    """

    def __init__(
        self,
        shared: Shared,
        path: Path,
        route: Route,
        account: Account | None,
        replace: Callable[[str], None],
    ) -> None:
        self._shared = shared
        self._path = path
        self._route = route
        self._account = account
        self._replace = replace
        self._signer = Signer(shared.context, account, "")
        self._renewal: Renewal | None = None

    def access(self) -> Access:
        """What leaves now, on the connection that is open, can be signed with this."""
        return self._signer.access()

    async def dial(self, address: str) -> Connection:
        """Connect.

        :raises CcrsError: where that can't be done, or the token can't be had.
        """
        self.end()
        signer = Signer(self._shared.context, self._account, address)
        token = None
        if self._account is not None:
            token = await self._shared.token(self._account, self._route)
            signer = signer if token is None else attrs.evolve(signer, token=token.value)
        self._signer = signer
        transport = self._path.transport
        try:
            connection = await transport.connect(signer.dialled, self._route.headers)
        except TransportError:
            self._path.alternatives.failed(self._route, address)
            raise
        if token is not None:
            shared = self._shared
            self._renewal = Renewal(self._get, shared.pace, shared.spawn, self._renewed)
            self._renewal.watch(token)
        return connection

    def outbox(
        self,
        connection: Connection,
        session: Session,
        sent: Callable[[str], None],
        failed: Callable[[str], None],
    ) -> Outbox:
        """What sends on the connection that is open, within its budgets."""
        context, leaves = self._shared.context, self._path.exit
        return new_outbox(
            self.access, context, self._route, connection, session, sent, failed, leaves
        )

    def judge(self, session: Session, address: str, *, replaced: bool) -> None:
        """A connection has ended: note what that tells of the address that was dialled."""
        alternatives, route = self._path.alternatives, self._route
        if session.first_data_at is not None:
            alternatives.worked(route, address)
        elif session.fell_silent:
            alternatives.silent(route, address)
        elif not replaced:
            alternatives.failed(route, address)

    def end(self) -> None:
        """The connection has ended."""
        if self._renewal is not None:
            self._renewal.end()
            self._renewal = None

    async def _get(self) -> Token:
        assert self._account is not None
        token = await self._shared.token(self._account, self._route)
        assert token is not None
        return token

    def _renewed(self, value: str) -> None:
        if value != self._signer.token:
            self._signer = attrs.evolve(self._signer, token=value)
            if "{token}" in self._signer.url:
                self._replace("its token has changed")
