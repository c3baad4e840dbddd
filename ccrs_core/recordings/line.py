"""One recorded connection, as far as a replay follows it: what it carries by the same rules as one
that is live. Pure."""

from __future__ import annotations

from ccrs_core.connections.effects import TopicState
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.wanted import MISREAD, Wanted, WantedTopic
from ccrs_core.contract.codec import Codec
from ccrs_core.contract.exchange import Route
from ccrs_core.recordings.questions import Questions


class Line(Wanted):
    """One recorded connection."""

    def __init__(self, route: Route, codec: Codec, runner: Runner, questions: Questions) -> None:
        super().__init__(logged_in=True)
        self.route = route
        self.codec = codec
        self.runner = runner
        self.questions = questions
        self.last_received = 0.0

    def hears(self, name: str, now: float) -> None:
        """Something of a topic has come, or word that it still holds."""
        topic = self._topic(name)
        topic.last_data = now
        if topic.silences or not topic.had_data:
            topic.first(now)

    def acknowledged(self, name: str, now: float) -> None:
        """The exchange has accepted a topic."""
        self._topic(name).accepted(now)

    def misread(self, name: str, now: float) -> bool:
        """Something of a topic couldn't be read; whether that goes on."""
        topic = self._topics.get(name)
        return topic is not None and topic.misread(now) >= MISREAD

    def brings(self, name: str) -> bool:
        """Whether it was subscribed to a topic, and that hasn't ended."""
        topic = self._topics.get(name)
        return topic is not None and topic.since is not None

    def ends(self, name: str) -> float | None:
        """A topic is asked for anew; when it was last heard of, None where it never was."""
        topic = self._topic(name)
        last = topic.last_data if topic.had_data else topic.since
        topic.begin_anew()
        return last

    def _topic(self, name: str) -> WantedTopic:
        found = self._topics.get(name)
        if found is None:
            found = self._topics[name] = WantedTopic(name, {}, None, TopicState.PENDING)
        return found
