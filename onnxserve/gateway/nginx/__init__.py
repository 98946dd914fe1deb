"""The templates of nginx's configuration and its scripts (https://nginx.org/en/docs/, https://nginx.org/en/docs/njs/)."""
