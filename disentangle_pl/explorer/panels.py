"""The parts of the page that show: pictures, latents and read-outs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, final

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from disentangle_pl.studies.explore import Explored, Start
from disentangle_pl.studies.explore_latents import Latent
from disentangle_pl.studies.explore_pictures import Plane, data_uri, diverging, gradient, grey
from disentangle_pl.studies.explore_probes import Probe
from disentangle_pl.studies.explore_state import State, View, view

STEPS = 120
COLUMNS = ("factor", "true at the start", "read from the codes", "on held-out images")
TITLES = {"start": "start", "decoded": "decoded", "difference": "difference"}

Move = Callable[[int, float], Awaitable[None]]
Restore = Callable[[int], Awaitable[None]]


class Rendered(NamedTuple):
    """A state, ready for a page.

    Attributes:
        view: What it looks like.
        sources: Of every picture, by its title and plane.
    """

    view: View
    sources: dict[tuple[str, int], str]


def rendered(model: Explored, state: State, planes: Sequence[Plane], at: Mapping[int, int]) -> Rendered:
    """Decode and draw a state."""
    seen = view(model, state)
    sources = {}
    for plane in planes:
        cut = at[plane.axis]
        start = "" if state.start.image is None else data_uri(grey(state.start.image, plane, cut))
        sources["start", plane.axis] = start
        sources["decoded", plane.axis] = data_uri(grey(seen.decoded, plane, cut))
        sources["difference", plane.axis] = data_uri(diverging(seen.difference, seen.limit, plane, cut))
    return Rendered(seen, sources)


@final
class Pictures:
    """Start, decoded image and difference, in one row for images and in one a plane for volumes.

    Args:
        planes: What is shown.
        cut: Called with an axis and a plane when another plane of volumes is asked for.
    """

    def __init__(self, planes: Sequence[Plane], cut: Move) -> None:
        self.images: dict[tuple[str, int], ui.element] = {}
        with ui.element("div").classes("held flat" if len(planes) == 1 else "held deep"):
            for plane in planes:
                self._row(plane)
                if plane.axis >= 0:
                    self._slider(plane, cut)
            ui.element("div").classes("scale").style(f"background: linear-gradient(to right, {gradient()})")
            with ui.element("div").classes("numbers"):
                self.low, self.name, self.high = ui.label(), ui.label("decoded less decoded at the start"), ui.label()

    def show(self, shown: Rendered) -> None:
        """Show other pictures, and where their scale ends."""
        for key, source in shown.sources.items():
            image = self.images[key]
            if image.props.get("src") != source:
                image.props["src"] = source
            image.set_visibility(bool(source))
        self.low.text, self.high.text = f"{-shown.view.limit:g}", f"+{shown.view.limit:g}"

    def _row(self, plane: Plane) -> None:
        with ui.element("div").classes("seen"):
            for title in TITLES:
                with ui.element("figure"):
                    words = f"{title} {plane.name}".strip()
                    with ui.element("figcaption"):
                        ui.label(words)
                    image = ui.element("img")
                    image.props["alt"] = words
                    self.images[title, plane.axis] = image

    def _slider(self, plane: Plane, cut: Move) -> None:
        def words(voxel: float) -> str:
            left, right, bottom, top = plane.sides or ("", "", "", "")
            sides = f", {left} to {right} and {bottom} to {top}" if plane.sides else ""
            return f"{plane.name} {voxel:.0f} of 0 to {plane.size - 1}{sides}"

        async def moved(event: ValueChangeEventArguments[float | None]) -> None:
            said.text = words(event.value or 0)
            await cut(plane.axis, event.value or 0)

        said = ui.label(words(plane.first)).classes("note")
        slider = ui.slider(min=0, max=plane.size - 1, value=plane.first, on_change=moved)
        slider.props["aria-label"] = f"{plane.name} plane"


@final
class Sliders:
    """A slider a latent, active ones first and passive ones folded away.

    Args:
        latents: In their order.
        move: Called with a latent and a value.
        restore: Called with a latent that is to go back.
    """

    def __init__(self, latents: Sequence[Latent], move: Move, restore: Restore) -> None:
        self.latents = latents
        self.sliders: dict[int, ui.slider] = {}
        self.words: dict[int, ui.label] = {}
        active = [latent for latent in latents if latent.active]
        passive = [latent for latent in latents if not latent.active]
        if not active:
            ui.label("No latent is active: the model says nothing of its images.").classes("note")
        for latent in active:
            self._row(latent, move, restore)
        if passive:
            with ui.expansion(f"{len(passive)} passive latents (KL up to 0.01 nats)").classes("w-full"):
                for latent in passive:
                    self._row(latent, move, restore)

    def put(self, state: State) -> None:
        """Put all sliders where a state is; one beyond its range gets a longer one."""
        for latent, value in zip(self.latents, (float(state.codes[each.number]) for each in self.latents), strict=True):
            slider = self.sliders[latent.number]
            slider.props["min"], slider.props["max"] = min(latent.low, value), max(latent.high, value)
            slider.value = value
        self.say(state)

    def say(self, state: State) -> None:
        """Write the values of a state."""
        for latent in self.latents:
            value = float(state.codes[latent.number])
            self.words[latent.number].text = f"z{latent.number}  KL {latent.kl:.2f}  {value:+.2f}"

    def _row(self, latent: Latent, move: Move, restore: Restore) -> None:
        async def moved(event: ValueChangeEventArguments[float | None]) -> None:
            if event.value is not None:
                await move(latent.number, event.value)

        with ui.element("div").classes("latent"):
            self.words[latent.number] = ui.label().classes("words")
            step = (latent.high - latent.low) / STEPS
            slider = ui.slider(min=latent.low, max=latent.high, step=step, value=0.0, on_change=moved)
            slider.props["aria-label"] = f"latent z{latent.number}"
            self.sliders[latent.number] = slider
            button = ui.button("↺", on_click=partial(restore, latent.number)).props("flat dense")
            button.props["aria-label"] = f"reset z{latent.number}"


@final
class ReadOuts:
    """A table of what is true of the start and what the codes say now.

    Args:
        probes: Of factors and covariates.
        names: Of the factors that are known.
    """

    def __init__(self, probes: Sequence[Probe], names: Sequence[str]) -> None:
        self.true: dict[str, ui.label] = {}
        self.now: dict[str, ui.label] = {}
        trust = {probe.name: probe.trust() for probe in probes}
        rows = [*trust, *(name for name in names if name not in trust)]
        if not rows:
            ui.label("no factors: nothing is known of these images").classes("note")
            return
        with ui.element("table").classes("said"):
            with ui.element("tr"):
                for column in COLUMNS:
                    with ui.element("th").props('scope="col"'):
                        ui.label(column)
            for name in rows:
                with ui.element("tr"):
                    cells: list[Any] = [name, "", "-", trust.get(name, "does not vary, or too little is known")]
                    _, self.true[name], self.now[name], _ = [self._cell(cell) for cell in cells]

    def show(self, start: Start, shown: View) -> None:
        """Write what is true and what is read."""
        for name, label in self.true.items():
            label.text = start.truth.get(name, "unknown")
        for name, said in shown.says.items():
            self.now[name].text = said

    def _cell(self, text: str) -> ui.label:
        with ui.element("td"):
            return ui.label(text)
