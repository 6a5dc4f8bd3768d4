"""The manifest's description of the networks is what the networks are."""

import json
import shutil
from pathlib import Path

from face_nets.checksums import MANIFEST
from face_nets.manifest import NETWORKS, write_manifest

BUNDLE = Path(__file__).parents[3] / "models/base"


def copy_networks(folder: Path) -> None:
    for entry in NETWORKS.values():
        shutil.copy(BUNDLE / entry["path"], folder)


def test_the_committed_manifest_is_what_the_networks_give(tmp_path: Path):
    copy_networks(tmp_path)
    written = json.loads(write_manifest(tmp_path).read_text())
    committed = json.loads((BUNDLE / MANIFEST).read_text())
    assert written["face"] == committed["face"]
    for name, network in written["networks"].items():
        assert network == committed["networks"][name]


def test_other_parts_of_a_manifest_are_kept(tmp_path: Path):
    copy_networks(tmp_path)
    other = {"id": "studio", "networks": {"unet": {"file": "unet.onnx"}}, "template": {"vertices": 3}}
    (tmp_path / MANIFEST).write_text(json.dumps(other))
    written = json.loads(write_manifest(tmp_path).read_text())
    assert written["id"] == "studio"
    assert written["template"] == {"vertices": 3}
    assert written["networks"]["unet"] == {"file": "unet.onnx"}
    assert written["networks"].keys() > NETWORKS.keys()
    assert not list(tmp_path.glob("*.partial"))
