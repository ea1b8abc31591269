from __future__ import annotations

import numpy as np

from generator.pixels import contact_sheet, enlarge, from_network, to_network


def test_the_way_to_the_network_and_back_loses_nothing() -> None:
    every = np.arange(256, dtype=np.uint8)
    assert to_network(every).min() == -1
    assert to_network(every).max() == 1
    np.testing.assert_array_equal(from_network(to_network(every)), every)


def test_values_outside_the_range_are_clipped() -> None:
    np.testing.assert_array_equal(from_network(np.array([-3, 3], np.float32)), [0, 255])


def test_enlarging_repeats_every_pixel() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = enlarge(image, 3)
    assert large.shape == (6, 6, 3)
    assert (large[3:, :3] == image[1, 0]).all()
    np.testing.assert_array_equal(enlarge(image[None], 3)[0], large)


def test_a_contact_sheet_is_near_to_square_and_keeps_the_order() -> None:
    images = np.stack([np.full((2, 2, 1), n + 1, np.uint8) for n in range(5)])
    sheet = contact_sheet(images)
    np.testing.assert_array_equal(sheet[::2, ::2, 0], [[1, 2, 3], [4, 5, 0]])
