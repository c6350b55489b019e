"""The semantics of instructions: for each processor its conventions and branches, its data flow, and more.

machine         the interface that both implement, and the types of its answers
x86_64          with ``x86_64_scans``: branches and addresses, found by scanning bytes; ``_values``: data flow;
                ``_frames``: the stack; ``_addresses``: what is done with one; ``_tables``: jump tables; ``_branches``:
                what a branch depends on; ``_execution``: registers that are known; ``large_model``
arm64           with ``arm64_scans``, ``_values``, ``_frames``, ``_tables`` and ``_branches``; ``_addresses``, which
                take two instructions
conditions      what branches of both ask of two numbers
arithmetic      what code does with a number on its way
"""
