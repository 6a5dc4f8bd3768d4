"""Loads a binary glTF file into Blender, checks its expressions, and renders it with Cycles on the CPU.

blender --background --factory-startup --python-exit-code 1 --python render.py -- FILE PICTURE [SHAPE=WEIGHT ...]
"""

import math
import sys

import bpy
import mathutils
import numpy

# Debian's Blender 3.4 comes with a NumPy that no longer has an alias which its importer uses.
if not hasattr(numpy, "bool"):
    numpy.bool = bool

SIDE = 512
SAMPLES = 48
SHAPES = 52

path, picture, *expression = sys.argv[sys.argv.index("--") + 1 :]
weights = {name: float(weight) for name, weight in (pair.split("=") for pair in expression)}

bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=path)
meshes = {thing.name: thing for thing in bpy.data.objects if thing.type == "MESH"}
keys = {name: mesh.data.shape_keys.key_blocks for name, mesh in meshes.items() if mesh.data.shape_keys}
names = {name: [key.name for key in blocks if key.name != "Basis"] for name, blocks in keys.items()}
assert names, "no part has shape keys"
for name, found in names.items():
    assert len(found) == SHAPES, f"{name} has {len(found)} shape keys instead of {SHAPES}"
    assert found == names["skin"], f"{name} has other shape keys than the skin: {found}"
for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileRight", "tongueOut", "browInnerUp"):
    assert name in names["skin"], f"there is no shape key {name}: {names['skin']}"
assert bpy.data.objects["avatar"].children, "the parts have no common parent"
assert all(mesh.parent.name == "avatar" for mesh in meshes.values()), "a part is not below the avatar"
assert {"skin", "eye_left", "teeth_upper", "tongue"} <= meshes.keys(), sorted(meshes)
print(f"{len(meshes)} meshes, {len(keys)} with {SHAPES} shape keys: {', '.join(names['skin'])}")

for blocks in keys.values():
    for name, weight in weights.items():
        blocks[name].value = weight

# The importer turns Y up into Z up: the face looks to -Y.
scene = bpy.context.scene
camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
camera.data.angle = math.radians(28)
camera.data.clip_start = 0.01
camera.location = (0.0, -0.71, 0.03)
focus = mathutils.Vector((0.0, -0.05, -0.02))
camera.rotation_euler = (focus - camera.location).to_track_quat("-Z", "Y").to_euler()
scene.collection.objects.link(camera)
scene.camera = camera
for name, place, energy, size in (("key", (0.5, -0.8, 0.5), 14.0, 0.4), ("fill", (-0.8, -0.5, 0.2), 4.0, 0.6)):
    lamp = bpy.data.objects.new(name, bpy.data.lights.new(name, "AREA"))
    lamp.data.energy, lamp.data.size = energy, size
    lamp.location = place
    lamp.rotation_euler = (focus - lamp.location).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(lamp)
world = bpy.data.worlds.new("world")
world.use_nodes = True
world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.25, 0.25, 0.28, 1.0)
scene.world = world

scene.render.engine = "CYCLES"
scene.cycles.device = "CPU"
scene.cycles.samples = SAMPLES
scene.cycles.use_denoising = False
scene.view_settings.view_transform = "Standard"
scene.render.resolution_x = scene.render.resolution_y = SIDE
scene.render.image_settings.file_format = "PNG"
scene.render.filepath = picture
bpy.ops.render.render(write_still=True)
print(f"wrote {picture}")
