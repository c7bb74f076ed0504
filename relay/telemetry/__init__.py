"""What can be seen from outside: Prometheus metrics and structured logs."""
