"""What asyncio promises, asserted alike on the stdlib loop and on rsloop."""
