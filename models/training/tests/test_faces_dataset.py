"""Data sets: encoding, reading, resuming, and errors that say what to do."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from faces_support import SOURCE, needs_source, small_basis

from fitdiff.cli import main
from fitdiff.errors import DatasetError
from fitdiff.faces import dataset_writer
from fitdiff.faces.dataset import (
    ATTRIBUTES,
    SEED_RANGES,
    ShardSpec,
    decode_maps,
    encode_maps,
    load_masks,
    load_shard,
    load_spec,
    save_spec,
    shard_path,
    srgb_decode,
    srgb_encode,
)

SPEC = ShardSpec(map_size=256, chips=1, first_seed=0, count=3, shard_size=2, components=40)


def test_srgb_is_its_own_inverse_and_passes_through_known_points():
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(srgb_decode(srgb_encode(x)), x, atol=1e-6)
    np.testing.assert_allclose(srgb_encode(np.array([0.2140411])), [0.5], atol=1e-5)


def test_maps_survive_encoding_within_a_step():
    rng = np.random.default_rng(0)
    diffuse, specular = rng.uniform(0, 1, (8, 8, 3)), rng.uniform(0, 0.06, (8, 8))
    normal = np.concatenate([rng.uniform(-0.4, 0.4, (8, 8, 2)), np.ones((8, 8, 1))], 2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    d, s, n = decode_maps(encode_maps(diffuse, specular, normal))
    assert np.abs(srgb_encode(d) - srgb_encode(diffuse)).max() <= 0.5 / 255 + 1e-6
    assert np.abs(s - specular).max() <= 0.5 * 0.06 / 255 + 1e-6
    angle = np.degrees(np.arccos(np.clip((n * normal).sum(-1), -1, 1)))
    assert angle.max() < 0.6


def test_a_flat_normal_is_exact():
    flat = np.zeros((4, 4, 3))
    flat[..., 2] = 1
    encoded = encode_maps(np.zeros((4, 4, 3)), np.zeros((4, 4)), flat)
    assert (encoded[4:] == 128).all()
    assert (decode_maps(encoded)[2] == flat).all()


def test_seed_ranges_are_disjoint():
    ranges = sorted(SEED_RANGES.values(), key=lambda r: r.start)
    assert all(a.stop <= b.start for a, b in zip(ranges, ranges[1:], strict=False))


def test_shards_split_the_seeds_in_order():
    spec = ShardSpec(first_seed=100, count=10, shard_size=4)
    assert spec.shard_count == 3
    assert [list(spec.seeds(i)) for i in range(3)] == [[100, 101, 102, 103], [104, 105, 106, 107], [108, 109]]


def test_a_shard_of_another_shape_is_refused(tmp_path):
    save_spec(tmp_path, SPEC)
    folder = shard_path(tmp_path, 0)
    folder.mkdir()
    np.save(folder / "maps.npy", np.zeros((2, 6, 64, 64), np.uint8))
    with pytest.raises(DatasetError, match=r"maps\.npy: expected uint8 \(2, 6, 256, 256\), found uint8 \(2, 6, 64"):
        load_shard(tmp_path, 0)


def test_a_folder_without_description_is_no_data_set(tmp_path):
    with pytest.raises(DatasetError, match="not a data set folder"):
        load_spec(tmp_path)


def test_the_command_line_reports_a_missing_source_folder(tmp_path, capsys):
    status = main(["faces", "dataset", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--count", "1"])
    assert status == 2
    assert "no MakeHuman data in" in capsys.readouterr().err


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A small data set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_writer, "load_shape_basis", lambda model: small_basis())
        folder = tmp_path_factory.mktemp("set")
        dataset_writer.write_dataset(Path(SOURCE), folder, SPEC, processes=1, quiet=True)
        yield folder


@needs_source
def test_a_written_data_set_reads_back(written):
    assert load_spec(written) == SPEC
    masks = load_masks(written)
    assert (masks["face"] <= masks["skin"]).all() and (masks["skin"] <= masks["chart"]).all()
    assert 0.2 < masks["face"].mean() < 0.6
    first, last = load_shard(written, 0), load_shard(written, 1)
    assert len(first) == 2 and len(last) == 1
    assert first.attributes.dtype == ATTRIBUTES and list(first.attributes["seed"]) == [0, 1]
    assert first.chips.std() > 20, "chips show something"
    assert not list(written.glob(".shard-*"))


@needs_source
def test_a_second_run_writes_only_what_is_missing(written, monkeypatch):
    before = os.stat(shard_path(written, 0)).st_mtime_ns
    shutil.rmtree(shard_path(written, 1))
    leftover = written / ".shard-00001.interrupted"
    leftover.mkdir()
    dataset_writer.write_dataset(Path(SOURCE), written, SPEC, processes=1, quiet=True)
    assert os.stat(shard_path(written, 0)).st_mtime_ns == before
    assert len(load_shard(written, 1)) == 1
    assert not leftover.exists()


@needs_source
def test_another_data_set_in_the_folder_is_not_mixed_with(written):
    with pytest.raises(DatasetError, match="holds another data set"):
        dataset_writer.write_dataset(Path(SOURCE), written, dataclasses.replace(SPEC, chips=2), quiet=True)


@needs_source
def test_a_full_disk_leaves_no_half_shard(tmp_path, monkeypatch):
    save_spec(tmp_path, SPEC)
    monkeypatch.setattr(dataset_writer, "load_shape_basis", lambda model: small_basis())
    writer = dataset_writer.ShardWriter(Path(SOURCE), SPEC)

    def full(folder, seeds):
        (folder / "maps.npy").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "_fill", full)
    with pytest.raises(DatasetError, match="no space left"):
        writer.write(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]
