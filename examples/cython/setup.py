"""Build the extension; only the header's folder is not plain Cython."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import rsloop_bridge

setup(
    ext_modules=cythonize(
        Extension(
            "rsloop_example_cython",
            sources=["rsloop_example_cython.pyx"],
            include_dirs=[rsloop_bridge.get_include()],
        ),
        language_level=3,
    )
)
