"""Say which versions ran."""

import importlib.metadata

PROGRAMS = ("aiohttp", "uvicorn")


def pytest_report_header() -> str:
    versions = []
    for name in PROGRAMS:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    return "programs: " + ", ".join(versions)
