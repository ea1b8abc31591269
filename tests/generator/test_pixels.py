from __future__ import annotations

import io

import numpy as np
from PIL import ExifTags, Image

from generator.pixels import contact_sheet, enlarge, from_network, from_pillow, to_network, to_pillow


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


def test_an_image_of_the_generators_own_comes_back_at_any_scale() -> None:
    draw = np.random.default_rng(0)
    for channels in (1, 3):
        image = draw.integers(0, 256, (14, 14, channels), np.uint8)
        for scale in (1, 2, 5):
            large = to_pillow(enlarge(image, scale))
            np.testing.assert_array_equal(from_pillow(large, 14, channels), image)


def test_any_picture_becomes_its_centred_square_in_the_generators_channels() -> None:
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = (255, 0, 0)
    np.testing.assert_array_equal(from_pillow(to_pillow(picture), 4, 3), np.full((4, 4, 3), (255, 0, 0)))
    tall = to_pillow(np.ascontiguousarray(picture.transpose(1, 0, 2)))
    np.testing.assert_array_equal(from_pillow(tall, 4, 1), np.full((4, 4, 1), 76))
    assert from_pillow(Image.new("P", (1, 9)), 4, 3).shape == (4, 4, 3)


def test_what_is_transparent_becomes_white_and_16_bits_become_8() -> None:
    clear = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    np.testing.assert_array_equal(from_pillow(clear, 4, 3), np.full((4, 4, 3), 255))
    deep = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
    np.testing.assert_array_equal(from_pillow(deep, 4, 1), np.full((4, 4, 1), 128))


def test_a_picture_is_turned_as_its_camera_meant_it() -> None:
    picture = Image.new("L", (8, 8))
    picture.paste(255, (0, 0, 8, 4))  # its upper half
    file = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3  # upside down
    picture.save(file, "PNG", exif=exif)
    with Image.open(file) as stored:
        turned = from_pillow(stored, 8, 1)
    np.testing.assert_array_equal(turned[:4], 0)
    np.testing.assert_array_equal(turned[4:], 255)
