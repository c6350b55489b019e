"""Image -> system calls. Importing this package is cheap: the sandbox needs `tables` on its way to starting a program."""
