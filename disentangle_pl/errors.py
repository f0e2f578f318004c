"""The one exception that means: what the user gave is wrong, and here is what to do."""


class InputError(ValueError):
    """Wrong input from outside: a file, a table, a setting.

    The message is one sentence that says what is wrong, where, and what to do. The command line prints it without a
    traceback and leaves with exit code 2; any other exception is a bug of ours and keeps its traceback.
    """
