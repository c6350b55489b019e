"""The sandbox that Linux offers an ordinary user: empty namespaces, seccomp, Landlock, and a supervisor outside.

backend   policy -> plan; what this kernel can hold        (supervisor's side)
fallback  the same where namespaces are refused            (supervisor's side)
starting  starts the stage, takes over its listener        (supervisor's side)
stage     from a fresh interpreter to the program          (inside)
supervisor, notifications, grafting: answer the calls that wait
process   the handle
kernel    the system calls that Python lacks               (both sides)
"""
