"""The group of all commands, and what becomes of their errors."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from ccrs_core import __version__
from ccrs_core.cli import form, interrupts, patience
from ccrs_core.errors import CcrsError, PluginBroken, PluginError, TransportError, UsageError
from ccrs_core.extensions import loading

COMMANDS = {
    "exchanges": "The installed exchanges and what they offer.",
    "instruments": "What an exchange trades.",
    "watch": "Market data, live: a table for people, or JSON lines.",
    "balance": "What an account has.",
    "positions": "What an account holds.",
    "fees": "What trading costs an account.",
    "fills": "What an account has traded.",
    "order": "Place, amend, cancel and find orders.",
    "account": "An account, live.",
    "ledger": "Look into an account's ledger.",
    "history": "Fetch histories into a file: Parquet, CSV or JSON lines.",
    "record": "Write raw frames to a file, in both directions.",
    "replay": "Play a recording back through the same codecs and books.",
    "emulator": "Run an exchange of its own protocol on this machine.",
    "doctor": "Check the way to an exchange, step by step.",
    "conformance": "Prove an exchange plugin correct against its own emulator.",
    "fuzz": "Look for inputs that break a plugin's readers.",
    "new": "Write a package for an exchange of your own.",
}

FAILURE, USAGE, INTERRUPTED = 1, 2, interrupts.INTERRUPTED


class Commands(click.Group):
    """Imports a command's module when it is asked for, so that no other one's is paid for."""

    _extended = False

    def _extend(self) -> None:
        """Let plugins add their commands, once."""
        if not self._extended:
            self._extended = True
            from ccrs_core.extensions import exchanges as plugins

            plugins.call(plugins.hook_manager(), "ccrs_add_command", group=self)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return 0  # the reader has all that it wanted; click would call it a failure

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._extend()
        return [*COMMANDS, *(name for name in sorted(self.commands) if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"ccrs_core.cli.commands.{cmd_name}")
            command: click.Command = module.command
            return command
        self._extend()
        interrupts.as_python_does()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near:
                raise click.UsageError(
                    f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx
                ) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            text = COMMANDS.get(name)
            if text is None:
                command = self.get_command(ctx, name)
                text = "" if command is None else command.get_short_help_str(60)
            rows.append((name, text))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try without network or keys: ccrs watch EXCHANGE BTC/USDT --environment emulator",
)
@click.version_option(__version__, prog_name="ccrs")
def cli() -> None:
    """Streams crypto exchanges over redundant connections that heal themselves."""


def main(arguments: Sequence[str] | None) -> int:
    """Run the command as a process of its own; its exit code."""
    loading.watch = patience.ending
    for stream in (sys.stdout, sys.stderr):
        # What a terminal has no character for is shown as a question mark.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    code = run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more. Else the interpreter would complain of it while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; what goes wrong is one line on standard error and an exit code."""
    try:
        outcome: Any = cli.main(
            None if arguments is None else list(arguments), "ccrs", standalone_mode=False
        )
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except click.ClickException as error:
        return _say(_one_line(error), error.exit_code, getattr(error, "ctx", None))
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except BaseExceptionGroup as group:
        return _failed(*_leaves(group))
    except Exception as error:
        return _failed(error)
    return outcome if isinstance(outcome, int) else 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _failed(*errors: BaseException) -> int:
    if any(isinstance(error, KeyboardInterrupt) for error in errors):
        return INTERRUPTED
    if any(isinstance(error, BrokenPipeError) for error in errors):
        return 0
    if os.environ.get("CCRS_DEBUG"):
        import traceback

        for error in errors:
            traceback.print_exception(error)
    known = [error for error in errors if isinstance(error, CcrsError)]
    if not known:
        error = errors[0]
        text = f"unexpected {type(error).__name__}: {error} (a bug? CCRS_DEBUG=1 shows more)"
        return _say(text, FAILURE)
    text = "; ".join(dict.fromkeys(map(str, known)))
    if any(isinstance(error, TransportError) for error in known):
        text += " (ccrs doctor EXCHANGE, with the same options, tells where on the way it fails)"
    wrong = isinstance(known[0], UsageError) or (
        isinstance(known[0], PluginError) and not isinstance(known[0], PluginBroken)
    )
    return _say(text, USAGE if wrong else FAILURE)


def _one_line(error: click.ClickException) -> str:
    text = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return text
    return " ".join(text.split())


def _say(text: str, code: int, ctx: click.Context | None = None) -> int:
    if text.startswith("Usage:"):
        click.echo(text, err=True)
        return code
    hint = f" (see {ctx.command_path} --help)" if ctx is not None else ""
    click.echo(f"Error: {form.printable(' '.join(text.split()))}{hint}", err=True)
    return code
