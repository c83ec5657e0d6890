"""Successive halving: after some epochs the students of a race are compared, and a share goes on.

Karnin et al. (2013); Jamieson & Talwalkar (2016). Which they are depends on nothing but what each
reached by then: not on the networks that they train in.
"""

from collections.abc import Hashable, Sequence

from ils.plan.grids import kept


def survivors(races: Sequence[Hashable], ce: Sequence[float], share: float) -> list[int]:
    """Which students go on, in order: of each race the share of the lowest cross-entropy, rounded
    up.

    races: of each student the race that it is in; ce: its lowest validation cross-entropy so far,
    infinite if it diverged. Of equal ones the first goes on.
    """
    of_race: dict[Hashable, list[int]] = {}
    for student, race in enumerate(races):
        of_race.setdefault(race, []).append(student)
    going = []
    for students in of_race.values():
        ranked = sorted(students, key=lambda student: ce[student])  # stable: the first of equals
        going += ranked[: kept(len(students), share)]
    return sorted(going)
