"""How money arrives and returns: attempts, movements, and the only door to SumUp."""
