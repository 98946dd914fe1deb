"""Envoy's configuration (https://www.envoyproxy.io/docs/envoy/v1.40.0/), one kind of resource a module."""
