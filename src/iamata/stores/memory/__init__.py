"""The same stores in memory: for tests, and for whatever need not outlive its process."""
