"""What to drop, decided and done. What lies directly here is what the folders use; `prune` begins in `steps/`."""
