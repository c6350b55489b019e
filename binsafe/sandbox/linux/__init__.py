"""The sandbox that Linux offers an ordinary user: empty namespaces, seccomp, Landlock, and a supervisor outside.

backend   policy -> plan; what this kernel can hold        (supervisor's side)
fallback  the same where namespaces are refused            (supervisor's side)
starting  starts the stage, takes over its listener        (supervisor's side)
explain   a step that failed, in words that help           (supervisor's side)
supervisor, notifications, grafting: answer the calls that wait
process   the handle
messages  what the stage says                              (both sides)
kernel    the system calls that Python lacks               (both sides)
stage     out of the host: users, namespaces, pid 1        (inside)
root, idmaps: the file system                              (inside)
becoming  the last steps, and execve                       (inside)
failing   a step that cannot be done                       (inside)
trial     what the doctor runs there                       (inside)
"""
