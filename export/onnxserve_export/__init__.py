"""torch module -> quantised ONNX -> proven archive; one step a file."""
