"""Use cases behind the command line and the admin API. No IO of their own."""
