"""MakeHuman's macro targets: ancestry archetypes × gender × age × muscle × weight."""

from __future__ import annotations

from collections.abc import Container, Sequence

ARCHETYPES = ("african", "asian", "caucasian")
"""MakeHuman's three sculpted archetypes; people are mixtures, never a pure one."""

YOUNG = 0.5
"""Age parameter of the "young" targets (25 years); 1 is "old" (90 years), 0.1875 "child"."""

CHILD = 0.1875


def age_parameter(years: float) -> float:
    """Years → MakeHuman's age parameter.

    Under 25 the child's shape is mixed in at a quarter of MakeHuman's own rate: the step from 25 to
    18 years is far smaller than from 18 to 12.
    """
    if years >= 25:
        return YOUNG + (years - 25) / 65 * 0.5
    return YOUNG - (25 - years) / 15 * 0.3125 * 0.25


def macro_weights(
    known: Container[str],
    mixture: Sequence[float],
    male: float,
    years: float,
    muscle: float = 0.5,
    weight: float = 0.5,
    height: float = 0.5,
) -> dict[str, float]:
    """Return target weights by name.

    Args:
        known: names of the targets that move the head; others are left out.
        mixture: weights of :data:`ARCHETYPES`, sum 1.
        male: 0 female … 1 male.
        years: age, 18…90.
        muscle, weight, height: 0…1, 0.5 is average.
    """
    age = age_parameter(years)
    if age >= YOUNG:
        ages = {"young": 2 - 2 * age, "old": 2 * age - 1}
    else:
        t = (age - CHILD) / (YOUNG - CHILD)
        ages = {"child": 1 - t, "young": t}
    weights: dict[str, float] = {}

    def add(name: str, value: float) -> None:
        if value != 0 and name in known:
            weights[name] = weights.get(name, 0.0) + value

    stature = "maxheight" if height > 0.5 else "minheight"
    for gender, gender_weight in (("male", male), ("female", 1 - male)):
        for stage, stage_weight in ages.items():
            for archetype, share in zip(ARCHETYPES, mixture, strict=True):
                add(f"macrodetails/{archetype}-{gender}-{stage}", share * gender_weight * stage_weight)
            for muscle_name, muscle_weight in _three_point(muscle, "muscle").items():
                for weight_name, weight_weight in _three_point(weight, "weight").items():
                    value = gender_weight * stage_weight * muscle_weight * weight_weight
                    body = f"{gender}-{stage}-{muscle_name}-{weight_name}"
                    add(f"macrodetails/universal-{body}", value)
                    add(f"macrodetails/height/{body}-{stature}", value * abs(2 * height - 1))
    return weights


def _three_point(x: float, name: str) -> dict[str, float]:
    """Linear interpolation over (min, average, max) at 0, 0.5, 1."""
    return {f"min{name}": max(0.0, 1 - 2 * x), f"average{name}": 1 - abs(2 * x - 1), f"max{name}": max(0.0, 2 * x - 1)}
