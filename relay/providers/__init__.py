"""What is particular to one kind of upstream: how a request is addressed to it and how its refusals read. No IO."""
