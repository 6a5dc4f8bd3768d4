"""ONNX export of the trained networks, of their input gradients, and of the model bundle's manifest."""
