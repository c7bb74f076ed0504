"""Rules of the gateway as plain functions over values: who, may, where, and what a failure means. No IO, no clock, no chance."""
