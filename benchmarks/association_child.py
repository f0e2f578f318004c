"""What the benchmark of the association scan measures: one scan, in a process that imports nothing else.

python -m benchmarks.association_child FOLDER PHENOTYPES
"""

import json
import sys
import time
from pathlib import Path

from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.filesets import open_filesets
from disentangle_pl.genetics.genotypes import Genotypes, spans
from disentangle_pl.genetics.people import numbers_of, read_people, rows_of
from disentangle_pl.genetics.results import TableFile, associations_table

BLOCK = 2000
RESULT = "RESULT "


def main() -> None:
    """Scan and write, and print the CPU seconds that it took."""
    folder, phenotypes = Path(sys.argv[1]), int(sys.argv[2])
    start = time.process_time()
    filesets = open_filesets([str(folder / "g.bed")])
    people = filesets[0].people
    tables = [read_people(folder / f"{name}.txt") for name in ("phenotypes", "covariates")]
    (names, values), (others, covariates) = (numbers_of(table) for table in tables)
    rows = [rows_of(people, table) for table in tables]
    scan = Scan(values[rows[0], :phenotypes], covariates[rows[1]], names[:phenotypes], others)
    file = None
    with Genotypes(filesets, people) as genotypes:
        for span in spans(filesets, BLOCK):
            block = genotypes.read(span)
            table = associations_table(block.variants, scan(block.calls), names[:phenotypes])
            file = file or TableFile(folder / "ours.parquet", table.schema).__enter__()
            file.add(table)
    assert file is not None
    file.__exit__(None)
    print(RESULT + json.dumps(time.process_time() - start))


if __name__ == "__main__":
    main()
