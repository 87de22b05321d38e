//! Ready queue, timer heap and tick policy: the pure part of the loop. No Python, no system calls; time is an argument.
