"""Lines that can't be read: an error that names the first, or, where the user says so, a list of what was left out."""

from dataclasses import dataclass, field

_SHOWN = 20


@dataclass
class Damage:
    """What to do about a damaged line, and what was left out.

    Attributes:
        skip: leave damaged lines out instead of raising.
        count: how many were left out.
        messages: what was wrong with the first of them.
    """

    skip: bool = False
    count: int = 0
    messages: list[str] = field(default_factory=list)

    def found(self, message: str) -> None:
        """Raise, or count.

        Raises:
            ValueError: with the message, unless `skip`.
        """
        if not self.skip:
            raise ValueError(f"{message} Mend it, or leave such lines out with --skip-bad-lines.")
        self.count += 1
        if len(self.messages) < _SHOWN:
            self.messages.append(message)
