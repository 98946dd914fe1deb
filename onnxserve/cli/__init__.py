"""The command line: one module for each command, errors without a traceback."""
