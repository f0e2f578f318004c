"""Files that are not what their name says, and how to get what it says: git-annex, Git LFS, DICOM."""

from pathlib import Path

_LFS = b"version https://git-lfs.github.com/spec/"
_ANNEX = b"/annex/objects/"
_DICOM, _DICOM_AT = b"DICM", 128
_DICOM_ENDINGS = (".dcm", ".ima")
_DICOM_OF_UK_BIOBANK = "_20216_"
_MOST = 2000

GET = "fetch it by `datalad get`"
DICOM = "convert DICOM to NIfTI first, by `dcm2niix -b y -z y -o OUT FOLDER` (or dcm2bids, heudiconv for a whole study)"


def placeholder(path: Path) -> str | None:
    """Tell what a file is in place of an image or a table, and what to do; None if it is no such thing.

    Two kinds stand for contents that have not been downloaded: links into .git/annex (git-annex, DataLad) or small
    texts with the key of the contents, and pointers of Git LFS. The third is DICOM.
    """
    if path.is_symlink() and not path.exists() and _ANNEX.decode() in path.readlink().as_posix():
        return f"is a git-annex link whose contents are not here: {GET}"
    if not path.is_file():
        return None
    head = _head(path)
    if head.startswith(_ANNEX):
        return f"is a git-annex pointer whose contents are not here: {GET}"
    if head.startswith(_LFS):
        return "is a Git LFS pointer whose contents are not here: fetch them by `git lfs pull`"
    return f"is a DICOM file: {DICOM}" if head[_DICOM_AT:] == _DICOM else None


def holds_dicom(folder: Path) -> bool:
    """Tell whether a folder has DICOM files, among the first that are found in it."""
    for count, path in enumerate(folder.rglob("*")):
        if path.name == "DICOMDIR" or path.suffix.lower() in _DICOM_ENDINGS or _DICOM_OF_UK_BIOBANK in path.name:
            return True
        if path.is_file() and _head(path)[_DICOM_AT:] == _DICOM:
            return True
        if count > _MOST:
            break
    return False


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_DICOM_AT + len(_DICOM))
    except OSError:
        return b""  # whoever reads it will say why it cannot be read
