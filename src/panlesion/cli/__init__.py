"""The command line: translate, call, exit code."""
