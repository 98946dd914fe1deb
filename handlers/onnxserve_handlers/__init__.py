"""What runs inside a TorchServe worker; copied whole into every archive."""
