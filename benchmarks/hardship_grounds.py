"""All files that are damaged, in the order of their numbers."""

from benchmarks.hardship_inputs import INPUTS
from benchmarks.hardship_states import STATES

GROUNDS = (*INPUTS, *STATES)
