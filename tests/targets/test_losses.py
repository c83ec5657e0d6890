"""Each loss against its published formula, by hand and by autograd, and at its edges."""

import math

import pytest
import torch

from ils.plan.plugins import load
from ils.training.step import learn

ONEHOT = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
LOG_P = torch.tensor([[[0.5, 0.3, 0.2]]], dtype=torch.float64).log()
P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def loss_and_gradient(name, onehot, logits, **hyperparameters):
    """The loss (G,) and its gradient (G, B, K) as a training step takes them."""
    logits = logits.clone().requires_grad_()
    loss, gradient = learn(logits, load("method", name)(onehot, logits, **hyperparameters))
    return loss, gradient if logits.grad is None else gradient + logits.grad


def by_hand(name, **hyperparameters):
    loss, gradient = loss_and_gradient(name, ONEHOT, LOG_P, **hyperparameters)
    return loss.item(), gradient.squeeze()


def test_focal_loss_weighs_the_cross_entropy_down_where_the_student_is_sure():
    loss, gradient = by_hand("focal", gamma=2)
    assert loss == pytest.approx(0.25 * math.log(2))
    # dL/dp_t = 2 (1 - p_t) log p_t - (1 - p_t)^2 / p_t, and dp_t/dz = p_t (y - p)
    slope = 2 * 0.5 * math.log(0.5) - 0.25 / 0.5
    torch.testing.assert_close(gradient, slope * 0.5 * (ONEHOT[0] - P))


def test_dual_focal_loss_looks_at_the_class_next_below_the_true_one():
    loss, gradient = by_hand("dual_focal", gamma=3)
    assert loss == pytest.approx(0.8**3 * math.log(2))  # 1 - 0.5 + 0.3
    # d/dz of log p_t is y - p, and of p_i it is p_i (e_i - p)
    e = torch.eye(3, dtype=torch.float64)
    of_weight = 3 * 0.8**2 * (0.3 * (e[1] - P) - 0.5 * (e[0] - P))
    torch.testing.assert_close(gradient, of_weight * math.log(2) - 0.8**3 * (e[0] - P))
    # of the true class 0.3 the next is 0.2, whatever lies above; of the last one there is none
    for true, weight in ((1, 1 - 0.3 + 0.2), (2, 1 - 0.2)):
        loss, _ = loss_and_gradient("dual_focal", e[true : true + 1], LOG_P, gamma=1)
        assert loss.item() == pytest.approx(-weight * P[true].log().item())


def test_margin_based_label_smoothing_penalises_logits_too_far_below_the_largest():
    logits = torch.tensor([[[5.0, 2.0, -3.0]]], dtype=torch.float64)  # 0, 3 and 8 below it
    hard, slope = loss_and_gradient("focal", ONEHOT, logits, gamma=0)
    loss, gradient = loss_and_gradient("mbls", ONEHOT, logits, margin=2.0, alpha=0.6)
    assert (loss - hard).item() == pytest.approx(0.6 * (1 + 6) / 3)
    expected = torch.tensor([2.0, -1.0, -1.0], dtype=torch.float64) * 0.6 / 3
    torch.testing.assert_close((gradient - slope).squeeze(), expected)


def test_the_confidence_penalty_rewards_entropy():
    loss, gradient = by_hand("confidence_penalty", beta=0.4)
    entropy = -(P * P.log()).sum()
    assert loss == pytest.approx(math.log(2) - 0.4 * entropy.item())
    # d/dz_k of the entropy is -p_k (log p_k + H)
    torch.testing.assert_close(gradient, P - ONEHOT[0] + 0.4 * P * (P.log() + entropy))


def focal_as_published(p, z, true, gamma):
    return -((1 - p[true]) ** gamma) * p[true].log()


def dual_focal_as_published(p, z, true, gamma):
    below = [q for q in p if q < p[true]]
    return -((1 - p[true] + max(below, default=0)) ** gamma) * p[true].log()


def mbls_as_published(p, z, true, margin, alpha):
    penalties = [(z.max() - z_k - margin).clamp(min=0) for z_k in z]
    return -p[true].log() + alpha * sum(penalties) / len(penalties)


def confidence_penalty_as_published(p, z, true, beta):
    return -p[true].log() - beta * -(p * p.log()).sum()


CASES = {
    "focal": (focal_as_published, {"gamma": [0.0, 0.5, 3.0]}),
    "dual_focal": (dual_focal_as_published, {"gamma": [0.0, 1.0, 5.0]}),
    "mbls": (mbls_as_published, {"margin": [0.0, 1.0, 10.0], "alpha": [0.1, 1.0, 1.0]}),
    "confidence_penalty": (confidence_penalty_as_published, {"beta": [0.0, 0.3, 2.0]}),
}


def columns(grid, dtype=torch.float64):
    return {name: torch.tensor(values, dtype=dtype).view(-1, 1, 1) for name, values in grid.items()}


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_of_the_published_formula(name):
    published, grid = CASES[name]
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(3, 20, 4, generator=generator, dtype=torch.float64)
    true = torch.arange(20) % 4
    loss, gradient = loss_and_gradient(
        name, torch.eye(4, dtype=torch.float64)[true], logits, **columns(grid)
    )
    z = logits.clone().requires_grad_()
    expected = []
    for student in range(3):
        own = {key: values[student] for key, values in grid.items()}
        each = [published(row.softmax(0), row, t, **own) for row, t in zip(z[student], true)]
        expected.append(sum(each) / len(each))
    expected = torch.stack(expected)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-9, atol=1e-12)
    (slope,) = torch.autograd.grad(expected.sum(), z)
    torch.testing.assert_close(gradient, slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_certain_and_hopeless_predictions_have_finite_losses_and_gradients(name, dtype):
    apart = torch.tensor([0.0, 1e-3, 20.0, 100.0, 900.0], dtype=dtype)
    sure = torch.stack([apart, torch.zeros_like(apart), -apart], -1)
    logits = torch.cat([sure, -sure, torch.zeros_like(sure)]).expand(3, -1, -1)
    onehot = torch.eye(3, dtype=dtype)[:1].expand(15, -1)
    loss, gradient = loss_and_gradient(name, onehot, logits, **columns(CASES[name][1], dtype))
    assert loss.isfinite().all() and gradient.isfinite().all()
    hopeless = 15 * gradient[:, 9]  # p_t is 0: its logit goes up
    assert (hopeless[:, 0] < -0.5).all()


@pytest.mark.parametrize("name", ["focal", "dual_focal"])
def test_a_focal_loss_with_gamma_0_is_the_cross_entropy(name):
    logits = 50 * torch.randn(1, 30, 4, generator=torch.Generator().manual_seed(1))
    onehot = torch.eye(4)[torch.arange(30) % 4]
    ours = loss_and_gradient(name, onehot, logits, gamma=0.0)
    for one, other in zip(ours, learn(logits, onehot), strict=True):
        assert torch.equal(one, other)


def test_a_value_is_a_loss_by_itself_and_joins_others():
    logits = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]]], dtype=torch.float64).requires_grad_()
    loss, gradient = learn(logits, [(logits**2).sum(-1)])
    assert loss.tolist() == [5, 9] and not gradient.any()
    assert logits.grad.tolist() == [[[2, 4]], [[6, 0]]]
    logits.grad = None
    constant = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    both, _ = learn(logits, [logits[..., 0], constant])
    assert both.tolist() == [2, 5] and logits.grad[..., 0].tolist() == [[1], [1]]
