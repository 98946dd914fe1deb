"""The feature store: Feast repositories, served online by Feast's server and joined offline as of each row's time."""

from .join import Join, join
from .load import load
from .repo import Repo, open_repo
from .server import FeatureServer, begin_features, first_lookup, start_features
from .skew import Skew, skew

__all__ = [
    "FeatureServer",
    "Join",
    "Repo",
    "Skew",
    "begin_features",
    "first_lookup",
    "join",
    "load",
    "open_repo",
    "skew",
    "start_features",
]
