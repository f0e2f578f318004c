"""Codes of scans, kept in the folder of a study, so that its shards do not encode the same scans again."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from filelock import FileLock

from disentangle_pl.brain.image_files import absence, size_and_time
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.prepared import ABOUT
from disentangle_pl.errors import InputError
from disentangle_pl.genetics.results import write_whole
from disentangle_pl.models.checkpoint import load_model, provenance_of
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.exposure import exposure
from disentangle_pl.studies.scan_codes import ScanCodes, encode_scans


def kept_codes(checkpoint: Path, data: LongitudinalData, out: Path) -> ScanCodes:
    """Encode all scans, or read what an earlier call with this checkpoint and these scans has kept in a folder.

    The file .codes-*.parquet is named after the contents of the checkpoint and of the split, the table of scans, their
    sizes and times of change, and the preparation. Processes that ask at the same time wait for the first.

    Raises:
        InputError: If the folder cannot be written to, or the scans do not fit the model.
    """
    path = out / f".codes-{_key(checkpoint, data)}.parquet"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".codes.lock"):
            if not path.exists():
                _write(path, checkpoint, data)
    except OSError as error:
        raise InputError(f"{out} is no folder that can be written to ({error.strerror}): give another --out") from error
    table = pq.read_table(path)
    people = data.visits["participant_id"]
    parts = {who: part for who, part in zip(people, table["part"].to_pylist(), strict=True) if part is not None}
    seen = exposure(provenance_of(checkpoint), people, parts, run_names([checkpoint])[0])
    train = seen.seen | people.map(parts).eq("train").to_numpy()
    codes = np.stack([table[name].to_numpy() for name in table.column_names[1:]], axis=1)
    return ScanCodes(torch.from_numpy(codes), data.visits, np.flatnonzero(train), np.flatnonzero(~train), seen)


def _write(path: Path, checkpoint: Path, data: LongitudinalData) -> None:
    scans = encode_scans(load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu"), data)
    columns = {f"z{k}": pa.array(column) for k, column in enumerate(scans.mean.numpy().T)}
    part = scans.visits["participant_id"].map(data.people)  # a copy of another scan is in no part, its person may be
    write_whole(pa.table({"part": pa.array(part.tolist(), pa.string(), from_pandas=True), **columns}), path)


def _key(checkpoint: Path, data: LongitudinalData) -> str:
    told = hashlib.sha256(b"part")
    for path in (checkpoint, data.split_file, data.root / ABOUT):
        told.update(path.read_bytes() if path is not None and path.is_file() else b"-")
    told.update(repr(data.preparation).encode())
    told.update(data.visits.to_csv(index=False).encode())
    for path in map(Path, data.visits["path"]):
        told.update(repr(path if absence(path) else size_and_time(path)).encode())
    return told.hexdigest()[:16]
