"""What each program is made to do: real work, its error paths, signals and reloads; bounded, on loopback only."""
