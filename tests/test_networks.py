"""Networks: the paper's parameter counts, and G students trained together equal G trained one by one."""

import numpy as np
import pytest
import torch

from conftest import RECIPE
from ils.errors import UserError
from ils.methods import METHODS
from ils.networks import build, restore
from ils.optimizers import SGD
from ils.stacked import repeat
from ils.training import losses, train

PAPER = [
    ("lenet", {}, 62_006),
    ("resnet", {"depth": 110}, 1_727_962),
    ("resnet", {"depth": 110, "survival": 0.5}, 1_727_962),
    ("densenet", {"depth": 40, "variant": "plain"}, 1_019_722),
    ("densenet", {"depth": 40, "variant": "bc"}, 176_122),
    ("wide_resnet", {"depth": 34, "widen": 10}, 46_160_474),
]
FULL_SIZE = [*((family, options) for family, options, _ in PAPER), ("resnet", {"depth": 152, "survival": 0.5})]
SMALL = [
    ("mlp", {"hidden": [16, 8]}, (5,)),
    ("lenet", {"padding": 2}, (1, 8, 8)),
    ("resnet", {"depth": 8, "width": 4}, (3, 8, 8)),
    ("resnet", {"depth": 14, "width": 4, "survival": 0.5}, (3, 8, 8)),
    ("densenet", {"depth": 10, "growth": 4, "variant": "bc"}, (1, 8, 8)),
    ("densenet", {"depth": 10, "growth": 4, "variant": "plain"}, (1, 8, 8)),
    ("wide_resnet", {"depth": 10, "widen": 1}, (1, 8, 8)),
]


@pytest.mark.parametrize("family, options, parameters", PAPER)
def test_parameter_count_at_the_papers_size(family, options, parameters):
    network = build(family, options, (3, 32, 32), 10, 1, 0)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (1, 2, 10)


@pytest.mark.parametrize("family, options", FULL_SIZE)
def test_one_training_step_at_the_papers_size_lowers_the_loss(family, options):
    network = build(family, options, (3, 32, 32), 10, 1, 0)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets, generator = torch.eye(10)[[3, 7]], torch.Generator().manual_seed(0)
    optimizer = SGD(network.parameters(), 0.01, 0.9, True, 1e-4)
    network.draw_coins(generator)
    found = []
    for _ in range(2):
        found.append(losses(network(x), targets).sum())
        network.zero_grad()
        found[-1].backward()
        optimizer.step()
    assert torch.isfinite(found[1]) and found[1] < found[0]


@pytest.mark.parametrize("family, options, shape", SMALL)
def test_students_trained_together_equal_students_trained_alone(family, options, shape, make_cell):
    cell = make_cell(shape, pad=len(shape) == 3 and 1 or 0, teacher=True)
    grid = {"p1": [0.95, 0.9, 0.8, 0.9], "p2": [0.5, 1.0, 2.0, 3.0], "temperature": [1.0, 2.0, 4.0, 1.0]}

    def students(rows):
        network = build(family, options, shape, 3, len(rows), seed=7)
        chosen = {name: [values[row] for row in rows] for name, values in grid.items()}
        return train(network, cell, METHODS["ils"], chosen, RECIPE, seed=3, title="test")

    together, alone = students([0, 1, 2, 3]), [students([row]) for row in range(4)]
    np.testing.assert_array_equal(together.best_epoch, [student.best_epoch[0] for student in alone])
    for row, student in enumerate(alone):
        np.testing.assert_allclose(together.validation_logits[row], student.validation_logits[0], atol=1e-9)
        np.testing.assert_allclose(together.validation_ce[row], student.validation_ce[0], atol=1e-9)
        for name, tensor in student.weights.items():
            torch.testing.assert_close(together.weights[name][row], tensor[0], atol=1e-9, rtol=0)
    assert not np.allclose(together.validation_logits[0], together.validation_logits[2])


def test_stochastic_depth_skips_the_drawn_blocks_and_scales_branches_at_test_time():
    network = build("resnet", {"depth": 8, "width": 4, "survival": 0.4}, (1, 8, 8), 3, 1, 0).double()
    assert network.survival == pytest.approx((0.8, 0.6, 0.4))  # p_l = 1 - l/L (1 - 0.4), L = 3
    x = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    # With every branch's last batch norm at zero, all blocks are identities, drawn or not, scaled or not.
    for block in network.blocks:
        torch.nn.init.zeros_(block.bn2.weight)
    network.train()
    outputs = []
    for network.coins in ([True] * 3, [False] * 3):
        outputs.append(network(x))
    torch.testing.assert_close(outputs[0], outputs[1])
    # A branch that is the constant 1 shifts the last block's output by its survival probability at test time.
    torch.nn.init.ones_(network.blocks[2].bn2.bias)
    torch.nn.init.ones_(network.fc.weight)
    network.eval()
    shifted = network(x)
    torch.nn.init.zeros_(network.blocks[2].bn2.bias)
    difference = (shifted - network(x)) / network.fc.weight.shape[1]
    torch.testing.assert_close(difference, torch.full_like(difference, 0.4))


def test_initial_weights_follow_from_the_seed_and_are_the_same_for_all_students():
    one, three, other = (build("lenet", {}, (3, 32, 32), 10, g, seed) for g, seed in ((1, 5), (3, 5), (1, 6)))
    for name, tensor in three.state_dict().items():
        for student in tensor:
            assert torch.equal(student, one.state_dict()[name][0])
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def test_building_a_network_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    build("mlp", {"hidden": [4]}, (3,), 2, 1, 0)
    assert torch.equal(torch.rand(1), expected)


def test_a_saved_student_is_restored():
    three = repeat(build("densenet", {"depth": 10, "growth": 4}, (1, 8, 8), 3, 1, 0), 3)
    with torch.no_grad():
        for parameter in three.parameters():
            parameter += torch.randn_like(parameter)
    second = {name: tensor[1:2].contiguous().numpy() for name, tensor in three.state_dict().items()}
    x = torch.randn(4, 1, 8, 8)
    restored = restore("densenet", {"depth": 10, "growth": 4}, (1, 8, 8), 3, second).eval()
    torch.testing.assert_close(restored(x)[0], three.eval()(x)[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "family, options, shape, words",
    [
        ("lenet", {}, (5,), "needs images"),
        ("lenet", {}, (1, 8, 8), "padding: 2"),
        ("resnet", {"depth": 9}, (3, 32, 32), "6n + 2"),
        ("densenet", {"depth": 40, "variant": "wide"}, (3, 32, 32), "'plain' nor 'bc'"),
    ],
)
def test_impossible_networks_are_refused(family, options, shape, words):
    with pytest.raises(UserError, match=words.replace("+", r"\+")):
        build(family, options, shape, 10, 1, 0)
