"""The parts of the page that ask: where to start, what to set, what to take from another image."""

from collections.abc import Awaitable, Callable
from typing import final

import numpy as np
from nicegui import ui

from disentangle_pl.studies.explore import Explored
from disentangle_pl.studies.explore_probes import Probe, Quantity

Chosen = Callable[[int], Awaitable[None]]
Done = Callable[[], Awaitable[None]]


@final
class Images:
    """A choice of one image: by number, or of scans by person and visit.

    Args:
        model: Whose images.
        words: Before the names of the fields.
    """

    def __init__(self, model: Explored, words: str) -> None:
        self.model = model
        self.people = model.people()
        if self.people:
            who = next(iter(self.people))
            self.person = ui.select(
                list(self.people), value=who, label=f"{words}subject", with_input=True, on_change=self._visits
            )
            visits = self.people[who]
            self.visit = ui.select(visits, value=next(iter(visits)), label=f"{words}session")
        else:
            last = model.count - 1
            self.number = ui.number(f"{words}image, 0 to {last}", value=0, min=0, max=last, precision=0)

    @property
    def index(self) -> int:
        """The image chosen, -1 for none."""
        value = self.visit.value if self.people else self.number.value
        return -1 if value is None else int(value)

    def choose(self, index: int) -> None:
        """Choose an image."""
        if not self.people:
            self.number.value = index
            return
        who = next(person for person, visits in self.people.items() if index in visits)
        self.person.value = who
        self.visit.value = index

    def _visits(self) -> None:
        visits = self.people.get(str(self.person.value))
        if visits:
            self.visit.set_options(visits, value=next(iter(visits)))


def starts(model: Explored, start: Chosen, prior: Done) -> None:
    """Ask where to start."""
    with ui.element("div").classes("row"):
        images = Images(model, "")

        async def chosen() -> None:
            await start(images.index)

        async def drawn() -> None:
            images.choose(int(np.random.default_rng().integers(model.count)))
            await start(images.index)

        ui.button("Start here", on_click=chosen)
        ui.button("Random", on_click=drawn).props("outline")
        ui.button("Prior mean", on_click=prior).props("outline")


def settings(probes: tuple[Probe, ...], set_to: Callable[[Probe, float], Awaitable[None]]) -> None:
    """Ask which factor or covariate is to be set to which value."""
    if not probes:
        ui.label("no factors: there is nothing to set").classes("note")
        return
    with ui.element("div").classes("row"):
        names = {i: probe.name for i, probe in enumerate(probes)}
        which = ui.select(names, value=0, label="factor")
        kind = ui.select({0: ""}, value=0, label="class")
        number = ui.number("value", value=0.0)

        def offer() -> None:
            probe = probes[int(which.value or 0)]
            kind.set_options(dict(enumerate(probe.choices or ("",))), value=0)
            kind.set_visibility(bool(probe.choices))
            number.set_visibility(not probe.choices)
            if isinstance(probe, Quantity):
                number.props["label"] = f"value, {probe.low:.3g} to {probe.high:.3g} in training"
                number.value = float(f"{(probe.low + probe.high) / 2:.3g}")

        async def put() -> None:
            probe = probes[int(which.value or 0)]
            value = kind.value if probe.choices else number.value
            await set_to(probe, float("nan") if value is None else float(value))

        which.on_value_change(offer)
        offer()
        ui.button("Set", on_click=put)


def swaps(model: Explored, swap: Callable[[int, list[int]], Awaitable[None]]) -> None:
    """Ask which latents are to be taken from which image."""
    with ui.element("div").classes("row"):
        images = Images(model, "other ")
        names = {latent.number: f"z{latent.number}" for latent in model.latents}
        latents = ui.select(names, value=[], multiple=True, label="latents").props("use-chips")

        async def take() -> None:
            await swap(images.index, list(latents.value or []))

        ui.button("Swap", on_click=take)


def ageing(add: Callable[[float, str], Awaitable[None]]) -> None:
    """Ask for years, and whose ageing it is."""
    with ui.element("div").classes("row"):
        years = ui.number("years", value=5.0, step=1.0)
        group = ui.input("ageing of diagnosis", value="CN")

        async def older() -> None:
            await add(float("nan") if years.value is None else years.value, group.value or "")

        ui.button("Add years", on_click=older)
