"""What the paper claims, as data: what the ledger checks on its numbers, and on this run.

A claim is a list of comparisons (column, better, worse): by that column the first is said to be
better than the second. What it compares are methods' average ranks over dataset-network pairs
(`RANKS`), models of the synthetic study (`REPLICATES`), in how many pairs a method is the best
(`BEST`), or students of other teachers (`DISTILLATION`).
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from ils.paper import PARABOLA
from ils.statistics.comparison import on_grid

RANKS, REPLICATES, BEST, DISTILLATION = "ranks", "replicates", "best", "distillation"
OURS = ["ILS1", "ILS2", "ILS", "ILS+TempS"]
EXISTING = ["No LS", "No LS+TempS", "Dis", "cLS", "BS_Soft", "Beta", "LS", "LS+TempS"]
ALL = ["accuracy", "cross_entropy", "ece", "cwece"]
MORE_VALIDATION = "{} in more_validation"  # a model of that setup beside those of another
LONG_GRID = [0.7 + 0.025 * i for i in range(12)], list(range(1, 11))  # P1 and P2 of Figure 11


class Claim(NamedTuple):
    """A statement of the paper, where it stands, what it compares, and what it says of the size.

    comparisons: (column, better, worse); of kind BEST (column, method, share of pairs it may lose).
    significant: a test of the printed ranks must bear it out, too; considerable: the gains must
    exceed what is practically nothing.
    """

    name: str
    statement: str
    where: str
    kind: str
    comparisons: Sequence[tuple]
    significant: bool = False
    considerable: bool = False

    @property
    def checked_on(self) -> str:
        """The kind of study that it is checked on: who is best is read off what is ranked."""
        return RANKS if self.kind == BEST else self.kind


def each(
    columns: str | Iterable[str], better: str | Iterable[str], worse: str | Iterable[str]
) -> list[tuple]:
    """Every comparison of one of `better` with one of `worse` by one of `columns`."""
    return list(product(*([x] if isinstance(x, str) else x for x in (columns, better, worse))))


def others(*methods: str) -> list[str]:
    """All methods of Table III but these."""
    return [method for method in [*EXISTING, *OURS] if method not in methods]


def neighbours(p1: float, p2: float) -> list[str]:
    """The points of Figure 11's grid that differ from (p1, p2) in one of the two."""
    changed = [(other, p2) for other in LONG_GRID[0]] + [(p1, other) for other in LONG_GRID[1]]
    return [on_grid(*point) for point in changed if on_grid(*point) != on_grid(p1, p2)]


IN_RESULTS, APPENDIX_A, IN_III = "Section VI-b", "Appendix A", "Section III-b"

CLAIMS = [
    # Section III, on synthetic data
    Claim(
        "scaling_helps_all",
        "Temperature scaling improves cross-entropy, ECE and cwECE of No LS, LS and LS-0.2.",
        IN_III,
        REPLICATES,
        [
            (c, f"{m}+temps", m)
            for m in ("no_ls", "ls", "ls_0.2")
            for c in ("cross_entropy", "ece", "cwece")
        ],
    ),
    Claim(
        "ls_beats_scaling",
        "LS improves accuracy, and cross-entropy and ECE more than temperature scaling of No LS "
        "does.",
        IN_III,
        REPLICATES,
        [("accuracy", "ls", "no_ls"), *each(["cross_entropy", "ece"], "ls", "no_ls+temps")],
    ),
    Claim(
        "ls_hurts_cwece",
        "LS has a worse cwECE than No LS.",
        IN_III,
        REPLICATES,
        [("cwece", "no_ls", "ls")],
    ),
    Claim(
        "scaling_does_not_undo",
        "Even with temperature scaling LS has a worse cwECE than No LS.",
        IN_III,
        REPLICATES,
        each("cwece", ["no_ls", "no_ls+temps"], "ls+temps"),
    ),
    Claim(
        "best_classwise",
        "No LS+TempS is the best classwise-calibrated model of Table I.",
        "Section IV-B",
        REPLICATES,
        each("cwece", "no_ls+temps", ["no_ls", "ls", "ls+temps", "ls_0.2", "ls_0.2+temps"]),
    ),
    Claim(
        "dense_epsilon_lower",
        "The best smoothing factor is lower for the dense part than for the sparse part.",
        "Section III-c",
        REPLICATES,
        [("epsilon", "ls dense", "ls sparse")],
    ),
    Claim(
        "tuned_where_accurate",
        "LS tuned on a part is more accurate there than LS tuned on the other.",
        "Section III-c",
        REPLICATES,
        [("accuracy_dense", "ls dense", "ls sparse"), ("accuracy_sparse", "ls sparse", "ls dense")],
    ),
    Claim(
        "ls_teacher_worse",
        "A student of an LS teacher is worse in all measures than one of a No LS teacher.",
        "Section III-d",
        REPLICATES,
        each(ALL, "from no_ls", "from ls"),
    ),
    Claim(
        "ls_distorts",
        "LS distorts the probabilities: even with temperature scaling their distributions are "
        "further from the Bayes-optimal ones than without LS (highest probability, other "
        "probabilities).",
        "Section III-e, Figure 2",
        REPLICATES,
        each(["distance_highest", "distance_others"], "no_ls", "ls+temps"),
    ),
    Claim(
        "ils1_beats_ls",
        "ILS1 improves accuracy, cross-entropy, ECE and cwECE over LS.",
        "Section IV-A",
        REPLICATES,
        each(ALL, "ils1", "ls"),
    ),
    Claim(
        "sinusoidal_between",
        "The sinusoidal family is slightly worse than the parabola, and better than LS.",
        "Section IV-A",
        REPLICATES,
        [("cross_entropy", "ils1", "sinusoidal"), ("cross_entropy", "sinusoidal", "ls")],
    ),
    Claim(
        "ils_beat_both",
        "ILS1, ILS2 and ILS outperform No LS and LS in all measures.",
        APPENDIX_A,
        REPLICATES,
        each(ALL, ["ils1", "ils2", "ils"], ["no_ls", "ls"]),
    ),
    Claim(
        "ils_overfits",
        "ILS is slightly worse than ILS1 in accuracy, cross-entropy and ECE.",
        APPENDIX_A,
        REPLICATES,
        each(["accuracy", "cross_entropy", "ece"], "ils1", "ils"),
    ),
    Claim(
        "validation_helps_ils",
        "A larger validation set would even enhance the performance of ILS.",
        APPENDIX_A,
        REPLICATES,
        each(["accuracy", "cross_entropy", "ece"], MORE_VALIDATION.format("ils"), "ils"),
    ),
    Claim(
        "best_parabola",
        "Changing P1 or P2 of ILS1 from 0.8 and 2 increases the test cross-entropy.",
        "Appendix B, Figure 11",
        REPLICATES,
        each("cross_entropy", on_grid(*PARABOLA), neighbours(*PARABOLA)),
    ),
    Claim(
        "synthetic_ls_temps",
        "On synthetic data LS+TempS improves over No LS+TempS in accuracy, cross-entropy and ECE "
        "and is worse in cwECE.",
        "Section VI-b",
        REPLICATES,
        [
            *each(["accuracy", "cross_entropy", "ece"], "ls+temps", "no_ls+temps"),
            ("cwece", "no_ls+temps", "ls+temps"),
        ],
    ),
    # Section VI, on real data
    Claim(
        "outrank_ce",
        "ILS1, ILS2, ILS and ILS+TempS each outrank all existing methods by cross-entropy.",
        IN_RESULTS,
        RANKS,
        each("cross_entropy", OURS, EXISTING),
    ),
    Claim(
        "outrank_accuracy",
        "ILS1, ILS2, ILS and ILS+TempS each outrank all existing methods by accuracy.",
        IN_RESULTS,
        RANKS,
        each("accuracy", OURS, EXISTING),
    ),
    Claim(
        "significant_ce",
        "ILS+TempS ranks significantly better than all existing methods by cross-entropy.",
        IN_RESULTS,
        RANKS,
        each("cross_entropy", "ILS+TempS", EXISTING),
        True,
    ),
    Claim(
        "significant_accuracy",
        "ILS+TempS ranks significantly better than all existing methods by accuracy.",
        IN_RESULTS,
        RANKS,
        each("accuracy", "ILS+TempS", EXISTING),
        True,
    ),
    Claim(
        "best_accuracy",
        "ILS+TempS is the best in all but two of 11 pairs by accuracy.",
        IN_RESULTS,
        BEST,
        [("accuracy", "ILS+TempS", 2 / 11)],
    ),
    Claim(
        "best_ce",
        "ILS+TempS is the best in all but one of 11 pairs by cross-entropy.",
        IN_RESULTS,
        BEST,
        [("cross_entropy", "ILS+TempS", 1 / 11)],
    ),
    Claim(
        "best_ece_ranks",
        "No LS+TempS and ILS+TempS rank better than all other methods by ECE.",
        IN_RESULTS,
        RANKS,
        each("ece", ["No LS+TempS", "ILS+TempS"], others("No LS+TempS", "ILS+TempS")),
    ),
    Claim(
        "best_cwece_ranks",
        "ILS+TempS and Beta rank better than all other methods by cwECE.",
        IN_RESULTS,
        RANKS,
        each("cwece", ["ILS+TempS", "Beta"], others("ILS+TempS", "Beta")),
    ),
    Claim(
        "beta_and_ils",
        "Of these two Beta is slightly better in ECE, and ILS+TempS in cwECE.",
        IN_RESULTS,
        RANKS,
        [("ece", "Beta", "ILS+TempS"), ("cwece", "ILS+TempS", "Beta")],
    ),
    Claim(
        "ils1_over_ls",
        "ILS1 ranks better than LS by cross-entropy, accuracy and cwECE, worse by ECE.",
        IN_RESULTS,
        RANKS,
        [*each(["cross_entropy", "accuracy", "cwece"], "ILS1", "LS"), ("ece", "LS", "ILS1")],
    ),
    Claim(
        "ils2_over_ls",
        "ILS2 ranks better than LS by cwECE, cross-entropy and accuracy, worse by ECE.",
        IN_RESULTS,
        RANKS,
        [*each(["cross_entropy", "accuracy", "cwece"], "ILS2", "LS"), ("ece", "LS", "ILS2")],
    ),
    Claim(
        "ils_combines",
        "ILS improves cross-entropy, accuracy and cwECE over ILS1 and ILS2 and harms ECE.",
        IN_RESULTS,
        RANKS,
        [
            *each(["cross_entropy", "accuracy", "cwece"], "ILS", ["ILS1", "ILS2"]),
            *each("ece", ["ILS1", "ILS2"], "ILS"),
        ],
    ),
    Claim(
        "scaling_undoes_ece",
        "Temperature scaling undoes that: ILS+TempS ranks best by ECE after No LS+TempS.",
        IN_RESULTS,
        RANKS,
        [
            *each("ece", "ILS+TempS", others("No LS+TempS", "ILS+TempS")),
            ("ece", "No LS+TempS", "ILS+TempS"),
        ],
    ),
    Claim(
        "real_ls_temps",
        "On real data LS+TempS improves over No LS+TempS in accuracy and ECE and loses in cwECE "
        "and cross-entropy.",
        IN_RESULTS,
        RANKS,
        [
            *each(["accuracy", "ece"], "LS+TempS", "No LS+TempS"),
            *each(["cwece", "cross_entropy"], "No LS+TempS", "LS+TempS"),
        ],
    ),
    Claim(
        "better_than_ls",
        "ILS1, ILS2 and ILS generalise better and are better calibrated than LS.",
        "Abstract",
        RANKS,
        each(ALL, ["ILS1", "ILS2", "ILS"], "LS"),
    ),
    Claim(
        "ls_by_confidence_only",
        "Models trained with LS are good in confidence-calibration (ECE), but not so good in "
        "classwise-calibration (cwECE).",
        "Section I",
        RANKS,
        [("ece", "LS", "No LS"), ("cwece", "No LS", "LS")],
    ),
    Claim(
        "consistent",
        "ILS gives a considerable and consistent improvement over the existing methods in "
        "cross-entropy, accuracy, ECE and cwECE.",
        "Section VII",
        RANKS,
        each(ALL, "ILS", EXISTING),
        considerable=True,
    ),
    # Table IV
    Claim(
        "distil_ls_accuracy",
        "A student of a No LS teacher is more accurate than one of an LS teacher.",
        "Section VI-c",
        DISTILLATION,
        [("accuracy", "no_ls", "ls")],
    ),
    Claim(
        "distil_ils_accuracy",
        "A student of an ILS teacher is more accurate than one of an LS teacher.",
        "Section VI-c",
        DISTILLATION,
        [("accuracy", "ils", "ls")],
    ),
    Claim(
        "distil_no_ls_accuracy",
        "A student of an ILS teacher is slightly less accurate than one of a No LS teacher.",
        "Section VI-c",
        DISTILLATION,
        [("accuracy", "no_ls", "ils")],
    ),
    Claim(
        "distil_ils_ce",
        "A student of an ILS teacher has the lowest cross-entropy.",
        "Section VI-c",
        DISTILLATION,
        each("cross_entropy", "ils", ["no_ls", "ls"]),
    ),
]
