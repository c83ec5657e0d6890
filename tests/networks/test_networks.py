"""Networks: the paper's sizes and branches, their coins, and what is built, saved and restored."""

import pytest
import torch

from ils.errors import UserError
from ils.networks.build import build, restore
from ils.networks.inception import Branches
from ils.networks.layers import repeat, replace_tensors
from ils.training.optimizers import SGD
from ils.training.step import cross_entropy

PAPER = [
    ("lenet", {}, 62_006),
    ("resnet", {"depth": 110}, 1_727_962),
    ("resnet", {"depth": 110, "survival": 0.5}, 1_727_962),
    ("densenet", {"depth": 40, "variant": "plain"}, 1_019_722),
    ("densenet", {"depth": 40, "variant": "bc"}, 176_122),
    ("wide_resnet", {"depth": 34, "widen": 10}, 46_160_474),
    ("alexnet", {}, 23_272_266),
    ("torchvision_resnet", {"depth": 18}, 11_173_962),
    ("torchvision_resnet", {"depth": 50}, 23_520_842),
    ("inception_v4", {}, 41_158_186),
]
FULL_SIZE = [
    *((family, options) for family, options, _ in PAPER),
    ("resnet", {"depth": 152, "survival": 0.5}),
]
SMALL = [
    ("mlp", {"hidden": [16, 8]}, (5,)),
    ("lenet", {"padding": 2}, (1, 8, 8)),
    ("resnet", {"depth": 8, "width": 4}, (3, 8, 8)),
    ("resnet", {"depth": 14, "width": 4, "survival": 0.5}, (3, 8, 8)),
    ("densenet", {"depth": 10, "growth": 4, "variant": "bc"}, (1, 8, 8)),
    ("densenet", {"depth": 10, "growth": 4, "variant": "plain"}, (1, 8, 8)),
    ("wide_resnet", {"depth": 10, "widen": 1}, (1, 8, 8)),
    ("alexnet", {"width": 4, "hidden": [16, 16], "stride": 1}, (1, 8, 8)),
    ("torchvision_resnet", {"depth": 18, "width": 2}, (3, 8, 8)),
    ("torchvision_resnet", {"depth": 50, "width": 4}, (3, 8, 8)),
    ("inception_v4", {"blocks": [1, 1, 1], "width": 2}, (3, 8, 8)),
    ("mlp", {"hidden": [8]}, (2, 4, 4)),
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
    loss = []
    for _ in range(2):
        loss.append(cross_entropy(network(x), targets).sum())
        optimizer.flat.gradient.zero_()
        loss[-1].backward()
        optimizer.step()
    assert torch.isfinite(loss[1]) and loss[1] < loss[0]


def test_stochastic_depth_skips_the_drawn_blocks_and_scales_branches_at_test_time():
    network = build(
        "resnet", {"depth": 8, "width": 4, "survival": 0.4}, (1, 8, 8), 3, 1, 0
    ).double()
    assert network.survival == pytest.approx((0.8, 0.6, 0.4))  # p_l = 1 - l/L (1 - 0.4), L = 3
    x = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    # With every branch's last batch norm at zero, all blocks are identities, drawn or not, scaled
    # or not.
    for block in network.blocks:
        torch.nn.init.zeros_(block.bn2.weight)
    network.train()
    outputs = []
    for network.coins in ([True] * 3, [False] * 3):
        outputs.append(network(x))
    torch.testing.assert_close(outputs[0], outputs[1])
    # A branch that is the constant 1 shifts the last block's output by its survival probability at
    # test time.
    torch.nn.init.ones_(network.blocks[2].bn2.bias)
    torch.nn.init.ones_(network.fc.weight)
    network.eval()
    shifted = network(x)
    torch.nn.init.zeros_(network.blocks[2].bn2.bias)
    difference = (shifted - network(x)) / network.fc.weight.shape[1]
    torch.testing.assert_close(difference, torch.full_like(difference, 0.4))


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_the_four_stage_resnet_is_torchvisions(depth):
    import torchvision

    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=10)
    theirs.conv1, theirs.maxpool = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False), torch.nn.Identity()
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                torch.nn.init.uniform_(tensor, 0.5, 1.0)
    ours = build("torchvision_resnet", {"depth": depth}, (3, 32, 32), 10, 1, 0)
    weights = [tensor for name, tensor in theirs.state_dict().items() if "num_batches" not in name]
    weights[-2] = weights[-2].T  # fc.weight
    names = list(ours.state_dict())
    assert len(weights) == len(names)
    replace_tensors(ours, {name: tensor[None] for name, tensor in zip(names, weights)})
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            ours.double().eval()(x)[0], theirs.double().eval()(x), rtol=1e-9, atol=1e-9
        )


def test_inception_has_the_papers_branches():
    """Figures 3 to 9 by hand: each convolution and its batch norm.

    A convolution is (channels in, channels out, area of the kernel).
    """

    def parameters(*convolutions):
        return sum(a * b * area + 2 * b for a, b, area in convolutions)

    stem = [(3, 32, 9), (32, 32, 9), (32, 64, 9), (64, 96, 9), (160, 64, 1), (64, 96, 9)]
    stem += [(160, 64, 1), (64, 64, 7), (64, 64, 7), (64, 96, 9), (192, 192, 9)]
    a = [(384, 96, 1), (384, 96, 1), (384, 64, 1), (64, 96, 9)]
    a += [(384, 64, 1), (64, 96, 9), (96, 96, 9)]
    reduction_a = [(384, 384, 9), (384, 192, 1), (192, 224, 9), (224, 256, 9)]
    b = [(1024, 128, 1), (1024, 384, 1), (1024, 192, 1), (192, 224, 7), (224, 256, 7)]
    b += [(1024, 192, 1), (192, 192, 7), (192, 224, 7), (224, 224, 7), (224, 256, 7)]
    reduction_b = [(1024, 192, 1), (192, 192, 9), (1024, 256, 1)]
    reduction_b += [(256, 256, 7), (256, 320, 7), (320, 320, 9)]
    c = [(1536, 256, 1), (1536, 256, 1), (1536, 384, 1), (384, 256, 3), (384, 256, 3)]
    c += [(1536, 384, 1), (384, 448, 3), (448, 512, 3), (512, 256, 3), (512, 256, 3)]
    # The stem has the first three lists of branches; then come 4 A, reduction A, 7 B, reduction B,
    # 3 C.
    network = build("inception_v4", {}, (3, 32, 32), 10, 1, 0)
    modules = [layer for layer in network.body if isinstance(layer, Branches)]
    blocks = [sum(p.numel() for p in module.parameters()) for module in modules[3:]]
    expected = [a] * 4 + [reduction_a] + [b] * 7 + [reduction_b] + [c] * 3
    assert blocks == [parameters(*convolutions) for convolutions in expected]
    everything = sum(blocks) + parameters(*stem) + 1536 * 10 + 10
    assert everything == sum(p.numel() for p in network.parameters()) == 41_158_186
    # The grids: 32x32 up to reduction A, 16x16 up to reduction B, 8x8; the channels of the paper.
    shapes = []
    for module in modules:
        module.register_forward_hook(lambda module, x, y: shapes.append(tuple(y.shape[1:3])))
    network.eval()(torch.zeros(1, 3, 32, 32))
    assert shapes == [(160, 32), (192, 32), *[(384, 32)] * 5, *[(1024, 16)] * 8, *[(1536, 8)] * 4]


@pytest.mark.parametrize(
    "family, options, shape",
    [
        ("alexnet", {"width": 4, "hidden": [8]}, (1, 28, 28)),
        ("alexnet", {"width": 4, "hidden": [8]}, (1, 15, 15)),
        ("torchvision_resnet", {"depth": 18, "width": 4}, (1, 28, 28)),
        ("inception_v4", {"blocks": [1, 2, 1], "width": 2}, (1, 28, 28)),
    ],
)
def test_other_images_than_cifars_are_taken(family, options, shape):
    network = build(family, options, shape, 10, 2, 0).eval()
    assert network(torch.zeros(3, *shape)).shape == (2, 3, 10)


def test_dropout_has_one_mask_for_all_students_and_follows_from_the_generator():
    network = build("alexnet", {"width": 4, "hidden": [64, 64], "stride": 1}, (1, 8, 8), 3, 2, 0)
    inputs = []
    network.dropouts[1].register_forward_hook(lambda layer, x, y: inputs.append((x[0], y)))

    def masks(seed, batches):
        generator = torch.Generator().manual_seed(seed)
        inputs.clear()
        for _ in range(batches):
            network.draw_coins(generator)
            network(torch.ones(50, 1, 8, 8))
        return [y / x for x, y in inputs]  # the mask where x > 0, else NaN

    first, second = masks(0, 2)
    for mask in (first, second):
        assert set(mask[mask.isfinite()].tolist()) == {0.0, 2.0}
        torch.testing.assert_close(mask[0], mask[1], equal_nan=True)
        assert abs(mask[mask.isfinite()].mean() - 1) < 0.1
    assert not torch.equal(first.nan_to_num(), second.nan_to_num())
    torch.testing.assert_close(masks(0, 1)[0], first, equal_nan=True)
    assert not torch.equal(masks(1, 1)[0].nan_to_num(), first.nan_to_num())
    network.eval()
    masks(0, 1)
    assert torch.equal(*inputs[0])


def test_a_network_without_coins_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    for family, options, shape in SMALL[:3]:
        build(family, options, shape, 3, 1, 0).draw_coins(generator)
    assert torch.equal(generator.get_state(), before)
    build(*SMALL[3], 3, 1, 0).draw_coins(generator)
    assert not torch.equal(generator.get_state(), before)


def test_initial_weights_follow_from_the_seed_and_are_the_same_for_all_students():
    one, three, other = (
        build("lenet", {}, (3, 32, 32), 10, g, seed) for g, seed in ((1, 5), (3, 5), (1, 6))
    )
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


@pytest.mark.parametrize("family, options, shape", SMALL)
def test_a_saved_student_is_restored(family, options, shape):
    three = repeat(build(family, options, shape, 3, 1, 0), 3)
    with torch.no_grad():
        for parameter in three.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    weights = {
        name: tensor[1:2].contiguous().numpy() for name, tensor in three.state_dict().items()
    }
    x = torch.randn(4, *shape)
    restored = restore(family, options, shape, 3, weights, "float32").eval()
    first, second = three.eval()(x)[:2]
    torch.testing.assert_close(restored(x)[0], second, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(first, second, rtol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("family, options, shape", SMALL)
def test_a_student_with_inputs_of_its_own_says_of_them_what_it_says_of_shared_ones(
    family, options, shape
):
    three = repeat(build(family, options, shape, 3, 1, 0), 3).double()
    for parameter in three.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    x = torch.randn(3, 4, *shape, dtype=torch.float64)
    three.draw_coins(torch.Generator().manual_seed(0))
    own = three.logits(x)
    for student in range(3):
        one = three.part(slice(student, student + 1))
        one.coins = three.coins
        expected = one.logits(x[student])[0]
        torch.testing.assert_close(own[student], expected, rtol=0, atol=1e-9)
    assert not torch.allclose(own, three.logits(x.flip(0)), rtol=1e-2)
    copied = three.copied().logits(x)  # computes the fourth student that it may have in vain
    torch.testing.assert_close(copied[:3], three.eval().logits(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "family, options, shape, words",
    [
        ("lenet", {}, (5,), "needs images"),
        ("lenet", {}, (1, 8, 8), "padding: 2"),
        ("resnet", {"depth": 9}, (3, 32, 32), "6n + 2"),
        ("densenet", {"depth": 40, "variant": "wide"}, (3, 32, 32), "'plain' nor 'bc'"),
        ("alexnet", {}, (5,), "needs images"),
        ("alexnet", {}, (3, 14, 32), "stride: 1"),
        ("alexnet", {"dropout": 1}, (3, 32, 32), "dropout 1 must be 0 or more and below 1"),
        ("torchvision_resnet", {"depth": 20}, (3, 32, 32), "depth 20 is none of 18, 34, 50"),
        ("torchvision_resnet", {"depth": 18}, (5,), "needs images"),
        ("inception_v4", {}, (5,), "needs images"),
        ("inception_v4", {"blocks": [1, 2]}, (3, 32, 32), "are not three numbers"),
    ],
)
def test_impossible_networks_are_refused(family, options, shape, words):
    with pytest.raises(UserError, match=words.replace("+", r"\+")):
        build(family, options, shape, 10, 1, 0)
