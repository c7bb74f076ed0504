"""`relay run`: a real model, the relay and a real nginx in the foreground, for a first look and for end-to-end tests."""
