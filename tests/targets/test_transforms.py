"""What a transform makes of a mini-batch, and what students with one learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import beta

from conftest import RECIPE, group
from ils.networks.build import build
from ils.targets.transforms import QUANTILES, beta_quantiles, mixup
from ils.training.trainer import train

X = torch.tensor([[0.0, 8.0], [4.0, 0.0], [2.0, 2.0]], dtype=torch.float64)
ONEHOT = torch.eye(3, dtype=torch.float64)


def column(*values):
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)


def drawn(number, order=(0.5, 0.9, 0.1)):
    """Draws of a mini-batch: the permutation 2, 0, 1, and the number that lambda comes of."""
    return torch.tensor([[u, number] for u in order], dtype=torch.float64)


def test_mixup_mixes_each_sample_with_another_by_one_lambda_a_student():
    memory = {"quantiles": torch.tensor([[0.75], [1.0]]).double().expand(2, QUANTILES)}
    x, onehot = mixup(X, ONEHOT, drawn(0.3), memory, alpha=column(0.4, 0.0))
    # the second number of the first sample counts; its partners are those of the ranks
    assert x[0].tolist() == [[0.5, 6.5], [3.0, 2.0], [2.5, 1.5]]
    assert onehot[0].tolist() == [[0.75, 0, 0.25], [0.25, 0.75, 0], [0, 0.25, 0.75]]
    assert torch.equal(x[1], X) and torch.equal(onehot[1], ONEHOT)


def test_images_are_mixed_as_inputs_are():
    images, memory = torch.arange(24.0).view(3, 2, 2, 2), {}
    x, _ = mixup(images, ONEHOT, drawn(0.2), memory, alpha=column(0.4, 1.0).float())
    share = memory["quantiles"][:, int(0.2 * QUANTILES)].view(2, 1, 1, 1, 1)
    expected = share * images + (1 - share) * images[[2, 0, 1]]
    torch.testing.assert_close(x, expected)


def test_lambda_is_the_students_own_quantile_of_one_number():
    alphas = [0.1, 0.4, 1.0, 8.0]
    table = beta_quantiles(column(0.0, *alphas))
    assert (table[0] == 1).all() and table.shape == (5, QUANTILES)
    assert ((table >= 0) & (table <= 1)).all() and (table[1:].diff() >= 0).all()
    middles = (np.arange(QUANTILES) + 0.5) / QUANTILES
    for row, alpha in zip(table[1:], alphas, strict=True):
        np.testing.assert_allclose(row, beta.ppf(middles, alpha, alpha), rtol=1e-6, atol=1e-12)
        assert row.mean().item() == pytest.approx(0.5, abs=1e-6)
        assert row.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=1e-3)
    # the first and the last number there is have a quantile
    for number in (0.0, 1 - 2**-24):
        mixup(X, ONEHOT, drawn(number), {"quantiles": table}, alpha=column(*[0.0] * 5))


def trained(cell, *groups):
    students = sum(len(each.points) for each in groups)
    network = build("mlp", {"hidden": [8]}, (5,), 3, students, 0)
    return train(network, cell, groups, replace(RECIPE, epochs=2), 3, "test")


def test_mixup_without_mixing_is_no_mixup_and_targets_get_the_mixed_labels(make_cell):
    cell, seen = make_cell((5,)), []

    def spy(onehot, x):
        seen.append((onehot, x))
        return onehot

    own = {"grid": {"alpha": [0.0, 1.0]}, "transform": "mixup"}
    mixed, plain = trained(cell, group(spy, **own)), trained(cell, group("no_ls"))
    np.testing.assert_allclose(mixed.train_loss[0], plain.train_loss[0], rtol=0, atol=1e-12)
    assert abs(mixed.train_loss[1] - plain.train_loss[0]).min() > 1e-3
    onehot, x = seen[0]
    assert onehot.shape == (2, 16, 3) and x.shape == (2, 16, 5)
    assert set(onehot[0].unique().tolist()) == {0, 1} and len(onehot[1].unique()) > 2
    torch.testing.assert_close(onehot.sum(-1), torch.ones(2, 16, dtype=torch.float64))


def test_the_draws_of_transforms_change_no_other_number(make_cell):
    """Beta's numbers are the same whether there is a transform that draws, too."""
    cell, seen = make_cell((5,)), []

    def spy(onehot, uniform, draws):
        seen.append((uniform, draws))
        return onehot

    trained(cell, group(spy))
    alone, seen[:] = list(seen), []
    trained(cell, group(spy, {"alpha": [1.0]}, transform="mixup"))
    for (uniform, draws), (other, same) in zip(alone, seen, strict=True):
        assert torch.equal(uniform, other) and torch.equal(draws, same)
