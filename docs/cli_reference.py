"""The command-line reference, from the commands themselves: `python docs/cli_reference.py > docs/reference/cli.md`."""

import click

from aatm_onnx.cli.commands import cli


def command_line_reference() -> str:
    """Every command's help, as Markdown."""
    context = click.Context(
        cli, info_name="aatm-onnx", max_content_width=100, terminal_width=100, **cli.context_settings
    )
    parts = ["# Command line", f"{cli.help}", _help(cli, context)]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        within = click.Context(command, info_name=name, parent=context, max_content_width=100, terminal_width=100)
        parts += [f"## {name}", _help(command, within)]
    return "\n\n".join(parts) + "\n"


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context).strip()}\n```"


if __name__ == "__main__":
    print(command_line_reference(), end="")
