"""One open window: its own state, and what happens when something in it is moved."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, final

from nicegui import ui

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.errors import InputError
from disentangle_pl.explorer.controls import ageing, settings, starts, swaps
from disentangle_pl.explorer.panels import Pictures, ReadOuts, Sliders, rendered
from disentangle_pl.explorer.style import BLUE, STYLE
from disentangle_pl.studies.counterfactual import WARNING
from disentangle_pl.studies.explore import Explored, Start
from disentangle_pl.studies.explore_latents import slopes_of
from disentangle_pl.studies.explore_pictures import planes_of
from disentangle_pl.studies.explore_probes import Probe
from disentangle_pl.studies.explore_save import save
from disentangle_pl.studies.explore_state import State, begin

ABOUT = "Move a latent and see what changes. Ranges are the mean of the codes and three standard deviations either way."
Result = TypeVar("Result")


@final
class Window:
    """A page with a state of its own, drawn into the window that asks for it.

    While one state is decoded the newest of those asked for waits; those in between are never decoded.

    Args:
        model: What is explored.
        out: Folder of what is saved.
    """

    def __init__(self, model: Explored, out: Path) -> None:
        self.model, self.out = model, out
        self.planes = planes_of(model.data.shape, model.scene)
        self.at = {plane.axis: plane.first for plane in self.planes}
        self.state = begin(model.prior_mean)
        self.busy = self.stale = self.opened = False
        self.client = ui.context.client
        ui.colors(primary=BLUE)
        ui.add_css(STYLE)
        with ui.element("main").classes("page"):
            self._build()
        self.client.on_connect(self._open)

    def _build(self) -> None:
        model = self.model
        with ui.element("h1"):
            ui.label(f"Explore {model.name}")
        for caution in model.cautions:
            ui.label(f"Caution: {caution}.").classes("note").props('role="alert"')
        self.where = ui.label().classes("note").props('role="status"')
        with ui.element("div").classes("columns"):
            with ui.element("div").classes("pictures"):
                self.pictures = Pictures(self.planes, self.cut)
                _title("Start from")
                starts(model, self.start, self.prior)
                with ui.element("div").classes("row").style("margin-top: 12px"):
                    ui.button("Reset all", on_click=self.reset)
                    ui.button("Save", on_click=self.save).props("outline")
            with ui.element("div"):
                _title("Latents")
                ui.label(ABOUT).classes("note")
                self.sliders = Sliders(model.latents, self.move, self.restore)
                _title("Factors and covariates")
                self.read_outs = ReadOuts(model.probes, (*model.known.names, *model.known.traits.columns))
                _title("Set")
                settings(model.probes, self.set_to)
                _title("Take latents from another image")
                swaps(model, self.swap)
                if isinstance(model.data, LongitudinalData):
                    _title("Age")
                    ageing(self.years)
                    ui.label(WARNING).classes("note")

    async def move(self, latent: int, value: float) -> None:
        """Move one latent, as its slider says."""
        if value != float(self.state.codes[latent]):
            self.state = self.state.moved(latent, value)
            self.sliders.say(self.state)
            await self._follow()

    async def restore(self, latent: int) -> None:
        """Put one latent back."""
        await self._go(lambda: self.state.restored(latent))

    async def reset(self) -> None:
        """Put all latents back."""
        await self._go(lambda: self.state.reset())

    async def start(self, index: int) -> None:
        """Start from an image."""
        await self._start(lambda: self.model.start(index))

    async def prior(self) -> None:
        """Start from the mean of the prior."""
        await self._start(lambda: self.model.prior_mean)

    async def set_to(self, probe: Probe, value: float) -> None:
        """Set a factor."""
        await self._go(lambda: self.state.set_to(probe, value))

    async def swap(self, index: int, latents: list[int]) -> None:
        """Take latents from another image."""
        await self._go(lambda: self.state.swapped(self.model.start(index), latents))

    async def years(self, years: float, group: str) -> None:
        """Add years."""
        assert self.model.scans is not None, "only brain scans have this part of the page"
        found = await self._asked(lambda: slopes_of(self.model.scans, group))  # type: ignore[arg-type]
        if found is not None:
            await self._go(lambda: self.state.years(found[0], years))
            ui.notify(f"ageing of {found[1]}")

    async def cut(self, axis: int, voxel: float) -> None:
        """Show another plane of volumes."""
        self.at = {**self.at, axis: int(voxel)}
        await self._follow()

    async def save(self) -> None:
        """Write what is seen."""
        state, at = self.state, self.at
        files = await self._asked(lambda: save(self.model, state, at, self.out))
        if files:
            ui.notify(f"saved {files[0]} and {len(files) - 1} more", type="positive")

    async def _open(self) -> None:
        if not self.opened:  # a window that comes back after the network was lost goes on where it was
            self.opened = True
            await self.start(0)

    async def _start(self, find: Callable[[], Start]) -> None:
        await self._go(lambda: begin(find()))
        if not self.client.is_deleted:
            self.where.text = f"Started from {self.state.start.name}."

    async def _go(self, change: Callable[[], State]) -> None:
        """Go to another state, or say why not."""
        state = await self._asked(change)
        if state is not None:
            self.state = state
            self.sliders.put(state)
            await self._follow()

    async def _asked(self, work: Callable[[], Result]) -> Result | None:
        """Work beside the server; None if the window has gone since, or if the user is told why it cannot be."""
        try:
            found = await asyncio.to_thread(work)
        except InputError as error:
            if not self.client.is_deleted:
                ui.notify(str(error), type="warning", multi_line=True)
            return None
        return None if self.client.is_deleted else found

    async def _follow(self) -> None:
        """Show the newest state, unless that is being done."""
        self.stale = True
        if self.busy:
            return
        self.busy = True
        try:
            while self.stale and not self.client.is_deleted:
                self.stale = False
                state, at = self.state, self.at
                shown = await asyncio.to_thread(rendered, self.model, state, self.planes, at)
                if not self.client.is_deleted:
                    self.pictures.show(shown)
                    self.read_outs.show(state.start, shown.view)
        finally:
            self.busy = False


def _title(text: str) -> None:
    with ui.element("h2"):
        ui.label(text)
