"""A verb that is a command of its own and also has sub-verbs.

Does: let `evaluate ah …` mean `evaluate labelled ah …`, while `evaluate megc …` is another command.
Does not: know any verb.
"""

from typing import Any, ClassVar

from typer.core import TyperGroup


class DefaultGroup(TyperGroup):
    """Runs the command called `default` where the first word is no sub-verb's name."""

    default: ClassVar[str] = "labelled"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command's name before words that name none."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)
