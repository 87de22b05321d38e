"""Build the extension; only the header's folder is not plain setuptools."""

from setuptools import Extension, setup

import rsloop_bridge

setup(
    ext_modules=[
        Extension(
            "rsloop_example_c",
            sources=["rsloop_example_c.c"],
            include_dirs=[rsloop_bridge.get_include()],
        )
    ]
)
