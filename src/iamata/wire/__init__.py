"""What HTTP carries, the same for `api` and `client`: bodies, refusals, signatures. Opens no socket."""
