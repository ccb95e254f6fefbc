"""Manifests for a plan: what is to run where, to be read before it is applied. Nothing here is applied."""
