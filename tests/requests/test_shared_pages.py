"""What is asked in the same words is asked once, and read by each who asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import ConnectionLost, DecodeError
from ccrs_core.contract.rest import Answer, HttpRequest, HttpResponse
from ccrs_core.requests.shared_pages import SharedPages
from ccrs_core.transport.memory import run
from tests.virtual import scenario

LIST = HttpRequest("GET", "/list")


@attrs.define
class Exchange:
    """Answers after a moment; ``fails``: so many times with an error before."""

    fails: int = 0
    asked: int = 0

    def ask(
        self, mark: str = ""
    ) -> Callable[[Callable[[HttpResponse], None]], Awaitable[Answer[str]]]:
        async def page(heard: Callable[[HttpResponse], None]) -> Answer[str]:
            self.asked += 1
            number = self.asked
            await asyncio.sleep(0.1)
            if number <= self.fails:
                raise ConnectionLost("reset")
            response = HttpResponse(200, {}, b"%d" % number)
            heard(response)
            return Answer(f"{mark}{response.body.decode()}")

        return page


def read(mark: str) -> Callable[[HttpResponse], Answer[str]]:
    return lambda response: Answer(f"{mark}{response.body.decode()}")


@scenario
async def test_who_asks_the_same_at_once_or_later_reads_the_one_response_for_himself() -> None:
    exchange, pages = Exchange(), SharedPages()
    both = (pages.answer(LIST, exchange.ask(each), read(each)) for each in "ab")
    assert [each.value for each in await asyncio.gather(*both)] == ["a1", "b1"]
    later = await pages.answer(LIST, exchange.ask("c"), read("c"))
    assert (later.value, exchange.asked) == ("c1", 1)
    other = attrs.evolve(LIST, query=(("after", "9"),))
    assert (await pages.answer(other, exchange.ask(), read(""))).value == "2"
    assert (await SharedPages().answer(LIST, exchange.ask(), read(""))).value == "3"


@scenario
async def test_a_failure_is_that_of_all_who_wait_and_not_of_who_comes_after_it() -> None:
    exchange, pages = Exchange(fails=1), SharedPages()
    both = [pages.answer(LIST, exchange.ask(), read("")) for _ in range(2)]
    failed = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in failed] == [ConnectionLost, ConnectionLost]
    assert (await pages.answer(LIST, exchange.ask(), read(""))).value == "2"


@scenario
async def test_what_one_can_not_read_is_asked_for_anew_by_the_next() -> None:
    def unreadable(response: HttpResponse) -> Answer[str]:
        raise DecodeError("what?", response.body)

    exchange, pages = Exchange(), SharedPages()
    await pages.answer(LIST, exchange.ask(), read(""))
    with pytest.raises(DecodeError):
        await pages.answer(LIST, exchange.ask(), unreadable)
    assert (await pages.answer(LIST, exchange.ask(), read(""))).value == "2"


@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0.01, 0.5)), max_size=6), st.floats(0, 0.5))
def test_whoever_gives_up_keeps_nobody_from_an_answer(
    askers: list[tuple[float, float]], when: float
) -> None:
    """Each asks after a while, and gives up after another; one doesn't."""

    async def main() -> None:
        exchange, pages = Exchange(), SharedPages()

        async def ask(after: float, patience: float | None) -> None:
            await asyncio.sleep(after)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await pages.answer(LIST, exchange.ask(), read(""))

        async with asyncio.timeout(2.0):
            await asyncio.gather(*(ask(*each) for each in askers), ask(when, None))

    run(main())


@scenario
async def test_no_more_than_some_responses_are_kept() -> None:
    exchange, pages = Exchange(), SharedPages()
    for number in range(200):
        page = attrs.evolve(LIST, query=(("after", str(number)),))
        await pages.answer(page, exchange.ask(), read(""))
    assert len(pages._asked) <= 64
