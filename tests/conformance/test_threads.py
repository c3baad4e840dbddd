"""Which threads count as those that a plugin has started."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from ccrs_core.conformance.workbench.threads import started


def test_those_of_this_thread_and_theirs_count_and_those_of_others_do_not() -> None:
    begin, done = threading.Event(), threading.Event()
    theirs: list[threading.Thread] = []
    own: list[threading.Thread] = []

    def other() -> None:
        begin.wait(10)
        theirs.append(threading.Timer(0.0, lambda: None))
        theirs[0].start()
        done.set()

    def parent() -> None:
        own.append(threading.Thread(target=lambda: None))
        own[0].start()

    stranger = threading.Thread(target=other)
    stranger.start()
    before = threading.Thread.start
    with started() as found:
        begin.set()
        assert done.wait(10)
        child = threading.Thread(target=parent)
        child.start()
        child.join(10)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int).result(10)
    assert threading.Thread.start is before
    for each in (stranger, *theirs, *own):
        each.join(10)
    assert {child, *own} <= found
    assert len(found) == 3  # and the pool's
    assert not found & {stranger, *theirs}
