"""Networks trained side by side are the networks that a plain loop trains one by one."""

import numpy as np
import pytest
import torch

from ils.plan.plugins import load
from ils.synthetic.perceptrons import Network, train

OPTIONS = {"learning_rate": 0.01, "max_epochs": 60, "patience": 5}
WIDTHS = (2, 16, 16, 3)


@pytest.fixture(scope="module")
def task():
    """A small task in float64: samples, labels, validation samples and labels, and targets.

    The targets are those of 7 students.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    draw = [
        torch.randn(60, 2, generator=generator, dtype=torch.float64) + centres[labels]
        for _ in range(2)
    ]
    onehot = torch.nn.functional.one_hot(labels, 3).double()
    epsilon = torch.tensor([0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.6], dtype=torch.float64)
    targets = load("method", "ls")(onehot, epsilon=epsilon.view(-1, 1, 1))
    return draw[0], labels, draw[1], labels, targets


def module(network, row):
    """The torch.nn network of one student's weights."""
    layers = [
        layer
        for sizes in zip(network.widths, network.widths[1:])
        for layer in (torch.nn.Linear(*sizes, dtype=network.dtype), torch.nn.ReLU())
    ]
    with torch.no_grad():
        for linear, (weight, bias) in zip(layers[::2], network.layers(row[None])):
            linear.weight.copy_(weight[0].T)
            linear.bias.copy_(bias[0, 0])
    return torch.nn.Sequential(*layers[:-1])


def one_by_one(
    network,
    initial,
    x,
    targets,
    x_validation,
    labels,
    learning_rate,
    max_epochs,
    patience,
    fused=True,
):
    """Train by autograd and torch.optim.Adam.

    Returns the best epoch, its loss, and the logits on the validation samples.
    """
    model = module(network, initial)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=fused)
    best = (0, np.inf, None)
    for epoch in range(1, max_epochs + 1):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), targets).backward()
        optimizer.step()
        with torch.no_grad():
            logits = model(x_validation)
            ce = torch.nn.functional.cross_entropy(logits, labels).item()
        best = (epoch, ce, logits) if ce < best[1] else best
        if epoch - best[0] >= patience:
            break
    return best


@pytest.mark.parametrize("students_at_once", [1, 3, 7])
def test_side_by_side_equals_one_by_one(task, students_at_once):
    x, _, x_validation, labels, targets = task
    network = Network(WIDTHS, torch.float64)
    initial = network.initial(1)
    trained = train(
        network,
        initial,
        x,
        targets,
        x_validation,
        labels,
        students_at_once=students_at_once,
        **OPTIONS,
    )
    logits = network.logits(trained.weights, x_validation)
    stopped = set()
    for student, target in enumerate(targets):
        epoch, ce, expected = one_by_one(
            network, initial, x, target, x_validation, labels, **OPTIONS
        )
        assert trained.best_epoch[student] == epoch
        assert trained.validation_ce[student].item() == pytest.approx(ce, abs=1e-11)
        torch.testing.assert_close(logits[student], expected, rtol=0, atol=1e-9)
        stopped.add(epoch)
    # they stop at different epochs, so places were given up and taken over
    assert len(stopped) > 2


def test_the_fused_adam_is_adam(task):
    """torch's fused Adam rounds its coefficients to single precision.

    The steps are the same to that precision.
    """
    x, _, x_validation, labels, targets = task
    network = Network(WIDTHS, torch.float64)
    options = OPTIONS | {"max_epochs": 5}
    arguments = network, network.initial(1), x, targets[3], x_validation, labels
    _, _, fused = one_by_one(*arguments, **options, fused=True)
    _, _, plain = one_by_one(*arguments, **options, fused=False)
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-5)


def test_the_gradient_is_autograds(task):
    from ils.synthetic.perceptrons import Slots

    x, _, x_validation, _, targets = task
    network = Network(WIDTHS, torch.float64)
    slots = Slots(network, network.initial(2), torch.cat([x, x_validation]), targets)
    slots.forward()
    slots.learn(0.0)
    for student, target in enumerate(targets):
        model = module(network, network.initial(2))
        torch.nn.functional.cross_entropy(model(x), target).backward()
        for linear, (weight, bias) in zip(model[::2], slots.gradients):
            torch.testing.assert_close(weight[student], linear.weight.grad.T, rtol=0, atol=1e-14)
            torch.testing.assert_close(bias[student, 0], linear.bias.grad, rtol=0, atol=1e-14)


def test_initial_weights_are_spread_as_torch_spreads_them():
    network = Network((4, 500, 3))
    (first, bias), (second, _) = network.layers(network.initial(0)[None])
    for block, inputs in ((first, 4), (bias, 4), (second, 500)):
        assert block.abs().max() <= inputs**-0.5
        assert block.std().item() == pytest.approx((3 * inputs) ** -0.5, rel=0.1)
    assert torch.equal(network.initial(5), network.initial(5))
    assert not torch.equal(network.initial(5), network.initial(6))


def test_every_block_of_every_student_is_aligned():
    network = Network((2, 64, 7, 3))
    assert all(offset * 4 % 64 == 0 for w, b, *_ in network.blocks for offset in (w, b))
    assert network.size * 4 % 64 == 0


def test_logits_are_the_modules_whatever_the_block_of_samples(task):
    x, *_ = task
    network = Network(WIDTHS, torch.float64)
    rows = torch.stack([network.initial(0), network.initial(1)])
    expected = torch.stack([module(network, row)(x) for row in rows]).detach()
    for samples_at_once in (7, 60, 512):
        torch.testing.assert_close(
            network.logits(rows, x, samples_at_once), expected, rtol=0, atol=1e-14
        )


def test_a_student_that_diverges_is_marked_and_disturbs_no_other(task):
    x, _, x_validation, labels, targets = task
    network = Network(WIDTHS, torch.float64)
    spoilt = targets.clone()
    spoilt[2, 0, 0] = torch.nan
    options = {"students_at_once": 7, **OPTIONS}
    good, bad = (
        train(network, network.initial(1), x, t, x_validation, labels, **options)
        for t in (targets, spoilt)
    )
    assert bad.failed.tolist() == [False, False, True, False, False, False, False]
    assert not good.failed.any()
    others = [0, 1, 3, 4, 5, 6]
    assert torch.equal(good.best_epoch[others], bad.best_epoch[others])
    torch.testing.assert_close(good.weights[others], bad.weights[others], rtol=0, atol=1e-9)
