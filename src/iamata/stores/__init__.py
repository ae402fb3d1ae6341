"""Where a member's sealed records, keys, journal and openings lie: in SQLite files, or in memory."""
