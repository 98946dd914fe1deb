"""The choice of workers, threads, batch size and delay by measurement."""

from .point import Point, Sample, Tuning
from .tuner import Plan, check_quiet, state_of, tune, write_tuning

__all__ = ["Plan", "Point", "Sample", "Tuning", "check_quiet", "state_of", "tune", "write_tuning"]
