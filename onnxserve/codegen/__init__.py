"""Source code of a client of one model, made of the schemas of its rows and predictions."""

from .contract import ModelContract, archive_contract, server_contract
from .python_client import python_client
from .typescript_client import typescript_client

__all__ = ["ModelContract", "archive_contract", "python_client", "server_contract", "typescript_client"]
