"""The nginx edge, generated from Settings: policy, directive tree, printer, feature facts, audit rules."""
