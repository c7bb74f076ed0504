"""Inbound IO: the public listener, the admin listener, and the seam between aiohttp's server and our streams."""
