"""What charts are made of: linear scales with round ticks, colours, the SVG element."""

import math
from itertools import count

from markupsafe import Markup

COLOURS = 8


def colour_class(number: int) -> str:
    """Return the class of a colour; after the last one they begin again."""
    return f"s{number % COLOURS}"


class Scale:
    """A linear map of values to pixels.

    Args:
        low: The value at `start`.
        high: The value at `end`.
        start: A pixel.
        end: A pixel.
    """

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        """Return where a value lies."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return round numbers in a range, about as many as wanted."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    numbers = (round(i * step, 12) for i in count(math.ceil(low / step)))
    found: list[float] = []
    for number in numbers:
        if number > high:
            return found
        found.append(number)
    return found


def svg(width: float, height: float, title: str, content: Markup) -> Markup:
    """Make the element of a drawing; the title is for those who cannot see it."""
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(width, height, title, content)


def pixel_text(pixel: float) -> str:
    """Return a coordinate with one decimal."""
    return f"{pixel:.1f}"
