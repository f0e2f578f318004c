"""How many people it takes to develop a prediction model that does not overfit much.

Source: Riley et al. 2019, Statistics in Medicine 38:1262 (quantities) and 38:1276 (classes), as in pmsampsize.
"""

import math

SHRINKAGE, OPTIMISM, MARGIN = 0.9, 0.05, 0.05
NAGELKERKE = 0.15  # of the most that R² of Cox and Snell can be, where nothing is known
MOST = 10**6


def people_for_classes(parameters: int, prevalence: float, cox_snell: float | None = None) -> int:
    """Return the people for shrinkage of 0.9, optimism of 0.05 in Nagelkerke's R², and prevalence within 0.05.

    Args:
        parameters: Inputs, 1 or more.
        prevalence: Share of class 1, in (0, 1).
        cox_snell: R² that is expected; None for 15 % of the most it can be.
    """
    most = 1 - (prevalence**prevalence * (1 - prevalence) ** (1 - prevalence)) ** 2
    expected = NAGELKERKE * most if cox_snell is None else cox_snell
    shrinkages = (SHRINKAGE, expected / (expected + OPTIMISM * most))
    needed = [parameters / ((each - 1) * math.log(1 - expected / each)) for each in shrinkages]
    needed.append((1.96 / MARGIN) ** 2 * prevalence * (1 - prevalence))
    return math.ceil(max(needed))


def people_for_quantity(parameters: int, r2: float) -> int:
    """Return the people for shrinkage of 0.9, optimism of 0.05 in R², and a residual deviation within 10 %.

    Args:
        parameters: Inputs, 1 or more.
        r2: Adjusted R² that is expected, in (0, 1).
    """
    needed = max(math.ceil(1 + parameters * (1 - r2) / OPTIMISM), 234 + parameters, parameters + 2)
    low, high = needed, MOST
    while low < high:
        middle = (low + high) // 2
        if _shrinkage(middle, parameters, r2) >= SHRINKAGE:
            high = middle
        else:
            low = middle + 1
    return low


def _shrinkage(people: int, parameters: int, r2: float) -> float:
    apparent = (r2 * (people - parameters - 1) + parameters) / (people - 1)
    return 1 + (parameters - 2) / (people * math.log(1 - apparent))
