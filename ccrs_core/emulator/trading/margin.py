"""What an account is worth, what margin that needs, and where it would be liquidated."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.market import SimulatedMarket
from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.clearing import index_price, mark_price
from ccrs_core.emulator.trading.conduct import Conduct
from ccrs_core.emulator.trading.happenings import DeskPosition
from ccrs_core.emulator.trading.orders import ZERO
from ccrs_core.emulator.trading.positions import quotient, unrealised, value_of
from ccrs_core.emulator.trading.tiers import maintenance_of
from ccrs_core.emulator.venue import Venue
from ccrs_core.model.accounts import MarginMode
from ccrs_core.model.instruments import Market
from ccrs_core.model.units import QUOTIENT

_SHORT_OPTION = Decimal("0.1")
_SHORT_OPTION_KEPT = Decimal("0.05")


@attrs.frozen(kw_only=True)
class PositionMargin:
    """A position at the mark price, in its settlement asset."""

    value: Decimal
    unrealised: Decimal
    initial: Decimal
    maintenance: Decimal


@attrs.frozen(kw_only=True)
class AssetStanding:
    """One asset of an account, in its own units but for ``worth`` (dollars each)."""

    asset: str
    worth: Decimal
    wallet: Decimal
    locked: Decimal
    order_margin: Decimal
    unrealised: Decimal
    option_value: Decimal
    initial: Decimal
    """Of positions."""
    maintenance: Decimal
    isolated: Decimal
    """What is set aside for isolated positions: in ``initial``, too."""
    realised: Decimal = ZERO
    """What positions settled in it have ever realised, after fees and funding."""

    @property
    def equity(self) -> Decimal:
        return self.wallet + self.unrealised + self.option_value

    @property
    def free(self) -> Decimal:
        """What neither orders nor isolated positions lay hold of."""
        return self.wallet - self.locked - self.order_margin - self.isolated


@attrs.frozen(kw_only=True)
class Standing:
    """An account as a whole, in dollars."""

    assets: tuple[AssetStanding, ...]
    wallet: Decimal
    unrealised: Decimal
    option_value: Decimal
    equity: Decimal
    initial: Decimal
    """Of positions and orders."""
    maintenance: Decimal

    @property
    def available(self) -> Decimal:
        """What may still be used as margin."""
        return max(self.equity - self.initial, ZERO)


class Margins:
    """Values accounts by the markets' mark and index prices of now."""

    def __init__(self, venue: Venue, conduct: Conduct) -> None:
        self._venue = venue
        self._conduct = conduct
        self._priced: tuple[object, dict[str, Listing]] = None, {}

    def worth(self, asset: str) -> Decimal:
        """What one of an asset is worth in dollars; zero where nothing tells."""
        if asset in self._conduct.dollars:
            return Decimal(1)
        if self._priced[0] is not self._venue.listings:
            self._priced = self._venue.listings, self._by_asset()
        listing = self._priced[1].get(asset)
        return ZERO if listing is None else index_price(self._venue.quoted(listing))

    def _by_asset(self) -> dict[str, Listing]:
        found: dict[str, Listing] = {}
        for listing in self._venue.listings.values():
            plain = listing.expiry_ns is None and listing.quote in self._conduct.dollars
            if plain and listing.market in (Market.SPOT, Market.LINEAR):
                found.setdefault(listing.base, listing)
        return found

    def of_position(self, position: DeskPosition) -> PositionMargin:
        """A position's margin at the mark price."""
        listing, size = position.listing, position.size
        market = self._venue.quoted(listing)
        mark = mark_price(market)
        value = abs(value_of(listing, size, mark))
        gain = unrealised(position, mark)
        if listing.market is Market.OPTION:
            if size >= 0:
                return PositionMargin(value=value, unrealised=gain, initial=ZERO, maintenance=ZERO)
            on = abs(size) * listing.worth_of_one * index_price(market)
            return PositionMargin(
                value=value,
                unrealised=gain,
                initial=value + on * _SHORT_OPTION,
                maintenance=value + on * _SHORT_OPTION_KEPT,
            )
        isolated = position.margin_mode is MarginMode.ISOLATED
        initial = position.isolated_margin if isolated else quotient(value, position.leverage)
        kept = self.maintenance(listing, value)
        return PositionMargin(value=value, unrealised=gain, initial=initial, maintenance=kept)

    def maintenance(self, listing: Listing, value: Decimal) -> Decimal:
        """What a position in contracts of a value (without sign) must keep."""
        return maintenance_of(self._conduct, listing, value)

    def of_asset(self, account: TradingAccount, asset: str) -> AssetStanding:
        """One asset, with the positions that are settled in it."""
        balance = account.wallet[asset]
        gain = options = initial = maintenance = isolated = realised = ZERO
        for position in account.positions.values():
            if position.listing.settle != asset:
                continue
            realised += position.realised_ever
            if not position.size:
                continue
            margin = self.of_position(position)
            if position.listing.market is Market.OPTION:
                options += margin.value if position.size > 0 else -margin.value
            else:
                gain += margin.unrealised
            initial += margin.initial
            maintenance += margin.maintenance
            isolated += position.isolated_margin
        return AssetStanding(
            asset=asset,
            worth=self.worth(asset),
            wallet=balance.total,
            locked=balance.locked,
            order_margin=balance.order_margin,
            unrealised=gain,
            option_value=options,
            initial=initial,
            maintenance=maintenance,
            isolated=isolated,
            realised=realised,
        )

    def standing(self, account: TradingAccount, asset: str | None = None) -> Standing:
        """The whole account; where its assets aren't pooled, the part of it that is of one."""
        settled = {p.listing.settle for p in account.positions.values() if p.size}
        names = dict.fromkeys((*account.wallet.assets, *(each for each in settled if each)))
        if asset is not None and not self._conduct.pools_margin:
            names = dict.fromkeys((asset,))
        assets = tuple(self.of_asset(account, name) for name in names)

        def total(amount: Callable[[AssetStanding], Decimal]) -> Decimal:
            return sum((amount(each) * each.worth for each in assets if amount(each)), ZERO)

        return Standing(
            assets=assets,
            wallet=total(lambda each: each.wallet),
            unrealised=total(lambda each: each.unrealised),
            option_value=total(lambda each: each.option_value),
            equity=total(lambda each: each.equity),
            initial=total(lambda each: each.initial + each.order_margin),
            maintenance=total(lambda each: each.maintenance),
        )

    def available(self, account: TradingAccount, asset: str) -> Decimal:
        """How much of an asset may be used as margin: by the whole account where margin is
        crossed, else what is free of the asset itself."""
        if account.margin_mode is MarginMode.ISOLATED:
            return max(self.of_asset(account, asset).free, ZERO)
        if not self._conduct.pools_margin:
            each = self.of_asset(account, asset)
            return max(each.equity - each.initial - each.order_margin - each.locked, ZERO)
        worth = self.worth(asset)
        return quotient(self.standing(account).available, worth) if worth else ZERO

    def bankruptcy_price(self, account: TradingAccount, position: DeskPosition) -> Decimal | None:
        """At which its margin, or of a crossed one the account's equity, is used up; None where no
        price does that."""
        return self._price_at(account, position, ZERO)

    def liquidation_price(self, account: TradingAccount, position: DeskPosition) -> Decimal | None:
        """The mark price at which it would be liquidated, all else being as it is."""
        margin = self.of_position(position)
        return self._price_at(account, position, margin.maintenance)

    def _price_at(
        self, account: TradingAccount, position: DeskPosition, left: Decimal
    ) -> Decimal | None:
        listing = position.listing
        if not position.size or listing.market is Market.OPTION:
            return None
        mark = mark_price(self._venue.quoted(listing))
        if position.margin_mode is MarginMode.ISOLATED:
            cushion = position.isolated_margin + unrealised(position, mark) - left
        else:
            settle = listing.settle or ""
            standing, worth = self.standing(account, settle), self.worth(settle)
            if not worth:
                return None
            others = standing.maintenance - self.of_position(position).maintenance * worth
            cushion = quotient(standing.equity - others, worth) - left
        worth_of_all = position.size * listing.worth_of_one
        if listing.market is Market.INVERSE:
            inverted = QUOTIENT.divide(Decimal(1), mark) + QUOTIENT.divide(cushion, worth_of_all)
            price = QUOTIENT.divide(Decimal(1), inverted) if inverted > 0 else None
        else:
            price = mark - QUOTIENT.divide(cushion, worth_of_all)
        return price if price is not None and price > 0 else None


def on_tick(market: SimulatedMarket, price: Decimal) -> Decimal:
    """The nearest price that the market has."""
    return market.rules.price.value(market.rules.price.nearest(price))
