"""Colors of feature maps."""

import pytest
import torch

from convnext_dense.analysis.principal_colors import PrincipalColors

CHANNELS, SIDE = 16, 12


def fitted(*maps):
    colors = PrincipalColors(len(maps[0]))
    for feature_map in maps:
        colors.add(feature_map)
    return colors


@pytest.fixture
def directions():
    """Three orthogonal directions in the channels, each with a positive largest entry."""
    found = torch.linalg.qr(torch.randn(CHANNELS, 3)).Q.T
    return found * found.gather(1, found.abs().argmax(1, keepdim=True)).sign()


class TestPrincipalColors:
    def test_show_what_low_rank_features_are_made_of(self, directions):
        # Uncorrelated amounts of falling size, and features far from zero.
        amounts = torch.randn(SIDE * SIDE, 3)
        amounts = torch.linalg.qr(amounts - amounts.mean(0)).Q.T * torch.tensor([[50.0], [20.0], [5.0]])
        features = (directions.T @ amounts + 10).reshape(CHANNELS, SIDE, SIDE)
        colors = fitted(features)
        assert colors.explained == pytest.approx(1, abs=1e-6)
        painted = torch.from_numpy(colors.paint(features)).reshape(-1, 3).T
        wanted = 255 * torch.sigmoid(2 * amounts / amounts.std(1, correction=0, keepdim=True))
        assert (painted - wanted).abs().max() < 1

    def test_explain_less_of_noise(self):
        assert fitted(torch.randn(CHANNELS, 50, 50)).explained == pytest.approx(3 / CHANNELS, abs=0.05)

    def test_give_equal_features_one_color_in_all_images(self):
        first, second = torch.randn(CHANNELS, SIDE, SIDE), torch.randn(CHANNELS, SIDE, 2 * SIDE)
        second[:, 3, 20] = first[:, 5, 7]
        colors = fitted(first, second)
        assert (colors.paint(first)[5, 7] == colors.paint(second)[3, 20]).all()

    def test_do_not_depend_on_the_order_of_images(self):
        maps = [torch.randn(CHANNELS, SIDE, SIDE) for _ in range(3)]
        there, back = fitted(*maps), fitted(*reversed(maps))
        assert (there.paint(maps[0]) == back.paint(maps[0])).all()

    def test_follow_maps_that_are_added_later(self):
        first, second = torch.randn(CHANNELS, SIDE, SIDE), torch.randn(CHANNELS, SIDE, SIDE)
        colors = fitted(first)
        before = colors.paint(first)
        colors.add(100 * second)
        assert (colors.paint(first) != before).any()

    def test_of_a_constant_map_are_gray(self):
        painted = fitted(torch.full((CHANNELS, 4, 4), 7.3)).paint(torch.full((CHANNELS, 4, 4), 7.3))
        assert (painted == 128).all()

    def test_of_two_channels_leave_blue_out(self):
        features = torch.randn(2, SIDE, SIDE)
        painted = fitted(features).paint(features)
        assert (painted[..., 2] == 128).all()
        assert (painted[..., :2] != 128).any()
