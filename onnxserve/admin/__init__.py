"""The console's service: what archives and workers say of a version, and release steps of operators."""

from .operators import Operator, Refusal, operator_of
from .server import Administration, start_admin

__all__ = ["Administration", "Operator", "Refusal", "operator_of", "start_admin"]
