"""Write all generated pages below docs/generated, and take away those that are no more."""

from pathlib import Path

from sphinx.application import Sphinx

from docs.extension import files, modules, scores, verbs

FOLDER = "generated"


def all_pages() -> dict[str, str]:
    """Return the text of every generated page by its name."""
    return {name: text for made in (files, scores, verbs, modules) for name, text in made.pages()}


def write(folder: Path) -> None:
    """Write the pages; a page that has not changed stays as it is, so that a second build is short."""
    pages = all_pages()
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for path in folder.rglob("*.rst"):
        if str(path.relative_to(folder).with_suffix("")) not in pages:
            path.unlink()


def _write(app: Sphinx) -> None:
    write(Path(app.srcdir, FOLDER))


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before a build looks for them."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
