"""What the paper calls things. It needs nothing else, so that the workflow itself can read it."""

DIAGRAMS = {
    "fig12": "accuracy",
    "fig13": "cross_entropy",
    "fig14": "ece",
    "fig15": "cwece",
}  # by which metric each ranks
PRINTED = {
    "cwece": "cwece_printed"
}  # the paper's name of a metric: ours, as its cwECE is not Eq. 2
TABLE_III = ("cross_entropy", "accuracy", "ece", "cwece")  # its blocks
PARABOLA = (0.8, 2.0)  # P1 and P2 of its Figures 4 and 11
