"""What several tests share: small servers, clients, archives and bad input."""
