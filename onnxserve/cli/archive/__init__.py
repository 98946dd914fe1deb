"""`onnxserve archive`: commands about one `.mar` file."""
