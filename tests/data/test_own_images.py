"""Images of one's own, read from real files, and what is said of broken ones before anything starts."""

import gzip
import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import iafsweep
from iafsweep.api.own_images import told
from iafsweep.config import DataConfig
from iafsweep.data import Images, load_test_images, load_training_images, look, pictures
from iafsweep.data.idx import image_header
from iafsweep.errors import DataError
from iafsweep.limits import Share

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (40, 8, 6), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (40, 8, 6, 3), dtype=np.uint8)


def own(path, **settings):
    return DataConfig(source="file", path=str(path), **settings)


def read(path, **settings):
    return look(own(path, **settings))


def save_pictures(folder, images, name="{:03}.png", **how):
    for number, image in enumerate(images):
        path = folder / name.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, **how)


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as file:
        for each in sorted(folder.rglob("*")):
            file.write(each, each.relative_to(folder))
    return path


def refusal(path, **settings):
    with pytest.raises(DataError) as error:
        read(path, **settings)
    return str(error.value)


# What is read.


def test_every_form_of_the_same_images_is_the_same_set(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    np.savez(tmp_path / "a.npz", train=GREY)
    np.savez_compressed(tmp_path / "b.npz", train=np.asfortranarray(GREY[:, None]), labels=np.arange(40))
    np.savez(tmp_path / "c.npz", train=(GREY / 255).astype(np.float32))
    save_pictures(tmp_path / "png", GREY)
    save_pictures(tmp_path / "pgm", GREY, "deep/down/{:03}.pgm")
    (tmp_path / "png" / "README.txt").write_text("not a picture")
    (tmp_path / "png" / ".hidden.png").write_text("not a picture")
    zipped(tmp_path / "png", tmp_path / "d.zip")
    idx = tmp_path / "idx"
    idx.mkdir()
    (idx / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(image_header(40, 8, 6) + GREY.tobytes()))
    (idx / "train-labels-idx1-ubyte").write_bytes(b"labels are not read")
    forms = ("a.npy", "a.npz", "b.npz", "c.npz", "png", "pgm", "d.zip", "idx")
    found = {form: read(tmp_path / form)[0].images for form in forms}
    assert len({str(each) for each in found.values()}) == 1
    assert told(*read(tmp_path / "png")).endswith("256 levels (values 0 to 255); not read: 1 other file")
    assert told(*read(tmp_path / "b.npz")).endswith("; not read: labels")
    array = look(DataConfig(), Images(train=torch.from_numpy(GREY)))[0]
    assert (array.source, array.path, array.images) == ("file", None, found["a.npy"])
    config, images = read(tmp_path / "png")
    assert config.path == str(tmp_path / "png")
    assert (config.facts.image_shape, config.facts.levels) == ((1, 8, 6), 256)
    both, test = load_training_images(config, tmp_path, images), load_test_images(config, tmp_path, images)
    assert [len(both.training), len(both.validation), len(test)] == [33, 3, 4]
    everything = torch.cat([*both, test])[:, 0]
    assert sorted(bytes(each.numpy()) for each in everything) == sorted(bytes(each) for each in GREY)
    again = load_training_images(config, tmp_path)  # from the file
    assert torch.equal(again.training, both.training)


def test_parts_that_come_are_kept_and_missing_ones_split_off_always_alike(tmp_path):
    np.savez(tmp_path / "a.npz", train=GREY[:30], validation=GREY[30:34], test=GREY[34:])
    save_pictures(tmp_path / "b" / "all" / "train", GREY[:30])
    save_pictures(tmp_path / "b" / "all" / "validation", GREY[30:34])
    save_pictures(tmp_path / "b" / "all" / "test", GREY[34:])
    zipped(tmp_path / "b", tmp_path / "b.zip")
    for form in ("a.npz", "b", "b.zip"):
        config, images = read(tmp_path / form, split_seed=7)
        both, test = load_training_images(config, tmp_path, images), load_test_images(config, tmp_path, images)
        for part, expected in ((both.training, GREY[:30]), (both.validation, GREY[30:34]), (test, GREY[34:])):
            assert torch.equal(part[:, 0], torch.from_numpy(expected))
        with_all = load_training_images(config.model_copy(update={"validation_images": 0}), tmp_path, images)
        assert torch.equal(with_all.training[:, 0], torch.from_numpy(GREY[:34]))
    np.savez(tmp_path / "c.npz", train=GREY[:30], validation=GREY[30:])
    first, second = read(tmp_path / "c.npz")[1], read(tmp_path / "c.npz", split_seed=3)[1]
    assert torch.equal(first.test, second.test)  # nobody is tested on what another split trained on
    assert len(first.test) == 3
    assert torch.equal(first.training[-10:, 0], torch.from_numpy(GREY[30:]))


def test_idx_files_of_every_part(tmp_path):
    for name, part in (("train", GREY[:30]), ("validation", GREY[30:34]), ("t10k", GREY[34:])):
        (tmp_path / f"{name}-images.idx3-ubyte").write_bytes(image_header(len(part), 8, 6) + part.tobytes())
    config, images = read(tmp_path)
    assert (config.images.validation_images, config.images.validation_is_last) == (4, True)
    assert torch.equal(images.test[:, 0], torch.from_numpy(GREY[34:]))


@pytest.mark.parametrize(
    ("images", "levels", "high"),
    [
        (GREY > 100, 2, 1),
        ((GREY > 100).astype(np.uint8), 2, 1),
        ((GREY > 100).astype(np.uint8) * 255, 2, 1),
        ((GREY > 100).astype(np.float64), 2, 1),
        (GREY // 16, 16, 15),
        (GREY // 15, 18, 17),
        (GREY, 256, 255),
        ((GREY // 2 + 3).astype(np.int64), 256, 130),
        (GREY.astype(np.float16) / 255, 256, 255),
    ],
)
def test_how_many_values_a_pixel_can_have_is_found(images, levels, high):
    found = Images(images)
    assert found.levels == levels
    assert found.parts["train"].max() == high
    assert found.parts["train"].dtype == torch.uint8


def test_levels_are_of_all_parts_together():
    assert Images(GREY // 16, test=GREY[:3]).levels == 256
    assert Images(GREY > 3, test=(GREY > 100)[:3]).levels == 2
    digits = Images(GREY // 16, levels=17)
    assert (digits.levels, int(digits.parts["train"].max())) == (17, 15)
    shares = Images(GREY // 15 / 17, levels=18)
    assert torch.equal(shares.parts["train"], Images(GREY // 15).parts["train"])


@pytest.mark.parametrize(
    ("shape", "channels_first"),
    [
        ((5, 8, 6), (5, 1, 8, 6)),
        ((5, 1, 8, 6), (5, 1, 8, 6)),
        ((5, 3, 8, 6), (5, 3, 8, 6)),
        ((5, 8, 6, 3), (5, 3, 8, 6)),
        ((5, 8, 6, 1), (5, 1, 8, 6)),
    ],
)
def test_layouts(shape, channels_first):
    array = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    found = Images(array).parts["train"]
    assert tuple(found.shape) == channels_first
    as_given = found.numpy() if shape == channels_first else np.moveaxis(found.numpy(), 1, 3).reshape(shape)
    assert np.array_equal(as_given.reshape(shape), array)


def test_colour_grey_inverted_and_of_another_size(tmp_path):
    save_pictures(tmp_path / "jpeg", np.repeat(np.repeat(COLOUR, 4, axis=1), 4, axis=2), "{:03}.JPG", quality=95)
    np.savez(tmp_path / "a.npz", train=COLOUR)
    config, images = read(tmp_path / "jpeg")
    assert config.facts.image_shape == (3, 32, 24)
    grey, _ = read(tmp_path / "jpeg", grey=True, image_size=(8, 6))
    assert grey.facts.image_shape == (1, 8, 6)
    one, other = read(tmp_path / "a.npz")[1].training, read(tmp_path / "a.npz", invert=True)[1].training
    assert torch.equal(255 - one, other)
    made = read(tmp_path / "a.npz", grey=True)[1].training
    by_pillow = read(tmp_path / "a.npz")[1]
    expected = np.stack([np.asarray(Image.fromarray(each.permute(1, 2, 0).numpy()).convert("L")) for each in one])
    assert (made[:, 0].int() - torch.from_numpy(expected).int()).abs().max() <= 1
    assert by_pillow.levels == 256


def test_resizing_is_antialiased_and_bits_become_grey_or_stay_as_asked(tmp_path):
    stripes = np.zeros((20, 16, 16), dtype=np.uint8)
    stripes[:, :, ::2] = 255
    save_pictures(tmp_path / "png", stripes.astype(bool))
    np.savez(tmp_path / "a.npz", train=stripes)
    assert read(tmp_path / "png")[1].levels == 2
    for form in ("png", "a.npz"):
        images = read(tmp_path / form, image_size=(4, 4))[1]
        assert images.levels == 256
        inner = images.training[..., 1:3].float()
        assert ((inner - 127.5).abs() < 16).all()  # every second pixel would be all or nothing
        assert read(tmp_path / form, image_size=(4, 4), levels=2)[1].training.max() <= 1
    digits = tmp_path / "digits.npz"
    np.savez(digits, train=GREY // 15)
    assert read(digits, image_size=(16, 12))[1].levels == 256
    assert read(digits, image_size=(16, 12))[1].training.max() > 200  # 17 of 17 is white
    assert read(digits, image_size=(8, 6))[1].levels == 18  # that is their size


def test_pictures_of_unlike_sizes_need_a_size(tmp_path):
    save_pictures(tmp_path, GREY[:3])
    Image.fromarray(GREY[0, :5]).save(tmp_path / "small.png")
    assert "small.png is 5 x 6 (height x width), but 000.png is 8 x 6" in refusal(tmp_path)
    assert "data.image_size = [8, 6]" in refusal(tmp_path)
    assert read(tmp_path, image_size=(8, 6))[0].facts.image_shape == (1, 8, 6)


def test_looking_twice_inverts_once(tmp_path):
    np.savez(tmp_path / "a.npz", train=GREY)
    config, images = read(tmp_path / "a.npz", invert=True)
    again, same = look(config, images)
    assert (again, same) == (config, images)


def test_pictures_of_every_harmless_kind(tmp_path):
    image = Image.fromarray(COLOUR[0])
    image.convert("P").save(tmp_path / "palette.png")
    image.convert("RGBA").save(tmp_path / "opaque.png")
    image.save(tmp_path / "plain.ppm")
    assert read(tmp_path)[0].facts.image_shape == (3, 8, 6)
    image.convert("LA").save(tmp_path / "grey.png")
    assert "opaque.png is in colour, but grey.png is grey; " in refusal(tmp_path)
    assert "set data.grey = true" in refusal(tmp_path)
    assert read(tmp_path, grey=True)[0].facts.image_shape == (1, 8, 6)


# What is refused.


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (GREY[:0], "is empty (0 x 8 x 6)"),
        (GREY.reshape(40, -1), "is 40 x 48: reshape it to [images, height, width]"),
        (GREY[0, 0], "it must be [N, H, W]"),
        (GREY[:, None, None], "it must be [N, H, W]"),
        (np.zeros((9, 3, 8, 3)), "which could be [N, C, H, W] or [N, H, W, C]; give grey images as [N, H, W]"),
        (np.zeros((9, 4, 8, 8)), "but images need an axis of 1 or 3 channels"),
        (GREY.astype(np.int16) - 3, "has values from -3 to 252; whole numbers must be from 0 to 255"),
        (GREY.astype(np.float32), "has values from 0 to 255; floats must be from 0 to 1"),
        (GREY / 255 - 0.5, "floats must be from 0 to 1"),
        (GREY.astype(complex), "holds complex128; pixels must be uint8, bool, or floats from 0 to 1"),
        (GREY.astype("U3"), "holds <U3; pixels must be"),
        (list(GREY), "must be an array or a tensor, found list"),
    ],
)
def test_arrays_that_are_no_images(array, said):
    with pytest.raises(DataError) as error:
        iafsweep.Images(train=GREY, test=array)
    assert "test" in str(error.value)
    assert said in str(error.value)


def test_nan_is_named_with_its_image():
    bad = GREY / 255
    bad[17, 3, 3], bad[20, 0, 0] = np.nan, np.inf
    with pytest.raises(DataError, match=r"Images, train holds NaN or infinity in 2 images, the first of them image 17"):
        Images(bad)


def test_parts_that_do_not_go_together():
    with pytest.raises(DataError, match="of the same size, but test has 1 x 8 x 5 and train has 1 x 8 x 6"):
        Images(GREY, test=GREY[:, :, :5])
    with pytest.raises(DataError, match="all parts must have the same type, found uint8, float64"):
        Images(GREY, test=GREY / 255)
    with pytest.raises(DataError, match="has a pixel of 255, but levels = 17 allows only values from 0 to 16"):
        Images(GREY, levels=17)
    with pytest.raises(DataError, match="1 image cannot be split into parts"):
        look(DataConfig(), Images(GREY[:1]))
    with pytest.raises(DataError, match="1 image cannot be split into parts"):
        look(DataConfig(), Images(GREY[:2]))


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("code-was-run"),)


def test_no_pickle_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.empty(3, dtype=object)
    objects[0] = Harmful()
    np.savez(tmp_path / "a.npz", train=objects)
    np.save(tmp_path / "b.npy", objects)
    (tmp_path / "c.npy").write_bytes(pickle.dumps(Harmful()))
    (tmp_path / "d.pkl").write_bytes(pickle.dumps(Harmful()))
    for name in ("a.npz, train", "b.npy", "c.npy"):
        said = refusal(tmp_path / name.split(",")[0])
        assert f"{name} holds Python objects (a pickle), which are never read" in said
    assert "d.pkl cannot be read; it must be an .npz" in refusal(tmp_path / "d.pkl")
    assert not Path("code-was-run").exists()


def test_truncated_and_damaged_archives(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", train=GREY)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.npz").write_bytes(whole[:200] + bytes([whole[200] ^ 255]) + whole[201:])
    (tmp_path / "none.npz").write_bytes(b"<html>")
    for name in ("short.npz", "flipped.npz", "none.npz"):
        assert f"{name} is not an .npz file, or is truncated (" in refusal(tmp_path / name)
    np.save(tmp_path / "b.npy", GREY)
    (tmp_path / "short.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-100])
    assert "short.npy is not a NumPy array, or is truncated" in refusal(tmp_path / "short.npy")
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as file:
        file.writestr("train.npy", "no array")
    assert "text.npz, train is not a NumPy array" in refusal(tmp_path / "text.npz")
    save_pictures(tmp_path / "png", GREY)
    packed = zipped(tmp_path / "png", tmp_path / "b.zip").read_bytes()
    (tmp_path / "short.zip").write_bytes(packed[:-500])
    assert "short.zip is not a zip file, or is truncated (" in refusal(tmp_path / "short.zip")
    (tmp_path / "bad.zip").write_bytes(packed.replace(b"IDAT", b"IDAX", 1))
    said = refusal(tmp_path / "bad.zip")
    assert "bad.zip, 000.png is damaged" in said


def test_broken_pictures_are_named(tmp_path):
    save_pictures(tmp_path, GREY[:3])
    whole = (tmp_path / "001.png").read_bytes()
    for content in (whole[:-30], b"<html>not found</html>", b"", b"GIF89a" + whole):
        (tmp_path / "001.png").write_bytes(content)
        said = refusal(tmp_path)
        assert said.startswith(f"{tmp_path}, 001.png is damaged, or is not a PNG, JPEG or PGM picture (")
        assert "object at 0x" not in said
    Image.fromarray(GREY[0].astype(np.uint16) * 257).save(tmp_path / "001.png")
    assert "001.png has the Pillow mode I;16; save it as grey or RGB" in refusal(tmp_path)
    Image.fromarray(COLOUR[0]).convert("CMYK").save(tmp_path / "001.png", format="JPEG")
    assert "001.png has the Pillow mode CMYK; save it as grey or RGB with 8 bits per channel" in refusal(tmp_path)
    clear = np.dstack([COLOUR[0], np.full((8, 6), 255, dtype=np.uint8)])
    clear[2, 2, 3] = 254
    Image.fromarray(clear).save(tmp_path / "001.png")
    assert "001.png is partly transparent" in refusal(tmp_path)


def png_of(width, height):
    """A PNG file of a few hundred bytes that says it is so large, as bombs are."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(width // 8 + 1) * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 100_000])  # Pillow warns of the first and raises at the second
def test_decompression_bombs(tmp_path, side):
    save_pictures(tmp_path / "png", GREY[:3])
    (tmp_path / "png" / "bomb.png").write_bytes(png_of(side, side))
    zipped(tmp_path / "png", tmp_path / "a.zip")
    for name in ("png", "a.zip"):
        for settings in ({}, {"image_size": (8, 6)}):
            assert f"{name}, bomb.png has more than 89,478,485 pixels: it is a decompression bomb" in refusal(
                tmp_path / name, **settings
            )


def test_what_says_it_is_larger_than_memory_is_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", train=np.zeros((2000, 100, 100), dtype=np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 100_000
    idx = tmp_path / "idx"
    idx.mkdir()
    (idx / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(image_header(2**31, 1000, 1000) + bytes(100)))
    assert "would take 2,000,000.0 GiB, more than a quarter of the available memory" in refusal(idx)
    save_pictures(tmp_path / "png", np.zeros((30, 1000, 1000), dtype=np.uint8))
    monkeypatch.setattr(pictures, "usable_memory", lambda: Share(20 * 2**20))
    for name, what in (("a.npz", "a.npz, train"), ("png", "png: 30 pictures")):
        assert (
            f"{what} would take 0.0 GiB, more than a quarter of the available memory (0.0 GiB); use fewer images, or "
            "set a smaller data.image_size" in refusal(tmp_path / name)
        )
    assert read(tmp_path / "png", image_size=(10, 10))[0].facts.test_images == 3


def test_a_zip_file_that_lies_about_sizes(tmp_path):
    """An entry of zeros that claims to be small is not unpacked further than it says, and its checksum is wrong."""
    content = io.BytesIO()
    np.save(content, np.zeros((100, 100, 100), dtype=np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("train.npy", content.getvalue())
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole.replace(struct.pack("<I", len(content.getvalue())), struct.pack("<I", 5000)))
    assert "a.npz is not an .npz file, or is truncated (Bad CRC-32" in refusal(tmp_path / "a.npz")


def test_names_and_folders_that_mean_something_else(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=GREY, y_train=np.arange(40))
    assert "a.npz has no array `train` (found: x_train, y_train)" in refusal(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", train=GREY, valid=GREY)
    assert "b.npz has an array `valid`, but only train, validation, test are read" in refusal(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", train=GREY, test=GREY[:0])
    assert "c.npz, test is empty" in refusal(tmp_path / "c.npz")
    save_pictures(tmp_path / "d" / "train", GREY[:5])
    save_pictures(tmp_path / "d" / "more", GREY[5:])
    assert "has the folders train and 35 pictures outside them, such as more/000.png" in refusal(tmp_path / "d")
    save_pictures(tmp_path / "e" / "test", GREY[:5])
    save_pictures(tmp_path / "e" / "validation", GREY[:5])
    assert "has pictures in test, validation, but none in train" in refusal(tmp_path / "e")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.gif").write_text("")
    assert "f holds no pictures (.png, .jpg" in refusal(tmp_path / "f")
    assert "/nowhere/at/all does not exist (working directory: " in refusal("/nowhere/at/all")
    with pytest.raises(DataError, match="data.source = 'file' needs data.path"):
        look(DataConfig(source="file"))


def test_idx_files_that_are_none(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    for content, said in (
        (b"\0" * 16, "is not an IDX file of images"),
        (b"", "is not an IDX file of images"),
        (image_header(3, 8, 6) + GREY[:3].tobytes()[:-1], "is truncated: 159 bytes, expected 160"),
        (image_header(3, 8, 6) + GREY[:4].tobytes(), "is too long"),
        (image_header(0, 8, 6), "is empty (0 x 8 x 6)"),
    ):
        path.write_bytes(content)
        assert f"train-images-idx3-ubyte {said}" in refusal(tmp_path)
    path.unlink()
    whole = gzip.compress(image_header(3, 8, 6) + GREY[:3].tobytes())
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(whole[:-9])
    assert "train-images-idx3-ubyte.gz cannot be unpacked" in refusal(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").rename(tmp_path / "t10k-images-idx3-ubyte.gz")
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(whole)
    assert "has IDX files of test images, but none of train images" in refusal(tmp_path)


def test_changed_images_are_refused_with_both_and_the_way_out(tmp_path):
    np.savez(tmp_path / "a.npz", train=GREY)
    config, _ = read(tmp_path / "a.npz")
    assert look(config)[0] == config
    changed = GREY.copy()
    changed[3, 3, 3] ^= 1
    np.savez(tmp_path / "a.npz", train=changed)
    with pytest.raises(DataError) as error:
        look(config)
    said = str(error.value)
    assert f"{tmp_path / 'a.npz'}: the images have changed" in said
    assert config.images.training_checksum[:8] in said
    assert "in a new folder" in said
    with pytest.raises(DataError, match="the images have changed"):
        look(config, Images(GREY, levels=255 + 1, test=GREY))
