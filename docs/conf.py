"""How Sphinx builds these pages: ``sphinx-build docs out``, from the project's folder, once
``pip install -r docs/requirements.txt`` has run there."""

from __future__ import annotations

import enum
import inspect
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import ccrs_core
from ccrs_core.conformance import ConformanceSuite, Theme
from ccrs_core.conformance.advice import advice
from ccrs_core.conformance.workbench.properties import property_of

ROOT = Path(__file__).parents[1]
TOLD = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = "ccrs"
author = "the ccrs contributors"
project_copyright = f"2026 {author}. {TOLD['license']} licence"
version = release = ccrs_core.__version__
html_title = f"ccrs {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build", "requirements.txt"]
html_theme = "furo"
pygments_dark_style = "github-dark"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["ccrs.css"]
html_theme_options: dict[str, Any] = {}
# Where the project lives is told in one place, `Repository` of pyproject.toml's [project.urls]:
# each page then links its source.
if repository := TOLD.get("urls", {}).get("Repository"):
    html_theme_options |= {
        "source_repository": repository,
        "source_branch": "main",
        "source_directory": "docs/",
    }

# What is copied of a console block is what is typed.
copybutton_prompt_text = "$ "

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Public names are documented where users import them from, in the order in which they are written.
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": True}
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autoclass_content = "class"
python_use_unqualified_type_names = True
add_module_names = False
# A long signature has a line for each parameter.
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
# Names are told as they are written, not what they stand for.
autodoc_type_aliases = {
    name: name
    for name in [
        "AccountData",
        "AnyEvent",
        "Decimals",
        "MarketData",
        "Notice",
        "PolicyName",
        "StreamData",
        "When",
    ]
}
# Never made by those who use them: how they are made is nobody else's business.
MADE_ELSEWHERE = frozenset(
    [
        "Client",
        "BestPrice",
        "ClientStatus",
        "Clients",
        "ConnectionStatus",
        "Feed",
        "FeedStatus",
        "History",
        "HistoryPage",
        "InstrumentWatch",
        "Lead",
        "LeadLag",
        "LatencySummary",
        "ExchangeQuote",
        "MergedEvents",
        "MergedFeed",
        "Recording",
        "Replayed",
        "OrderBook",
        "SubscriptionStatus",
    ]
)
# The builtin `type` in a signature isn't the `type` of any event.
suppress_warnings = ["ref.python"]


class PropertyList(SphinxDirective):
    """What the suite proves, by theme: number and docstring of every test."""

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        for theme in Theme:
            rows = sorted(
                (found.number, name, test)
                for name, test in inspect.getmembers(ConformanceSuite, inspect.isfunction)
                if (found := property_of(test)) is not None and found.theme is theme
            )
            lines += ["", f"### {theme.value}", ""]
            told = 0
            for number, name, test in rows:
                if number != told:
                    told, told_of = number, advice(number)
                    lines += ["", f"**{number}.** Where it doesn't hold, {told_of.costs}. Look at:"]
                    lines += [f"{told_of.look_at}.", ""]
                said = " ".join((inspect.getdoc(test) or "").split())
                lines.append(f"- {said} (`{name}`)")
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def tell_values(
    app: Sphinx, what: str, name: str, found: Any, options: Any, lines: list[str]
) -> None:
    """A public value is documented where it is written, not where users import it from: autodoc
    would tell what its type is for."""
    last = name.rpartition(".")[2]
    for module in [*sys.modules] if what == "data" else ():
        if module.startswith("ccrs_core.") and vars(sys.modules[module]).get(last) is found:
            told = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", last))
            if told is not None:
                lines[:] = told
                return


def legible(
    app: Sphinx, what: str, name: str, found: Any, options: Any, signature: Any, returns: Any
) -> tuple[str | None, str | None]:
    """Leave out what an enumeration, or a class that nobody makes by hand, is constructed with;
    and spell aliases by their names within other types, too."""
    enumerated = isinstance(found, type) and issubclass(found, enum.Enum)
    if what == "class" and (enumerated or name.rpartition(".")[2] in MADE_ELSEWHERE):
        return "", None
    return _named(signature), _named(returns)


def _named(text: str | None) -> str | None:
    if text is None:
        return None
    named = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text)
    return named.replace("_UnixSelectorEventLoop", "SelectorEventLoop")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_directive("ccrs-properties", PropertyList)
    app.connect("autodoc-process-docstring", tell_values)
    app.connect("autodoc-process-signature", legible)
