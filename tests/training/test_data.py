from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import Arrays
from training.config import TrainConfig
from training.data import DataError, Dataset, load_dataset


def load(source: Path | str, **options: object) -> Dataset:
    return load_dataset(TrainConfig(data=str(source), **options))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 20 x 20 pictures, one file of each format."""
    root = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for name in ("apple", "pear"):
        (root / name).mkdir(parents=True)
        for suffix in ("png", "jpg", "webp"):
            pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"1.{suffix}")
    return root


def save_idx(path: Path, arrays: Arrays, compress: bool) -> None:
    for name, array, magic in (
        ("train-images-idx3-ubyte", arrays["images"], 0x803),
        ("train-labels-idx1-ubyte", arrays["labels"].astype(np.uint8), 0x801),
    ):
        content = struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()
        if compress:
            (path / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (path / name).write_bytes(content)


def test_class_folders_are_classes(folder: Path) -> None:
    dataset = load(folder)
    assert dataset.class_names == ("apple", "pear")
    assert dataset.images.shape == (6, 20, 20, 3)
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(dataset.images[1], np.asarray(Image.open(folder / "apple" / "1.png")))


def test_pictures_may_be_turned_grey_and_resized(folder: Path) -> None:
    assert load(folder, channels=1, image_size=16).images.shape == (6, 16, 16, 1)


def test_resize_makes_a_size_that_networks_have(folder: Path) -> None:
    dataset = load(folder, fit="resize")
    assert dataset.images.shape == (6, 32, 32, 3)
    assert dataset.spec(TrainConfig()).image_size == 32


def test_grey_pictures_among_colour_become_colour(folder: Path) -> None:
    Image.new("L", (20, 20), 77).save(folder / "pear" / "2.png")
    dataset = load(folder)
    assert dataset.images.shape == (7, 20, 20, 3)
    assert (dataset.images[-2:] == 77).all(axis=(1, 2, 3)).any()


def test_transparent_places_are_white(folder: Path) -> None:
    Image.new("RGBA", (20, 20), (9, 9, 9, 0)).save(folder / "apple" / "0.png")
    assert (load(folder).images[0] == 255).all()


def test_pictures_are_turned_as_the_camera_says(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:10] = 255
    Image.fromarray(pixels).save(folder / "apple" / "0.png", exif=exif)
    turned = load(folder).images[0]
    assert (turned[:, 10:] == 255).all()
    assert (turned[:, :10] == 0).all()


def test_sixteen_bits_a_pixel_keep_their_brightness(tmp_path: Path) -> None:
    for name, value in (("dim", 100), ("lit", 200)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((16, 16), value * 257, np.uint16)).save(tmp_path / name / "1.png")
    assert load(tmp_path).images[:, 0, 0, 0].tolist() == [100, 200]


def test_npz_arrays_are_read_as_they_are(npz: Path, arrays: Arrays) -> None:
    dataset = load(npz)
    np.testing.assert_array_equal(dataset.images[..., 0], arrays["images"])
    np.testing.assert_array_equal(dataset.labels, arrays["labels"])
    assert dataset.class_names == ("dark", "bright")


@pytest.mark.parametrize("compress", [False, True])
def test_idx_files_are_read_and_the_test_set_left_alone(
    tmp_path: Path, arrays: Arrays, compress: bool
) -> None:
    save_idx(tmp_path, arrays, compress)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"not looked at")
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.images[..., 0], arrays["images"])
    assert dataset.class_names == ("0", "1")


def test_labels_without_names_name_their_classes(tmp_path: Path, arrays: Arrays) -> None:
    np.savez(tmp_path / "x.npz", images=arrays["images"], labels=arrays["labels"] * 4 + 3)
    dataset = load(tmp_path / "x.npz")
    assert dataset.class_names == ("3", "7")
    np.testing.assert_array_equal(dataset.labels, arrays["labels"])


def test_a_hugging_face_data_set_is_read(
    tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra huggingface is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    kinds = {"img": datasets.Image(), "kind": datasets.ClassLabel(names=["dark", "bright"])}
    rows = datasets.Dataset.from_dict(
        {"img": [Image.fromarray(i) for i in arrays["images"]], "kind": arrays["labels"].tolist()},
        features=datasets.Features(kinds),
    )
    rows.to_parquet(tmp_path / "set" / "train-00000.parquet")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    dataset = load(f"hf:{tmp_path / 'set'}")
    np.testing.assert_array_equal(dataset.images[..., 0], arrays["images"])
    assert dataset.class_names == ("dark", "bright")


def test_the_drawn_shapes_are_the_same_for_the_same_seed() -> None:
    one, other = load("shapes"), load("shapes", seed=1)
    assert one.images.shape == (2000, 16, 16, 1)
    np.testing.assert_array_equal(one.images, load("shapes").images)
    assert not np.array_equal(one.images, other.images)


def refused(source: Path | str, *parts: str, **options: object) -> None:
    with pytest.raises(DataError) as caught:
        load(source, **options)
    for part in parts:
        assert part in str(caught.value)


def test_folders_are_in_counting_order_and_hidden_files_are_left_alone(folder: Path) -> None:
    for name in ("10", "9", ".hidden"):
        (folder / name).mkdir()
        Image.new("RGB", (20, 20)).save(folder / name / "1.png")
    (folder / "9" / "._1.png").write_bytes(b"a shadow of macOS")
    assert load(folder).class_names == ("9", "10", "apple", "pear")


def test_folders_of_splits_are_not_taken_for_classes(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "test").mkdir(parents=True)
    folder.rename(root / "train")
    (root / "test" / "apple").mkdir()
    Image.new("RGB", (20, 20)).save(root / "test" / "apple" / "1.png")
    refused(root, "test has its images in folders of its own", f"--data {root / 'test'}")


def test_a_missing_path_is_named() -> None:
    refused("/nowhere/at/all", "/nowhere/at/all does not exist", "--data takes")
    refused("", "no data given", "--data takes")


def test_a_bad_file_is_named(folder: Path) -> None:
    (folder / "pear" / "2.png").write_bytes(b"no picture")
    refused(folder, "pear/2.png cannot be read as an image")


def test_a_cut_off_file_is_named(folder: Path) -> None:
    whole = (folder / "pear" / "1.png").read_bytes()
    (folder / "pear" / "1.png").write_bytes(whole[: len(whole) // 2])
    refused(folder, "pear/1.png cannot be read as an image")


def test_an_empty_class_is_named(folder: Path, tmp_path: Path, arrays: Arrays) -> None:
    (folder / "plum").mkdir()
    refused(folder, "plum is empty")
    names = np.array(["dark", "bright", "blue"])
    np.savez(tmp_path / "x.npz", **{**arrays, "class_names": names})
    refused(tmp_path / "x.npz", "class 'blue' is empty")


def test_mixed_sizes_name_two_files_and_the_way_out(folder: Path) -> None:
    Image.new("RGB", (21, 20)).save(folder / "pear" / "2.png")
    refused(folder, "mixed sizes", "apple/1.jpg is 20 x 20", "pear/2.png is 21 x 20", "--image-size N")
    assert load(folder, image_size=20).images.shape == (7, 20, 20, 3)


def test_images_that_are_not_square_or_too_large_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("L", (100, 50)).save(tmp_path / name / "1.png")
    refused(tmp_path, "100 x 50, not square", "--image-size N")
    assert load(tmp_path, image_size=64).images.shape == (2, 64, 64, 1)
    for name in "ab":
        Image.new("L", (200, 200)).save(tmp_path / name / "1.png")
    refused(tmp_path, "1.png is 200 x 200; networks make up to 128 pixels: --image-size 128")


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "has 0 class folders", "at least 2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, "has no array 'images'"),
        ({"images": np.zeros((96, 12, 12))}, "images are float64, not uint8"),
        ({"images": np.zeros((96, 144), np.uint8)}, "not [N, H, W]"),
        ({"images": np.zeros((95, 12, 12), np.uint8)}, "95 images but 96 labels"),
        ({"labels": np.zeros(96)}, "not whole numbers"),
        ({"labels": np.full(96, 2)}, "labels go from 2 to 2"),
        ({"labels": np.arange(96) - 1}, "labels go from -1"),
    ],
)
def test_senseless_arrays_are_refused(tmp_path: Path, arrays: Arrays, change: Arrays, message: str) -> None:
    changed = {key: array for key, array in {**arrays, **change}.items() if array is not None}
    np.savez(tmp_path / "x.npz", **changed)
    refused(tmp_path / "x.npz", message)


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.array([object()]), labels=np.zeros(1, int))
    refused(tmp_path / "x.npz", "cannot be read as .npz", "pickle")


def test_files_that_are_not_what_they_are_called_are_named(tmp_path: Path, arrays: Arrays) -> None:
    (tmp_path / "x.npz").write_bytes(b"no zip")
    refused(tmp_path / "x.npz", "cannot be read as .npz")
    np.save(tmp_path / "x.npy", arrays["labels"])
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    refused(tmp_path / "x.npz", "cannot be read as .npz")
    (tmp_path / "x.tar").touch()
    refused(tmp_path / "x.tar", "is a file of another kind")
    save_idx(tmp_path, arrays, compress=False)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    refused(tmp_path, "train-labels-idx1-ubyte is not a whole IDX file")
    labels.unlink()
    refused(tmp_path, "has 0 files *idx1-ubyte*")
