"""The merged adapter against the same sum computed beside the layers."""

import pytest
import torch
from torch.nn import functional

from rl_diffusion_assets.policy.adapter import MergedAdapter


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1 = torch.nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = torch.nn.GroupNorm(2, 8)
        self.to_out = torch.nn.ModuleList([torch.nn.Linear(128, 5)])

    def forward(self, pictures):
        return self.to_out[0](self.norm(self.conv1(pictures)).flatten(1))


TARGETS = ("conv1", "to_out.0")


def pictures(n: int = 4):
    return torch.randn((n, 3, 8, 8), generator=torch.Generator().manual_seed(1))


def test_an_adapter_changes_nothing_at_first_and_leaves_the_rest_alone():
    net = Net()
    before = net(pictures())
    adapter = MergedAdapter(net, TARGETS, 2, seed=0)
    adapter.merge()
    assert torch.equal(net(pictures()), before)
    assert adapter.names == ["conv1.A", "conv1.B", "to_out.0.A", "to_out.0.B"]
    assert not net.norm.weight.requires_grad
    assert not net.conv1.bias.requires_grad


def test_gradients_are_those_of_the_sum_over_all_backward_passes():
    net = Net()
    adapter = MergedAdapter(net, TARGETS, 2, seed=0)
    base = [net.conv1.weight.detach().clone(), net.to_out[0].weight.detach().clone()]
    with torch.no_grad():
        for parameter in adapter.parameters:
            parameter.add_(0.1 * torch.randn(parameter.shape))
    adapter.merge()
    parts = [p.detach().clone().requires_grad_(True) for p in adapter.parameters]
    conv = base[0] + (parts[1] @ parts[0]).view_as(base[0])
    linear = base[1] + parts[3] @ parts[2]
    seen = net.norm(functional.conv2d(pictures(), conv, net.conv1.bias, 2, 1)).flatten(1)
    functional.linear(seen, linear, net.to_out[0].bias).square().sum().backward()
    for part in pictures().split(2):  # gradients add up
        net(part).square().sum().backward()
    for ours, theirs in zip(adapter.parameters, parts, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)
    assert net.conv1.weight.grad is None


def test_an_adapter_can_be_removed_for_a_while():
    net = Net()
    before = net(pictures())
    adapter = MergedAdapter(net, TARGETS, 2, seed=0)
    with torch.no_grad():
        adapter.parameters[1].fill_(0.3)
    adapter.merge()
    changed = net(pictures())
    assert not torch.equal(changed, before)
    with adapter.removed():
        assert torch.equal(net(pictures()), before)
    assert torch.equal(net(pictures()), changed)


def test_what_cannot_be_adapted_is_refused():
    with pytest.raises(ValueError, match="no layer"):
        MergedAdapter(Net(), ("to_q",), 2, seed=0)
    with pytest.raises(ValueError, match=r"conv1.*float32.*float16"):
        MergedAdapter(Net().half(), TARGETS, 2, seed=0)
