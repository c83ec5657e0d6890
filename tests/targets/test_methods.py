"""Each target function against numbers worked out by hand."""

import math

import pytest
import torch

from ils.plan.plugins import load, plugins
from ils.targets.methods import (
    beta,
    bs_soft,
    cls,
    dis,
    distil,
    ils,
    ils1,
    ils2,
    ils_one_temperature,
    ls,
    no_ls,
    online_ls,
    ps_kd,
    sinusoidal,
)
from ils.training.step import learn

ONEHOT = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
# A teacher that is right, p_t = 0.7:
LOGITS = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).log()


def row(method, *inputs, **hyperparameters):
    """The targets of one sample of the first of three classes."""
    return method(ONEHOT, *inputs, **hyperparameters).squeeze().tolist()


def test_no_ls_is_the_label():
    assert row(no_ls) == [1, 0, 0]


def test_ls_is_the_papers_example():
    assert row(ls, epsilon=0.1) == pytest.approx([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])


def test_ils1_smooths_by_the_parabola():
    # epsilon_x = 2 (0.7 - 0.95)^2 = 0.125
    assert row(ils1, LOGITS, 1.0, p1=0.95, p2=2.0) == pytest.approx(
        [0.875 + 0.125 / 3, 0.125 / 3, 0.125 / 3]
    )
    # capped: 5 (0.7 - 0.4)^2 = 0.45 -> 0.2; and it rises again beyond the vertex
    assert row(ils1, LOGITS, 1.0, p1=0.4, p2=5.0)[1] == pytest.approx(0.2 / 3)
    # at temperature 2 the teacher's p_t is sqrt(.7) / (sqrt(.7) + sqrt(.2) + sqrt(.1))
    p_true = math.sqrt(0.7) / (math.sqrt(0.7) + math.sqrt(0.2) + math.sqrt(0.1))
    assert row(ils1, LOGITS, 2.0, p1=0.9, p2=1.0)[2] == pytest.approx((p_true - 0.9) ** 2 / 3)


def test_ils2_splits_epsilon_as_the_teacher_does():
    assert row(ils2, LOGITS, epsilon=0.3, temperature=1.0) == pytest.approx([0.7, 0.2, 0.1])
    root = math.sqrt(0.2) / (math.sqrt(0.2) + math.sqrt(0.1))
    assert row(ils2, LOGITS, epsilon=0.1, temperature=2.0) == pytest.approx(
        [0.9, 0.1 * root, 0.1 * (1 - root)]
    )


def test_ils2_stays_exact_where_the_teacher_is_certain():
    certain = torch.tensor([[400.0, 1.0, 0.0]], dtype=torch.float64)  # 1 - p_t is 0 as a float
    share = math.e / (math.e + 1)
    assert row(ils2, certain, epsilon=0.1, temperature=1.0) == pytest.approx(
        [0.9, 0.1 * share, 0.1 * (1 - share)]
    )


def test_ils_takes_epsilon_at_the_fitted_and_the_split_at_the_grid_temperature():
    p_true = math.sqrt(0.7) / (math.sqrt(0.7) + math.sqrt(0.2) + math.sqrt(0.1))
    epsilon = (p_true - 0.9) ** 2
    expected = [1 - epsilon, epsilon * 2 / 3, epsilon / 3]
    assert row(ils, LOGITS, 2.0, p1=0.9, p2=1.0, temperature=1.0) == pytest.approx(expected)
    root = math.sqrt(0.2) / (math.sqrt(0.2) + math.sqrt(0.1))
    expected = [1 - epsilon, epsilon * root, epsilon * (1 - root)]
    assert row(ils_one_temperature, LOGITS, p1=0.9, p2=1.0, temperature=2.0) == pytest.approx(
        expected
    )


def test_dis_is_the_teachers_prediction():
    assert row(dis, LOGITS) == pytest.approx([0.7, 0.2, 0.1])


def test_ps_kd_trusts_the_past_more_as_training_goes_on():
    previous = torch.tensor([[[0.5, 0.5, 0.0]]], dtype=torch.float64)
    assert row(ps_kd, previous, 0.5, alpha=0.8) == pytest.approx([0.6 + 0.2, 0.2, 0])


def test_online_ls_mixes_in_what_the_student_said_of_the_class():
    averages = torch.tensor([[[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.0, 0.0, 1.0]]]).double()
    assert row(online_ls, averages, alpha=0.5) == pytest.approx([0.85, 0.1, 0.05])


def test_cls_splits_epsilon_by_the_distance_of_the_classes():
    distances = torch.tensor(
        [[9.0, 1.0, 2.0], [1.0, 9.0, 3.0], [2.0, 3.0, 9.0]], dtype=torch.float64
    )
    near = 1 / (1 + math.exp(-0.5))  # exp(-0.5 * 1) against exp(-0.5 * 2); d(a, a) plays no part
    expected = [0.8, 0.2 * near, 0.2 * (1 - near)]
    assert row(cls, distances, epsilon=0.2, beta=0.5) == pytest.approx(expected)


def test_bs_soft_mixes_in_the_students_own_prediction_and_its_gradient():
    logits = LOGITS.clone()[None].requires_grad_()
    targets = bs_soft(ONEHOT, logits, beta=0.9)
    assert targets.squeeze().tolist() == pytest.approx([0.97, 0.02, 0.01])

    def loss(z):
        q = z.softmax(-1)
        return -((0.9 * ONEHOT + 0.1 * q) * q.log()).sum()

    _, gradient = learn(logits, targets)
    gradient += logits.grad  # through the targets
    # d/dz_k of -log q_t is q_k - y_k; of the entropy H(q) it is -q_k (log q_k + H)
    q = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    entropy = -(q * q.log()).sum()
    by_hand = 0.9 * (q - ONEHOT[0]) - 0.1 * q * (q.log() + entropy)
    torch.testing.assert_close(gradient.squeeze(), by_hand)
    assert torch.autograd.gradcheck(loss, logits.detach().clone().requires_grad_())


def test_beta_gives_the_surest_sample_the_largest_draw():
    onehot = torch.eye(3, dtype=torch.float64)
    confidence = torch.tensor([[0.5, 0.9, 0.1], [0.9, 0.1, 0.5]], dtype=torch.float64)
    uniform = torch.tensor([0.64, 0.04, 0.36], dtype=torch.float64)
    # a = (1 - 0.4 - 0.2) / 0.2 = 2, and b are square roots of the draws, ordered as the confidences
    targets = beta(onehot, confidence, uniform, epsilon=0.2, alpha=0.4)
    b = [[0.6, 0.8, 0.2], [0.8, 0.2, 0.6]]
    for student in range(2):
        for sample in range(3):
            expected = [0.6 * (1 - b[student][sample]) / 2] * 3
            expected[sample] = 0.4 + 0.6 * b[student][sample]
            assert targets[student, sample].tolist() == pytest.approx(expected)


def test_betas_mean_true_class_mass_is_one_minus_epsilon():
    n = 200_000
    onehot = torch.eye(4, dtype=torch.float64)[torch.zeros(n, dtype=torch.long)]
    generator = torch.Generator().manual_seed(0)
    confidence, uniform = (
        torch.rand(1, n, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    grid = {
        "epsilon": torch.tensor([0.15]).double().view(1, 1, 1),
        "alpha": torch.tensor([0.4]).double().view(1, 1, 1),
    }
    mass = beta(onehot, confidence, uniform[0], **grid)[0, :, 0]
    assert mass.mean().item() == pytest.approx(0.85, abs=4 * mass.std().item() / n**0.5)


def test_sinusoidal_smooths_by_a_sine():
    # p_t = 0.7; at the shift epsilon is 0.1; a quarter wave of rate -4 below it, at shift
    # 0.7 + pi / 8, it is 0.2
    assert row(sinusoidal, LOGITS, 1.0, shift=0.7, rate=-4.0)[1] == pytest.approx(0.1 / 3)
    assert row(sinusoidal, LOGITS, 1.0, shift=0.7 + math.pi / 8, rate=-4.0)[1] == pytest.approx(
        0.2 / 3
    )
    epsilon = 0.1 * (math.sin(-4 * 0.2) + 1)
    assert row(sinusoidal, LOGITS, 1.0, shift=0.5, rate=-4.0) == pytest.approx(
        [1 - epsilon * 2 / 3, epsilon / 3, epsilon / 3]
    )


@pytest.mark.parametrize("name", sorted(plugins("method")))
def test_targets_are_distributions_for_every_student(name):
    """Those of a focal loss are weighted ones, at most those of the labels; a term that is a value
    is one for every student and sample, of the logits."""
    plugin = plugins("method")[name]
    torch.manual_seed(0)
    onehot = torch.eye(4, dtype=torch.float64)[torch.randint(4, (50,))]
    inputs = {
        "onehot": onehot,
        "teacher_logits": torch.randn(50, 4, dtype=torch.float64) * 5,
        "teachers_logits": torch.randn(2, 50, 4, dtype=torch.float64) * 5,
        "teacher_temperature": 1.3,
        "class_distances": torch.rand(4, 4, dtype=torch.float64),
        "student_logits": torch.randn(2, 50, 4, dtype=torch.float64).requires_grad_(),
        "class_averages": torch.randn(2, 4, 4, dtype=torch.float64).softmax(-1),
        "previous_probabilities": torch.randn(2, 50, 4, dtype=torch.float64).softmax(-1),
        "progress": 0.3,
        "ema_confidence": torch.rand(2, 50, dtype=torch.float64),
        "uniform": torch.rand(50, dtype=torch.float64),
    }
    of_transforms = {"x", "draws", "memory"}
    assert set(inputs) == set(plugins("target_input")) - of_transforms
    grid = {"epsilon": [0.01, 0.2], "temperature": [0.5, 8.0], "p1": [0.7, 1.0], "p2": [0.0, 6.0]}
    grid |= {"beta": [0.95, 1.0], "alpha": [0.4, 0.1]}
    grid |= {"shift": [0.5, 0.7], "rate": [-4.0, 3.0], "gamma": [0.0, 2.0], "margin": [0.0, 1.0]}
    grid |= {
        "teacher": [1.0, 0.0],
        "weight": [0.9, 0.5],
        "teacher_temperature": [20.0, 1.0],
        "student_temperature": [1.0, 4.0],
    }
    grid |= {"times_t_squared": [0.0, 1.0]}
    grid = {key: torch.tensor(grid[key]).double().view(-1, 1, 1) for key in plugin.required}
    targets = load("method", name)(*(inputs[key] for key in plugin.inputs), **grid)
    if isinstance(targets, list):  # the parts of distillation are looked at below
        values = [term for term in targets if isinstance(term, torch.Tensor)]
        assert len(values) == (name != "distil")
        assert all(term.shape == (2, 50) and term.requires_grad for term in values)
        return
    if name in ("focal", "dual_focal"):
        assert targets.shape == (2, 50, 4) and targets.requires_grad
        assert ((targets >= 0) & (targets <= onehot)).all() and (targets > 0).any(-1).all()
        return
    assert targets.shape in ((2, 50, 4), (50, 4)) and (targets.ndim == 3 or not grid)
    torch.testing.assert_close(targets.sum(-1), torch.ones(targets.shape[:-1], dtype=torch.float64))
    assert targets.min() >= 0


def test_distillation_weighs_the_softened_teacher_and_the_labels():
    """By hand: the teacher (ln 4, 0) at temperature 2 is (2/3, 1/3).

    The student (ln 9, 0) is (.9, .1), at temperature 2 (.75, .25).
    """
    onehot = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    teachers = torch.tensor([[[4.0, 1.0]], [[1.0, 1.0]]], dtype=torch.float64).log()
    students = torch.tensor([9.0, 1.0], dtype=torch.float64).log().expand(4, 1, 2)
    grid = {
        "teacher": [0, 1, 0, 0],
        "weight": [0.9, 0.9, 0.5, 0.9],
        "teacher_temperature": [2, 2, 2, 2],
    }
    grid |= {"student_temperature": [1, 1, 2, 1], "times_t_squared": [0, 0, 0, 1]}
    columns = {
        name: torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)
        for name, values in grid.items()
    }
    loss, slope = learn(students, distil(onehot, teachers, **columns))

    def soft(p, q):
        return -(p * math.log(q) + (1 - p) * math.log(1 - q))

    hard = -math.log(0.1)
    expected = [
        0.9 * soft(2 / 3, 0.9) + 0.1 * hard,
        0.9 * soft(1 / 2, 0.9) + 0.1 * hard,
        0.5 * soft(2 / 3, 0.75) + 0.5 * hard,
        4 * 0.9 * soft(2 / 3, 0.9) + 0.1 * hard,
    ]
    assert loss.tolist() == pytest.approx(expected)
    # d/dz of a cross-entropy at temperature t is (q - p) / t
    gradient = [
        0.9 * (0.9 - 2 / 3) + 0.1 * 0.9,
        0.9 * (0.9 - 1 / 2) + 0.1 * 0.9,
        0.5 * (0.75 - 2 / 3) / 2 + 0.5 * 0.9,
    ]
    assert slope[:3, 0, 0].tolist() == pytest.approx(gradient)


def test_a_distillation_at_temperature_one_is_one_cross_entropy_to_mixed_targets():
    torch.manual_seed(0)
    onehot, teachers, students = (
        torch.eye(3)[torch.arange(12) % 3],
        torch.randn(1, 12, 3),
        torch.randn(1, 12, 3),
    )
    parts = distil(
        onehot,
        teachers,
        teacher=0,
        weight=0.9,
        teacher_temperature=20,
        student_temperature=1,
        times_t_squared=0,
    )
    mixed = 0.9 * (teachers[0] / 20).softmax(-1) + 0.1 * onehot
    torch.testing.assert_close(learn(students, parts), learn(students, mixed))
