"""The ranges of clinical scales: what lies outside is no score but a code, or an error of typing."""

import re
from typing import NamedTuple


class Scale(NamedTuple):
    """A scale.

    Attributes:
        name: Regular expression of the tidy names of its columns.
        low: Least score.
        high: Largest score.
    """

    name: str
    low: float
    high: float


SCALES = (
    Scale("age|age_(years|yrs|in_years|mri|scan|visit|entry|onset|diagnosis|at_.*)|agemri", 0, 120),
    Scale("mmse?|mmse_?(total|score|sum|tot)|mmscore", 0, 30),  # Folstein 1975, J Psychiatr Res 12:189
    Scale("moca|moca_?(total|score|tot|raw)", 0, 30),  # Nasreddine 2005, J Am Geriatr Soc 53:695
    Scale("cdr|cdr_?(global|tot|glob)|cdglobal", 0, 3),  # Morris 1993, Neurology 43:2412
    Scale("cdr_?(sb|sum|sob)", 0, 18),  # O'Bryant 2008, Arch Neurol 65:1091
    Scale("adas_?(cog)?_?11|total11", 0, 70),  # Rosen 1984, Am J Psychiatry 141:1356
    Scale("adas_?(cog)?_?13|totalmod", 0, 85),  # Mohs 1997, Alzheimer Dis Assoc Disord 11:S13
    Scale("faq|faq_?(total|score)", 0, 30),  # Pfeffer 1982, J Gerontol 37:323
    Scale("gds|gds_?15|gds_?(total|score)|gdtotal", 0, 15),  # Sheikh and Yesavage 1986, Clin Gerontol 5:165
    Scale("gds_?30", 0, 30),  # Yesavage 1982, J Psychiatr Res 17:37
    Scale("ravlt_?(immediate|total|sum)", 0, 75),  # five times 15 words; Rey 1964, L'examen clinique en psychologie
    Scale("ravlt_?(delayed|delay|recognition)|avdel30min", 0, 15),
    Scale("npi_?q|npiqscore|npi_?q_?(total|score)", 0, 36),  # Kaufer 2000, J Neuropsychiatry Clin Neurosci 12:233
    Scale("npi|npi_?(total|score)", 0, 144),  # Cummings 1994, Neurology 44:2308
    Scale("apoe_?4|apoe_?e4|apoe4_alleles", 0, 2),  # alleles of a person
    Scale("(years_of_)?education(_years)?|edu|educ|pteducat", 0, 40),
)

_AT_FIRST = re.compile("_(bl|baseline)$")


def scale_of(name: str) -> Scale | None:
    """Find the scale of a column.

    Args:
        name: Tidy name; MMSE_bl, the score at baseline, is on the scale of MMSE.
    """
    bare = _AT_FIRST.sub("", name)
    return next((scale for scale in SCALES if re.fullmatch(scale.name, bare)), None)
