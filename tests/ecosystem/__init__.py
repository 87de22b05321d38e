"""Programs that nobody here wrote, on rsloop. `nox -s ecosystem` installs them."""
