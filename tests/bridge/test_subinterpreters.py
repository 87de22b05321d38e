"""Sub-interpreters are refused by ImportError, and the main interpreter goes on."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import bridge_tests, rsloop
try:
    import _interpreters as interpreters
    create = interpreters.create
except ImportError:
    import _xxsubinterpreters as interpreters
    create = lambda kind: interpreters.create(isolated=kind == "isolated")

interpreter = create(sys.argv[1])
interpreters.run_string(interpreter, '''
try:
    import {module}
    {use}
except ImportError as error:
    assert "interpreter" in str(error), error
    print("refused")
'''.format(module=sys.argv[2], use=sys.argv[3]))
sys.stdout.flush()
interpreters.destroy(interpreter)

async def main():
    assert await bridge_tests.future_into_py("value", None) == "the value"

rsloop.run(main())
"""
USE = "import asyncio; asyncio.run(wait())"
DEFINE = "async def wait(): await bridge_tests.local_future_into_py('value', None)"
MODULES = {"rsloop": "pass", "bridge_tests": f"exec({DEFINE!r}); {USE}"}


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
@pytest.mark.parametrize("module", MODULES)
def test_a_sub_interpreter_is_refused(kind: str, module: str) -> None:
    if kind == "isolated" and sys.version_info < (3, 12):
        pytest.skip("before 3.12 no sub-interpreter has a GIL of its own")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, kind, module, MODULES[module]],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")
