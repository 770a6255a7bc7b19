"""``mailappliance [--config FILE] NOUN VERB …``: the desk on the command line, built from the table of verbs.

The running service is asked over its control socket; when nobody listens, the databases are opened here, under the
lock that the service holds while it runs. Exit codes: 0 done, 1 refused (the reason on standard error), 2 usage.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Argument, Verb
from mailbox_appliance.admin.verbs import NOUNS, VERBS
from mailbox_appliance.cli.ask import ask
from mailbox_appliance.cli.show import show
from mailbox_appliance.config.read import ConfigWrong

_ALONE = {verb.noun: verb for verb in VERBS if not verb.verb}
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class _Nouns(click.Group):
    """Each noun's commands are made when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*NOUNS, *_ALONE, "sendmail"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ALONE:
            return _command(_ALONE[cmd_name], cmd_name)
        if cmd_name == "sendmail":
            return _sendmail()
        if cmd_name not in NOUNS:
            return None
        commands = {verb.verb: _command(verb, verb.verb) for verb in VERBS if verb.noun == cmd_name}
        return click.Group(cmd_name, commands, help=NOUNS[cmd_name], context_settings=_CONTEXT)


@click.command(cls=_Nouns, context_settings=_CONTEXT)
@click.option("--config", metavar="FILE", help="the config (default: $MAILAPPLIANCE_CONFIG, then its usual place)")
@click.version_option(package_name="mailappliance", prog_name="mailappliance")
@click.pass_context
def command_line(context: click.Context, config: str | None) -> None:
    """A whole mail server in one process: what its owner may do."""
    context.obj = config


def _command(verb: Verb, name: str) -> click.Command:
    parameters: list[click.Parameter] = [made for one in verb.arguments if (made := _parameter(one)) is not None]
    if verb.lists:
        parameters.append(click.Option(["as_json", "--json"], is_flag=True, help="print JSON"))
    placed = [one for one in verb.arguments if one.kind in ("word", "words", "any", "files")]
    shown = "\n".join(f"  {one.usage}: {one.help}" for one in placed)
    text = verb.help + (f"\n\n\b\n{shown}" if shown else "")
    return click.Command(name, params=parameters, callback=_Callback(verb), help=text, context_settings=_CONTEXT)


def _sendmail() -> click.Command:
    """The one command whose flags are not ours: they are older than we are."""

    def call(words: tuple[str, ...]) -> None:
        from mailbox_appliance.cli import sendmail

        sendmail.main(words, click.get_current_context().find_root().obj)

    settings = {"ignore_unknown_options": True, "help_option_names": ["--help"], "allow_interspersed_args": False}
    text = "Leave a message of a program on this machine (-t, -i, -f ADDRESS, -F NAME and the like)."
    words = click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)
    return click.Command("sendmail", params=[words], callback=call, help=text, context_settings=settings)


def _parameter(argument: Argument) -> click.Parameter | None:
    option = "--" + argument.name.replace("_", "-")
    if argument.kind in ("password", "secret"):
        return None
    if argument.kind == "flag":
        return click.Option([argument.name, option], is_flag=True, help=argument.help)
    if argument.kind == "option":
        return click.Option([argument.name, option], help=argument.help)
    many = argument.kind in ("words", "any", "files")
    required = argument.kind in ("words", "files") or (argument.kind == "word" and argument.required)
    return click.Argument([argument.name], nargs=-1 if many else 1, required=required)


class _Callback:
    """What click calls for a verb."""

    def __init__(self, verb: Verb) -> None:
        self._verb = verb

    def __call__(self, as_json: bool = False, **given: Any) -> None:
        arguments = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not None
        }
        if any(one.kind == "password" for one in self._verb.arguments):
            arguments["password"] = read_password()
        elif any(one.kind == "secret" for one in self._verb.arguments) and not arguments.get("password_file"):
            arguments["password"] = read_secret()
        if any(one.kind == "files" for one in self._verb.arguments):
            from mailbox_appliance.cli.files import loads_of

            for load in loads_of(arguments["files"], refuse):
                self._ask({**arguments, "files": load}, as_json=as_json)
            return
        self._ask(arguments, as_json=as_json)

    def _ask(self, arguments: dict[str, Any], *, as_json: bool) -> None:
        try:
            result = ask(click.get_current_context().find_root().obj, self._verb, arguments)
        except Refused as refused:
            refuse(str(refused))
        except ConfigWrong as wrong:
            refuse(str(wrong))
        show(result, as_json=as_json)
        if result.code:
            sys.exit(result.code)


def read_password() -> str:
    """From the terminal, twice; or the first line of standard input. Empty: one shall be made."""
    if not sys.stdin.isatty():
        try:
            return sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            refuse("the password on standard input is not UTF-8 text")
    prompt = "Password (empty: make a good one)"
    password: str = click.prompt(prompt, default="", hide_input=True, show_default=False, err=True)
    if password and click.prompt("Once more", hide_input=True, default="", show_default=False, err=True) != password:
        refuse("the two passwords differ; nothing was changed")
    return password


def read_secret() -> str:
    """A password that exists: from the terminal, or the first line of standard input."""
    if not sys.stdin.isatty():
        try:
            return sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            refuse("the password on standard input is not UTF-8 text")
    secret: str = click.prompt("Password", default="", hide_input=True, show_default=False, err=True)
    return secret


def refuse(reason: str) -> Any:
    """Say why on standard error and exit 1."""
    click.echo(reason, err=True)
    sys.exit(1)


def main() -> None:
    """The console script."""
    try:
        command_line(prog_name="mailappliance")
    except BrokenPipeError:  # … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)


__all__ = ["Result", "command_line", "main"]
