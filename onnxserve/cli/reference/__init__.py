"""The references of settings and of hooks, generated from the records and the classes that hold them."""
